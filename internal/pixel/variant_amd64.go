package pixel

import "golang.org/x/sys/cpu"

// machineVariants lists the assembly variants that this processor can run.
func machineVariants() []*variant {
	if !cpu.X86.HasAVX2 {
		return nil
	}
	return []*variant{{"avx2", idctFast, blendFast, widenFast, jfifFast, sumRowsFast, sumRGBFast, paethFast}}
}

//go:noescape
func idctAVX2(dst *uint8, stride int, coefs *[64]int16, quant *[64]uint16)

// blendAVX2 does n elements, a multiple of 16.
//
//go:noescape
func blendAVX2(sum *int16, near, far *uint8, n int)

// widenAVX2 makes 2n pixels, n a multiple of 16, of the sums behind the first; sum points to the first.
//
//go:noescape
func widenAVX2(dst *uint8, sum *int16, even, odd int16, shift, n int)

// jfifAVX2 converts n pixels, a multiple of 16.
//
//go:noescape
func jfifAVX2(dst, y, cb, cr *uint8, n int)

// sumRowsAVX2 sums n columns, a multiple of 16. The weights of each two rows are the two low parts and then the two high ones, as in
// Windows.
//
//go:noescape
func sumRowsAVX2(dst, src *uint8, stride int, parts *int16, rows, n int)

// sumRGBAVX2 makes n pixels. For each group of a window it reads 16 bytes of src.
//
//go:noescape
func sumRGBAVX2(dst, src *uint8, starts *int32, parts *int16, groups, n int)

// paeth3AVX2 does n pixels of 3 bytes, of which it reads 4.
//
//go:noescape
func paeth3AVX2(row, above *uint8, n int)

// paeth4AVX2 does n pixels of 4 bytes.
//
//go:noescape
func paeth4AVX2(row, above *uint8, n int)

func idctFast(dst []uint8, stride int, coefs *[64]int16, quant *[64]uint16) {
	idctAVX2(&dst[0], stride, coefs, quant)
}

func blendFast(sum []int16, near, far []uint8) {
	n := len(sum) &^ 15
	if n > 0 {
		blendAVX2(&sum[0], &near[0], &far[0], n)
	}
	blendGo(sum[n:], near[n:], far[n:])
}

func widenFast(dst []uint8, sum []int16, even, odd int16, shift int) {
	n := len(dst) / 2 &^ 15
	if n > 0 {
		widenAVX2(&dst[0], &sum[0], even, odd, shift, n)
	}
	widenGo(dst[2*n:], sum[n:], even, odd, shift)
}

func jfifFast(dst, y, cb, cr []uint8) {
	n := len(y) &^ 15
	if n > 0 {
		jfifAVX2(&dst[0], &y[0], &cb[0], &cr[0], n)
	}
	jfifGo(dst[3*n:], y[n:], cb[n:], cr[n:])
}

func sumRowsFast(dst, src []uint8, stride int, weights []int32) {
	n := len(dst) &^ 15
	if n > 0 {
		parts := make([]int16, 0, 64)
		for i := 0; i < len(weights); i += 2 {
			a, b := weights[i], int32(0)
			if i+1 < len(weights) {
				b = weights[i+1]
			}
			parts = append(parts, int16(a&(1<<15-1)), int16(b&(1<<15-1)), int16(a>>15), int16(b>>15))
		}
		sumRowsAVX2(&dst[0], &src[0], stride, &parts[0], len(weights), n)
		dst, src = dst[n:], src[n:]
	}
	sumRowsGo(dst, src, stride, weights)
}

func sumRGBFast(dst, src []uint8, w *Windows) {
	// A pixel at the end of the row whose groups would be read behind it is left to Go.
	n := len(w.starts)
	for n > 0 && 3*int(w.starts[n-1])+12*w.groups+4 > len(src) {
		n--
	}
	if n > 0 && w.groups > 0 {
		sumRGBAVX2(&dst[0], &src[0], &w.starts[0], &w.parts[0], w.groups, n)
	}
	if n < len(w.starts) {
		sumRGBGo(dst[3*n:], src, &Windows{starts: w.starts[n:], weights: w.weights[n:]})
	}
}

func paethFast(row, above []uint8, bpp int) {
	switch n := len(row) / bpp; {
	case bpp == 3 && n > 1:
		paeth3AVX2(&row[0], &above[0], n-1)
		paethFrom(row, above, bpp, bpp*(n-1))
	case bpp == 4 && n > 0:
		paeth4AVX2(&row[0], &above[0], n)
	default:
		paethGo(row, above, bpp)
	}
}
