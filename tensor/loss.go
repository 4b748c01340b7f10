package tensor

// Loss ends a computation with a loss that the caller computes on the host: f reads the values of x, float32 and row-major, and, where dx is not
// nil, writes the gradient of the loss to every element of it. Small heads have their losses here: spans, pairs, several labels at once. The gradient flows on
// like that of CrossEntropy, at Backward.
func (t *Tape) Loss(x *Tensor, f func(x, dx []float32)) {
	if !t.wants(x) {
		f(x.Data.F32(), nil)
		return
	}
	dx, acc := t.grad(x)
	if !acc {
		f(x.Data.F32(), dx.F32())
		return
	}
	own := t.scratch(F32, x.Len())
	f(x.Data.F32(), own.F32())
	t.addTo(dx, own, true)
	t.drop(&own)
}
