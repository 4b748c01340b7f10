package tensor

import "github.com/plinth-ml/plinth/internal/kernel"

// CrossEntropy describes the loss of a linear head.
type CrossEntropy struct {
	Targets Buf     // I32 [N]; negative: the row counts nothing
	Weights Buf     // [N], factor of each row's loss in the gradient; or none
	Scale   float64 // factor of the gradient, such as 1/tokens of the whole batch
	ZLoss   float64 // weight of the squared log-sum-exp (PaLM, section 5)
	SoftCap float64 // logits are cap·tanh(z/cap); 0 for none
	NoGrad  bool    // loss only, also on a recording tape
}

// CrossEntropy returns the loss of every row, -log softmax(x·wᵀ + b)[target], and 0 where the target is negative.
// x is [N, C], w [V, C], b [V] or nil; the result is [N]. It is the end of a computation: on a recording tape the gradient of
// Scale·Σ loss (with the z-loss) is computed here, while the logits of a chunk are at hand, so that they never exist as a whole.
func (t *Tape) CrossEntropy(x, w, b *Tensor, o CrossEntropy) *Tensor {
	N, C := x.Dims2()
	V, _ := w.Dims2()
	d := x.Data.DType()
	y := t.tensor(d, N) // stays valid after Backward: it belongs to no node
	c := &t.call.entropy
	*c = kernel.CrossEntropy{X: x.Data, W: w.Data, Bias: data(b), Targets: o.Targets, Weights: o.Weights, V: V, C: C, ZLoss: o.ZLoss, SoftCap: o.SoftCap, Scale: o.Scale, Loss: y.Data}
	var dx, own Buf
	acc := false
	if !o.NoGrad && t.wants(x, w, b) {
		dx, acc = t.grad(x)
		c.DX = dx
		if dx.None() || acc {
			own = t.scratch(d, N*C)
			c.DX = own
		}
		c.DW, c.DB = t.sumGrad(w), t.sumGrad(b)
	}
	t.k.CrossEntropy(c)
	if acc {
		t.addTo(dx, own, true)
	}
	t.drop(&own)
	return y
}
