package scaling

import (
	"cmp"
	"context"
	"math"
	"slices"

	"github.com/plinth-ml/plinth/internal/optimize"
	"github.com/plinth-ml/plinth/internal/pool"
)

// powers is the fit of ln y = LSE(p0 - p1·x0, p2 - p3·x1, ..., e), the log of a sum of power laws and perhaps a constant, to points in logs.
// The x are centred, which changes no optimum but frees the coefficients from the exponents, so that L-BFGS converges.
type powers struct {
	y        []float64   // [points]: ln y
	x        [][]float64 // [terms][points]: ln x less its mean
	mean     []float64   // [terms]
	constant bool        // the last parameter is e
	delta    float64     // of Huber's loss
}

func newPowers(y []float64, constant bool, delta float64, xs ...[]float64) *powers {
	f := &powers{y: logs(y), constant: constant, delta: delta}
	for _, x := range xs {
		lx := logs(x)
		m := 0.0
		for _, v := range lx {
			m += v / float64(len(lx))
		}
		for i := range lx {
			lx[i] -= m
		}
		f.x, f.mean = append(f.x, lx), append(f.mean, m)
	}
	return f
}

func logs(v []float64) []float64 {
	out := make([]float64, len(v))
	for i, x := range v {
		out[i] = math.Log(x)
	}
	return out
}

// centred turns log coefficients at ln x = 0 into those at the mean, in place; plain is the way back.
func (f *powers) centred(p []float64) []float64 {
	for k, m := range f.mean {
		p[2*k] -= p[2*k+1] * m
	}
	return p
}

func (f *powers) plain(p []float64) []float64 {
	for k, m := range f.mean {
		p[2*k] += p[2*k+1] * m
	}
	return p
}

// value is the sum over the points of times[i]·Huber(residual), and its gradient in g. Each point's weight is how often it was drawn; nil
// means once. The sum, not the mean: with a mean, the usual tolerances stop L-BFGS long before the optimum (Besiroglu et al. 2024).
func (f *powers) value(p, g []float64, times []float64) float64 {
	clear(g)
	terms := len(f.x)
	var t [4]float64
	total := 0.0
	for i, y := range f.y {
		w := 1.0
		if times != nil {
			if w = times[i]; w == 0 {
				continue
			}
		}
		top := math.Inf(-1)
		if f.constant {
			top = p[2*terms]
		}
		for k := range terms {
			t[k] = p[2*k] - p[2*k+1]*f.x[k][i]
			top = max(top, t[k])
		}
		sum := 0.0
		for k := range terms {
			t[k] = math.Exp(t[k] - top)
			sum += t[k]
		}
		constant := 0.0
		if f.constant {
			constant = math.Exp(p[2*terms] - top)
			sum += constant
		}
		r := top + math.Log(sum) - y
		h, slope := huber(r, f.delta)
		total += w * h
		slope *= w / sum
		for k := range terms {
			g[2*k] += slope * t[k]
			g[2*k+1] -= slope * t[k] * f.x[k][i]
		}
		if f.constant {
			g[2*terms] += slope * constant
		}
	}
	return total
}

// huber is Huber's loss of a residual and its slope: r²/2 up to delta, linear beyond.
func huber(r, delta float64) (value, slope float64) {
	switch {
	case r > delta:
		return delta * (r - delta/2), delta
	case r < -delta:
		return delta * (-r - delta/2), -delta
	}
	return r * r / 2, r
}

// problem is a sum of Huber losses over points, each taken times[i] times (nil: once). value is called from several goroutines.
type problem struct {
	points int
	delta  float64
	value  func(p, g, times []float64) float64
}

// solve runs L-BFGS from every start, coarsely, goes on to convergence from the lowest ends, and returns the distinct minima that these
// come to, the lowest first and at most four, and the value of the lowest. It overwrites starts. Which thread takes which start is free, and
// the result has the same bits for any number.
func (q problem) solve(ctx context.Context, workers *pool.Pool, starts [][]float64) (minima [][]float64, value float64, err error) {
	const finalists, kept = 64, 4
	ends := make([]float64, len(starts))
	order := make([]int, len(starts))
	for i := range order {
		order[i] = i
	}
	run := func(count int, tol float64) {
		workers.Run(count, func(k, _ int) {
			if i := order[k]; ctx.Err() == nil {
				ends[i] = q.descend(starts[i], tol, nil)
			}
		})
		slices.SortStableFunc(order[:count], func(a, b int) int { return cmp.Compare(ends[a], ends[b]) })
	}
	run(len(starts), 1e-4)
	last := min(finalists, len(starts))
	run(last, converged)
	if err := context.Cause(ctx); err != nil {
		return nil, 0, err
	}
	highest := 0.0
	for _, i := range order[:last] {
		if len(minima) == 0 || ends[i] > highest*(1+1e-6) && len(minima) < kept {
			minima, highest = append(minima, starts[i]), ends[i]
		}
	}
	return minima, ends[order[0]], nil
}

// converged is the gradient at an optimum as a share of its scale; the constants are then good to about eight digits.
const converged = 1e-10

// descend moves p to a minimum and returns the value there, +Inf where it is no number. tol is a share of the gradient far from the optimum.
func (q problem) descend(p []float64, tol float64, times []float64) float64 {
	v := optimize.LBFGS(p, tol*float64(q.points)*q.delta, func(p, g []float64) float64 { return q.value(p, g, times) })
	if math.IsNaN(v) {
		return math.Inf(1)
	}
	return v
}

// resample returns the optima of the given number of bootstrap resamples of the points: of each the lowest that is found from minima of the
// points themselves. Draw i is a function of seed and i.
func (q problem) resample(ctx context.Context, workers *pool.Pool, draws int, seed uint64, minima [][]float64) ([][]float64, error) {
	out := make([][]float64, draws)
	workers.Run(draws, func(i, _ int) {
		if ctx.Err() != nil {
			return
		}
		times := make([]float64, q.points)
		for _, k := range resampled(q.points, seed, i) {
			times[k]++
		}
		least := math.Inf(1)
		for _, m := range minima {
			p := slices.Clone(m)
			if v := q.descend(p, converged, times); v < least || out[i] == nil {
				out[i], least = p, v
			}
		}
	})
	return out, context.Cause(ctx)
}
