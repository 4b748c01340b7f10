package gemm

// goKernel returns the portable variant, the definition of the others. It rounds each product, where they fuse it.
func goKernel() *Kernel {
	return &Kernel{
		name: "go", mr: 4, nr: 4, block: 64, cols: 256, masked: true,
		tile: tileGo, fused: fusedGo, peak: peakGo, peakFLOPs: 8 * 2,
	}
}
