package scaling

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
)

// HeldOut is a run that a fit did not see, and what the fit says of it.
type HeldOut struct {
	Run        Run
	Predicted  float64
	Interval   Interval // of the predicted loss, from the bootstrap; without one NaN
	Error      float64  // predicted/measured - 1
	BestSmall  float64  // the lowest loss among the fitted runs
	NaiveError float64  // of predicting just that
	Ahead      float64  // compute over the largest of the fitted runs
}

// HeldOutFit is a fit without the largest runs.
type HeldOutFit struct {
	*Fitted
	HeldOut []HeldOut // ascending in compute
}

// Holdout fits without the k runs of most compute (Fit, with its errors) and says what the fit predicts for them.
func Holdout(ctx context.Context, runs []Run, k int, o FitOptions) (*HeldOutFit, error) {
	runs = Converged(runs)
	if k < 1 || k >= len(runs) {
		return nil, fmt.Errorf("scaling: %d of %d runs cannot be held out", k, len(runs))
	}
	slices.SortStableFunc(runs, func(a, b Run) int { return cmp.Or(cmp.Compare(a.C, b.C), cmp.Compare(a.N, b.N)) })
	seen, unseen := runs[:len(runs)-k], runs[len(runs)-k:]
	f, err := Fit(ctx, seen, o)
	if err != nil {
		return nil, fmt.Errorf("without the %d largest runs: %w", k, err)
	}
	h := &HeldOutFit{Fitted: f}
	best := math.Inf(1)
	for _, r := range seen {
		best = min(best, r.Loss)
	}
	for _, r := range unseen {
		p := f.Law.Loss(r.N, r.D)
		h.HeldOut = append(h.HeldOut, HeldOut{Run: r, Predicted: p, Interval: Over(f.Draws, func(l Law) float64 { return l.Loss(r.N, r.D) }),
			Error: p/r.Loss - 1, BestSmall: best, NaiveError: best/r.Loss - 1, Ahead: r.C / seen[len(seen)-1].C})
	}
	return h, nil
}
