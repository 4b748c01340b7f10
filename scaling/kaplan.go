package scaling

import "math"

// PFDay is a PetaFLOP/s-day in FLOPs, the unit of compute of Kaplan et al. 2020.
const PFDay = 1e15 * 24 * 3600

// PowerLaw is L(x) = (X/x)^Alpha + E, in nats per token; Kaplan's laws have E = 0.
type PowerLaw struct {
	X     float64 `json:"x"`
	Alpha float64 `json:"alpha"`
	E     float64 `json:"e"`
}

// At predicts the loss at x.
func (p PowerLaw) At(x float64) float64 { return math.Pow(p.X/x, p.Alpha) + p.E }

// Laws of Kaplan et al. 2020, table 4 and section 1.2: N counts parameters without embeddings, D tokens, C PF-days, S steps.
var (
	KaplanN    = PowerLaw{X: 8.8e13, Alpha: 0.076} // L(N): enough data
	KaplanD    = PowerLaw{X: 5.4e13, Alpha: 0.095} // L(D): large models, stopped early
	KaplanC    = PowerLaw{X: 1.6e7, Alpha: 0.057}  // L(C): fixed batch
	KaplanCMin = PowerLaw{X: 3.1e8, Alpha: 0.050}  // L(C_min): compute at a batch far below critical

	KaplanLossND = KaplanND{NC: 6.4e13, DC: 1.8e13, AlphaN: 0.076, AlphaD: 0.103}
	KaplanLossNS = KaplanNS{NC: 6.5e13, SC: 2.1e3, AlphaN: 0.077, AlphaS: 0.76}
	KaplanBatch  = CriticalBatch{B: 2.1e8, Alpha: 0.21}
)

// GPT3C is L(C) of Brown et al. 2020, figure 3.1: 2.57 C^-0.048, C in PF-days.
var GPT3C = PowerLaw{X: math.Pow(2.57, 1/0.048), Alpha: 0.048}

// KaplanND is L(N, D) = [(NC/N)^(AlphaN/AlphaD) + DC/D]^AlphaD (Kaplan et al. 2020, equation 1.5): training to convergence, stopped early.
type KaplanND struct {
	NC     float64 `json:"nc"`
	DC     float64 `json:"dc"`
	AlphaN float64 `json:"alpha_n"`
	AlphaD float64 `json:"alpha_d"`
}

// Loss predicts the loss of N parameters after D tokens.
func (k KaplanND) Loss(N, D float64) float64 {
	return math.Pow(math.Pow(k.NC/N, k.AlphaN/k.AlphaD)+k.DC/D, k.AlphaD)
}

// Optimum is the N and D of least loss with 6ND = C, where the derivative of (NC/N)^r + 6·DC·N/C, r = AlphaN/AlphaD, is zero. It is not
// KaplanOptimum, which is a fit to learning curves.
func (k KaplanND) Optimum(C float64) (N, D float64) {
	r := k.AlphaN / k.AlphaD
	N = math.Exp((r*math.Log(k.NC) + math.Log(r*C/6/k.DC)) / (1 + r))
	return N, C / 6 / N
}

// KaplanNS is L(N, S_min) = (NC/N)^AlphaN + (SC/S_min)^AlphaS (Kaplan et al. 2020, equation 1.6): after S_min steps, unlimited data.
type KaplanNS struct{ NC, SC, AlphaN, AlphaS float64 }

// Loss predicts the loss of N parameters after smin steps at a batch far above critical.
func (k KaplanNS) Loss(N, smin float64) float64 {
	return math.Pow(k.NC/N, k.AlphaN) + math.Pow(k.SC/smin, k.AlphaS)
}

// CriticalBatch is B_crit(L) = B/L^(1/Alpha) (Kaplan et al. 2020, equation 1.4): the batch, in tokens, at which a loss is reached with
// twice the fewest steps and twice the least compute.
type CriticalBatch struct{ B, Alpha float64 }

// Tokens is B_crit at a loss.
func (c CriticalBatch) Tokens(loss float64) float64 { return c.B / math.Pow(loss, 1/c.Alpha) }

// MinSteps is S_min = S/(1 + B_crit/B): the fewest steps to a loss that S steps of B tokens reach (equation 5.4).
func (c CriticalBatch) MinSteps(S, B, loss float64) float64 { return S / (1 + c.Tokens(loss)/B) }

// MinCompute is C_min = C/(1 + B/B_crit): the least compute to a loss that C reaches with batches of B tokens (equation 5.5).
func (c CriticalBatch) MinCompute(C, B, loss float64) float64 { return C / (1 + B/c.Tokens(loss)) }

// KaplanAllocation is what C_min is best spent on.
type KaplanAllocation struct {
	N float64 // parameters without embeddings
	B float64 // batch in tokens, << B_crit
	S float64 // serial steps, the fewest possible
	D float64 // tokens
}

// KaplanOptimum is the compute-efficient training of C_min PF-days (Kaplan et al. 2020, table 6). D, the tokens, is the published fit; it belongs
// to training at the critical batch, which takes twice the compute and tokens of C_min.
func KaplanOptimum(cmin float64) KaplanAllocation {
	return KaplanAllocation{N: 1.3e9 * math.Pow(cmin, 0.73), B: 2.0e6 * math.Pow(cmin, 0.24), S: 5.4e3 * math.Pow(cmin, 0.03), D: 2e10 * math.Pow(cmin, 0.27)}
}

// KaplanTokens is the fewest tokens that N parameters can be trained on with next to no over-fitting, 5e3 N^0.74 (equation 4.4).
func KaplanTokens(N float64) float64 { return 5e3 * math.Pow(N, 0.74) }
