package vec

//go:noescape
func expAVX2(y, x []float32)

//go:noescape
func sigmoidAVX2(y, x []float32)

//go:noescape
func expSumAVX2(y, x []float32, max float32) float32

//go:noescape
func softmaxGradScaleAVX2(dx, dy, y []float32, s float32)

//go:noescape
func geluTanhAVX2(y, x []float32)

//go:noescape
func geluTanhGradAVX2(dx, dy, x []float32)

//go:noescape
func tanhAVX2(y, x []float32)

//go:noescape
func geluAVX2(y, x []float32)

//go:noescape
func geluGradAVX2(dx, dy, x []float32)

//go:noescape
func reluAVX2(y, x []float32)

//go:noescape
func reluGradAVX2(dx, dy, x []float32)

//go:noescape
func siluAVX2(y, x []float32)

//go:noescape
func siluGradAVX2(dx, dy, x []float32)

//go:noescape
func swiGLUAVX2(y, gate, up []float32)

//go:noescape
func rotateHalfAVX2(y, x, cos, sin []float32, sign float32)

//go:noescape
func swiGLUGradAVX2(dgate, dup, dy, gate, up []float32)

//go:noescape
func rotatePairsAVX2(y, x, cos, sin []float32, sign float32)

//go:noescape
func f32FromF16AVX2(y []float32, x []uint16)

//go:noescape
func f16FromF32AVX2(y []uint16, x []float32)

//go:noescape
func f32FromBF16AVX2(y []float32, x []uint16)

//go:noescape
func bf16FromF32AVX2(y []uint16, x []float32)

//go:noescape
func addAVX2(y, a, b []float32)

//go:noescape
func subAVX2(y, a, b []float32)

//go:noescape
func mulAVX2(y, a, b []float32)

//go:noescape
func scaleAVX2(y []float32, a float32, x []float32)

//go:noescape
func axpyAVX2(y []float32, a float32, x []float32)

//go:noescape
func fillAVX2(y []float32, a float32)

//go:noescape
func addRowsAVX2(y, x []float32, ld, rows int)

//go:noescape
func sumAVX2(x []float32) float32

//go:noescape
func dotAVX2(a, b []float32) float32

//go:noescape
func sumSquaresAVX2(x []float32) float64

//go:noescape
func maxAVX2(x []float32) float32

//go:noescape
func allFiniteAVX2(x []float32) bool

//go:noescape
func sumDeviationsAVX2(x []float32, mean float32) float32

//go:noescape
func normScaleAVX2(y, x, w, b []float32, mean, rstd float32)

//go:noescape
func normGradSumsAVX2(dw, db, dy, x, w []float32, mean, rstd float32) (sg, sgx float32)

//go:noescape
func normGradAVX2(dx, dy, x, w []float32, mean, rstd, mg, mgx float32)

//go:noescape
func adamWAVX2(p, g, m, v []float32, c adamWConsts)

//go:noescape
func mulI8AVX2(y []float32, x []int8, s []float32)

//go:noescape
func f32FromQ8AVX2(y []float32, x []byte)

//go:noescape
func f32From4AVX2(y []float32, x []byte, table *[16]float32)
