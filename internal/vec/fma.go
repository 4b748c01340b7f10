package vec

import "math"

// FMA is a·b + c rounded once. The product is exact in float64; where the sum is not, its last bit is made odd, so that rounding to float32 sees that there
// is more (Boldo & Melquiond 2008, Emulation of FMA, algorithm 2).
func FMA(a, b, c float32) float32 {
	p, d := float64(a)*float64(b), float64(c)
	s := p + d
	t := s - p
	if e := (p - (s - t)) + (d - t); e != 0 && !math.IsInf(s, 0) {
		if bits := math.Float64bits(s); bits&1 == 0 {
			if (e > 0) == (s > 0) {
				bits++
			} else {
				bits--
			}
			s = math.Float64frombits(bits)
		}
	}
	return float32(s)
}
