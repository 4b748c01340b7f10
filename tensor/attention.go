package tensor

import "github.com/plinth-ml/plinth/internal/kernel"

// Attention describes multi-head attention over ragged sequences; see kernel.Attention for the exact meaning.
type Attention struct {
	Heads, KVHeads, HeadDim int
	Causal                  bool
	Window                  int     // 0 unlimited; else |query - key position| < Window
	Scale                   float64 // 0 means 1/sqrt(HeadDim)
	Bias                    *Tensor // [H, Tq, Tk] added to the scores of every sequence, or nil
	Queries, Keys           []Span  // rows of each sequence; Keys nil means Queries
}

// AttentionQKV is self-attention with queries, keys and values side by side: qkv is [N, (H+2·KVHeads)·D], the result [N, H·D].
func (t *Tape) AttentionQKV(qkv *Tensor, o Attention) *Tensor {
	nq, nk := o.Heads*o.HeadDim, o.KVHeads*o.HeadDim
	return t.attention(o, cols{qkv, 0}, cols{qkv, nq}, cols{qkv, nq + nk})
}

// Attention takes q [N, H·D], k and v [M, KVHeads·D] apart and returns [N, H·D].
func (t *Tape) Attention(q, k, v *Tensor, o Attention) *Tensor {
	return t.attention(o, cols{q, 0}, cols{k, 0}, cols{v, 0})
}

// cols is the columns of a matrix from one on.
type cols struct {
	x    *Tensor
	from int
}

func (c cols) of(b Buf) Buf {
	if b.None() {
		return b
	}
	return b.Slice(c.from, b.Len())
}

func (t *Tape) attention(o Attention, q, k, v cols) *Tensor {
	N, ldq := q.x.Dims2()
	_, ldk := k.x.Dims2()
	_, ldv := v.x.Dims2()
	if o.Keys == nil {
		o.Keys = o.Queries
	}
	d := q.x.Data.DType()
	record := t.wants(q.x, k.x, v.x, o.Bias)
	from := t.mark()
	y := t.tensor(d, N, o.Heads*o.HeadDim)
	a := &kernel.Attention{
		Heads: o.Heads, KVHeads: o.KVHeads, HeadDim: o.HeadDim,
		Q: q.of(q.x.Data), K: k.of(k.x.Data), V: v.of(v.x.Data), O: y.Data,
		LDQ: ldq, LDK: ldk, LDV: ldv,
		Queries: o.Queries, Keys: o.Keys, Scale: o.Scale, Causal: o.Causal, Window: o.Window,
	}
	if o.Bias != nil {
		a.Bias, a.BiasQ, a.BiasK = o.Bias.Data, o.Bias.dims[1], o.Bias.dims[2]
	}
	if record {
		a.LSE = t.scratch(d, N*o.Heads)
	}
	if rows(o.Queries) < N {
		t.k.Fill(y.Data, 0) // rows outside every sequence
	}
	t.k.Attention(a)
	if record {
		t.record(y, from, func() { t.attentionGrad(a, y, o.Bias, q, k, v) })
	}
	return y
}

// attentionGrad writes the gradients of q, k and v, which may be columns of one tensor.
func (t *Tape) attentionGrad(a *kernel.Attention, y, bias *Tensor, parts ...cols) {
	g := &kernel.AttentionGrad{DO: y.Grad}
	dst := [3]*Buf{&g.DQ, &g.DK, &g.DV}
	spans := [3][]Span{a.Queries, a.Keys, a.Keys}
	var late [3]struct{ dx, part Buf } // contributions to add to gradients that are there already, or to drop
	for i, p := range parts {
		if i > 0 && parts[i-1].x == p.x {
			late[i] = late[i-1]
			late[i].dx = Buf{} // added once, with the first
			*dst[i] = p.of(late[i].part)
			continue
		}
		dx, acc := t.grad(p.x)
		part := dx
		if dx.None() || acc {
			part = t.scratch(p.x.Data.DType(), p.x.Len())
			late[i].dx = dx
		}
		late[i].part = part
		if N, _ := p.x.Dims2(); rows(spans[i]) < N {
			t.k.Fill(part, 0)
		}
		*dst[i] = p.of(part)
	}
	g.DBias = t.sumGrad(bias)
	t.k.AttentionGrad(a, g)
	for _, l := range late {
		t.addTo(l.dx, l.part, true)
	}
}

// CachedAttention is attention of new tokens over keys and values in a cache, which hold them already; it does not record.
// q is [N, ldq] with the queries in its first H·D columns; keys and values have rows of KVHeads·D elements.
func (t *Tape) CachedAttention(q *Tensor, keys, values Buf, o Attention) *Tensor {
	N, ldq := q.Dims2()
	y := t.tensor(q.Data.DType(), N, o.Heads*o.HeadDim)
	t.k.Attention(&kernel.Attention{
		Heads: o.Heads, KVHeads: o.KVHeads, HeadDim: o.HeadDim,
		Q: q.Data, K: keys, V: values, O: y.Data, LDQ: ldq,
		Queries: o.Queries, Keys: o.Keys, Scale: o.Scale, Causal: o.Causal, Window: o.Window,
	})
	return y
}

func rows(spans []Span) int {
	n := 0
	for _, s := range spans {
		n += s.Len
	}
	return n
}
