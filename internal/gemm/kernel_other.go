//go:build !amd64 && !arm64

package gemm

// simdKernels lists the variants that this CPU can run beside the portable one.
func simdKernels() []*Kernel { return nil }
