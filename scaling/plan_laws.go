package scaling

import (
	"fmt"
	"math"
	"strings"
)

// allocation is a published split of compute without a law of loss: rows of FLOPs and the best N, between and beyond which the
// logarithms are linear.
type allocation struct{ flops, params []float64 }

// Optimum is the best N for C FLOPs, and D = C/6N.
func (a allocation) Optimum(C float64) (N, D float64) {
	N = interpolate(a.flops, a.params, C)
	return N, C / 6 / N
}

// Loss is not known.
func (a allocation) Loss(N, D float64) float64 { return math.NaN() }

var hoffmannSizes = []float64{400e6, 1e9, 10e9, 67e9, 175e9, 280e9, 520e9, 1e12, 10e12}

// PlanLaws are the laws that a plan asks: the published ones, and the first two approaches of Hoffmann et al. 2022, which are tables.
var PlanLaws = append([]PublishedLaw{
	{"approach-1", "Hoffmann et al. 2022, table 3, minima of training curves", AllParams,
		allocation{[]float64{1.92e19, 1.21e20, 1.23e22, 5.76e23, 3.85e24, 9.90e24, 3.43e25, 1.27e26, 1.30e28}, hoffmannSizes}},
	{"approach-2", "Hoffmann et al. 2022, table A3, isoFLOP parabolas", AllParams,
		allocation{[]float64{1.84e19, 1.20e20, 1.32e22, 6.88e23, 4.54e24, 1.18e25, 4.19e25, 1.59e26, 1.75e28}, hoffmannSizes}},
}, Published...)

// planLaw returns a law of PlanLaws.
func planLaw(name string) (PublishedLaw, error) {
	var names []string
	for _, l := range PlanLaws {
		if l.Name == name {
			return l, nil
		}
		names = append(names, l.Name)
	}
	return PublishedLaw{}, fmt.Errorf("scaling: by %q is no law; known: %s", name, strings.Join(names, ", "))
}

// isKaplan tells the published law of Kaplan et al., whose L(N, D) is that of training to convergence.
func isKaplan(l Predictor) bool {
	if p, ok := l.(PublishedLaw); ok {
		l = p.Predictor
	}
	_, ok := l.(kaplanPublished)
	return ok
}

// efficientLoss is the loss of a law at or near its optimum. Kaplan's is L(C_min), with C_min = 6ND.
func efficientLoss(l Predictor, N, D float64) float64 {
	if isKaplan(l) {
		return KaplanCMin.At(6 * N * D / PFDay)
	}
	return l.Loss(N, D)
}

// ComputeFor is the least C at whose optimum a law predicts the loss.
func ComputeFor(l Predictor, loss float64) (float64, error) {
	at := func(lnC float64) float64 {
		N, D := l.Optimum(math.Exp(lnC))
		return efficientLoss(l, N, D)
	}
	lo, hi := math.Log(1e6), math.Log(1e36)
	switch {
	case math.IsNaN(at(lo)):
		return 0, fmt.Errorf("scaling: target_loss needs a law of loss, which this one is not")
	case !(loss < at(lo)):
		return 0, fmt.Errorf("scaling: target_loss %v is that of a model without compute", loss)
	case loss <= at(hi):
		return 0, fmt.Errorf("scaling: target_loss %v is out of reach: the law predicts %.4g for 1e36 FLOPs", loss, at(hi))
	}
	for range 200 {
		if mid := (lo + hi) / 2; at(mid) > loss {
			lo = mid
		} else {
			hi = mid
		}
	}
	return math.Exp(hi), nil
}

// tokensFor is the D at which N parameters reach a loss; +Inf where they never do.
func tokensFor(l Predictor, N, loss float64) float64 {
	lo, hi := math.Log(1.0), math.Log(1e36)
	if l.Loss(N, math.Exp(hi)) > loss {
		return math.Inf(1)
	}
	for range 200 {
		if mid := (lo + hi) / 2; l.Loss(N, math.Exp(mid)) > loss {
			lo = mid
		} else {
			hi = mid
		}
	}
	return math.Exp(hi)
}

// interpolate reads y at x from a table with ascending xs: linear between the logarithms, beyond the ends with the slope of the whole table.
func interpolate(xs, ys []float64, x float64) float64 {
	last := len(xs) - 1
	slope := func(i, j int) float64 { return math.Log(ys[j]/ys[i]) / math.Log(xs[j]/xs[i]) }
	if x < xs[0] {
		return ys[0] * math.Pow(x/xs[0], slope(0, last))
	}
	for i := range last {
		if x <= xs[i+1] {
			return ys[i] * math.Pow(x/xs[i], slope(i, i+1))
		}
	}
	return ys[last] * math.Pow(x/xs[last], slope(0, last))
}

// LearningRate is the peak rate of AdamW for N parameters, read from GPT-3's eight sizes (Brown et al. 2020, table 2.1).
func LearningRate(N float64) float64 {
	return interpolate([]float64{125e6, 356e6, 760e6, 1.316e9, 2.65e9, 6.66e9, 12.9e9, 174.6e9}, []float64{6e-4, 3e-4, 2.5e-4, 2e-4, 1.6e-4, 1.2e-4, 1e-4, 0.6e-4}, N)
}

// BatchTokens is the best batch for D tokens, proportional to D^0.383 (Bergsma et al. 2025, Power Lines, arXiv 2505.13738), through the
// 2^19 tokens that GPT-2 small takes for 12 tokens for each of its 124 M parameters.
func BatchTokens(D float64) float64 { return 524288 * math.Pow(D/(12*124439808), 0.383) }

// WarmupTokens is how long the learning rate rises: GPT-3's 375 M tokens, at most a hundredth of the run.
func WarmupTokens(D float64) float64 { return min(375e6, D/100) }
