package quant

import "math/big"

// exactFMA is a·b + c in exact arithmetic, rounded once.
func exactFMA(a, b, c float32) float32 {
	x := func(v float32) *big.Float { return new(big.Float).SetPrec(600).SetFloat64(float64(v)) }
	s := x(a)
	s.Mul(s, x(b)).Add(s, x(c))
	v, _ := s.Float32()
	return v
}
