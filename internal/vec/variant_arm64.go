package vec

// machineVariants lists the assembly variants: every processor that Go supports has the vectors of ARMv8.0.
func machineVariants() []*variant { return []*variant{neonVariant()} }

// neonVariant is the Go variant with the functions that have assembly replaced.
func neonVariant() *variant {
	v := goVariant
	v.name = "neon"
	v.exp, v.sigmoid, v.expSum = expNEON, sigmoidNEON, expSumNEON
	v.geluTanh, v.geluTanhGrad = geluTanhNEON, geluTanhGradNEON
	v.add, v.sub, v.mul, v.scale, v.axpy, v.fill = addNEON, subNEON, mulNEON, scaleNEON, axpyNEON, fillNEON
	v.addRows = addRowsNEON
	v.max, v.allFinite = maxNEON, allFiniteNEON
	(&passes{
		sum: sumNEON, dot: dotNEON, sumSquares: sumSquaresNEON, sumDeviations: sumDeviationsNEON,
		softmaxGradScale: softmaxGradScaleNEON, normScale: normScaleNEON, normGradSums: normGradSumsNEON, normGrad: normGradNEON,
	}).into(&v)
	v.adamW = adamWNEON
	v.tanh, v.gelu, v.geluGrad = tanhNEON, geluNEON, geluGradNEON
	v.relu, v.reluGrad, v.silu, v.siluGrad = reluNEON, reluGradNEON, siluNEON, siluGradNEON
	v.swiGLU, v.swiGLUGrad = swiGLUNEON, swiGLUGradNEON
	v.rotateHalf, v.rotatePairs = rotateHalfNEON, rotatePairsNEON
	v.f32FromF16, v.f16FromF32 = f32FromF16NEON, f16FromF32NEON
	v.f32FromBF16, v.bf16FromF32 = f32FromBF16NEON, bf16FromF32NEON
	return &v
}

func addRowsNEON(y, x []float32, ld, rows int) {
	for i := range rows {
		addNEON(y, y, x[i*ld:][:len(y)])
	}
}
