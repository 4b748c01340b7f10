package ref

import (
	"fmt"
	"math"

	"github.com/plinth-ml/plinth/internal/kernel"
)

// crossEntropy writes 0 to Loss and LSE, and zeros to DX, for a row that counts nothing.
func crossEntropy[T float](c *kernel.CrossEntropy) {
	const op = "CrossEntropy"
	N, V, C := c.Targets.Len(), c.V, c.C
	want(op, "X", c.X, N*C)
	want(op, "W", c.W, V*C)
	option(op, "Bias", c.Bias, V)
	option(op, "Weights", c.Weights, N)
	want(op, "Loss", c.Loss, N)
	option(op, "LSE", c.LSE, N)
	option(op, "DX", c.DX, N*C)
	option(op, "DW", c.DW, V*C)
	option(op, "DB", c.DB, V)
	x, w, bias, weights := of[T](c.X), of[T](c.W), of[T](c.Bias), of[T](c.Weights)
	loss, lse, dx, dw, db := of[T](c.Loss), of[T](c.LSE), of[T](c.DX), of[T](c.DW), of[T](c.DB)
	sumW, sumB := make([]float64, len(dw)), make([]float64, len(db))
	p, sumX := make([]float64, V), make([]float64, C) // p: logits, then probabilities, then their gradient
	slope := make([]float64, V)                       // of the capped logits
	for i, target := range c.Targets.I32() {
		if int(target) >= V {
			panic(fmt.Sprintf("ref: %s: target %d of row %d, V is %d", op, target, i, V))
		}
		clear(sumX)
		l, rowLoss := 0.0, 0.0
		if target >= 0 {
			xi := x[i*C : (i+1)*C]
			for v := range p {
				p[v] = dot(xi, w[v*C:(v+1)*C])
				if bias != nil {
					p[v] += float64(bias[v])
				}
				if slope[v] = 1; c.SoftCap > 0 {
					u := math.Tanh(p[v] / c.SoftCap)
					p[v], slope[v] = c.SoftCap*u, 1-u*u
				}
			}
			logit := p[target]
			l = softmaxRow(p)
			rowLoss = l - logit
			factor := c.Scale
			if weights != nil {
				factor *= float64(weights[i])
			}
			for v := range p {
				g := p[v] * (1 + 2*c.ZLoss*l)
				if v == int(target) {
					g--
				}
				g *= factor * slope[v]
				if dx != nil {
					axpyRow(sumX, g, w[v*C:(v+1)*C])
				}
				if dw != nil {
					axpyRow(sumW[v*C:(v+1)*C], g, xi)
				}
				if db != nil {
					sumB[v] += g
				}
			}
		}
		loss[i] = T(rowLoss)
		if lse != nil {
			lse[i] = T(l)
		}
		if dx != nil {
			store(dx[i*C:(i+1)*C], sumX)
		}
	}
	addTo(dw, sumW)
	addTo(db, sumB)
}
