package tensor

// actOp is y = f(x).
type actOp struct {
	f    Act
	x, y *Tensor
}

// Act returns f(x), element by element.
func (t *Tape) Act(f Act, x *Tensor) *Tensor {
	from := t.mark()
	y := t.like(x)
	o := actOp{f, x, y}
	o.remake(t)
	if t.wants(x) {
		record(t, y, from, o)
	}
	return y
}

func (o *actOp) cheap() bool    { return true }
func (o *actOp) remake(t *Tape) { t.k.Act(o.f, o.y.Data, o.x.Data) }

func (o *actOp) reads() { read(o.x) }

func (o *actOp) back(t *Tape) {
	dx, acc := t.grad(o.x)
	t.k.ActGrad(o.f, dx, o.y.Grad, o.x.Data, acc)
}

// swiGLUOp is y = silu(gate) * up.
type swiGLUOp struct{ gate, up, y *Tensor }

// SwiGLU returns silu(gate) * up, of one shape (Shazeer 2020).
func (t *Tape) SwiGLU(gate, up *Tensor) *Tensor {
	mustMatch("SwiGLU", gate, up)
	from := t.mark()
	y := t.like(gate)
	o := swiGLUOp{gate, up, y}
	o.remake(t)
	if t.wants(gate, up) {
		record(t, y, from, o)
	}
	return y
}

func (o *swiGLUOp) cheap() bool    { return true }
func (o *swiGLUOp) remake(t *Tape) { t.k.SwiGLU(o.y.Data, o.gate.Data, o.up.Data) }

func (o *swiGLUOp) reads() { read(o.gate, o.up) }

func (o *swiGLUOp) back(t *Tape) {
	gate, up, y := o.gate, o.up, o.y
	dgate, acc := t.grad(gate)
	dup, accUp := t.grad(up)
	if !dgate.None() && !dup.None() && !acc && !accUp {
		t.k.SwiGLUGrad(dgate, dup, y.Grad, gate.Data, up.Data, false)
		return
	}
	// One is a constant, or is used elsewhere too: by way of scratch.
	g, u := t.scratch(y.dtype, y.Len()), t.scratch(y.dtype, y.Len())
	t.k.SwiGLUGrad(g, u, y.Grad, gate.Data, up.Data, false)
	t.addTo(dgate, g, acc)
	t.addTo(dup, u, accUp)
	t.drop(&g)
	t.drop(&u)
}
