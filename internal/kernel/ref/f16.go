package ref

import "math"

// fromF16 is the value of half-precision bits: a sign, 5 bits of exponent, 10 of fraction.
func fromF16(h uint16) float64 {
	exp, frac := int(h>>10&31), float64(h&0x3ff)
	v := math.Ldexp(1024+frac, exp-25)
	switch {
	case exp == 0: // subnormal
		v = math.Ldexp(frac, -24)
	case exp == 31 && frac != 0:
		return math.NaN()
	case exp == 31:
		v = math.Inf(1)
	}
	if h&0x8000 != 0 {
		return -v
	}
	return v
}

// toF16 rounds to half precision, to nearest even.
func toF16(v float64) uint16 {
	sign := uint16(math.Float64bits(v) >> 48 & 0x8000)
	if v != v {
		return sign | 0x7e00
	}
	_, e := math.Frexp(v)
	e = max(e-1, -14)                                    // v = 1.xxx·2^e, or subnormal
	n := math.RoundToEven(math.Ldexp(math.Abs(v), 10-e)) // 11 bits; a carry moves on to the exponent by itself
	if v == 0 {
		n = 0
	}
	if math.Ldexp(n, e-10) >= 65536 {
		return sign | 0x7c00
	}
	return sign | uint16(e+14)<<10 + uint16(n)
}
