package pixel

// Blend sets sum to 3·near + far, all of the same length.
func Blend(sum []int16, near, far []uint8) {
	need("Blend", "near", len(near), len(sum))
	need("Blend", "far", len(far), len(sum))
	active.blend(sum, near[:len(sum)], far[:len(sum)])
}

func blendGo(sum []int16, near, far []uint8) {
	for i := range sum {
		sum[i] = 3*int16(near[i]) + int16(far[i])
	}
}

// Widen makes two pixels of each sum but the first and the last, which are neighbours only: of s[i], and in dst[2(i-1)] and behind,
// (3·s[i] + s[i-1] + even) >> shift and (3·s[i] + s[i+1] + odd) >> shift. Sums are 0..1020 where shift is 4, 0..255 where it is 2, so that
// results are bytes; dst has 2·(len(sum) - 2) elements, or one less.
func Widen(dst []uint8, sum []int16, even, odd int16, shift int) {
	need("Widen", "sum", len(sum), (len(dst)+1)/2+2)
	active.widen(dst, sum[:(len(dst)+1)/2+2], even, odd, shift)
}

func widenGo(dst []uint8, sum []int16, even, odd int16, shift int) {
	for x := range dst {
		i := x/2 + 1
		if x%2 == 0 {
			dst[x] = uint8((3*sum[i] + sum[i-1] + even) >> shift)
		} else {
			dst[x] = uint8((3*sum[i] + sum[i+1] + odd) >> shift)
		}
	}
}

// JFIF converts luma and colours to RGB, dst [len(y), 3], in libjpeg's 16 bits behind the point: R = Y + 1.402 Cr',
// G = Y - 0.34414 Cb' - 0.71414 Cr', B = Y + 1.772 Cb', where a dash takes 128 off.
func JFIF(dst, y, cb, cr []uint8) {
	need("JFIF", "cb", len(cb), len(y))
	need("JFIF", "cr", len(cr), len(y))
	need("JFIF", "dst", len(dst), 3*len(y))
	active.jfif(dst[:3*len(y)], y, cb[:len(y)], cr[:len(y)])
}

func jfifGo(dst, y, cb, cr []uint8) {
	const half = 1 << 15
	for i, v := range y {
		y, cb, cr := int32(v), int32(cb[i])-128, int32(cr[i])-128
		dst[3*i] = clamp8(y + (91881*cr+half)>>16)
		dst[3*i+1] = clamp8(y + (-22554*cb-46802*cr+half)>>16)
		dst[3*i+2] = clamp8(y + (116130*cb+half)>>16)
	}
}

// clamp8 brings v into 0..255.
func clamp8(v int32) uint8 { return uint8(min(max(v, 0), 255)) }
