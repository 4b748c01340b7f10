package tensor

// addOp is y = a + b.
type addOp struct{ a, b, y *Tensor }

// Add returns a + b, of one shape.
func (t *Tape) Add(a, b *Tensor) *Tensor {
	mustMatch("Add", a, b)
	from := t.mark()
	y := t.like(a)
	t.k.Add(y.Data, a.Data, b.Data)
	if t.wants(a, b) {
		record(t, y, from, addOp{a, b, y})
	}
	return y
}

func (o *addOp) reads() {}

func (o *addOp) back(t *Tape) {
	db, acc := t.grad(o.b)
	t.addTo(db, o.y.Grad, acc)
	t.give(o.a, o.y)
}

// mulOp is y = a * b.
type mulOp struct{ a, b, y *Tensor }

// Mul returns a * b, element by element; the shapes are equal.
func (t *Tape) Mul(a, b *Tensor) *Tensor {
	mustMatch("Mul", a, b)
	from := t.mark()
	y := t.like(a)
	t.k.Mul(y.Data, a.Data, b.Data)
	if t.wants(a, b) {
		record(t, y, from, mulOp{a, b, y})
	}
	return y
}

func (o *mulOp) reads() {
	if needs(o.a) {
		read(o.b)
	}
	if needs(o.b) {
		read(o.a)
	}
}

func (o *mulOp) back(t *Tape) {
	o.factor(t, o.a, o.b)
	o.factor(t, o.b, o.a)
}

// factor is dx += dy * other.
func (o *mulOp) factor(t *Tape, x, other *Tensor) {
	switch dx, acc := t.grad(x); {
	case dx.None():
	case acc:
		t.k.MulTo(dx, o.y.Grad, other.Data)
	default:
		t.k.Mul(dx, o.y.Grad, other.Data)
	}
}

// scaleOp is y = s * x.
type scaleOp struct {
	x, y *Tensor
	s    float64
}

// Scale returns s * x.
func (t *Tape) Scale(x *Tensor, s float64) *Tensor {
	from := t.mark()
	y := t.like(x)
	t.k.Scale(y.Data, s, x.Data)
	if t.wants(x) {
		record(t, y, from, scaleOp{x, y, s})
	}
	return y
}

func (o *scaleOp) reads() {}

func (o *scaleOp) back(t *Tape) {
	if dx, acc := t.grad(o.x); acc {
		t.k.Axpy(dx, o.s, o.y.Grad)
	} else {
		t.k.Scale(dx, o.s, o.y.Grad)
	}
}
