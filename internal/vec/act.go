package vec

// GELU is y = x * Phi(x), the exact form with erf. The error is at most 1e-6 of |y| plus 1e-9. NaN stays NaN,
// -Inf gives 0.
func GELU(y, x []float32) {
	need("GELU", "x", len(x), len(y))
	active.gelu(y, x[:len(y)])
}

// GELUGrad is dx = dy * d GELU(x)/dx; the factor on dy has an absolute error of at most 1e-6.
func GELUGrad(dx, dy, x []float32) {
	n := len(dx)
	need("GELUGrad", "dy", len(dy), n)
	need("GELUGrad", "x", len(x), n)
	active.geluGrad(dx, dy[:n], x[:n])
}

// GELUTanh is y = x/2 * (1 + tanh(sqrt(2/pi) * (x + 0.044715 x^3))). The error is at most 1e-6 of |y| plus 1e-9.
// NaN stays NaN, -Inf gives 0.
func GELUTanh(y, x []float32) {
	need("GELUTanh", "x", len(x), len(y))
	active.geluTanh(y, x[:len(y)])
}

// GELUTanhGrad is dx = dy * d GELUTanh(x)/dx; the factor on dy has an absolute error of at most 1e-6.
func GELUTanhGrad(dx, dy, x []float32) {
	n := len(dx)
	need("GELUTanhGrad", "dy", len(dy), n)
	need("GELUTanhGrad", "x", len(x), n)
	active.geluTanhGrad(dx, dy[:n], x[:n])
}

// ReLU is y = max(x, 0); NaN stays NaN, -0 gives +0.
func ReLU(y, x []float32) {
	need("ReLU", "x", len(x), len(y))
	active.relu(y, x[:len(y)])
}

// ReLUGrad is dx = dy where x > 0, else 0.
func ReLUGrad(dx, dy, x []float32) {
	n := len(dx)
	need("ReLUGrad", "dy", len(dy), n)
	need("ReLUGrad", "x", len(x), n)
	active.reluGrad(dx, dy[:n], x[:n])
}

// SiLU is y = x / (1 + e^-x). The error is at most 1e-6 of |y| plus 1e-9. NaN stays NaN, -Inf gives 0.
func SiLU(y, x []float32) {
	need("SiLU", "x", len(x), len(y))
	active.silu(y, x[:len(y)])
}

// SiLUGrad is dx = dy * d SiLU(x)/dx; the factor on dy has an absolute error of at most 1e-6.
func SiLUGrad(dx, dy, x []float32) {
	n := len(dx)
	need("SiLUGrad", "dy", len(dy), n)
	need("SiLUGrad", "x", len(x), n)
	active.siluGrad(dx, dy[:n], x[:n])
}

// SwiGLU is y = SiLU(gate) * up.
func SwiGLU(y, gate, up []float32) {
	n := len(y)
	need("SwiGLU", "gate", len(gate), n)
	need("SwiGLU", "up", len(up), n)
	active.swiGLU(y, gate[:n], up[:n])
}

// SwiGLUGrad is dgate = dy * up * d SiLU(gate)/dgate and dup = dy * SiLU(gate), both written.
func SwiGLUGrad(dgate, dup, dy, gate, up []float32) {
	n := len(dgate)
	need("SwiGLUGrad", "dup", len(dup), n)
	need("SwiGLUGrad", "dy", len(dy), n)
	need("SwiGLUGrad", "gate", len(gate), n)
	need("SwiGLUGrad", "up", len(up), n)
	active.swiGLUGrad(dgate, dup[:n], dy[:n], gate[:n], up[:n])
}
