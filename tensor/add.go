package tensor

// Add returns a + b, of one shape.
func (t *Tape) Add(a, b *Tensor) *Tensor {
	mustMatch("Add", a, b)
	from := t.mark()
	y := t.like(a)
	t.k.Add(y.Data, a.Data, b.Data)
	if t.wants(a, b) {
		t.record(y, from, func() {
			db, acc := t.grad(b)
			t.addTo(db, y.Grad, acc)
			t.give(a, y)
		})
	}
	return y
}

// Mul returns a * b, element by element; the shapes are equal.
func (t *Tape) Mul(a, b *Tensor) *Tensor {
	mustMatch("Mul", a, b)
	from := t.mark()
	y := t.like(a)
	t.k.Mul(y.Data, a.Data, b.Data)
	if t.wants(a, b) {
		product := func(dx, dy, other Buf, acc bool) {
			switch {
			case dx.None():
			case acc:
				t.k.MulTo(dx, dy, other)
			default:
				t.k.Mul(dx, dy, other)
			}
		}
		t.record(y, from, func() {
			da, acc := t.grad(a)
			product(da, y.Grad, b.Data, acc)
			db, acc := t.grad(b)
			product(db, y.Grad, a.Data, acc)
		})
	}
	return y
}

// Scale returns s * x.
func (t *Tape) Scale(x *Tensor, s float64) *Tensor {
	from := t.mark()
	y := t.like(x)
	t.k.Scale(y.Data, s, x.Data)
	if t.wants(x) {
		t.record(y, from, func() {
			if dx, acc := t.grad(x); acc {
				t.k.Axpy(dx, s, y.Grad)
			} else {
				t.k.Scale(dx, s, y.Grad)
			}
		})
	}
	return y
}
