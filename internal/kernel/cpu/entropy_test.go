package cpu

import (
	"fmt"
	"math"
	"testing"

	"github.com/plinth-ml/plinth/internal/kernel"
)

// plainEntropy is the definition in float64; it returns loss, lse, dx, dw, db.
func plainEntropy(c *kernel.CrossEntropy) (loss, lse, dx, dw, db []float64) {
	C, V := c.C, c.V
	x, w, targets := c.X.F32(), c.W.F32(), c.Targets.I32()
	loss, lse = make([]float64, len(targets)), make([]float64, len(targets))
	dx, dw, db = make([]float64, len(x)), make([]float64, len(w)), make([]float64, V)
	for i, target := range targets {
		if target < 0 {
			continue
		}
		logits, sum := make([]float64, V), 0.0
		for v := range V {
			if !c.Bias.None() {
				logits[v] = float64(c.Bias.F32()[v])
			}
			for j := range C {
				logits[v] += float64(x[i*C+j]) * float64(w[v*C+j])
			}
			sum += math.Exp(logits[v])
		}
		lse[i] = math.Log(sum)
		loss[i] = lse[i] - logits[target]
		f := c.Scale
		if !c.Weights.None() {
			f *= float64(c.Weights.F32()[i])
		}
		for v := range V {
			d := f * math.Exp(logits[v]-lse[i]) * (1 + 2*c.ZLoss*lse[i])
			if v == int(target) {
				d -= f
			}
			db[v] += d
			for j := range C {
				dx[i*C+j] += d * float64(w[v*C+j])
				dw[v*C+j] += d * float64(x[i*C+j])
			}
		}
	}
	return loss, lse, dx, dw, db
}

func TestCrossEntropy(t *testing.T) {
	each(t, func(t *testing.T, s *kernel.Set) {
		for _, p := range []struct {
			n, c, v, skip int  // every skip-th row has no target; 0: all have one
			all           bool // bias, weights, z-loss
		}{
			{1, 8, 2, 0, false}, {5, 16, 33, 2, true}, {700, 24, 50, 0, true}, {700, 24, 50, 3, true},
			{300, 8, 9000, 0, false}, {4, 8, 10, 1, true}, {600, 8, 40, 599, false},
		} {
			t.Run(fmt.Sprintf("%+v", p), func(t *testing.T) {
				targets := make([]int32, p.n)
				for i := range targets {
					targets[i] = int32(i * 7 % p.v)
					if p.skip > 0 && i%p.skip == 0 {
						targets[i] = -100
					}
				}
				c := &kernel.CrossEntropy{X: random(1, p.n*p.c), W: random(2, p.v*p.c), Targets: kernel.OfI32(targets), V: p.v, C: p.c, Scale: 0.25,
					Loss: random(3, p.n), LSE: random(4, p.n), DX: random(5, p.n*p.c), DW: zeros(p.v * p.c)}
				if p.all {
					c.Bias, c.Weights, c.ZLoss, c.DB = random(6, p.v), random(7, p.n), 0.01, zeros(p.v)
				}
				loss, lse, dx, dw, db := plainEntropy(c)
				s.CrossEntropy(c)
				near(t, "loss", c.Loss, loss, 1e-5)
				near(t, "lse", c.LSE, lse, 1e-5)
				near(t, "dx", c.DX, dx, 2e-5)
				near(t, "dw", c.DW, dw, 2e-5)
				if p.all {
					near(t, "db", c.DB, db, 2e-5)
				}
				only := *c
				only.Loss, only.LSE, only.DX, only.DW, only.DB = zeros(p.n), kernel.Buf{}, kernel.Buf{}, kernel.Buf{}, kernel.Buf{}
				s.CrossEntropy(&only)
				same(t, "loss alone", only.Loss, c.Loss)
			})
		}
	})
}
