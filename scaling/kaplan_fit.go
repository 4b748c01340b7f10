package scaling

import (
	"context"
	"fmt"
	"math"
	"slices"
)

// PowerFitted is a PowerLaw and how well it fits.
type PowerFitted struct {
	Law       PowerLaw
	Objective float64
	Fit       Goodness
	Points    int
	Draws     []PowerLaw
	Lost      int // resamples whose loss does not fall
}

// FitPower fits L(x) = (X/x)^Alpha, with irreducible L(x) = (X/x)^Alpha + E, to losses at x by Huber's loss of ln L as Fit does. It is an
// error where x has fewer values than there are constants and one more, or where the loss does not fall.
func FitPower(ctx context.Context, x, losses []float64, irreducible bool, o FitOptions) (*PowerFitted, error) {
	distinct := slices.Clone(x)
	slices.Sort(distinct)
	distinct = slices.Compact(distinct)
	need := 3
	if irreducible {
		need = 4
	}
	if len(x) != len(losses) || len(distinct) < need {
		return nil, fmt.Errorf("scaling: a power law of %d constants needs losses at %d sizes or budgets; %d have one", need-1, need, len(distinct))
	}
	for i := range x {
		if !(x[i] > 0 && losses[i] > 0) || math.IsInf(x[i]+losses[i], 0) {
			return nil, fmt.Errorf("scaling: point %d: loss %v at %v, not positive numbers", i+1, losses[i], x[i])
		}
	}
	f := newPowers(losses, irreducible, o.delta(), x)
	var starts [][]float64
	for _, alpha := range []float64{0, 0.5, 1, 1.5, 2} {
		for _, a := range []float64{0, 5, 10, 15, 20, 25} {
			if !irreducible {
				starts = append(starts, f.centred([]float64{a, alpha}))
				continue
			}
			for _, e := range []float64{-1, -0.5, 0, 0.5, 1} {
				starts = append(starts, f.centred([]float64{a, alpha, e}))
			}
		}
	}
	p, objective, draws, err := o.fit(ctx, problem{len(x), o.delta(), f.value}, starts)
	if err != nil {
		return nil, err
	}
	law := func(p []float64) (l PowerLaw, falls bool) {
		p = f.plain(slices.Clone(p))
		l = PowerLaw{X: math.Exp(p[0] / p[1]), Alpha: p[1]}
		if irreducible {
			l.E = math.Exp(p[2])
		}
		return l, l.Alpha > 0 && l.X > 0 && !math.IsInf(l.X, 0)
	}
	r := &PowerFitted{Objective: objective, Points: len(x)}
	var falls bool
	if r.Law, falls = law(p); !falls {
		return nil, fmt.Errorf("scaling: the loss does not fall as a power law: exponent %.3g", r.Law.Alpha)
	}
	predicted := make([]float64, len(x))
	for i := range x {
		predicted[i] = r.Law.At(x[i])
	}
	r.Fit = goodness(predicted, losses)
	for _, d := range draws {
		if l, falls := law(d); falls {
			r.Draws = append(r.Draws, l)
		} else {
			r.Lost++
		}
	}
	return r, nil
}

// KaplanFitted is Kaplan's joint law and how well it fits.
type KaplanFitted struct {
	Law       KaplanND
	Objective float64
	Fit       Goodness
	Runs      int
	Draws     []KaplanND
	Lost      int // resamples whose loss does not fall with N or with D
}

// FitKaplan fits L(N, D) of Kaplan et al. 2020 (equation 1.5) by Huber's loss of ln L, as Fit does. It has no irreducible loss.
func FitKaplan(ctx context.Context, runs []Run, o FitOptions) (*KaplanFitted, error) {
	runs, err := usable(runs, 5, "4 constants")
	if err != nil {
		return nil, err
	}
	if err := spread(runs, 2); err != nil {
		return nil, err
	}
	f := newPowers(column(runs, loss), false, o.delta(), column(runs, params), column(runs, tokens))
	// ln L = q·LSE(p0 - p1·ln N, p2 - ln D): q is AlphaD, p1 AlphaN/AlphaD.
	value := func(p, g, times []float64) float64 {
		clear(g)
		total, q := 0.0, p[3]
		for i, y := range f.y {
			w := 1.0
			if times != nil {
				w = times[i]
			}
			u, v := p[0]-p[1]*f.x[0][i], p[2]-f.x[1][i]
			top := max(u, v)
			eu, ev := math.Exp(u-top), math.Exp(v-top)
			lse := top + math.Log(eu+ev)
			h, slope := huber(q*lse-y, o.delta())
			total += w * h
			slope *= w
			g[3] += slope * lse
			slope *= q / (eu + ev)
			g[0] += slope * eu
			g[1] -= slope * eu * f.x[0][i]
			g[2] += slope * ev
		}
		return total
	}
	mean := 0.0
	for _, y := range f.y {
		mean += y / float64(len(f.y))
	}
	var starts [][]float64
	for _, q := range []float64{0.03, 0.06, 0.12, 0.25, 0.5} {
		for _, r := range []float64{0.25, 0.5, 1, 2, 4} {
			for _, apart := range []float64{-4, -2, 0, 2, 4} { // how much more of the loss N makes than D, in logs, at the mean
				starts = append(starts, []float64{mean/q + apart/2, r, mean/q - apart/2, q})
			}
		}
	}
	p, objective, draws, err := o.fit(ctx, problem{len(runs), o.delta(), value}, starts)
	if err != nil {
		return nil, err
	}
	law := func(p []float64) (l KaplanND, falls bool) {
		l = KaplanND{NC: math.Exp(p[0]/p[1] + f.mean[0]), DC: math.Exp(p[2] + f.mean[1]), AlphaN: p[1] * p[3], AlphaD: p[3]}
		return l, l.AlphaN > 0 && l.AlphaD > 0 && l.NC > 0 && l.DC > 0 && !math.IsInf(l.NC*l.DC, 0)
	}
	r := &KaplanFitted{Objective: objective, Runs: len(runs)}
	var falls bool
	if r.Law, falls = law(p); !falls {
		return nil, fmt.Errorf("scaling: Kaplan's L(N, D) does not fall with both N and D here: exponents %.3g and %.3g", r.Law.AlphaN, r.Law.AlphaD)
	}
	r.Fit = Assess(r.Law, runs)
	for _, d := range draws {
		if l, falls := law(d); falls {
			r.Draws = append(r.Draws, l)
		} else {
			r.Lost++
		}
	}
	return r, nil
}
