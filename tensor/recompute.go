package tensor

// recomputeOp is y = f(x), to be computed again.
type recomputeOp struct {
	x, y *Tensor
	f    func(x *Tensor) *Tensor
	leaf Tensor // x, detached: its gradient is gathered here
}

// Recompute returns f(x) and keeps none of the activations inside f: Backward runs f again to get them (Chen et al. 2016,
// sublinear memory). f must be a pure function of x and of parameters and must not contain a loss.
func (t *Tape) Recompute(x *Tensor, f func(x *Tensor) *Tensor) *Tensor {
	if !t.recording {
		return f(x)
	}
	from := t.mark()
	t.recording = false
	y := f(x)
	t.keepOnly(y, from)
	t.recording = true
	record(t, y, from, recomputeOp{x: x, y: y, f: f})
	return y
}

func (o *recomputeOp) back(t *Tape) {
	mark, base, keep := t.mark(), len(t.nodes), t.keep
	t.drop(&o.y.Data)
	o.leaf = Tensor{Data: o.x.Data, dims: o.x.dims, rank: o.x.rank, needs: o.x.needs, node: -1}
	t.keep = KeepAll // what is computed now is used at once
	again := o.f(&o.leaf)
	t.keep = keep
	if again.needs {
		again.Grad, again.gradSet = o.y.Grad, true
		o.y.Grad = Buf{}
		t.backward(base)
	}
	t.takeBack(mark)
	if !o.leaf.Grad.None() {
		t.give(o.x, &o.leaf)
		t.drop(&o.leaf.Grad)
	}
}
