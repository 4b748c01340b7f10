//go:build !amd64

package quant

func simdKernels() []*Kernel { return nil }

func interleave(dst, src *uint8, stride, chunks int) { panic("quant: no panels in Go") }
