package tensor

import "fmt"

// gatherOp is y = w[ids].
type gatherOp struct {
	w, y *Tensor
	ids  Buf
}

// Gather returns the rows of w that ids names: an embedding, or a choice of tokens. w is [V, C], or [C] for a single row, of any storage type, ids I32 [N]; the result is [N, C].
// ids must be in range: check what comes from outside before.
func (t *Tape) Gather(w *Tensor, ids Buf) *Tensor {
	C := w.rowLen()
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

func (o *gatherOp) reads() {}

func (o *gatherOp) back(t *Tape) { t.scatter(o.w, o.y.Grad, o.ids) }

// Lookup names rows of a table [V, C], of any storage type: row From + IDs[i] for each i. IDs is I32 [N].
type Lookup struct {
	Table *Tensor
	IDs   Buf
	From  int
	More  *Tensor // rows [n, C] behind those of the table, or nil
}

// parts calls f for rows [from, to) of the result that are neighbours in one place: with at negative those of the table, otherwise those of More from row at on.
func (l *Lookup) parts(f func(from, to, at int)) {
	V, _ := l.Table.Dims2()
	ids := l.IDs.I32()
	more := func(i int) int { return l.From + int(ids[i]) - V }
	for from := 0; from < len(ids); {
		to, at := from+1, max(more(from), -1)
		for to < len(ids) && (at < 0 && more(to) < 0 || at >= 0 && more(to) == at+to-from) {
			to++
		}
		f(from, to, at)
		from = to
	}
}

// gather adds the rows to y [N, C], or sets y to them.
func (l *Lookup) gather(t *Tape, y Buf, add bool) {
	_, C := l.Table.Dims2()
	if l.More == nil {
		t.k.Gather(y, l.rows(l.Table.Data), l.IDs, C, add)
		return
	}
	l.parts(func(from, to, at int) {
		part := y.Slice(from*C, to*C)
		if at < 0 {
			t.k.Gather(part, l.rows(l.Table.Data), l.IDs.Slice(from, to), C, add)
			return
		}
		t.addTo(part, l.More.Data.Slice(at*C, (at+to-from)*C), add)
	})
}

// scatter adds the rows dy [N, C] to the gradients of the rows that they came from.
func (l *Lookup) scatter(t *Tape, dy Buf) {
	_, C := l.Table.Dims2()
	dw, more := t.sumGrad(l.Table), t.sumGrad(l.More)
	if l.More == nil {
		if !dw.None() {
			t.k.ScatterAdd(l.rows(dw), dy, l.IDs, C)
		}
		return
	}
	l.parts(func(from, to, at int) {
		part := dy.Slice(from*C, to*C)
		switch {
		case at >= 0 && !more.None():
			t.k.Axpy(more.Slice(at*C, (at+to-from)*C), 1, part)
		case at < 0 && !dw.None():
			t.k.ScatterAdd(l.rows(dw), part, l.IDs.Slice(from, to), C)
		}
	})
}

// rows is the table's buffer b from row From on.
func (l *Lookup) rows(b Buf) Buf {
	if l.From == 0 {
		return b
	}
	_, C := l.Table.Dims2()
	return b.Slice(l.From*C, b.Len())
}

// embedOp is y = Σ table[from+ids].
type embedOp struct {
	tables [3]Lookup
	n      int
	y      *Tensor
}

// Embed returns the sum of rows of one to three tables of one width: token, position and segment embedding. The result is [N, C].
func (t *Tape) Embed(tables ...Lookup) *Tensor {
	_, C := tables[0].Table.Dims2()
	N := tables[0].IDs.Len()
	from := t.mark()
	o := embedOp{y: t.tensor(valuesOf(tables[0].Table), N, C)}
	o.n = copy(o.tables[:], tables)
	trains := false
	for i := range o.tables[:o.n] {
		l := &o.tables[i]
		if _, c := l.Table.Dims2(); c != C || l.IDs.Len() != N || l.More != nil && l.More.Len()%C != 0 {
			panic(fmt.Sprintf("tensor: Embed of %v by %d ids and %v by %d", tables[0].Table.Shape(), N, l.Table.Shape(), l.IDs.Len()))
		}
		l.gather(t, o.y.Data, i > 0)
		trains = trains || t.wants(l.Table, l.More)
	}
	if trains {
		record(t, o.y, from, o)
	}
	return o.y
}

func (o *embedOp) reads() {}

func (o *embedOp) back(t *Tape) {
	for i := range o.tables[:o.n] {
		o.tables[i].scatter(t, o.y.Grad)
	}
}

// scatter adds the rows dy [N, C] to those of w's gradient that ids names.
func (t *Tape) scatter(w *Tensor, dy, ids Buf) {
	if dw := t.sumGrad(w); !dw.None() {
		t.k.ScatterAdd(dw, dy, ids, w.rowLen())
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

func (o *seqMeanOp) reads() {}

func (o *seqMeanOp) back(t *Tape) {
	_, C := o.x.Dims2()
	t.k.SeqMeanGrad(t.sumGrad(o.x), o.y.Grad, o.spans, C, true) // rows outside the spans stay
}
