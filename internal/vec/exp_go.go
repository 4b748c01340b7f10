package vec

import "math"

// e^x = 2^n * e^r with n = round(x/ln 2) and r = x - n ln 2, |r| <= ln 2 / 2 (Cody and Waite). ln 2 is split so that
// n*ln2Hi is exact. e^r = 1 + r + r^2 P(r), P a minimax polynomial (relative error 3.1e-9).
const (
	expMin  = -104 // e^-104 rounds to 0
	expMax  = 89   // e^89 overflows
	log2e   = 1.44269504088896341
	ln2Hi   = 0.693359375
	ln2Lo   = -2.12194440e-4
	sumMin  = -64      // ExpSum gives 0 below
	rounder = 12582912 // 1.5 * 2^23: adding it leaves the nearest integer in the low bits
	expP0   = 0.49999993447779034
	expP1   = 0.1666652063162704
	expP2   = 0.0416683880488322
	expP3   = 0.008368716887361093
	expP4   = 0.0013814598475487053
)

// clamp is x within [low, high]; NaN passes. The min and max of the language cost several times as much.
func clamp(x, low, high float32) float32 {
	if x < low {
		return low
	}
	if x > high {
		return high
	}
	return x
}

func exp1(x float32) float32 {
	if !(x >= expMin) { // NaN too
		if x < expMin {
			return 0
		}
		return x
	}
	if x > expMax {
		x = expMax
	}
	n := float32(x*log2e) + rounder
	n -= rounder
	r := x - float32(n*ln2Hi)
	r -= float32(n * ln2Lo)
	p := float32(expP4)
	p = float32(p*r) + expP3
	p = float32(p*r) + expP2
	p = float32(p*r) + expP1
	p = float32(p*r) + expP0
	p = float32(p*float32(r*r)) + r
	p++
	// Two factors, each a normal number, so that subnormal results are rounded once and 2^128 can be formed.
	k := int32(n)
	h := k >> 1
	return p * math.Float32frombits(uint32(h+127)<<23) * math.Float32frombits(uint32(k-h+127)<<23)
}

// tanh(x) = x * P(x^2) / Q(x^2) up to tanhMax, where tanh is 1 (the rational form of Eigen).
const (
	tanhMax = 7.90531110763549805
	tanhA0  = 4.89352455891786e-03
	tanhA1  = 6.37261928875436e-04
	tanhA2  = 1.48572235717979e-05
	tanhA3  = 5.12229709037114e-08
	tanhA4  = -8.60467152213735e-11
	tanhA5  = 2.00018790482477e-13
	tanhA6  = -2.76076847742355e-16
	tanhB0  = 4.89352518554385e-03
	tanhB1  = 2.26843463243900e-03
	tanhB2  = 1.18534705686654e-04
	tanhB3  = 1.19825839466702e-06
)

func tanh1(x float32) float32 {
	if x >= tanhMax {
		return 1
	}
	if x <= -tanhMax {
		return -1
	}
	s := x * x
	p := float32(tanhA6)
	p = float32(p*s) + tanhA5
	p = float32(p*s) + tanhA4
	p = float32(p*s) + tanhA3
	p = float32(p*s) + tanhA2
	p = float32(p*s) + tanhA1
	p = float32(p*s) + tanhA0
	q := float32(tanhB3)
	q = float32(q*s) + tanhB2
	q = float32(q*s) + tanhB1
	q = float32(q*s) + tanhB0
	return x * clamp(p/q, 0, 1) // the quotient first, so that a subnormal x keeps its bits
}

func sigmoid1(x float32) float32 { return 1 / (1 + exp1(-x)) }

func expGo(y, x []float32) {
	x = x[:len(y)]
	for i := range y {
		y[i] = exp1(x[i])
	}
}

func tanhGo(y, x []float32) {
	x = x[:len(y)]
	for i := range y {
		y[i] = tanh1(x[i])
	}
}

func sigmoidGo(y, x []float32) {
	x = x[:len(y)]
	for i := range y {
		y[i] = sigmoid1(x[i])
	}
}

func expSumGo(y, x []float32, max float32) float32 {
	x = x[:len(y)]
	var s float64
	for i := range y {
		if d := x[i] - max; d < sumMin {
			y[i] = 0
		} else {
			y[i] = exp1(d)
		}
		s += float64(y[i])
	}
	return float32(s)
}

func softmaxGradGo(dx, dy, y []float32) {
	dy, y = dy[:len(dx)], y[:len(dx)]
	s := dotGo(dy, y)
	for i := range dx {
		dx[i] = y[i] * (dy[i] - s)
	}
}
