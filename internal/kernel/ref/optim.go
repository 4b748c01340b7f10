package ref

import (
	"fmt"
	"math"

	"github.com/plinth-ml/plinth/internal/kernel"
)

func adamW[T float](p, g, m, v buf, s *kernel.AdamW) {
	want("AdamW", "g", g, p.Len())
	want("AdamW", "m", m, p.Len())
	want("AdamW", "v", v, p.Len())
	if s.Step < 1 {
		panic(fmt.Sprintf("ref: AdamW: step %d, want 1 or more", s.Step))
	}
	gradScale := s.GradScale
	if gradScale == 0 {
		gradScale = 1
	}
	c1, c2 := 1-math.Pow(s.Beta1, float64(s.Step)), 1-math.Pow(s.Beta2, float64(s.Step))
	ps, gs, ms, vs := of[T](p), of[T](g), of[T](m), of[T](v)
	for i := range ps {
		gi := float64(gs[i]) * gradScale
		mi := s.Beta1*float64(ms[i]) + (1-s.Beta1)*gi
		vi := s.Beta2*float64(vs[i]) + (1-s.Beta2)*gi*gi
		pi := float64(ps[i]) * (1 - s.LR*s.WeightDecay)
		ps[i] = T(pi - s.LR*mi/c1/(math.Sqrt(vi/c2)+s.Eps))
		ms[i], vs[i] = T(mi), T(vi)
		if s.ZeroGrad {
			gs[i] = 0
		}
	}
}

func sumSquares[T float](x buf) float64 {
	sum := 0.0
	for _, v := range of[T](x) {
		sum += float64(v) * float64(v)
	}
	return sum
}
