package scaling

import (
	"cmp"
	"slices"
)

// Run is one training run, finished or at a checkpoint of its curve.
type Run struct {
	Name     string  // unique in a sweep; free text elsewhere
	N        float64 // parameters, under the counting convention of the whole set
	D        float64 // tokens trained on
	C        float64 // FLOPs; 6ND where a source does not say
	Loss     float64 // nats per token on held-out text
	Diverged bool    // the loss is not to be fitted
}

// Converged are the runs that did not diverge, in their order.
func Converged(runs []Run) []Run {
	return slices.DeleteFunc(slices.Clone(runs), func(r Run) bool { return r.Diverged })
}

// DropHighest leaves out the k runs of highest loss, and those that diverged; the rest stays in its order.
func DropHighest(runs []Run, k int) []Run {
	runs = Converged(runs)
	order := make([]int, len(runs))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(runs[b].Loss, runs[a].Loss) })
	drop := order[:min(max(k, 0), len(order))]
	var kept []Run
	for i, r := range runs {
		if !slices.Contains(drop, i) {
			kept = append(kept, r)
		}
	}
	return kept
}
