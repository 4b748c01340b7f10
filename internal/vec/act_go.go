package vec

import "math"

// The upper tail of the normal distribution is Phi(-a) = e^(-a^2/2) * k * T(k - tailC) with k = 1/(1 + tailK a), a >= 0:
// the form of Abramowitz and Stegun 26.2.17, refitted to a relative error of 1.3e-7 on [0, 14].
const (
	tailMax = 15 // Phi(-15) rounds to 0
	tailK   = 0.2316419
	tailC   = 0.6178415417671204
	tail0   = 0.21679302743378048
	tail1   = 0.40473238014001955
	tail2   = 0.5763059927127098
	tail3   = 0.6095982415295489
	tail4   = 0.4391896430717328
	tail5   = 0.15198584000350301
	tail6   = -0.056890040948523235
	tail7   = -0.07042412894402424

	invSqrt2Pi = 0.3989422804014327
)

// normal returns a = min(|x|, tailMax), Phi(-a) and e^(-a^2/2).
func normal(x float32) (a, tail, e float32) {
	a = math.Float32frombits(math.Float32bits(x) &^ (1 << 31))
	if a > tailMax {
		a = tailMax
	}
	e = exp1(float32(a*a) * -0.5)
	k := 1 / (1 + float32(tailK*a))
	s := k - tailC
	p := float32(tail7)
	p = float32(p*s) + tail6
	p = float32(p*s) + tail5
	p = float32(p*s) + tail4
	p = float32(p*s) + tail3
	p = float32(p*s) + tail2
	p = float32(p*s) + tail1
	p = float32(p*s) + tail0
	return a, p * k * e, e
}

func relu1(x float32) float32 {
	if x <= 0 {
		return 0
	}
	return x // NaN too
}

// x*Phi(x) = max(x, 0) - |x|*Phi(-|x|): nothing cancels.
func gelu1(x float32) float32 {
	a, tail, _ := normal(x)
	return relu1(x) - float32(a*tail)
}

// Phi(x) + x*phi(x)
func geluSlope(x float32) float32 {
	a, tail, e := normal(x)
	d := float32(float32(a*e) * invSqrt2Pi)
	if x < 0 {
		return tail - d
	}
	return 1 - tail + d
}

// GELU's tanh form is x * sigmoid(2u), u = sqrt(2/pi) * (x + 0.044715 x^3); 2u = x * (gelu0 + gelu1 x^2).
const (
	tanhGelu0 = 1.5957691216057308
	tanhGelu1 = 0.07135481627159664
	slopeMax  = 16 // beyond it the slopes of both GELU forms are 0 or 1
	eMax      = 80 // e^80 and its products with s = 1/(1+e^80) are finite
)

func geluTanh1(x float32) float32 {
	if x < -math.MaxFloat32 {
		x = -math.MaxFloat32 // the limit, -0, for -Inf
	}
	return x / (1 + exp1(-x*(float32(tanhGelu1*float32(x*x))+tanhGelu0)))
}

// With s = sigmoid(2u): s + x * s*(1-s) * 2u', and 1-s = e^(-2u)*s without cancellation.
func geluTanhSlope(x float32) float32 {
	x = clamp(x, -slopeMax, slopeMax)
	xx := x * x
	e := exp1(clamp(-x*(float32(tanhGelu1*xx)+tanhGelu0), expMin, eMax))
	s := 1 / (1 + e)
	return s + float32(float32(x*(float32(3*tanhGelu1*xx)+tanhGelu0))*(e*s*s))
}

func silu1(x float32) float32 {
	if x < -math.MaxFloat32 {
		x = -math.MaxFloat32 // the limit, -0, for -Inf
	}
	return x / (1 + exp1(-x))
}

// s + x*s*(1-s)
func siluSlope(x float32) float32 {
	x = clamp(x, -eMax, eMax)
	e := exp1(-x)
	s := 1 / (1 + e)
	return s + float32(x*(e*s*s))
}

func geluGo(y, x []float32) {
	x = x[:len(y)]
	for i := range y {
		y[i] = gelu1(x[i])
	}
}

func geluGradGo(dx, dy, x []float32) {
	dy, x = dy[:len(dx)], x[:len(dx)]
	for i := range dx {
		dx[i] = dy[i] * geluSlope(x[i])
	}
}

func geluTanhGo(y, x []float32) {
	x = x[:len(y)]
	for i := range y {
		y[i] = geluTanh1(x[i])
	}
}

func geluTanhGradGo(dx, dy, x []float32) {
	dy, x = dy[:len(dx)], x[:len(dx)]
	for i := range dx {
		dx[i] = dy[i] * geluTanhSlope(x[i])
	}
}

func reluGo(y, x []float32) {
	x = x[:len(y)]
	for i := range y {
		y[i] = relu1(x[i])
	}
}

func reluGradGo(dx, dy, x []float32) {
	dy, x = dy[:len(dx)], x[:len(dx)]
	for i := range dx {
		if x[i] > 0 {
			dx[i] = dy[i]
		} else {
			dx[i] = 0
		}
	}
}

func siluGo(y, x []float32) {
	x = x[:len(y)]
	for i := range y {
		y[i] = silu1(x[i])
	}
}

func siluGradGo(dx, dy, x []float32) {
	dy, x = dy[:len(dx)], x[:len(dx)]
	for i := range dx {
		dx[i] = dy[i] * siluSlope(x[i])
	}
}

func swiGLUGo(y, gate, up []float32) {
	gate, up = gate[:len(y)], up[:len(y)]
	for i := range y {
		y[i] = silu1(gate[i]) * up[i]
	}
}

func swiGLUGradGo(dgate, dup, dy, gate, up []float32) {
	for i := range dgate {
		d, g, u := dy[i], gate[i], up[i]
		dgate[i] = d * u * siluSlope(g)
		dup[i] = d * silu1(g)
	}
}
