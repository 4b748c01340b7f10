package suite

import (
	"fmt"
	"math"
	"testing"

	"github.com/plinth-ml/plinth/internal/kernel"
)

func crossEntropy(t *testing.T, s *kernel.Set, d *data) {
	for i, sz := range [][3]int{{0, 5, 3}, {1, 1, 1}, {1, 2, 3}, {2, 17, 1}, {7, 53, 16}, {40, 300, 33}, {33, 31, 40}, {700, 20, 5}, {5, 3000, 8}} {
		for how := range 8 {
			if sz[0]*sz[1] > 10000 && how != 1 && how != 7 {
				continue
			}
			N, V, C := sz[0], sz[1], sz[2]
			c := &kernel.CrossEntropy{X: d.in(N * C), W: d.in(V * C), Targets: d.ids(N, 0, V), V: V, C: C, Scale: 1}
			if how&1 != 0 {
				c.Bias, c.Scale = d.in(V), 0.25
				for j := range c.Targets.I32() { // some count nothing
					if (i+j)%3 == 0 {
						c.Targets.I32()[j] = -1 - int32(j)*50
					}
				}
			}
			if how&2 != 0 {
				c.ZLoss = 0.01
			}
			if how&4 != 0 {
				c.Weights = d.in(N)
			}
			entropy(t, s, d, c, fmt.Sprintf("N=%d V=%d C=%d case %d", N, V, C, how))
		}
	}
	for _, softCap := range []float64{0.5, 30} {
		c := &kernel.CrossEntropy{X: d.in(40 * 7), W: d.in(29 * 7), Bias: d.in(29), Targets: d.ids(40, -5, 29), V: 29, C: 7, ZLoss: 0.01, SoftCap: softCap, Scale: 0.25}
		entropy(t, s, d, c, fmt.Sprint("soft cap ", softCap))
	}
	// Nothing counts; the gradient has no weight; logits of ±1e4 and 0, ties among them, all exact in float32.
	nothing := &kernel.CrossEntropy{X: d.in(6), W: d.in(10), Targets: d.ids(3, -9, 0), V: 5, C: 2, ZLoss: 0.1, Scale: 1}
	entropy(t, s, d, nothing, "nothing counts")
	noScale := &kernel.CrossEntropy{X: d.in(6), W: d.in(10), Targets: d.ids(3, 0, 5), V: 5, C: 2, ZLoss: 0.1}
	entropy(t, s, d, noScale, "scale 0")
	large := &kernel.CrossEntropy{X: d.from([]float64{1e4, -1e4, 5e3, 1e4}), W: d.from([]float64{-1, 0, 1, 1, -0.5, 0}),
		Targets: d.ids(4, 0, 6), V: 6, C: 1, Scale: 1}
	entropy(t, s, d, large, "large logits")
}

// entropy gives c outputs, runs it with all gradients and for the loss only.
func entropy(t *testing.T, s *kernel.Set, d *data, c *kernel.CrossEntropy, name string) {
	N := c.Targets.Len()
	c.Loss, c.LSE = d.out(N, "%s: loss", name), d.out(N, "%s: lse", name)
	only := *c
	only.Loss, only.LSE = d.out(N, "%s: loss only", name), kernel.Buf{}
	s.CrossEntropy(&only)
	c.DX, c.DW, c.DB = d.out(N*c.C, "%s: dx", name), d.out(c.V*c.C, "%s: dw", name), d.out(c.V, "%s: db", name)
	dw, db := floats(c.DW), floats(c.DB)
	s.CrossEntropy(c)
	if d.plain() {
		loss, lse, dx := plainEntropy(c, dw, db)
		near(t, name+": loss", floats(c.Loss), loss, exact)
		near(t, name+": loss only", floats(only.Loss), loss, exact)
		near(t, name+": lse", floats(c.LSE), lse, exact)
		near(t, name+": dx", floats(c.DX), dx, exact)
		near(t, name+": dw", floats(c.DW), dw, exact)
		near(t, name+": db", floats(c.DB), db, exact)
	}
	part := *c
	part.Loss, part.LSE, part.DX, part.DW, part.DB = d.out(N, "%s: loss with dw", name), kernel.Buf{}, kernel.Buf{}, d.out(c.V*c.C, "%s: only dw", name), kernel.Buf{}
	s.CrossEntropy(&part)
}

// plainEntropy is softmax cross-entropy on logits that are all stored; it adds to dw and db.
func plainEntropy(c *kernel.CrossEntropy, dw, db []float64) (loss, lse, dx []float64) {
	N, V, C := c.Targets.Len(), c.V, c.C
	x, w, bias, weights := floats(c.X), floats(c.W), floats(c.Bias), floats(c.Weights)
	loss, lse, dx = make([]float64, N), make([]float64, N), make([]float64, N*C)
	for i, target := range c.Targets.I32() {
		if target < 0 {
			continue
		}
		logits, top, sum := make([]float64, V), math.Inf(-1), 0.0
		for v := range V {
			for j := range C {
				logits[v] += x[i*C+j] * w[v*C+j]
			}
			if bias != nil {
				logits[v] += bias[v]
			}
			if c.SoftCap > 0 {
				logits[v] = c.SoftCap * math.Tanh(logits[v]/c.SoftCap)
			}
			top = math.Max(top, logits[v])
		}
		for _, l := range logits {
			sum += math.Exp(l - top)
		}
		lse[i] = top + math.Log(sum)
		loss[i] = lse[i] - logits[target]
		factor := c.Scale
		if weights != nil {
			factor *= weights[i]
		}
		for v, l := range logits {
			p := math.Exp(l - lse[i])
			g := p + c.ZLoss*2*lse[i]*p // d lse² = 2 lse p
			if v == int(target) {
				g--
			}
			g *= factor
			if c.SoftCap > 0 { // d tanh = 1 - tanh²
				g *= 1 - l*l/(c.SoftCap*c.SoftCap)
			}
			db[v] += g
			for j := range C {
				dx[i*C+j] += g * w[v*C+j]
				dw[v*C+j] += g * x[i*C+j]
			}
		}
	}
	return loss, lse, dx
}
