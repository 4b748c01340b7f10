package scaling

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
)

// Plot is what figures are drawn from.
type Plot struct {
	Runs    []Run     // runs that ended; those that diverged are drawn as such
	Curves  [][]Run   // training curves: the checkpoints of one run each, ascending in D; may be empty
	Law     Predictor // fitted to Runs without HeldOut: Law or KaplanND; nil: none
	HeldOut []Run     // of Runs, those that Law has not seen
	Models  []Milestone
	Unit    string // of the loss; "nats per token"
}

// Figures draws all that the data allow: loss against compute, parameters and tokens, isoFLOP valleys, residuals, the contour of the predicted
// loss, and the history of model sizes. It is an error where nothing can be drawn.
func (p Plot) Figures() ([]*Figure, error) {
	runs := Converged(p.Runs)
	for _, r := range runs {
		if !(r.N > 0 && r.D > 0 && r.C > 0 && r.Loss > 0) || math.IsInf(r.N*r.D*r.C*r.Loss, 0) {
			return nil, fmt.Errorf("scaling: run %s has N %g, D %g, C %g, loss %g: all must be positive and finite", r.Name, r.N, r.D, r.C, r.Loss)
		}
	}
	p.Unit = cmp.Or(p.Unit, "nats per token")
	var list []*Figure
	if len(runs) > 1 {
		d := newDrawn(p, runs)
		list = append(list, d.compute(), d.params(), d.tokens())
		if f := d.valleys(); f != nil {
			list = append(list, f)
		}
		if p.Law != nil {
			list = append(list, d.residuals(), d.contour())
		}
	}
	if len(p.Models) > 1 {
		list = append(list, models(p.Models))
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("scaling: nothing to draw: %d runs with a loss, %d models", len(runs), len(p.Models))
	}
	return list, nil
}

// drawn is what the figures of one set of runs share.
type drawn struct {
	Plot
	runs  []Run // with a loss, by C
	shade shades
	sizes []float64 // values of N for the key
	perND float64   // C/(N·D) of these runs: 6, or what attention and convention make of it
	loss  axis
}

func newDrawn(p Plot, runs []Run) *drawn {
	d := &drawn{Plot: p, runs: slices.Clone(runs)}
	slices.SortStableFunc(d.runs, func(a, b Run) int { return cmp.Compare(a.C, b.C) })
	var n []float64
	low, high := math.Inf(1), 0.0
	for _, r := range d.runs {
		n = append(n, r.N)
		d.perND += math.Log(r.C/r.N/r.D) / float64(len(d.runs))
		low, high = min(low, r.Loss), max(high, r.Loss)
	}
	d.perND = math.Exp(d.perND)
	d.shade = newShades(n)
	d.sizes = some(d.shade, ramp)
	low, high = room(low, high, 0.06, true)
	d.loss = axis{from: low, to: high, log: true, title: "loss, " + p.Unit, label: labelSI}
	return d
}

// axis spans a quantity of all runs.
func (d *drawn) axis(title string, of func(Run) float64, label func(float64) (string, string)) axis {
	low, high := math.Inf(1), 0.0
	for _, r := range d.runs {
		low, high = min(low, of(r)), max(high, of(r))
	}
	low, high = room(low, high, 0.06, true)
	return axis{from: low, to: high, log: true, title: title, label: label}
}

func (d *drawn) held(r Run) bool { return slices.Contains(d.HeldOut, r) }

// dot draws a run; one that the law has not seen is a ring.
func (d *drawn) dot(c *chart, at point, r Run) {
	fill, stroke := d.shade.of(r.N), paper
	if d.held(r) {
		fill, stroke = paper, accent
	}
	c.disc(at, 5, fill, stroke, d.tip(r))
	if d.held(r) {
		c.marks[len(c.marks)-1].width = 2.5
	}
	c.taken(at, 6)
}

// tip is what hover shows of a run.
func (d *drawn) tip(r Run) string {
	front, exponent := power(r.C)
	text := fmt.Sprintf("%s\nparameters %s\ntokens %s (%.3g each)\nFLOP %s^%s\nloss %.4f", r.Name, si(r.N), si(r.D), r.D/r.N, front, exponent, r.Loss)
	if d.Law != nil {
		p := d.Law.Loss(r.N, r.D)
		text += fmt.Sprintf("\nlaw %.4f (%+.2f %%)", p, 100*(p/r.Loss-1))
	}
	if d.held(r) {
		text += "\nnot seen by the law"
	}
	return strings.TrimPrefix(text, "\n") // a run without a name
}

func (d *drawn) keyN(c *chart) { c.key("parameters", d.sizes, d.shade, labelSI) }

const keyMargin = 112

// frontier is the loss of the law's best allocation of C, in the FLOPs of these runs.
func (d *drawn) frontier(C float64) float64 {
	n, D := d.Law.Optimum(6 * C / d.perND)
	return d.Law.Loss(n, D)
}

// compute is loss against C: training curves, their ends, and the frontier.
func (d *drawn) compute() *Figure {
	f := &Figure{Name: "loss-compute", Title: "Loss against compute"}
	x := d.axis("training compute C, FLOP", func(r Run) float64 { return r.C }, labelPower)
	y := d.loss
	if len(d.Curves) > 0 {
		y.to *= 1.1 // their beginnings are cut off, not squeezed in
	}
	c := newChart(f, x, y, keyMargin)
	for _, curve := range d.Curves {
		var pts []point
		for _, r := range curve {
			pts = append(pts, c.point(r.C, r.Loss))
		}
		before := len(f.marks)
		if len(curve) > 0 {
			c.clipped(d.shade.of(curve[0].N), 1, 0, pts)
		}
		for i := range f.marks[before:] {
			f.marks[before+i].alpha = 0.55
		}
	}
	for _, r := range d.runs {
		d.dot(c, c.point(r.C, r.Loss), r)
	}
	f.Note = "Each dot is the end of a run"
	if len(d.Curves) > 0 {
		f.Note = "Thin lines are training losses, each dot is the held-out loss at the end of a run"
	}
	f.Note += ", coloured by parameters."
	if d.Law != nil {
		xs := x.samples(60, x.from, x.to)
		c.curve(accent, 2, 0, xs, d.frontier)
		f.Note += " The orange line is the least loss that the fitted law promises for each C."
	}
	d.labelHeld(c, func(r Run) point { return c.point(r.C, r.Loss) })
	d.keyN(c)
	return f
}

// labelHeld writes beside each run that the law has not seen how far off it was.
func (d *drawn) labelHeld(c *chart, at func(Run) point) {
	for _, r := range d.runs {
		if d.Law != nil && d.held(r) {
			off := 100 * (d.Law.Loss(r.N, r.D)/r.Loss - 1)
			c.place(at(r), 10, textSize, accent, fmt.Sprintf("held out: law %+.1f %%", off), c.frame)
		}
	}
}

// params is loss against N, with the law at some numbers of tokens.
func (d *drawn) params() *Figure {
	f := &Figure{Name: "loss-parameters", Title: "Loss against parameters", Note: "Each dot is a run, coloured by tokens."}
	return d.against(f, d.axis("parameters N", func(r Run) float64 { return r.N }, labelSI), func(r Run) float64 { return r.N }, func(r Run) float64 { return r.D },
		"tokens", func(N, D float64) float64 { return d.Law.Loss(N, D) })
}

// tokens is loss against D, with the law at some sizes.
func (d *drawn) tokens() *Figure {
	f := &Figure{Name: "loss-tokens", Title: "Loss against tokens", Note: "Each dot is a run, coloured by parameters."}
	return d.against(f, d.axis("training tokens D", func(r Run) float64 { return r.D }, labelSI), func(r Run) float64 { return r.D }, func(r Run) float64 { return r.N },
		"parameters", func(D, N float64) float64 { return d.Law.Loss(N, D) })
}

// against draws runs over one of N and D, coloured by the other, and the law at values of the other.
func (d *drawn) against(f *Figure, x axis, of, other func(Run) float64, name string, law func(x, other float64) float64) *Figure {
	c := newChart(f, x, d.loss, keyMargin)
	var values []float64
	for _, r := range d.runs {
		values = append(values, other(r))
	}
	s := newShades(values)
	key := d.sizes
	if name == "tokens" {
		key = roundValues(s[0], s[len(s)-1])
	}
	if d.Law != nil {
		for _, v := range key {
			c.curve(s.of(v), 1.5, 0, c.x.samples(60, x.from, x.to), func(at float64) float64 { return law(at, v) })
		}
		f.Note += fmt.Sprintf(" Lines are the fitted law at the %s of the key.", name)
	}
	at := func(r Run) point { return c.point(of(r), r.Loss) }
	for _, r := range d.runs {
		fill, edge := s.of(other(r)), paper
		if d.held(r) {
			edge = accent
		}
		c.disc(at(r), 5, fill, edge, d.tip(r))
		c.taken(at(r), 6)
	}
	d.labelHeld(c, at)
	c.key(name, key, s, labelSI)
	return f
}

// roundValues are 1, 2 and 5 times powers of ten within a range, or fewer where these are many.
func roundValues(low, high float64) []float64 {
	for _, factors := range [][]float64{{1, 2, 5}, {1, 3}, {1}} {
		var v []float64
		for e := math.Floor(math.Log10(low)); math.Pow(10, e) <= high; e++ {
			for _, m := range factors {
				if x := m * math.Pow(10, e); x >= low*0.999 && x <= high*1.001 {
					v = append(v, x)
				}
			}
		}
		if len(v) <= 7 {
			return v
		}
	}
	return []float64{low, high}
}

// some are n of the ascending values, evenly by rank with both ends, or all where there are no more.
func some(v []float64, n int) []float64 {
	if len(v) <= n {
		return v
	}
	out := make([]float64, n)
	for i := range out {
		out[i] = v[(i*(len(v)-1)+(n-1)/2)/(n-1)]
	}
	return out
}
