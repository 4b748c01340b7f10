package vec

//go:noescape
func expAVX512(y, x []float32)

//go:noescape
func expSumAVX512(y, x []float32, max float32) float32

//go:noescape
func geluTanhAVX512(y, x []float32)

//go:noescape
func geluTanhGradAVX512(dx, dy, x []float32)
