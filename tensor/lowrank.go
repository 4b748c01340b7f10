package tensor

import (
	"fmt"
	"math"

	"github.com/plinth-ml/plinth/internal/kernel"
)

// addProductOp is z = y with scale·u·wᵀ added to some columns.
type addProductOp struct {
	y, u, w, z *Tensor
	from       int
	scale      float64
}

// AddProduct returns y [N, C] with scale·u·wᵀ added to its columns from from on; u is [N, r], w [n, r]. y is the result of a Linear without
// activation and dropout, or of another AddProduct, that nothing else uses: its memory becomes the result's.
func (t *Tape) AddProduct(y, u, w *Tensor, from int, scale float64) *Tensor {
	N, C := y.Dims2()
	n, r := w.Dims2()
	if uN, uR := u.Dims2(); uN != N || uR != r || from < 0 || from+n > C || scale == 0 {
		panic(fmt.Sprintf("tensor: AddProduct of %v·%v times %v to columns from %d of %v", u.Shape(), w.Shape(), scale, from, y.Shape()))
	}
	start := t.mark()
	z := t.shell(y.Data.DType(), N, C)
	z.Data, y.Data = y.Data, Buf{}
	o := addProductOp{y, u, w, z, from, scale}
	t.product(kernel.MatMul{M: N, N: n, K: r, A: u.Data, B: w.Data, TransB: true, C: o.columns(z.Data), LDC: C, Alpha: scale, Accumulate: true})
	if t.wants(y, u, w) {
		record(t, z, start, o)
	}
	return z
}

// columns is the product's part of a matrix [N, C].
func (o *addProductOp) columns(b Buf) Buf { return b.Slice(o.from, b.Len()) }

func (o *addProductOp) reads() {
	if needs(o.u) {
		read(o.w)
	}
	if needs(o.w) {
		read(o.u)
	}
}

func (o *addProductOp) back(t *Tape) {
	N, C := o.z.Dims2()
	n, r := o.w.Dims2()
	t.drop(&o.z.Data)
	dz := o.columns(o.z.Grad)
	if du, acc := t.grad(o.u); !du.None() {
		t.product(kernel.MatMul{M: N, N: r, K: n, A: dz, LDA: C, B: o.w.Data, C: du, Alpha: o.scale, Accumulate: acc})
	}
	if dw, acc := t.grad(o.w); !dw.None() {
		t.product(kernel.MatMul{M: n, N: r, K: N, A: dz, LDA: C, TransA: true, B: o.u.Data, C: dw, Alpha: o.scale, Accumulate: acc})
	}
	t.give(o.y, o.z)
}

// scaleColumnsOp is y = x·g + b, column by column.
type scaleColumnsOp struct{ x, g, b, y *Tensor }

// ScaleColumns returns x [N, C] with column i multiplied by g_i, plus b_i. g and b have C elements; b may be nil.
func (t *Tape) ScaleColumns(x, g, b *Tensor) *Tensor {
	N, C := x.Dims2()
	if g.Len() != C || b != nil && b.Len() != C {
		panic(fmt.Sprintf("tensor: ScaleColumns of %v by %v", x.Shape(), g.Shape()))
	}
	from := t.mark()
	o := scaleColumnsOp{x, g, b, t.like(x)}
	factors := o.factors(t)
	t.k.Mul(o.y.Data, x.Data, factors)
	t.drop(&factors)
	if b != nil {
		ones := t.ones(x.Data.DType(), N)
		t.product(kernel.MatMul{M: N, N: C, K: 1, A: ones, B: b.Data, C: o.y.Data, Accumulate: true})
		t.drop(&ones)
	}
	if t.wants(x, g, b) {
		record(t, o.y, from, o)
	}
	return o.y
}

// factors is g repeated in scratch [N, C].
func (o *scaleColumnsOp) factors(t *Tape) Buf {
	N, C := o.x.Dims2()
	f, ones := t.scratch(o.x.Data.DType(), N*C), t.ones(o.x.Data.DType(), N)
	t.product(kernel.MatMul{M: N, N: C, K: 1, A: ones, B: o.g.Data, C: f})
	t.drop(&ones)
	return f
}

func (t *Tape) ones(d DType, n int) Buf {
	b := t.scratch(d, n)
	t.k.Fill(b, 1)
	return b
}

func (o *scaleColumnsOp) reads() { read(o.x, o.g, o.y) }

func (o *scaleColumnsOp) back(t *Tape) {
	if db := t.sumGrad(o.b); !db.None() {
		t.k.SumRows(db, o.y.Grad)
	}
	if dg := t.sumGrad(o.g); !dg.None() {
		t.k.Mul(o.y.Data, o.y.Grad, o.x.Data)
		t.k.SumRows(dg, o.y.Data)
	}
	dx, acc := t.grad(o.x)
	if dx.None() {
		return
	}
	f := o.factors(t)
	if acc {
		t.k.MulTo(dx, o.y.Grad, f)
	} else {
		t.k.Mul(dx, o.y.Grad, f)
	}
	t.drop(&f)
}

// LowRank is a change scale·b·a of rows [From, From+n) of a weight, as they count in [out, in]; a is [r, in], b [n, r].
type LowRank struct {
	W     *Tensor // [out, in], or with InOut [in, out]; it may have a storage type
	InOut bool
	A, B  *Tensor
	From  int
	Scale float64
}

// panel is the number of rows that are made float32 at once.
const panel = 256

// weightRows calls f with rows [From, From+n) of W, some at a time, as a matrix op(w) [rows, in] in the layout that MatMul's A takes: with stride ld and,
// where trans is set, transposed. first counts from From.
func (t *Tape) weightRows(l *LowRank, f func(first, rows int, w Buf, trans bool, ld int)) {
	out, in := l.W.Dims2()
	n, _ := l.B.Dims2()
	switch {
	case l.InOut:
		f(0, n, l.W.Data.Slice(l.From, l.W.Len()), true, in)
		return
	case !l.W.Data.DType().Stored():
		f(0, n, l.W.Data.Slice(l.From*in, out*in), false, in)
		return
	}
	b, ids := t.scratch(F32, panel*in), t.scratch(I32, panel)
	for first := 0; first < n; first += panel {
		rows := min(panel, n-first)
		for i := range rows {
			ids.I32()[i] = int32(l.From + first + i)
		}
		t.k.Gather(b.Slice(0, rows*in), l.W.Data, ids.Slice(0, rows), in, false)
		f(first, rows, b, false, in)
	}
	t.drop(&b)
	t.drop(&ids)
}

// Squares are the sums of squares of the rows of W that l changes, without the change.
func (t *Tape) Squares(l *LowRank) []float64 {
	n, _ := l.B.Dims2()
	_, in := l.A.Dims2()
	squares := make([]float64, n)
	t.weightRows(l, func(first, rows int, w Buf, trans bool, ld int) {
		row, column := ld, 1
		if trans {
			row, column = 1, ld
		}
		at := values(w)
		for k := range in {
			for i := range rows {
				v := at(i*row + k*column)
				squares[first+i] += v * v
			}
		}
	})
	return squares
}

// InverseNorms returns 1/‖w_i + scale·b_i·a‖ for each changed row, [n], as a constant: no gradient flows through it. squares are those of Squares:
// the norm's square is ‖w_i‖² + b_i·(2·scale·w_i·aᵀ + scale²·b_i·a·aᵀ), for which the changed rows need not be made.
func (t *Tape) InverseNorms(l *LowRank, squares []float64) *Tensor {
	n, r := l.B.Dims2()
	_, in := l.A.Dims2()
	d := l.A.Data.DType()
	p, g := t.scratch(d, n*r), t.scratch(d, r*r)
	t.weightRows(l, func(first, rows int, w Buf, trans bool, ld int) { // p = w·aᵀ [n, r]
		t.product(kernel.MatMul{M: rows, N: r, K: in, A: w, LDA: ld, TransA: trans, B: l.A.Data, TransB: true, C: p.Slice(first*r, (first+rows)*r)})
	})
	t.product(kernel.MatMul{M: r, N: r, K: in, A: l.A.Data, B: l.A.Data, TransB: true, C: g})
	y := t.tensor(d, n)
	at, gram, b := values(p), values(g), values(l.B.Data)
	for i, sum := range squares {
		for j := range r {
			v := 2 * l.Scale * at(i*r+j)
			for k := range r {
				v += l.Scale * l.Scale * gram(j*r+k) * b(i*r+k)
			}
			sum += v * b(i*r+j)
		}
		inverse := 1 / math.Sqrt(max(sum, 1e-30))
		if d == F64 {
			y.Data.F64()[i] = inverse
		} else {
			y.Data.F32()[i] = float32(inverse)
		}
	}
	t.drop(&p)
	t.drop(&g)
	return y
}

// Widen gives a weight of a storage type, a matrix, float32 memory of its own with the numbers that it stands for.
func (t *Tape) Widen(w *Tensor) {
	if !w.Data.DType().Stored() {
		return
	}
	rows, C := w.Dims2()
	b, ids := NewBuf(F32, rows*C), t.scratch(I32, rows)
	for i := range ids.I32() {
		ids.I32()[i] = int32(i)
	}
	t.k.Gather(b, w.Data, ids, C, false)
	t.drop(&ids)
	w.Bind(b)
}

// Constant returns a tensor of v everywhere, float32, which lives until Reset.
func (t *Tape) Constant(v float64, shape ...int) *Tensor {
	y := t.tensor(F32, shape...)
	t.k.Fill(y.Data, v)
	return y
}

// Input returns a float32 tensor that fill gives its values, on the host. It lives until Reset, and nothing flows back into it.
func (t *Tape) Input(fill func([]float32), shape ...int) *Tensor {
	y := t.tensor(F32, shape...)
	fill(y.Data.F32())
	return y
}

// values reads a float buffer on the host.
func values(b Buf) func(i int) float64 {
	if b.DType() == F64 {
		s := b.F64()
		return func(i int) float64 { return s[i] }
	}
	s := b.F32()
	return func(i int) float64 { return float64(s[i]) }
}

// Merge makes W what it is with the change: row i of W+scale·b·a times g_i, or without nil g. Unmerge undoes it, but for roundings. W must have
// float memory of its own.
func (t *Tape) Merge(l *LowRank, g *Tensor) {
	t.merge(l, 1)
	if g != nil {
		l.scaleRows(func(i int) float64 { return values(g.Data)(i) })
	}
	l.W.Changed()
}

// Unmerge takes back a Merge with the same g.
func (t *Tape) Unmerge(l *LowRank, g *Tensor) {
	if g != nil {
		l.scaleRows(func(i int) float64 { return 1 / values(g.Data)(i) })
	}
	t.merge(l, -1)
	l.W.Changed()
}

func (t *Tape) merge(l *LowRank, sign float64) {
	_, columns := l.W.Dims2()
	n, r := l.B.Dims2()
	_, in := l.A.Dims2()
	m := kernel.MatMul{K: r, Alpha: sign * l.Scale, LDC: columns, Accumulate: true}
	if l.InOut {
		m.M, m.N, m.A, m.TransA, m.B, m.TransB, m.C = in, n, l.A.Data, true, l.B.Data, true, l.W.Data.Slice(l.From, l.W.Len())
	} else {
		m.M, m.N, m.A, m.B, m.C = n, in, l.B.Data, l.A.Data, l.W.Data.Slice(l.From*in, l.W.Len())
	}
	t.product(m)
}

// scaleRows multiplies changed row i of W by g(i).
func (l *LowRank) scaleRows(g func(i int) float64) {
	_, columns := l.W.Dims2()
	n, _ := l.B.Dims2()
	_, in := l.A.Dims2()
	w := l.W.F32()
	for i := range n {
		f := float32(g(i))
		for k := range in {
			if l.InOut {
				w[k*columns+l.From+i] *= f
			} else {
				w[(l.From+i)*columns+k] *= f
			}
		}
	}
}
