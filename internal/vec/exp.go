package vec

import "math"

// Exp is y = e^x, within 2 ulp for every x, subnormal results included. It overflows to +Inf and underflows to 0
// where the correctly rounded result does; NaN stays NaN.
func Exp(y, x []float32) {
	need("Exp", "x", len(x), len(y))
	active.exp(y, x[:len(y)])
}

// Tanh is y = tanh(x), within 7 ulp for every x (5 in the assembly variants); from |x| = 7.9053 on it is exactly 1 or -1.
func Tanh(y, x []float32) {
	need("Tanh", "x", len(x), len(y))
	active.tanh(y, x[:len(y)])
}

// Sigmoid is y = 1/(1+e^-x), within 4 ulp for x >= -87; below, the error is under 1e-38.
func Sigmoid(y, x []float32) {
	need("Sigmoid", "x", len(x), len(y))
	active.sigmoid(y, x[:len(y)])
}

// ExpSum is y = e^(x-max) and returns the sum of y: the core of softmax and of log-sum-exp.
// An x of -Inf gives exactly 0, even when max is -Inf too. The relative error of y is within 2 ulp of the result plus
// 1 ulp of x-max; where x-max < -64, y is exactly 0: beside a sum of at least 1 that is far below rounding, and neither y
// nor y/sum is ever subnormal (for fewer than 2^33 elements). Above 2.4e38 y may be +Inf.
func ExpSum(y, x []float32, max float32) float32 {
	need("ExpSum", "x", len(x), len(y))
	if math.IsInf(float64(max), -1) {
		max = 0
	}
	return active.expSum(y, x[:len(y)], max)
}

// Softmax is y = e^x / sum(e^x); entries more than 64 below the largest give exactly 0. Entries of -Inf (masked) give exactly 0, and so does a row of nothing else;
// a NaN or +Inf makes the whole row NaN.
func Softmax(y, x []float32) {
	need("Softmax", "x", len(x), len(y))
	x = x[:len(y)]
	if sum := ExpSum(y, x, active.max(x)); sum != 0 {
		active.scale(y, 1/sum, y)
	}
}

// SoftmaxGrad is dx = y * (dy - sum(dy*y)), where y is the result of Softmax.
func SoftmaxGrad(dx, dy, y []float32) {
	n := len(dx)
	need("SoftmaxGrad", "dy", len(dy), n)
	need("SoftmaxGrad", "y", len(y), n)
	active.softmaxGrad(dx, dy[:n], y[:n])
}
