package cpu

import (
	"fmt"
	"slices"

	"github.com/plinth-ml/plinth/internal/kernel"
	"github.com/plinth-ml/plinth/internal/vec"
)

// sweep is a loop over a list of vectors as over one long one.
type sweep struct {
	starts []int // where each vector begins
	params []kernel.AdamWParam
	adam   kernel.AdamW
	bufs   []kernel.Buf
	sums   []float64 // of chunks
}

// at returns the index of the vector that element i of the list is in; empty ones are passed over.
func (s *sweep) at(i int) int {
	k, found := slices.BinarySearch(s.starts, i)
	if !found {
		return k - 1
	}
	for k+1 < len(s.starts) && s.starts[k+1] == i {
		k++
	}
	return k
}

func (e *engine) adamW(o *kernel.AdamW, list ...kernel.AdamWParam) {
	const op = "AdamW"
	s := &e.sweep
	n := 0
	s.starts = s.starts[:0]
	for _, w := range list {
		f32(op, w.P) // dtypes are checked here, where a panic is the caller's
		f32(op, w.G)
		if w.M.DType() != kernel.BF16 || w.V.DType() != kernel.BF16 {
			f32(op, w.M)
			f32(op, w.V)
		}
		need(op, "g", w.G.Len(), w.P.Len())
		need(op, "m", w.M.Len(), w.P.Len())
		need(op, "v", w.V.Len(), w.P.Len())
		s.starts = append(s.starts, n)
		n += w.P.Len()
	}
	if o.Step < 1 {
		panic(fmt.Sprintf("cpu: AdamW: step %d, want at least 1", o.Step))
	}
	s.params, s.adam = list, *o
	e.run(n, light, job{body: func(e *engine, _ *job, lo, hi, worker int) {
		s := &e.sweep
		for k := s.at(lo); lo < hi; k++ {
			end := min(hi, s.starts[k]+s.params[k].P.Len())
			s.step(&s.params[k], lo-s.starts[k], end-s.starts[k], uint32(lo), &e.scratch[worker])
			lo = end
		}
	}})
	s.params = nil
}

// step does elements [lo, hi) of a parameter; the first is element at of the list.
func (s *sweep) step(w *kernel.AdamWParam, lo, hi int, at uint32, worker *scratch) {
	const op = "AdamW"
	o := s.adam.Of(w)
	adam := vec.AdamWStep{LR: o.LR, Beta1: o.Beta1, Beta2: o.Beta2, Eps: o.Eps, WeightDecay: o.WeightDecay,
		Step: o.Step, GradScale: o.GradScale, ZeroGrad: o.ZeroGrad}
	p, g := f32(op, w.P)[lo:hi], f32(op, w.G)[lo:hi]
	if w.M.DType() != kernel.BF16 {
		vec.AdamW(p, g, f32(op, w.M)[lo:hi], f32(op, w.V)[lo:hi], adam)
		return
	}
	halfM, halfV := w.M.BF16()[lo:hi], w.V.BF16()[lo:hi]
	wide := worker.floats(2 * heavy)
	for len(p) > 0 {
		n := min(heavy, len(p))
		m, v := wide[:n], wide[heavy:heavy+n]
		vec.F32FromBF16(m, halfM)
		vec.F32FromBF16(v, halfV)
		vec.AdamW(p[:n], g[:n], m, v, adam)
		vec.RoundBF16(halfM[:n], m, o.Rounding, at, 0)
		vec.RoundBF16(halfV[:n], v, o.Rounding, at, 16)
		p, g, halfM, halfV, at = p[n:], g[n:], halfM[n:], halfV[n:], at+uint32(n)
	}
}

// sumSquares adds the sums of chunks of light elements in ascending order.
func (e *engine) sumSquares(list ...kernel.Buf) float64 {
	s := &e.sweep
	n := 0
	s.starts = s.starts[:0]
	for _, x := range list {
		f32("SumSquares", x)
		s.starts = append(s.starts, n)
		n += x.Len()
	}
	chunks := (n + light - 1) / light
	s.sums = slices.Grow(s.sums[:0], chunks)[:chunks]
	s.bufs = list
	e.run(n, light, job{body: func(e *engine, _ *job, lo, hi, _ int) {
		s := &e.sweep
		sum := 0.0
		for k, at := s.at(lo), lo; at < hi; k++ {
			x := f32("SumSquares", s.bufs[k])
			end := min(hi, s.starts[k]+len(x))
			sum += vec.SumSquares(x[at-s.starts[k] : end-s.starts[k]])
			at = end
		}
		s.sums[lo/light] = sum
	}})
	s.bufs = nil
	var sum float64
	for _, v := range s.sums {
		sum += v
	}
	return sum
}
