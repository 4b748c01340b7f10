package tensor

import "fmt"

// gatherOp is y = w[ids].
type gatherOp struct {
	w, y *Tensor
	ids  Buf
}

// Gather returns the rows of w that ids names: an embedding, or a choice of tokens. w is [V, C], of any storage type, ids I32 [N]; the result is [N, C].
// ids must be in range: check what comes from outside before.
func (t *Tape) Gather(w *Tensor, ids Buf) *Tensor {
	_, C := w.Dims2()
	from := t.mark()
	y := t.tensor(valuesOf(w), ids.Len(), C)
	t.k.Gather(y.Data, w.Data, ids, C, false)
	if t.wants(w) {
		record(t, y, from, gatherOp{w, y, ids})
	}
	return y
}

// valuesOf is the type of the values that are read from a table.
func valuesOf(w *Tensor) DType {
	if w.Data.DType().Stored() {
		return F32
	}
	return w.Data.DType()
}

func (o *gatherOp) back(t *Tape) { t.scatter(o.w, o.y.Grad, o.ids) }

// embedOp is y = a[ids] + b[positions].
type embedOp struct {
	a, b, y        *Tensor
	ids, positions Buf
}

// Embed returns a[ids] + b[positions]: token and position embedding in one pass. a is [V, C], b [T, C], both id buffers I32 [N].
func (t *Tape) Embed(a *Tensor, ids Buf, b *Tensor, positions Buf) *Tensor {
	_, C := a.Dims2()
	if _, c := b.Dims2(); c != C || ids.Len() != positions.Len() {
		panic(fmt.Sprintf("tensor: Embed of %v by %d ids and %v by %d positions", a.Shape(), ids.Len(), b.Shape(), positions.Len()))
	}
	from := t.mark()
	y := t.tensor(valuesOf(a), ids.Len(), C)
	t.k.Gather(y.Data, a.Data, ids, C, false)
	t.k.Gather(y.Data, b.Data, positions, C, true)
	if t.wants(a, b) {
		record(t, y, from, embedOp{a, b, y, ids, positions})
	}
	return y
}

func (o *embedOp) back(t *Tape) {
	t.scatter(o.a, o.y.Grad, o.ids)
	t.scatter(o.b, o.y.Grad, o.positions)
}

// scatter adds the rows dy [N, C] to those of w's gradient that ids names.
func (t *Tape) scatter(w *Tensor, dy, ids Buf) {
	if dw := t.sumGrad(w); !dw.None() {
		_, C := w.Dims2()
		t.k.ScatterAdd(dw, dy, ids, C)
	}
}

// seqMeanOp is the mean row y of each span of x.
type seqMeanOp struct {
	x, y  *Tensor
	spans []Span
}

// SeqMean returns the mean row of each span. x is [N, C]; the result is [len(spans), C].
func (t *Tape) SeqMean(x *Tensor, spans []Span) *Tensor {
	_, C := x.Dims2()
	from := t.mark()
	y := t.tensor(x.Data.DType(), len(spans), C)
	t.k.SeqMean(y.Data, x.Data, spans, C)
	if t.wants(x) {
		record(t, y, from, seqMeanOp{x, y, spans})
	}
	return y
}

func (o *seqMeanOp) back(t *Tape) {
	_, C := o.x.Dims2()
	t.k.SeqMeanGrad(t.sumGrad(o.x), o.y.Grad, o.spans, C, true) // rows outside the spans stay
}
