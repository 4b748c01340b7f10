package scaling

import "math"

// Goodness is how well a law fits runs, in logs of the loss: a residual of 0.01 is 1 %.
type Goodness struct {
	R2  float64 `json:"r2"`  // share of the variance of ln L that the law explains
	RMS float64 `json:"rms"` // root mean square of the residuals
	Max float64 `json:"max"` // largest residual
}

// Assess compares the law's losses with the runs that did not diverge.
func Assess(p interface{ Loss(N, D float64) float64 }, runs []Run) Goodness {
	var predicted, measured []float64
	for _, r := range runs {
		if !r.Diverged {
			predicted, measured = append(predicted, p.Loss(r.N, r.D)), append(measured, r.Loss)
		}
	}
	return goodness(predicted, measured)
}

func goodness(predicted, measured []float64) Goodness {
	n := float64(len(measured))
	mean := 0.0
	for _, m := range measured {
		mean += math.Log(m) / n
	}
	var g Goodness
	residual, total := 0.0, 0.0
	for i, m := range measured {
		r := math.Log(predicted[i] / m)
		residual += r * r
		total += (math.Log(m) - mean) * (math.Log(m) - mean)
		g.Max = max(g.Max, math.Abs(r))
	}
	g.R2, g.RMS = 1-residual/total, math.Sqrt(residual/n)
	return g
}
