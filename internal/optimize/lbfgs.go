// Package optimize minimises smooth functions of a few variables.
package optimize

import "math"

// LBFGS moves p to a minimum of a smooth f by L-BFGS (Nocedal & Wright 2006, algorithm 7.5) with a backtracking line search, and returns
// the value there. f returns the value at p and puts its gradient into g. It ends when the gradient's largest element is below tol, when
// no step lowers f any more, or after 1000 iterations.
func LBFGS(p []float64, tol float64, f func(p, g []float64) float64) float64 {
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
		if maxAbs(g) < tol {
			return value
		}
		copy(d, g) // two-loop recursion: d becomes -H·g
		alpha := make([]float64, len(pairs))
		for i := len(pairs) - 1; i >= 0; i-- {
			alpha[i] = pairs[i].rho * Dot(pairs[i].s, d)
			Axpy(d, -alpha[i], pairs[i].y)
		}
		scale := 1 / math.Max(1, math.Sqrt(Dot(g, g)))
		if len(pairs) > 0 {
			last := pairs[len(pairs)-1]
			scale = 1 / (last.rho * Dot(last.y, last.y))
		}
		for i := range d {
			d[i] *= -scale
		}
		for i, q := range pairs {
			Axpy(d, -alpha[i]-q.rho*Dot(q.y, d), q.s)
		}
		slope := Dot(g, d)
		if slope >= 0 { // rounding spoiled the memory: start it again
			if len(pairs) == 0 {
				return value
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
			return value
		}
		q := pair{s: make([]float64, n), y: make([]float64, n)}
		for i := range p {
			q.s[i], q.y[i] = next[i]-p[i], gNext[i]-g[i]
		}
		if sy := Dot(q.s, q.y); sy > 0 {
			q.rho = 1 / sy
			if pairs = append(pairs, q); len(pairs) > memory {
				pairs = pairs[1:]
			}
		}
		copy(p, next)
		copy(g, gNext)
	}
	return value
}

func maxAbs(x []float64) float64 {
	top := 0.0
	for _, v := range x {
		top = math.Max(top, math.Abs(v))
	}
	return top
}

// Dot is the inner product of a and b, of which b may be longer.
func Dot(a, b []float64) float64 {
	var s0, s1, s2, s3 float64
	b = b[:len(a)]
	i := 0
	for ; i+4 <= len(a); i += 4 {
		s0 += a[i] * b[i]
		s1 += a[i+1] * b[i+1]
		s2 += a[i+2] * b[i+2]
		s3 += a[i+3] * b[i+3]
	}
	for ; i < len(a); i++ {
		s0 += a[i] * b[i]
	}
	return s0 + s1 + (s2 + s3)
}

// Axpy adds a·x to y.
func Axpy(y []float64, a float64, x []float64) {
	x = x[:len(y)]
	for i := range y {
		y[i] += a * x[i]
	}
}
