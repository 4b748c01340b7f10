package vec

//go:noescape
func expAVX2(y, x []float32)

//go:noescape
func sigmoidAVX2(y, x []float32)

//go:noescape
func expSumAVX2(y, x []float32, max float32) float32

//go:noescape
func geluTanhAVX2(y, x []float32)

//go:noescape
func geluTanhGradAVX2(dx, dy, x []float32)
