package scaling

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/plinth-ml/plinth/internal/pool"
)

// FitOptions are the options of all fits.
type FitOptions struct {
	Threads   int     // workers; 0: all CPUs. The result is the same for any number
	Seed      uint64  // of the bootstrap
	Bootstrap int     // resamples; 0: no intervals
	Delta     float64 // where Huber's loss of a residual of ln L turns linear; 0: 1e-3, the paper's
}

func (o FitOptions) delta() float64 {
	if o.Delta == 0 {
		return 1e-3
	}
	return o.Delta
}

// Fitted is a parametric law and how well it fits.
type Fitted struct {
	Law       Law
	Objective float64 // sum of Huber's losses
	Fit       Goodness
	Runs      int
	Draws     []Law // one for every bootstrap resample that has a law; see Lost
	Lost      int   // resamples whose loss does not fall with N or with D
}

// Fit is approach 3 of Hoffmann et al. 2022 (section 3.3): the Law that minimises the sum over runs of Huber(ln L - ln predicted), by
// L-BFGS from the paper's grid of 4500 starts. Diverged runs are left out. It is an error where fewer than six runs are left, where N or D
// takes fewer than three values, or where the best law's loss does not fall with both.
func Fit(ctx context.Context, runs []Run, o FitOptions) (*Fitted, error) {
	runs, err := usable(runs, 6, "5 constants")
	if err != nil {
		return nil, err
	}
	if err := spread(runs, 3); err != nil {
		return nil, err
	}
	f := newPowers(column(runs, loss), true, o.delta(), column(runs, params), column(runs, tokens))
	starts := make([][]float64, 0, 4500)
	for _, alpha := range []float64{0, 0.5, 1, 1.5, 2} {
		for _, beta := range []float64{0, 0.5, 1, 1.5, 2} {
			for _, e := range []float64{-1, -0.5, 0, 0.5, 1} {
				for _, a := range []float64{0, 5, 10, 15, 20, 25} {
					for _, b := range []float64{0, 5, 10, 15, 20, 25} {
						starts = append(starts, f.centred([]float64{a, alpha, b, beta, e}))
					}
				}
			}
		}
	}
	p, objective, draws, err := o.fit(ctx, problem{len(runs), o.delta(), f.value}, starts)
	if err != nil {
		return nil, err
	}
	law := func(p []float64) Law {
		p = f.plain(slices.Clone(p))
		return Law{E: math.Exp(p[4]), A: math.Exp(p[0]), B: math.Exp(p[2]), Alpha: p[1], Beta: p[3]}
	}
	r := &Fitted{Law: law(p), Objective: objective, Runs: len(runs)}
	if !r.Law.falls() {
		return nil, fmt.Errorf("scaling: the best law, %v, does not fall with both N and D: the runs do not show how loss depends on them", r.Law)
	}
	r.Fit = Assess(r.Law, runs)
	for _, d := range draws {
		if l := law(d); l.falls() {
			r.Draws = append(r.Draws, l)
		} else {
			r.Lost++
		}
	}
	return r, nil
}

// fit solves the problem and, with Bootstrap, its resamples.
func (o FitOptions) fit(ctx context.Context, q problem, starts [][]float64) (p []float64, objective float64, draws [][]float64, err error) {
	workers := pool.New(o.Threads)
	defer workers.Close()
	minima, objective, err := q.solve(ctx, workers, starts)
	if err != nil {
		return nil, 0, nil, err
	}
	draws, err = q.resample(ctx, workers, o.Bootstrap, o.Seed, minima)
	return minima[0], objective, draws, err
}

// falls reports whether the loss falls with N and with D, so that a budget has an optimum.
func (l Law) falls() bool {
	for _, v := range []float64{l.A, l.B, l.Alpha, l.Beta} {
		if !(v > 0) || math.IsInf(v, 0) {
			return false
		}
	}
	return !math.IsInf(l.E, 0) && !math.IsNaN(l.E)
}

// String is the law as a formula.
func (l Law) String() string {
	return fmt.Sprintf("L = %.4g + %.4g/N^%.4g + %.4g/D^%.4g", l.E, l.A, l.Alpha, l.B, l.Beta)
}

func loss(r Run) float64    { return r.Loss }
func params(r Run) float64  { return r.N }
func tokens(r Run) float64  { return r.D }
func compute(r Run) float64 { return r.C }

func column(runs []Run, of func(Run) float64) []float64 {
	out := make([]float64, len(runs))
	for i, r := range runs {
		out[i] = of(r)
	}
	return out
}

// usable returns the runs that did not diverge, of which there must be at least least.
func usable(runs []Run, least int, what string) ([]Run, error) {
	var out []Run
	for i, r := range runs {
		if r.Diverged {
			continue
		}
		for _, f := range []struct {
			name string
			v    float64
		}{{"N", r.N}, {"D", r.D}, {"C", r.C}, {"loss", r.Loss}} {
			if !(f.v > 0) || math.IsInf(f.v, 0) {
				return nil, fmt.Errorf("scaling: run %d (%s): %s is %v, not a positive number", i+1, r.Name, f.name, f.v)
			}
		}
		out = append(out, r)
	}
	if len(out) < least {
		return nil, fmt.Errorf("scaling: %d runs that did not diverge; %s need at least %d", len(out), what, least)
	}
	return out, nil
}

// spread checks that N and D take at least so many values.
func spread(runs []Run, least int) error {
	for _, c := range []struct {
		name string
		of   func(Run) float64
	}{{"N", params}, {"D", tokens}} {
		v := column(runs, c.of)
		slices.Sort(v)
		if n := len(slices.Compact(v)); n < least {
			return fmt.Errorf("scaling: %s takes %d values in %d runs; at least %d are needed to see what loss owes to it", c.name, n, len(runs), least)
		}
	}
	return nil
}
