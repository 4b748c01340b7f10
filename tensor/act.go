package tensor

// Act returns f(x), element by element.
func (t *Tape) Act(f Act, x *Tensor) *Tensor {
	from := t.mark()
	y := t.like(x)
	t.k.Act(f, y.Data, x.Data)
	if t.wants(x) {
		t.record(y, from, func() {
			dx, acc := t.grad(x)
			t.k.ActGrad(f, dx, y.Grad, x.Data, acc)
		})
	}
	return y
}

// SwiGLU returns silu(gate) * up, of one shape (Shazeer 2020).
func (t *Tape) SwiGLU(gate, up *Tensor) *Tensor {
	mustMatch("SwiGLU", gate, up)
	from := t.mark()
	y := t.like(gate)
	t.k.SwiGLU(y.Data, gate.Data, up.Data)
	if t.wants(gate, up) {
		t.record(y, from, func() {
			dgate, acc := t.grad(gate)
			dup, accUp := t.grad(up)
			if dgate.None() || dup.None() || acc || accUp { // one constant, or used elsewhere too: by way of scratch
				g, u := t.scratch(y.Data.DType(), y.Len()), t.scratch(y.Data.DType(), y.Len())
				t.k.SwiGLUGrad(g, u, y.Grad, gate.Data, up.Data, false)
				t.addTo(dgate, g, acc)
				t.addTo(dup, u, accUp)
				return
			}
			t.k.SwiGLUGrad(dgate, dup, y.Grad, gate.Data, up.Data, false)
		})
	}
	return y
}
