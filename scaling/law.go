package scaling

import "math"

// Law is the parametric law of Hoffmann et al. 2022, equation 2: L(N, D) = E + A/N^Alpha + B/D^Beta, in nats per token.
type Law struct {
	E     float64 `json:"e"`
	A     float64 `json:"a"`
	B     float64 `json:"b"`
	Alpha float64 `json:"alpha"`
	Beta  float64 `json:"beta"`
}

// Loss predicts the loss of N parameters after D tokens.
func (l Law) Loss(N, D float64) float64 {
	return l.E + l.A/math.Pow(N, l.Alpha) + l.B/math.Pow(D, l.Beta)
}

// Optimum is the N and D of least loss with 6ND = C (Hoffmann et al. 2022, equation 4): N = G (C/6)^a, D = (C/6)^b / G.
func (l Law) Optimum(C float64) (N, D float64) {
	a, _ := l.Exponents()
	N = l.balance() * math.Pow(C/6, a)
	return N, C / 6 / N
}

// Exponents are a and b of the optimum, N ~ C^a and D ~ C^b; a + b = 1.
func (l Law) Exponents() (a, b float64) {
	return l.Beta / (l.Alpha + l.Beta), l.Alpha / (l.Alpha + l.Beta)
}

// TokensFor is the D for which N parameters are the optimum, and the budget 6ND.
func (l Law) TokensFor(N float64) (D, C float64) {
	a, _ := l.Exponents()
	C = 6 * math.Pow(N/l.balance(), 1/a)
	return C / 6 / N, C
}

// ParamsFor is the N for which D tokens are the optimum, and the budget 6ND.
func (l Law) ParamsFor(D float64) (N, C float64) {
	_, b := l.Exponents()
	C = 6 * math.Pow(D*l.balance(), 1/b)
	return C / 6 / D, C
}

// balance is G = (Alpha·A/(Beta·B))^(1/(Alpha+Beta)).
func (l Law) balance() float64 {
	return math.Pow(l.Alpha*l.A/(l.Beta*l.B), 1/(l.Alpha+l.Beta))
}
