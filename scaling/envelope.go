package scaling

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/plinth-ml/plinth/internal/pool"
)

// Power is y = Scale·x^Exponent.
type Power struct {
	Scale    float64 `json:"scale"`
	Exponent float64 `json:"exponent"`
}

// At is y at x.
func (p Power) At(x float64) float64 { return p.Scale * math.Pow(x, p.Exponent) }

// Optimum is the best allocation of a budget that runs were seen to make.
type Optimum struct {
	C    float64 `json:"c"`
	N    float64 `json:"n"`
	D    float64 `json:"d"`
	Loss float64 `json:"loss"`
}

// Allocation is the optimal N and D as power laws of C.
type Allocation struct {
	N Power `json:"n"`
	D Power `json:"d"`
}

// Optimum is the allocation of C; its 6ND is C as far as it was in the runs.
func (a Allocation) Optimum(C float64) (N, D float64) { return a.N.At(C), a.D.At(C) }

// Frontier is the compute frontier that optima show, without a law of the loss of other allocations.
type Frontier struct {
	Allocation
	Optima []Optimum    // what the power laws are fitted to, by C
	Draws  []Allocation // one for every bootstrap resample that has a frontier
	Lost   int          // resamples that have none
}

// FitLoss is L(C) along the frontier, with an irreducible loss where there are optima at four budgets or more.
func (f *Frontier) FitLoss(ctx context.Context, o FitOptions) (*PowerFitted, error) {
	var c, l []float64
	for _, p := range f.Optima {
		c, l = append(c, p.C), append(l, p.Loss)
	}
	return FitPower(ctx, c, l, len(c) >= 4, o)
}

// frontier fits the power laws to optima, of which there must be two budgets at least.
func frontier(optima []Optimum) (*Frontier, error) {
	if len(optima) < 2 || optima[0].C == optima[len(optima)-1].C {
		return nil, fmt.Errorf("optima at %d budgets, a power law needs two", min(1, len(optima)))
	}
	f := &Frontier{Optima: optima}
	var c, n, d []float64
	for _, o := range optima {
		c, n, d = append(c, o.C), append(n, o.N), append(d, o.D)
	}
	f.N, f.D = fitPower(c, n), fitPower(c, d)
	return f, nil
}

// fitPower is the least-squares line in logs.
func fitPower(x, y []float64) Power {
	lx, ly := logs(x), logs(y)
	n := float64(len(x))
	var mx, my, sxx, sxy float64
	for i := range lx {
		mx, my = mx+lx[i]/n, my+ly[i]/n
	}
	for i := range lx {
		sxx += (lx[i] - mx) * (lx[i] - mx)
		sxy += (lx[i] - mx) * (ly[i] - my)
	}
	slope := sxy / sxx
	return Power{math.Exp(my - slope*mx), slope}
}

// withDraws adds the bootstrap of a fit.
func (f *Frontier) withDraws(runs []Run, o FitOptions, fit func([]Run) (*Frontier, error)) {
	draws := make([]*Frontier, o.Bootstrap)
	workers := pool.New(o.Threads)
	defer workers.Close()
	workers.Run(o.Bootstrap, func(i, _ int) {
		sample := make([]Run, 0, len(runs))
		for _, k := range resampled(len(runs), o.Seed, i) {
			sample = append(sample, runs[k])
		}
		if d, err := fit(sample); err == nil {
			draws[i] = d
		}
	})
	for _, d := range draws {
		if d == nil {
			f.Lost++
		} else {
			f.Draws = append(f.Draws, d.Allocation)
		}
	}
}

// neighbour is how much larger or smaller the next size may be for a budget to count.
const neighbour = 3

// FitEnvelope is approach 1 of Hoffmann et al. 2022 (section 3.1): at 1500 budgets, the size whose training curve is lowest there (300 in resamples), and
// power laws through these minima. points are checkpoints of curves or final losses; those of one N make one curve, which is read
// between its points, in logs, and falls: what lies above an earlier point is left out, and curves of fewer
// than three points. A budget counts where a smaller and a larger size,
// within a factor of 3, were trained with it too, so that its minimum is no edge of what was tried; fewer than three winners in turn are an error.
func FitEnvelope(points []Run, o FitOptions) (*Frontier, error) {
	points, err := usable(points, 6, "training curves")
	if err != nil {
		return nil, err
	}
	f, err := fitEnvelope(points, 1500)
	if err != nil {
		return nil, fmt.Errorf("scaling: envelope: %w", err)
	}
	f.withDraws(points, o, func(sample []Run) (*Frontier, error) { return fitEnvelope(sample, 300) })
	return f, nil
}

func fitEnvelope(points []Run, budgets int) (*Frontier, error) {
	curves := curvesOf(points)
	low, high := math.Inf(1), 0.0
	for _, p := range points {
		low, high = min(low, p.C), max(high, p.C)
	}
	var optima []Optimum
	for i := range budgets {
		C := low * math.Pow(high/low, float64(i)/float64(budgets-1))
		var at []Optimum // of the sizes trained with C, by N
		best := 0
		for _, curve := range curves {
			if o, ok := readCurve(curve, C); ok {
				if at = append(at, o); o.Loss < at[best].Loss {
					best = len(at) - 1
				}
			}
		}
		if best > 0 && best < len(at)-1 && at[best+1].N <= neighbour*at[best].N && at[best].N <= neighbour*at[best-1].N {
			optima = append(optima, at[best])
		}
	}
	winners := 0
	for i, o := range optima {
		if i == 0 || o.N != optima[i-1].N {
			winners++
		}
	}
	if winners < 3 {
		return nil, fmt.Errorf("%d of %d sizes are in turn the lowest at budgets that a smaller and a larger one (within a factor of %d) were trained with too; 3 are needed", winners, len(curves), neighbour)
	}
	return frontier(optima)
}

// curvesOf groups points by N (within 1 %), ascending; each curve ascends in C, falls in loss and has three points or more.
func curvesOf(points []Run) [][]Run {
	points = slices.Clone(points)
	slices.SortFunc(points, func(a, b Run) int { return cmp.Compare(a.N, b.N) })
	var curves [][]Run
	for len(points) > 0 {
		n := 1
		for n < len(points) && points[n].N <= 1.01*points[0].N {
			n++
		}
		curve := points[:n]
		points = points[n:]
		slices.SortFunc(curve, func(a, b Run) int { return cmp.Or(cmp.Compare(a.C, b.C), cmp.Compare(a.Loss, b.Loss)) })
		var falling []Run
		for _, p := range curve {
			if k := len(falling); k == 0 || p.C > falling[k-1].C && p.Loss < falling[k-1].Loss {
				falling = append(falling, p)
			}
		}
		if len(falling) >= 3 {
			curves = append(curves, falling)
		}
	}
	return curves
}

// readCurve interpolates a curve at C; ok is false outside of it.
func readCurve(curve []Run, C float64) (o Optimum, ok bool) {
	i, _ := slices.BinarySearchFunc(curve, C, func(r Run, c float64) int { return cmp.Compare(r.C, c) })
	if i == len(curve) || i == 0 && curve[0].C != C {
		return o, false
	}
	b := curve[i]
	a := curve[max(i-1, 0)]
	w := 1.0
	if b.C > a.C {
		w = math.Log(C/a.C) / math.Log(b.C/a.C)
	}
	between := func(x, y float64) float64 { return math.Exp((1-w)*math.Log(x) + w*math.Log(y)) }
	return Optimum{C: C, N: b.N, D: between(a.D, b.D), Loss: between(a.Loss, b.Loss)}, true
}
