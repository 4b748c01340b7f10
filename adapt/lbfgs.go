package adapt

import "math"

// minimise moves p to the minimum of a smooth convex f by L-BFGS (Nocedal & Wright 2006, algorithm 7.5) with a backtracking line
// search. f returns the value at p and puts its gradient into g. It ends when the gradient's largest element is below 1e-7, when no step
// lowers f any more, or after 1000 iterations.
func minimise(p []float64, f func(p, g []float64) float64) {
	const memory = 10
	type pair struct {
		s, y []float64
		rho  float64
	}
	var pairs []pair
	n := len(p)
	g, next, gNext, d := make([]float64, n), make([]float64, n), make([]float64, n), make([]float64, n)
	value := f(p, g)
	for range 1000 {
		if maxAbs(g) < 1e-7 {
			return
		}
		copy(d, g) // two-loop recursion: d becomes -H·g
		alpha := make([]float64, len(pairs))
		for i := len(pairs) - 1; i >= 0; i-- {
			alpha[i] = pairs[i].rho * dot(pairs[i].s, d)
			axpy(d, -alpha[i], pairs[i].y)
		}
		scale := 1 / math.Max(1, math.Sqrt(dot(g, g)))
		if len(pairs) > 0 {
			last := pairs[len(pairs)-1]
			scale = 1 / (last.rho * dot(last.y, last.y))
		}
		for i := range d {
			d[i] *= -scale
		}
		for i, q := range pairs {
			axpy(d, -alpha[i]-q.rho*dot(q.y, d), q.s)
		}
		slope := dot(g, d)
		if slope >= 0 { // rounding spoiled the memory: start it again
			if len(pairs) == 0 {
				return
			}
			pairs = nil
			continue
		}
		step, lower := 1.0, false
		for range 40 {
			for i := range next {
				next[i] = p[i] + step*d[i]
			}
			if v := f(next, gNext); v <= value+1e-4*step*slope {
				lower = v < value
				value = v
				break
			}
			step /= 2
		}
		if !lower {
			return
		}
		q := pair{s: make([]float64, n), y: make([]float64, n)}
		for i := range p {
			q.s[i], q.y[i] = next[i]-p[i], gNext[i]-g[i]
		}
		if sy := dot(q.s, q.y); sy > 0 {
			q.rho = 1 / sy
			if pairs = append(pairs, q); len(pairs) > memory {
				pairs = pairs[1:]
			}
		}
		copy(p, next)
		copy(g, gNext)
	}
}

func maxAbs(x []float64) float64 {
	top := 0.0
	for _, v := range x {
		top = math.Max(top, math.Abs(v))
	}
	return top
}
