package tensor

// LayerNorm returns (x-mean)/sqrt(var+eps)*w + b over the rows of x. x is [N, C], w [C], b [C] or nil.
func (t *Tape) LayerNorm(x, w, b *Tensor, eps float64) *Tensor {
	N, _ := x.Dims2()
	from := t.mark()
	y := t.like(x)
	d := x.Data.DType()
	mean, rstd := t.scratch(d, N), t.scratch(d, N)
	var bias Buf
	if b != nil {
		bias = b.Data
	}
	t.k.LayerNorm(y.Data, mean, rstd, x.Data, w.Data, bias, eps)
	if t.wants(x, w, b) {
		t.record(y, from, func() {
			dx, acc := t.grad(x)
			t.k.LayerNormGrad(dx, t.sumGrad(w), t.sumGrad(b), y.Grad, x.Data, w.Data, mean, rstd, acc)
		})
	}
	return y
}

// RMSNorm returns x scaled to unit root-mean-square over its rows, times w. x is [N, C], w [C].
func (t *Tape) RMSNorm(x, w *Tensor, eps float64) *Tensor {
	N, _ := x.Dims2()
	from := t.mark()
	y := t.like(x)
	rstd := t.scratch(x.Data.DType(), N)
	t.k.RMSNorm(y.Data, rstd, x.Data, w.Data, eps)
	if t.wants(x, w) {
		t.record(y, from, func() {
			dx, acc := t.grad(x)
			t.k.RMSNormGrad(dx, t.sumGrad(w), y.Grad, x.Data, w.Data, rstd, acc)
		})
	}
	return y
}

// Softmax normalises the rows of x [N, C].
func (t *Tape) Softmax(x *Tensor) *Tensor {
	_, C := x.Dims2()
	from := t.mark()
	y := t.like(x)
	t.k.Softmax(y.Data, x.Data, C)
	if t.wants(x) {
		t.record(y, from, func() {
			dx, acc := t.grad(x)
			t.k.SoftmaxGrad(dx, y.Grad, y.Data, C, acc)
		})
	}
	return y
}
