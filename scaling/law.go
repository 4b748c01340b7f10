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

// Optimum is the N and D of least loss with 6ND = C (Hoffmann et al. 2022, equation 4).
func (l Law) Optimum(C float64) (N, D float64) {
	g := math.Pow(l.Alpha*l.A/(l.Beta*l.B), 1/(l.Alpha+l.Beta))
	N = g * math.Pow(C/6, l.Beta/(l.Alpha+l.Beta))
	return N, C / 6 / N
}
