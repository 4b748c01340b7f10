package gemm

import (
	"github.com/plinth-ml/plinth/internal/quant"
	"golang.org/x/sys/cpu"
)

// The functions below are in the .s files; see tileFunc, rowFunc and moveFunc for their contracts.

//go:noescape
func tile256(k int, a *float32, ars, acs int, b *float32, ldb int, c *float32, ldc, m, n int, alpha float32, load bool)

//go:noescape
func row256(k int, a *float32, acs int, b *float32, ldb, panel int, c *float32, alpha float32, load bool)

//go:noescape
func tile512(k int, a *float32, ars, acs int, b *float32, ldb int, c *float32, ldc, m, n int, alpha float32, load bool)

//go:noescape
func row512(k int, a *float32, acs int, b *float32, ldb, panel int, c *float32, alpha float32, load bool)

//go:noescape
func transpose4(dst *float32, w int, src *float32, ld, k int)

//go:noescape
func transpose12(dst *float32, w int, src *float32, ld, k int)

//go:noescape
func transpose16(dst *float32, w int, src *float32, ld, k int)

//go:noescape
func copy4(dst *float32, w int, src *float32, ld, k int)

//go:noescape
func copy12(dst *float32, w int, src *float32, ld, k int)

//go:noescape
func copy16(dst *float32, w int, src *float32, ld, k int)

//go:noescape
func addTo8(y, x *float32, n int)

//go:noescape
func fetch(p *float32, n int)

//go:noescape
func panel512(k int, a *float32, step int, b, c *float32, ldc, tiles int, next *float32, lines int, alpha float32, load bool)

//go:noescape
func direct512(k int, a *float32, lda int, b, c *float32, ldc, tiles int, next *float32, lines int, alpha float32, load bool)

//go:noescape
func fewF16AVX2(k int, a *float32, lda int, b *byte, ldb int, c *float32, ldc, m, n int, alpha float32, load bool)

//go:noescape
func fewValuesAVX2(k int, a *float32, lda int, b *byte, ldb int, c *float32, ldc, m, n int, alpha float32, load bool)

//go:noescape
func fewKeysAVX2(k int, a *float32, lda int, b *byte, ldb int, c *float32, ldc, m, n int, alpha float32, load bool, col int)

//go:noescape
func fewF16AVX512(k int, a *float32, lda int, b *byte, ldb int, c *float32, ldc, m, n int, alpha float32, load bool)

//go:noescape
func fewValuesAVX512(k int, a *float32, lda int, b *byte, ldb int, c *float32, ldc, m, n int, alpha float32, load bool)

//go:noescape
func fewKeysAVX512(k int, a *float32, lda int, b *byte, ldb int, c *float32, ldc, m, n int, alpha float32, load bool, col int)

//go:noescape
func widenBF16AVX2(dst *float32, src *byte, ld, k, ahead int)

//go:noescape
func widenF16AVX2(dst *float32, src *byte, ld, k, ahead int)

//go:noescape
func dotBF16AVX2(a *float32, b *byte, ld, k, ahead int, c *float32, alpha float32, load bool)

//go:noescape
func dotF16AVX2(a *float32, b *byte, ld, k, ahead int, c *float32, alpha float32, load bool)

//go:noescape
func widenBF16AVX512(dst *float32, src *byte, ld, k, ahead int)

//go:noescape
func widenF16AVX512(dst *float32, src *byte, ld, k, ahead int)

//go:noescape
func dotBF16AVX512(a *float32, b *byte, ld, k, ahead int, c *float32, alpha float32, load bool)

//go:noescape
func dotF16AVX512(a *float32, b *byte, ld, k, ahead int, c *float32, alpha float32, load bool)

//go:noescape
func dotF32AVX2(a *float32, b *byte, ld, k, ahead int, c *float32, alpha float32, load bool)

//go:noescape
func dotF32AVX512(a *float32, b *byte, ld, k, ahead int, c *float32, alpha float32, load bool)

func peak256(n int)
func peak512(n int)

// simdKernels lists the variants that this CPU can run, slowest first.
func simdKernels() []*Kernel {
	var ks []*Kernel
	if !cpu.X86.HasAVX2 || !cpu.X86.HasFMA || !cpu.X86.HasBMI2 {
		return nil
	}
	move := mover{transpose4: transpose4, copy4: copy4, copy12: copy12, copy16: copy16, addTo8: addTo8, fetch: fetch}
	ks = append(ks, &Kernel{
		name: "avx2", mr: 6, nr: 16, block: 240, cols: 512, mover: move,
		tile: tile256, row4: row256, peak: peak256, peakFLOPs: 12 * 8 * 2,
	})
	if cpu.X86.HasAVX512F {
		move.transpose12, move.transpose16 = transpose12, transpose16
		ks = append(ks, &Kernel{
			name: "avx512", mr: 12, nr: 32, block: 240, cols: 512, masked: true, mover: move,
			tile: tile512, panel: panel512, direct: direct512, row4: row512, peak: peak512, peakFLOPs: 16 * 16 * 2,
		})
	}
	for _, k := range ks {
		if k.masked {
			k.dot32 = dotF32AVX512
			k.half = halfFuncs{quant.F16: {widenF16AVX512, dotF16AVX512}, quant.BF16: {widenBF16AVX512, dotBF16AVX512}}
		} else {
			k.dot32 = dotF32AVX2
			k.half = halfFuncs{quant.BF16: {widenBF16AVX2, dotBF16AVX2}}
			if cpu.X86.HasF16C {
				k.half[quant.F16] = half{widenF16AVX2, dotF16AVX2}
			}
		}
		switch wide := k.masked; {
		case wide && cpu.X86.HasAVX512BW && cpu.X86.HasAVX512VL:
			k.few = few{rows: 4, cols: 64, f16: fewF16AVX512, values: fewValuesAVX512, keys: fewKeysAVX512}
		case cpu.X86.HasF16C:
			k.few = few{rows: 2, cols: 32, f16: fewF16AVX2, values: fewValuesAVX2, keys: fewKeysAVX2}
		}
	}
	return ks
}
