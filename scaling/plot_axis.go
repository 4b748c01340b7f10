package scaling

import (
	"math"
	"slices"
)

// axis maps values to places.
type axis struct {
	from, to float64 // values at the ends
	at, end  float64 // their places
	log      bool
	title    string
	label    func(v float64) (text, sup string)
	marks    []float64 // that are labelled; nil: round ones
}

func (a axis) pos(v float64) float64 {
	f, from, to := v, a.from, a.to
	if a.log {
		f, from, to = math.Log(v), math.Log(from), math.Log(to)
	}
	return a.at + (a.end-a.at)*(f-from)/(to-from)
}

// at samples n values evenly in place.
func (a axis) samples(n int, from, to float64) []float64 {
	v := make([]float64, n)
	for i := range v {
		s := float64(i) / float64(n-1)
		if a.log {
			v[i] = from * math.Pow(to/from, s)
		} else {
			v[i] = from + (to-from)*s
		}
	}
	return v
}

func labelSI(v float64) (string, string)    { return si(v), "" }
func labelPower(v float64) (string, string) { return power(v) }

// ticks are the labelled values and the ones that only get a short line.
func (a axis) ticks() (major, minor []float64) {
	if a.marks != nil {
		return a.marks, nil
	}
	if !a.log || a.to/a.from < 8 {
		step := niceStep((a.to - a.from) / 6)
		for i := math.Ceil(a.from/step - 1e-9); i*step <= a.to*(1+1e-12); i++ {
			major = append(major, i*step)
		}
		return major, nil
	}
	decades := math.Log10(a.to / a.from)
	every := max(1, math.Ceil(decades/7)) // decades between labels
	for e := math.Floor(math.Log10(a.from)); math.Pow(10, e) <= a.to*1.0001; e++ {
		for m := 1.0; m < 10; m++ {
			v := m * math.Pow(10, e)
			switch {
			case v < a.from*0.9999 || v > a.to*1.0001:
			case m == 1 && math.Mod(e, every) == 0, decades < 2 && (m == 2 || m == 5), decades >= 2 && decades < 3.2 && m == 3:
				major = append(major, v)
			case decades < 7 || m == 1:
				minor = append(minor, v)
			}
		}
	}
	return major, minor
}

// niceStep is 1, 2, 2.5 or 5 times a power of ten, at least v.
func niceStep(v float64) float64 {
	p := math.Pow(10, math.Floor(math.Log10(v)))
	for _, m := range []float64{1, 2, 2.5, 5} {
		if v <= m*p*1.0001 {
			return m * p
		}
	}
	return 10 * p
}

// room widens a range of values by a share of it on both sides.
func room(from, to, share float64, log bool) (float64, float64) {
	if !(from < to) {
		from, to = from*0.9, to*1.1
	}
	if log {
		f := math.Pow(to/from, share)
		return from / f, to * f
	}
	d := (to - from) * share
	return from - d, to + d
}

// chart is a figure with two axes.
type chart struct {
	*Figure
	x, y  axis
	frame box
}

const textSize = 13

// newChart draws title, axes and grid; right is the margin there for labels.
func newChart(f *Figure, x, y axis, right float64) *chart {
	c := &chart{Figure: f, frame: box{62, 62, figureW - right, figureH - 52}}
	x.at, x.end, y.at, y.end = c.frame.x0, c.frame.x1, c.frame.y1, c.frame.y0
	c.x, c.y = x, y
	f.add(mark{pts: []point{{14, 24}}, anchor: "start", size: 16, bold: true, fill: ink, text: f.Title})
	f.label(point{14, 48}, "start", textSize, muted, y.title)
	f.label(point{(c.frame.x0 + c.frame.x1) / 2, figureH - 12}, "middle", textSize, muted, x.title)
	major, minor := y.ticks()
	for _, v := range major {
		at := y.pos(v)
		f.line(grid, 1, 0, point{c.frame.x0, at}, point{c.frame.x1, at})
		text, sup := y.label(v)
		f.add(mark{pts: []point{{c.frame.x0 - 8, at + 4.5}}, anchor: "end", size: textSize, fill: muted, text: text, sup: sup})
	}
	for _, v := range minor {
		f.line(muted, 1, 0, point{c.frame.x0 - 3, y.pos(v)}, point{c.frame.x0, y.pos(v)})
	}
	major, minor = x.ticks()
	for _, v := range major {
		at := x.pos(v)
		f.line(muted, 1, 0, point{at, c.frame.y1}, point{at, c.frame.y1 + 6})
		text, sup := x.label(v)
		f.add(mark{pts: []point{{at, c.frame.y1 + 22}}, anchor: "middle", size: textSize, fill: muted, text: text, sup: sup})
	}
	for _, v := range minor {
		f.line(muted, 1, 0, point{x.pos(v), c.frame.y1}, point{x.pos(v), c.frame.y1 + 3})
	}
	f.line(muted, 1, 0, point{c.frame.x0, c.frame.y1}, point{c.frame.x1, c.frame.y1})
	return c
}

func (c *chart) point(x, y float64) point { return point{c.x.pos(x), c.y.pos(y)} }

// curve draws y(x) at the given values, without what lies outside the frame.
func (c *chart) curve(t tone, width, dash float64, xs []float64, y func(x float64) float64) {
	var pts []point
	for _, v := range xs {
		pts = append(pts, c.point(v, y(v)))
	}
	c.clipped(t, width, dash, pts)
}

// clipped draws the part of a line that lies in the frame.
func (c *chart) clipped(t tone, width, dash float64, pts []point) {
	var run []point
	flush := func() {
		c.line(t, width, dash, run...)
		if t == accent { // no label on top of it
			for _, p := range run {
				c.taken(p, 4)
			}
		}
		run = nil
	}
	for i := range pts {
		if i > 0 {
			a, b, ok := clip(pts[i-1], pts[i], c.frame)
			if !ok {
				flush()
				continue
			}
			if len(run) == 0 || run[len(run)-1] != a {
				flush()
				run = append(run, a)
			}
			run = append(run, b)
		}
	}
	flush()
}

// clip is the part of a segment within a box (Liang and Barsky 1984).
func clip(a, b point, in box) (point, point, bool) {
	dx, dy := b.x-a.x, b.y-a.y
	t0, t1 := 0.0, 1.0
	for _, e := range []struct{ d, q float64 }{{-dx, a.x - in.x0}, {dx, in.x1 - a.x}, {-dy, a.y - in.y0}, {dy, in.y1 - a.y}} {
		switch r := e.q / e.d; {
		case e.d == 0 && e.q < 0 || math.IsNaN(e.d) || math.IsInf(e.d, 0):
			return a, b, false
		case e.d < 0:
			t0 = max(t0, r)
		case e.d > 0:
			t1 = min(t1, r)
		}
	}
	if t0 > t1 {
		return a, b, false
	}
	from, to := a, b
	if t0 > 0 {
		from = point{a.x + t0*dx, a.y + t0*dy}
	}
	if t1 < 1 {
		to = point{a.x + t1*dx, a.y + t1*dy}
	}
	return from, to, true
}

// shades gives the values of a quantity a colour each, from dark to light: by rank where there are as many colours as values, otherwise by logarithm.
type shades []float64 // ascending, each once

func newShades(values []float64) shades {
	s := slices.Clone(values)
	slices.Sort(s)
	return slices.Compact(s)
}

func (s shades) of(v float64) tone {
	low, high := s[0], s[len(s)-1]
	share := 0.0
	if rank, ok := slices.BinarySearch(s, v); ok && len(s) > 1 && len(s) <= ramp {
		share = float64(rank) / float64(len(s)-1)
	} else if high > low {
		share = math.Log(v/low) / math.Log(high/low)
	}
	return rampTone(int(math.Round((ramp - 1) * min(1, max(0, share)))))
}

// key lists values and their colours in the right margin, the largest on top.
func (c *chart) key(title string, values []float64, s shades, label func(float64) (string, string)) {
	const step = 20
	x, y := c.frame.x1+16, c.frame.y0+6
	c.label(point{x - 4, y}, "start", textSize, muted, title)
	for i, v := range values {
		at := y + 20 + step*float64(len(values)-1-i)
		c.disc(point{x, at - 4.5}, 5, s.of(v), "", "")
		text, sup := label(v)
		c.add(mark{pts: []point{{x + 11, at}}, anchor: "start", size: textSize, fill: ink, text: text, sup: sup})
	}
}
