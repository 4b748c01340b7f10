package tensor

// recomputeOp is y = f(x), to be computed again.
type recomputeOp struct {
	x, y *Tensor
	f    func(x *Tensor) *Tensor
	leaf Tensor // x, detached: its gradient is gathered here

	drops drops // before f
}

// Recompute returns f(x) and keeps none of the activations inside f: Backward runs f again to get them (Chen et al. 2016,
// sublinear memory). f must be a pure function of x and of parameters and must not contain a loss. Gradients have the same bits as without, but where x
// has a second user beside f: then its contributions are added in another order.
func (t *Tape) Recompute(x *Tensor, f func(x *Tensor) *Tensor) *Tensor {
	if !t.recording {
		return f(x)
	}
	from, drops := t.mark(), t.drops
	y := t.unrecorded(f, x)
	if y == x {
		panic("tensor: Recompute of a function that returns its argument")
	}
	t.keepOnly(y, from)
	record(t, y, from, recomputeOp{x: x, y: y, f: f, drops: drops})
	return y
}

// unrecorded is f(x) on the tape while it does not record.
func (t *Tape) unrecorded(f func(x *Tensor) *Tensor, x *Tensor) *Tensor {
	t.recording = false
	defer func() { t.recording = true }() // after a panic too
	return f(x)
}

func (o *recomputeOp) reads() { read(o.x) }

func (o *recomputeOp) back(t *Tape) {
	mark, base, keep, drops := t.mark(), len(t.nodes), t.keep, t.drops
	t.drop(&o.y.Data)
	o.leaf = Tensor{Data: o.x.Data, dims: o.x.dims, rank: o.x.rank, needs: o.x.needs, node: -1}
	again := func() *Tensor {
		t.keep = KeepAll // what is computed now is used at once
		t.drops = o.drops
		defer func() { t.keep, t.drops = keep, drops }()
		return o.f(&o.leaf)
	}()
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
