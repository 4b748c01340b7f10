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

// attentionOp is y = attention of q over k and v.
type attentionOp struct {
	Attention
	q, k, v cols
	y       *Tensor
	lse     *Tensor // [N·H], log-sum-exp of the scores
}

func (t *Tape) attention(o Attention, q, k, v cols) *Tensor {
	N, _ := q.x.Dims2()
	if o.Keys == nil {
		o.Keys = o.Queries
	}
	d := q.x.Data.DType()
	grads := t.wants(q.x, k.x, v.x, o.Bias)
	from := t.mark()
	a := attentionOp{Attention: o, q: q, k: k, v: v, y: t.tensor(d, N, o.Heads*o.HeadDim)}
	if grads {
		a.lse = t.tensor(d, N*o.Heads)
	}
	if rows(o.Queries) < N {
		t.k.Fill(a.y.Data, 0) // rows outside every sequence
	}
	t.k.Attention(a.call(t))
	if grads {
		record(t, a.y, from, a)
	}
	return a.y
}

// call is the forward pass as the kernels take it, valid until the next.
func (o *attentionOp) call(t *Tape) *kernel.Attention {
	c := &t.call.attention
	*c = kernel.Attention{
		Heads: o.Heads, KVHeads: o.KVHeads, HeadDim: o.HeadDim,
		Q: o.q.of(o.q.x.Data), K: o.k.of(o.k.x.Data), V: o.v.of(o.v.x.Data), O: o.y.Data, LSE: data(o.lse),
		Queries: o.Queries, Keys: o.Keys, Scale: o.Scale, Causal: o.Causal, Window: o.Window, Bias: data(o.Bias),
	}
	_, c.LDQ = o.q.x.Dims2()
	_, c.LDK = o.k.x.Dims2()
	_, c.LDV = o.v.x.Dims2()
	if o.Bias != nil {
		c.BiasQ, c.BiasK = o.Bias.dims[1], o.Bias.dims[2]
	}
	return c
}

// back writes the gradients of q, k and v, which may be columns of one tensor.
func (o *attentionOp) back(t *Tape) {
	g := &t.call.attentionGrad
	*g = kernel.AttentionGrad{DO: o.y.Grad, DBias: t.sumGrad(o.Bias)}
	parts := [3]cols{o.q, o.k, o.v}
	dst := [3]*Buf{&g.DQ, &g.DK, &g.DV}
	spans := [3][]Span{o.Queries, o.Keys, o.Keys}
	var whole, own, dx [3]Buf // own: scratch for a gradient that is there already, to be added to dx, or to be dropped
	for i, p := range parts {
		if i > 0 && parts[i-1].x == p.x {
			whole[i] = whole[i-1]
			*dst[i] = p.of(whole[i])
			continue
		}
		d, acc := t.grad(p.x)
		whole[i] = d
		if d.None() || acc {
			dx[i], own[i] = d, t.scratch(p.x.Data.DType(), p.x.Len())
			whole[i] = own[i]
		}
		if N, _ := p.x.Dims2(); rows(spans[i]) < N {
			t.k.Fill(whole[i], 0)
		}
		*dst[i] = p.of(whole[i])
	}
	t.k.AttentionGrad(o.call(t), g)
	for i := range own {
		t.addTo(dx[i], own[i], true)
		t.drop(&own[i])
	}
}

// CachedAttention is attention of new tokens over keys and values in a cache, which hold them already; it does not record.
// q is [N, ldq] with the queries in its first H·D columns; keys and values have rows of KVHeads·D elements.
func (t *Tape) CachedAttention(q *Tensor, keys, values Buf, o Attention) *Tensor {
	N, ldq := q.Dims2()
	y := t.tensor(q.Data.DType(), N, o.Heads*o.HeadDim)
	t.call.attention = kernel.Attention{
		Heads: o.Heads, KVHeads: o.KVHeads, HeadDim: o.HeadDim,
		Q: q.Data, K: keys, V: values, O: y.Data, LDQ: ldq,
		Queries: o.Queries, Keys: o.Keys, Scale: o.Scale, Causal: o.Causal, Window: o.Window,
	}
	t.k.Attention(&t.call.attention)
	return y
}

func rows(spans []Span) int {
	n := 0
	for _, s := range spans {
		n += s.Len
	}
	return n
}
