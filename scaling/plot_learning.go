package scaling

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// Line is what one method does, by the number of labels that it gets.
type Line struct {
	Name   string
	Labels []float64 // ascending
	Mean   []float64 // of each number of labels: the accuracy, 0 to 1
	Spread []float64 // of each: the standard deviation
}

// tones of the lines of a learning curve; the second half of a longer list has them again, dashed.
var lineTones = []tone{accent, second, "r6", ink, muted}

// LearningCurve draws accuracies in percent by the number of labels, on a logarithmic axis, with a bar of one standard deviation up and down. Lines without
// points are left out; without any line there is nothing to draw, and the figure is nil.
func LearningCurve(title string, lines []Line) *Figure {
	lines = slices.DeleteFunc(slices.Clone(lines), func(l Line) bool { return len(l.Labels) == 0 })
	if len(lines) == 0 {
		return nil
	}
	var counts []float64
	low, high := math.Inf(1), math.Inf(-1)
	for _, l := range lines {
		counts = append(counts, l.Labels...)
		for i, m := range l.Mean {
			low, high = min(low, 100*(m-l.Spread[i])), max(high, 100*(m+l.Spread[i]))
		}
	}
	slices.Sort(counts)
	counts = slices.Compact(counts)
	f := &Figure{Name: "learning-curve", Title: title, Note: "Accuracy by the number of labels of each class; bars are one standard deviation over the draws of labels."}
	x := axis{log: true, title: "labels of each class", label: labelSI, marks: counts}
	x.from, x.to = room(counts[0], counts[len(counts)-1], 0.05, true)
	y := axis{title: "accuracy, %", label: labelSI}
	y.from, y.to = room(low, high, 0.05, false)
	y.from, y.to = max(0, y.from), min(100, y.to)
	const margin = 170 // of the names
	c := newChart(f, x, y, margin)
	ends := make([]float64, len(lines))
	for i, l := range lines {
		t, dash := lineTones[i%len(lineTones)], 0.0
		if i >= len(lineTones) {
			dash = 5
		}
		var pts []point
		for j, n := range l.Labels {
			m, s := 100*l.Mean[j], 100*l.Spread[j]
			pts = append(pts, c.point(n, m))
			c.clipped(t, 1, 0, []point{c.point(n, m-s), c.point(n, m+s)})
		}
		f.line(t, 2, dash, pts...)
		for j, p := range pts {
			f.disc(p, 4, t, paper, fmt.Sprintf("%s\n%g labels of each class\n%.1f ± %.1f %%", l.Name, l.Labels[j], 100*l.Mean[j], 100*l.Spread[j]))
		}
		ends[i] = pts[len(pts)-1].y
	}
	for i, at := range apart(ends, 1.4*textSize) {
		name, _, _ := strings.Cut(lines[i].Name, "(")
		f.label(point{c.frame.x1 + 8, at + 4.5}, "start", textSize, lineTones[i%len(lineTones)], strings.TrimSpace(name))
	}
	return f
}

// apart moves places so that they are least apart, in the order that they have, as little as it takes.
func apart(places []float64, least float64) []float64 {
	order := make([]int, len(places))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		switch {
		case places[a] < places[b]:
			return -1
		case places[a] > places[b]:
			return 1
		}
		return 0
	})
	moved := slices.Clone(places)
	for range 100 { // each pass halves what is too near
		for k := 1; k < len(order); k++ {
			a, b := order[k-1], order[k]
			if gap := moved[b] - moved[a]; gap < least {
				moved[a] -= (least - gap) / 2
				moved[b] += (least - gap) / 2
			}
		}
	}
	return moved
}
