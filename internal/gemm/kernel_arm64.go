package gemm

// The functions below are in neon_arm64.s; see tileFunc, rowFunc and moveFunc for their contracts.

//go:noescape
func tileNEON(k int, a *float32, ars, acs int, b *float32, ldb int, c *float32, ldc, m, n int, alpha float32, load bool)

//go:noescape
func rowNEON(k int, a *float32, acs int, b *float32, ldb, panel int, c *float32, alpha float32, load bool)

//go:noescape
func transpose4NEON(dst *float32, w int, src *float32, ld, k int)

//go:noescape
func copy4NEON(dst *float32, w int, src *float32, ld, k int)

//go:noescape
func copy12NEON(dst *float32, w int, src *float32, ld, k int)

//go:noescape
func addTo8NEON(y, x *float32, n int)

//go:noescape
func fetchNEON(p *float32, n int)

func peakNEON(n int)

// simdKernels lists the variants that this CPU can run: every one that Go supports has the vectors of ARMv8.0.
func simdKernels() []*Kernel {
	return []*Kernel{{
		name: "neon", mr: 12, nr: 8, block: 240, cols: 512,
		mover: mover{transpose4: transpose4NEON, copy4: copy4NEON, copy12: copy12NEON, addTo8: addTo8NEON, fetch: fetchNEON},
		tile:  tileNEON, row4: rowNEON, peak: peakNEON, peakFLOPs: 24 * 4 * 2,
	}}
}
