package scaling

import (
	"fmt"
	"math"
)

// valleys are the losses of each budget over N with the parabolas of FitIsoFLOP; nil where fewer than two budgets have one.
func (d *drawn) valleys() *Figure {
	fit, err := FitIsoFLOP(d.runs, FitOptions{})
	if err != nil { // not a sweep of profiles
		return nil
	}
	f := &Figure{Name: "isoflop", Title: "IsoFLOP valleys",
		Note: "The runs of one budget each, with the parabola through them in ln N; crosses are the minima, which move to larger models as the budget grows."}
	x := d.axis("parameters N", func(r Run) float64 { return r.N }, labelSI)
	c := newChart(f, x, d.loss, keyMargin)
	var budgets []float64
	for _, v := range fit.Valleys {
		budgets = append(budgets, v.C)
	}
	s := newShades(budgets)
	for _, v := range fit.Valleys {
		low, high := math.Inf(1), 0.0
		for _, r := range v.Runs {
			low, high = min(low, r.N), max(high, r.N)
		}
		c.curve(s.of(v.C), 1.5, 0, x.samples(60, low/1.15, high*1.15), v.At)
	}
	var path []point
	for _, v := range fit.Valleys {
		path = append(path, c.point(v.N, v.Loss))
	}
	c.line(accent, 2, 5, path...)
	for _, v := range fit.Valleys {
		for _, r := range v.Runs {
			c.disc(c.point(r.N, r.Loss), 5, s.of(v.C), paper, d.tip(r))
		}
	}
	for i, at := range path {
		for _, o := range []float64{-5, 5} {
			c.line(accent, 2.5, 0, point{at.x - 5, at.y - o}, point{at.x + 5, at.y + o})
		}
		v := fit.Valleys[i]
		front, exponent := power(v.C)
		c.add(mark{pts: []point{at}, radius: 9, fill: paper, alpha: 0.01, tip: fmt.Sprintf("minimum at %s^%s FLOP\nparameters %s\ntokens %s (%.3g each)\nloss %.4f",
			front, exponent, si(v.N), si(v.D), v.D/v.N, v.Loss)})
	}
	c.key("FLOP", some(budgets, ramp), s, labelPower)
	return f
}

// residuals are what the law leaves of the losses.
func (d *drawn) residuals() *Figure {
	f := &Figure{Name: "residuals", Title: "What the law leaves"}
	most, squares, fitted := 0.0, 0.0, 0.0
	rest := func(r Run) float64 { return 100 * (r.Loss/d.Law.Loss(r.N, r.D) - 1) }
	for _, r := range d.runs {
		most = max(most, math.Abs(rest(r)))
		if !d.held(r) {
			squares, fitted = squares+rest(r)*rest(r), fitted+1
		}
	}
	_, most = room(0, max(most, 0.1), 0.15, false)
	f.Note = fmt.Sprintf("Measured loss over that of the law, in per cent; root mean square of the fitted runs %.2f %%.", math.Sqrt(squares/max(1, fitted)))
	x := d.axis("training compute C, FLOP", func(r Run) float64 { return r.C }, labelPower)
	c := newChart(f, x, axis{from: -most, to: most, title: "measured loss above the law, %", label: labelSI}, keyMargin)
	c.line(accent, 1.5, 0, point{c.frame.x0, c.y.pos(0)}, point{c.frame.x1, c.y.pos(0)})
	for _, r := range d.runs {
		at := c.point(r.C, rest(r))
		c.line(d.shade.of(r.N), 1.5, 0, point{at.x, c.y.pos(0)}, at)
		d.dot(c, at, r)
	}
	d.labelHeld(c, func(r Run) point { return c.point(r.C, rest(r)) })
	d.keyN(c)
	return f
}

// contour is the predicted loss over C and N, with the allocation that is best (Hoffmann et al. 2022, figure 4).
func (d *drawn) contour() *Figure {
	f := &Figure{Name: "contour", Title: "Predicted loss and the efficient frontier",
		Note: "Lines of equal loss by the fitted law; dots are the runs. The orange line joins the least compute of each loss: the best N for C."}
	x := d.axis("training compute C, FLOP", func(r Run) float64 { return r.C }, labelPower)
	y := d.axis("parameters N", func(r Run) float64 { return r.N }, labelSI)
	x.to *= 3 // what the law says of the next run
	y.to *= 1.5
	c := newChart(f, x, y, 24)
	best, worst := d.frontier(x.to), d.frontier(x.from)
	step := niceStep((worst - best) / 8)
	ns := y.samples(240, y.from, y.to)
	var levels []float64
	for i := math.Ceil(best / step); i*step < worst+4*step; i++ {
		levels = append(levels, i*step)
	}
	type named struct {
		at   point
		text string
		t    tone
	}
	var names []named
	for i, level := range levels {
		t := rampTone(min(ramp-1, (ramp-1)*i/max(1, len(levels)-1)))
		var pts []point
		never := false // reached, with the parameters so far
		for _, n := range ns {
			D := tokensFor(d.Law, n, level)
			if math.IsInf(D, 0) {
				never = true
				continue
			}
			at := c.point(d.perND*n*D, n)
			if never && len(pts) == 0 && at.x < c.frame.x1 { // the line comes from the far right
				pts = append(pts, point{c.frame.x1, at.y})
			}
			pts = append(pts, at)
		}
		c.clipped(t, 1.5, 0, pts)
		for k := len(pts) - 1; k >= 0; k-- { // named where it enters the frame from above or from the right
			if p := pts[k]; p.x < c.frame.x1-16 && p.x > c.frame.x0+16 && p.y > c.frame.y0+10 {
				names = append(names, named{p, fmt.Sprintf("%.4g", level), t})
				break
			}
		}
	}
	front := x.samples(60, x.from, x.to)
	var path []point
	for _, C := range front {
		n, _ := d.Law.Optimum(6 * C / d.perND)
		path = append(path, c.point(C, n))
	}
	c.clipped(accent, 3, 0, path)
	for _, r := range d.runs {
		d.dot(c, c.point(r.C, r.N), r)
		if !d.held(r) {
			c.marks[len(c.marks)-1].fill = muted
		}
	}
	for _, n := range names {
		w := width(n.text, 12)/2 + 4
		b := box{n.at.x - w, n.at.y - 6, n.at.x + w, n.at.y + 6}
		if !c.crowded(b) {
			c.boxes = append(c.boxes, b)
			c.add(mark{pts: []point{{b.x0 + 2, b.y0}, {b.x1 - 2, b.y0}, {b.x1 - 2, b.y1}, {b.x0 + 2, b.y1}}, area: true, fill: paper})
			c.label(point{n.at.x, n.at.y + 4}, "middle", 12, n.t, n.text)
		}
	}
	for i := len(path) - 6; i > len(path)/2; i-- { // beside the frontier, where it has room
		n, D := d.Law.Optimum(6 * front[i] / d.perND)
		if c.place(path[i], 8, textSize, accent, fmt.Sprintf("best: %s tokens per parameter", si(math.Round(D/n))), c.frame) {
			break
		}
	}
	return f
}
