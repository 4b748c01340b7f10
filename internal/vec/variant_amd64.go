package vec

import "golang.org/x/sys/cpu"

// machineVariants lists the assembly variants that this processor can run, slowest first.
func machineVariants() []*variant {
	if !cpu.X86.HasAVX2 || !cpu.X86.HasFMA || !cpu.X86.HasF16C {
		return nil
	}
	list := []*variant{avx2Variant()}
	// VBMI2 came with Ice Lake and Zen 4; older processors lower their clock for 512-bit arithmetic.
	if cpu.X86.HasAVX512F && cpu.X86.HasAVX512VBMI2 {
		list = append(list, avx512Variant())
	}
	return list
}

// avx2Variant is the Go variant with the functions that have assembly replaced.
func avx2Variant() *variant {
	v := goVariant
	v.name = "avx2"
	v.exp, v.sigmoid, v.expSum = expAVX2, sigmoidAVX2, expSumAVX2
	v.geluTanh, v.geluTanhGrad = geluTanhAVX2, geluTanhGradAVX2
	v.add, v.sub, v.mul, v.scale, v.axpy, v.fill, v.addRows = addAVX2, subAVX2, mulAVX2, scaleAVX2, axpyAVX2, fillAVX2, addRowsAVX2
	v.max, v.allFinite, v.fetch = maxAVX2, allFiniteAVX2, fetchAMD64
	(&passes{
		sum: sumAVX2, dot: dotAVX2, sumSquares: sumSquaresAVX2, sumDeviations: sumDeviationsAVX2,
		softmaxGradScale: softmaxGradScaleAVX2, normScale: normScaleAVX2, normGradSums: normGradSumsAVX2, normGrad: normGradAVX2,
	}).into(&v)
	v.adamW = adamWAVX2
	v.tanh, v.gelu, v.geluGrad = tanhAVX2, geluAVX2, geluGradAVX2
	v.relu, v.reluGrad, v.silu, v.siluGrad = reluAVX2, reluGradAVX2, siluAVX2, siluGradAVX2
	v.swiGLU, v.swiGLUGrad = swiGLUAVX2, swiGLUGradAVX2
	v.rotateHalf, v.rotatePairs = rotateHalfAVX2, rotatePairsAVX2
	v.f32FromF16, v.f16FromF32 = f32FromF16AVX2, f16FromF32AVX2
	v.f32FromBF16, v.bf16FromF32, v.roundBF16 = f32FromBF16AVX2, bf16FromF32AVX2, roundBF16AVX2
	v.mulI8 = func(y []float32, x []int8, s []float32) {
		n := len(y) &^ 7
		mulI8AVX2(y[:n], x, s)
		mulI8Go(y[n:], x[n:], s[n:])
	}
	v.f32FromQ8, v.f32From4 = f32FromQ8AVX2, f32From4AVX2
	return &v
}

// avx512Variant is the AVX2 variant with the functions built on exp widened.
func avx512Variant() *variant {
	v := avx2Variant()
	v.name = "avx512"
	v.exp, v.expSum = expAVX512, expSumAVX512
	v.gelu, v.geluGrad, v.geluTanh, v.geluTanhGrad = geluAVX512, geluGradAVX512, geluTanhAVX512, geluTanhGradAVX512
	v.softmaxTile, v.softmaxTileGrad = softmaxTileAVX512, softmaxTileGradAVX512
	v.f32From4 = f32From4AVX512
	return v
}
