package tensor

import "fmt"

// Gather returns the rows of w that ids names: an embedding, or a choice of tokens. w is [V, C], ids I32 [N]; the result is [N, C].
// ids must be in range: check what comes from outside before.
func (t *Tape) Gather(w *Tensor, ids Buf) *Tensor {
	_, C := w.Dims2()
	from := t.mark()
	y := t.tensor(w.Data.DType(), ids.Len(), C)
	t.k.Gather(y.Data, w.Data, ids, C, false)
	if t.wants(w) {
		t.record(y, from, func() { t.scatter(w, y.Grad, ids, C) })
	}
	return y
}

// Embed returns a[ids] + b[positions]: token and position embedding in one pass. a is [V, C], b [T, C], both id buffers I32 [N].
func (t *Tape) Embed(a *Tensor, ids Buf, b *Tensor, positions Buf) *Tensor {
	_, C := a.Dims2()
	if _, c := b.Dims2(); c != C || ids.Len() != positions.Len() {
		panic(fmt.Sprintf("tensor: Embed of %v by %d ids and %v by %d positions", a.Shape(), ids.Len(), b.Shape(), positions.Len()))
	}
	from := t.mark()
	y := t.tensor(a.Data.DType(), ids.Len(), C)
	t.k.Gather(y.Data, a.Data, ids, C, false)
	t.k.Gather(y.Data, b.Data, positions, C, true)
	if t.wants(a, b) {
		t.record(y, from, func() {
			t.scatter(a, y.Grad, ids, C)
			t.scatter(b, y.Grad, positions, C)
		})
	}
	return y
}

func (t *Tape) scatter(w *Tensor, dy, ids Buf, c int) {
	if dw := t.sumGrad(w); !dw.None() {
		t.k.ScatterAdd(dw, dy, ids, c)
	}
}

// SeqMean returns the mean row of each span. x is [N, C]; the result is [len(spans), C].
func (t *Tape) SeqMean(x *Tensor, spans []Span) *Tensor {
	_, C := x.Dims2()
	from := t.mark()
	y := t.tensor(x.Data.DType(), len(spans), C)
	t.k.SeqMean(y.Data, x.Data, spans, C)
	if t.wants(x) {
		t.record(y, from, func() {
			t.k.SeqMeanGrad(t.sumGrad(x), y.Grad, spans, C, true) // rows outside the spans stay
		})
	}
	return y
}
