package scaling

import "math"

// Repeated is the data-constrained law of Muennighoff et al. 2023, arXiv 2305.16264, equations 5 and 6: repeated tokens, and parameters beyond
// what the unique tokens call for, are worth less and less. RD and RN say how fast.
type Repeated struct {
	Law
	RD float64 `json:"rd"` // R_D*
	RN float64 `json:"rn"` // R_N*
}

// Muennighoff is the fit of Muennighoff et al. 2023, appendix A.
var Muennighoff = Repeated{Law{E: math.Exp(0.6254804), A: math.Exp(6.255414), B: math.Exp(7.3049974), Alpha: 0.3526596, Beta: 0.3526596}, 15.387756, 5.309743}

// RepeatedLoss predicts the loss of N parameters after D tokens, at most U of which are unique. It is Loss where nothing is repeated and N is at most
// the optimum for D; parameters beyond that are worth less, repeats or not.
func (r Repeated) RepeatedLoss(N, D, U float64) float64 {
	n, d := r.Effective(N, D, U)
	return r.Loss(n, d)
}

// Effective are the N' parameters and D' tokens of fresh data that N parameters after D tokens, U of them unique, are worth.
func (r Repeated) Effective(N, D, U float64) (n, d float64) {
	U = min(U, D)
	best, _ := r.ParamsFor(U)
	base := min(N, best)
	worth := func(unique, all, half float64) float64 { return unique * (1 + half*(1-math.Exp((1-all/unique)/half))) }
	return worth(base, N, r.RN), worth(U, D, r.RD)
}
