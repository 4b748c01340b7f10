package ref

import (
	"fmt"
	"math"

	"github.com/plinth-ml/plinth/internal/kernel"
)

// adamW steps the parameter whose first element stands at place at in the list.
func adamW[T float](w kernel.AdamWParam, at int, s *kernel.AdamW) {
	want("AdamW", "g", w.G, w.P.Len())
	want("AdamW", "m", w.M, w.P.Len())
	want("AdamW", "v", w.V, w.P.Len())
	if s.Step < 1 {
		panic(fmt.Sprintf("ref: AdamW: step %d, want 1 or more", s.Step))
	}
	own := s.Of(&w)
	gradScale, decay, lr := s.GradScale, own.WeightDecay, own.LR
	if gradScale == 0 {
		gradScale = 1
	}
	c1, c2 := 1-math.Pow(s.Beta1, float64(s.Step)), 1-math.Pow(s.Beta2, float64(s.Step))
	ps, gs := of[T](w.P), of[T](w.G)
	ms, vs := moment[T](w.M), moment[T](w.V)
	for i := range ps {
		gi := float64(gs[i]) * gradScale
		mi := s.Beta1*float64(ms[i]) + (1-s.Beta1)*gi
		vi := s.Beta2*float64(vs[i]) + (1-s.Beta2)*gi*gi
		pi := float64(ps[i]) * (1 - lr*decay)
		ps[i] = T(pi - lr*mi/c1/(math.Sqrt(vi/c2)+s.Eps))
		ms[i], vs[i] = T(mi), T(vi)
		if s.ZeroGrad {
			gs[i] = 0
		}
	}
	if w.M.DType() == kernel.BF16 {
		for i := range ps {
			r := kernel.RoundingBits(s.Rounding, uint32(at+i))
			w.M.BF16()[i] = toBF16(float32(ms[i]), r&0xffff)
			w.V.BF16()[i] = toBF16(float32(vs[i]), r>>16)
		}
	}
}

// moment returns the elements of b; those of a BF16 buffer widened into a copy.
func moment[T float](b buf) []T {
	if b.DType() != kernel.BF16 {
		return of[T](b)
	}
	s := make([]T, b.Len())
	for i, h := range b.BF16() {
		s[i] = T(fromBF16(h))
	}
	return s
}

func sumSquares[T float](x buf) float64 {
	sum := 0.0
	for _, v := range of[T](x) {
		sum += float64(v) * float64(v)
	}
	return sum
}
