package vec

import "golang.org/x/sys/cpu"

// machineVariants lists the assembly variants that this processor can run, slowest first.
func machineVariants() []*variant {
	if !cpu.X86.HasAVX2 || !cpu.X86.HasFMA {
		return nil
	}
	return []*variant{avx2Variant()}
}

// avx2Variant is the Go variant with the functions that have assembly replaced.
func avx2Variant() *variant {
	v := goVariant
	v.name = "avx2"
	v.exp, v.sigmoid, v.expSum = expAVX2, sigmoidAVX2, expSumAVX2
	v.geluTanh, v.geluTanhGrad = geluTanhAVX2, geluTanhGradAVX2
	return &v
}
