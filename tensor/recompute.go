package tensor

// Recompute returns f(x) and keeps none of the activations inside f: Backward runs f again to get them (Chen et al. 2016,
// sublinear memory). f must be a pure function of x and of parameters and must not contain a loss.
func (t *Tape) Recompute(x *Tensor, f func(x *Tensor) *Tensor) *Tensor {
	if !t.recording {
		return f(x)
	}
	from := t.mark()
	t.recording = false
	y := t.Scope(func() *Tensor { return f(x) })
	t.recording = true
	t.record(y, from, func() {
		mark, base := t.mark(), len(t.nodes)
		leaf := t.header(x.dims[:x.rank]) // x [..], detached: its gradient is gathered here
		leaf.Data, leaf.needs = x.Data, x.needs
		again := f(leaf)
		if again.needs {
			again.Grad, again.gradSet = y.Grad, true
			y.Grad = Buf{}
			t.backward(base)
		}
		for _, b := range t.live[mark:] {
			t.release(b)
		}
		t.live = t.live[:mark]
		if !leaf.Grad.None() {
			t.give(x, leaf)
			t.release(leaf.Grad)
			leaf.Grad = Buf{}
		}
	})
	return y
}
