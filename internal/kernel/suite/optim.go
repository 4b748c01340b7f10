package suite

import (
	"math"
	"testing"

	"github.com/plinth-ml/plinth/internal/kernel"
)

func optimizer(t *testing.T, s *kernel.Set, d *data) {
	for i, n := range lengths() {
		for how := range 4 {
			o := &kernel.AdamW{LR: 1e-2, Beta1: 0.9, Beta2: 0.95, Eps: 1e-8, WeightDecay: 0.1, Step: 1 + (i+how)*7%50, ZeroGrad: how&1 != 0}
			if how&2 != 0 {
				o.GradScale, o.WeightDecay = 0.3, 0
			}
			g := d.keep(d.in(n), "AdamW %d of %d: g", how, n)
			p, m, v := d.out(n, "AdamW %d of %d: p", how, n), d.out(n, "AdamW %d of %d: m", how, n), d.in(n)
			s.Mul(v, v, v)
			d.keep(v, "AdamW %d of %d: v", how, n)
			G, P, M, V := floats(g), floats(p), floats(m), floats(v)
			s.AdamW(p, g, m, v, o)
			if !d.plain() {
				continue
			}
			scale := o.GradScale
			if scale == 0 {
				scale = 1
			}
			for j := range n {
				G[j] *= scale
				P[j] -= o.LR * o.WeightDecay * P[j]
				M[j] = o.Beta1*M[j] + (1-o.Beta1)*G[j]
				V[j] = o.Beta2*V[j] + (1-o.Beta2)*G[j]*G[j]
				mHat := M[j] / (1 - math.Pow(o.Beta1, float64(o.Step)))
				vHat := V[j] / (1 - math.Pow(o.Beta2, float64(o.Step)))
				P[j] -= o.LR * mHat / (math.Sqrt(vHat) + o.Eps)
			}
			near(t, "AdamW: p", floats(p), P, exact)
			near(t, "AdamW: m", floats(m), M, exact)
			near(t, "AdamW: v", floats(v), V, exact)
			for j, z := range floats(g) {
				if o.ZeroGrad && z != 0 {
					t.Fatalf("AdamW of %d: gradient %d is %v after ZeroGrad", n, j, z)
				}
			}
		}
	}
}
