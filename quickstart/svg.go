package quickstart

import (
	"fmt"
	"math"
	"strings"
)

// drawing is an SVG in the making; classes are styled by the page.
type drawing struct {
	strings.Builder
	w, h float64
}

func newDrawing(w, h float64, title string) *drawing {
	d := &drawing{w: w, h: h}
	d.add(`<svg viewBox="0 0 %g %g" role="img" aria-label="%s">`, w, h, title)
	return d
}

func (d *drawing) add(format string, args ...any) { fmt.Fprintf(d, format+"\n", args...) }

func (d *drawing) text(x, y float64, class, anchor, s string) {
	d.add(`<text x="%.1f" y="%.1f" class="%s" text-anchor="%s">%s</text>`, x, y, class, anchor, s)
}

func (d *drawing) line(x1, y1, x2, y2 float64, class string) {
	d.add(`<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" class="%s"/>`, x1, y1, x2, y2, class)
}

func (d *drawing) bar(x, y, w, h float64, class string) {
	d.add(`<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" rx="3" class="%s"/>`, x, y, max(0, w), h, class)
}

func (d *drawing) end() string {
	d.add("</svg>")
	return d.String()
}

// curveSVG is the loss over tokens: every step faint, their running mean, and the validations.
func (s *story) curveSVG() string {
	steps, loss, vals := s.curve()
	d := newDrawing(720, 300, "Loss over training steps")
	const left, right, top, bottom = 48, 700, 14, 258
	if len(steps) == 0 {
		return d.end()
	}
	last := float64(max(1, steps[len(steps)-1]))
	low, high := math.Inf(1), math.Inf(-1)
	for _, v := range loss {
		low, high = min(low, v), max(high, v)
	}
	for _, e := range vals {
		low, high = min(low, e.ValLoss), max(high, e.ValLoss)
	}
	low, high = math.Floor(low), math.Ceil(high)
	if high <= low {
		high = low + 1
	}
	x := func(step float64) float64 { return left + (right-left)*step/last }
	y := func(v float64) float64 { return bottom - (bottom-top)*(v-low)/(high-low) }
	for v := low; v <= high; v++ {
		d.line(left, y(v), right, y(v), "grid")
		d.text(left-8, y(v)+4, "tick", "end", fmt.Sprintf("%g", v))
	}
	for i := 0; i <= 4; i++ {
		v := last * float64(i) / 4
		d.text(x(v), bottom+18, "tick", "middle", fmt.Sprintf("%.0f", v))
	}
	d.text((left+right)/2, bottom+36, "tick", "middle", "step")
	d.text(left+4, top+2, "tick", "start", "nats per token")
	path := func(values []float64, class string) {
		var p strings.Builder
		for i, v := range values {
			fmt.Fprintf(&p, "%c%.1f %.1f", "ML"[min(i, 1)], x(float64(steps[i])), y(v))
		}
		d.add(`<path d="%s" class="%s"/>`, p.String(), class)
	}
	path(loss, "faint")
	smooth := make([]float64, len(loss))
	mean, weight := 0.0, 0.0
	for i, v := range loss {
		mean, weight = 0.95*mean+0.05*v, 0.95*weight+0.05
		smooth[i] = mean / weight
	}
	path(smooth, "curve")
	for _, e := range vals {
		d.add(`<circle cx="%.1f" cy="%.1f" r="4.5" class="dot"/>`, x(float64(e.Step)), y(e.ValLoss))
	}
	d.line(right-220, top+14, right-196, top+14, "curve")
	d.text(right-190, top+18, "tick", "start", "training")
	d.add(`<circle cx="%.1f" cy="%.1f" r="4.5" class="dot"/>`, float64(right-108), float64(top+14))
	d.text(right-98, top+18, "tick", "start", "held-out files")
	return d.end()
}

// bitsSVG compares bits per byte, less being better.
func (s *story) bitsSVG() string {
	rows := []struct {
		name, class string
		v           float64
	}{{"this model", "ours", s.ValBitsPerByte}, {"gzip -9", "other", s.GzipBitsPerByte}}
	d := newDrawing(720, 96, "Bits per byte of held-out files")
	const left, right = 150, 640
	high := math.Ceil(max(s.ValBitsPerByte, s.GzipBitsPerByte, 1))
	for i, r := range rows {
		y := 10 + 42*float64(i)
		d.text(left-12, y+20, "label", "end", r.name)
		d.bar(left, y, (right-left)*r.v/high, 30, r.class)
		d.text(left+(right-left)*r.v/high+8, y+20, "value", "start", fmt.Sprintf("%.3f", r.v))
	}
	return d.end()
}

// svg is the comparison as bars; whiskers are one standard deviation over the seeds, dots the seeds.
func (t *Transfer) svg() string {
	rows := t.rows()
	h := 46*float64(len(rows)) + 40
	d := newDrawing(720, h, "Accuracy on snippets of unseen packages")
	const left, right = 200, 640
	high := 0.0
	for _, r := range rows {
		high = max(high, r.Score.Mean+r.Score.Spread)
		for _, v := range r.Score.Runs {
			high = max(high, v)
		}
	}
	high = min(1, math.Ceil(high*10+0.3)/10)
	x := func(v float64) float64 { return left + (right-left)*v/high }
	bottom := h - 30
	for v := 0.0; v <= high+1e-9; v += 0.1 {
		d.line(x(v), 4, x(v), bottom, "grid")
		d.text(x(v), bottom+18, "tick", "middle", fmt.Sprintf("%.0f %%", 100*v))
	}
	for i, r := range rows {
		y := 8 + 46*float64(i)
		class := "other"
		if r.Ours {
			class = "ours"
		}
		mid := y + 16
		d.text(left-12, mid+5, "label", "end", r.Name)
		d.bar(left, y, x(r.Score.Mean)-left, 32, class)
		from, to := x(max(0, r.Score.Mean-r.Score.Spread)), x(r.Score.Mean+r.Score.Spread)
		d.line(from, mid, to, mid, "whisker")
		d.line(from, mid-6, from, mid+6, "whisker")
		d.line(to, mid-6, to, mid+6, "whisker")
		for _, v := range r.Score.Runs {
			d.add(`<circle cx="%.1f" cy="%.1f" r="2.5" class="run"/>`, x(v), mid+11)
			to = max(to, x(v))
		}
		d.text(to+10, mid+5, "value", "start", fmt.Sprintf("%.1f %%", 100*r.Score.Mean))
	}
	chance := x(1 / float64(len(t.Classes)))
	d.line(chance, 4, chance, bottom, "chance")
	d.text(chance+4, bottom-3, "tick", "start", "chance")
	return d.end()
}
