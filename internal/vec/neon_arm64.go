package vec

//go:noescape
func expNEON(y, x []float32)

//go:noescape
func sigmoidNEON(y, x []float32)

//go:noescape
func expSumNEON(y, x []float32, max float32) float32

//go:noescape
func softmaxGradScaleNEON(dx, dy, y []float32, s float32)

//go:noescape
func geluTanhNEON(y, x []float32)

//go:noescape
func geluTanhGradNEON(dx, dy, x []float32)

//go:noescape
func tanhNEON(y, x []float32)

//go:noescape
func geluNEON(y, x []float32)

//go:noescape
func geluGradNEON(dx, dy, x []float32)

//go:noescape
func reluNEON(y, x []float32)

//go:noescape
func reluGradNEON(dx, dy, x []float32)

//go:noescape
func siluNEON(y, x []float32)

//go:noescape
func siluGradNEON(dx, dy, x []float32)

//go:noescape
func swiGLUNEON(y, gate, up []float32)

//go:noescape
func rotateHalfNEON(y, x, cos, sin []float32, sign float32)

//go:noescape
func swiGLUGradNEON(dgate, dup, dy, gate, up []float32)

//go:noescape
func rotatePairsNEON(y, x, cos, sin []float32, sign float32)

//go:noescape
func f32FromF16NEON(y []float32, x []uint16)

//go:noescape
func f16FromF32NEON(y []uint16, x []float32)

//go:noescape
func f32FromBF16NEON(y []float32, x []uint16)

//go:noescape
func bf16FromF32NEON(y []uint16, x []float32)

//go:noescape
func addNEON(y, a, b []float32)

//go:noescape
func subNEON(y, a, b []float32)

//go:noescape
func mulNEON(y, a, b []float32)

//go:noescape
func scaleNEON(y []float32, a float32, x []float32)

//go:noescape
func axpyNEON(y []float32, a float32, x []float32)

//go:noescape
func fillNEON(y []float32, a float32)

//go:noescape
func sumNEON(x []float32) float32

//go:noescape
func dotNEON(a, b []float32) float32

//go:noescape
func sumSquaresNEON(x []float32) float64

//go:noescape
func maxNEON(x []float32) float32

//go:noescape
func allFiniteNEON(x []float32) bool

//go:noescape
func sumDeviationsNEON(x []float32, mean float32) float32

//go:noescape
func normScaleNEON(y, x, w, b []float32, mean, rstd float32)

//go:noescape
func normGradSumsNEON(dw, db, dy, x, w []float32, mean, rstd float32) (sg, sgx float32)

//go:noescape
func normGradNEON(dx, dy, x, w []float32, mean, rstd, mg, mgx float32)

//go:noescape
func adamWNEON(p, g, m, v []float32, c adamWConsts)
