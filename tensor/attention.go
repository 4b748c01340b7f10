package tensor

import "github.com/plinth-ml/plinth/internal/kernel"

// Attention describes multi-head attention over ragged sequences; see kernel.Attention for the exact meaning.
type Attention struct {
	Heads, KVHeads, HeadDim int
	Causal                  bool
	Window                  int     // 0 unlimited; else |query - key position| < Window
	Scale                   float64 // 0 means 1/sqrt(HeadDim)
	SoftCap                 float64 // scores become SoftCap·tanh(score/SoftCap); 0: they stay
	Bias                    *Tensor // added to the scores of every sequence: [H, Tq, Tk], or [H, 2T-1] by key position less query position from -(T-1) on; nil: none
	Drop                    float64 // probability of dropout of the probabilities, in training; see Dropout
	Queries, Keys           []Span  // rows of each sequence; Keys nil means Queries
}

// Cols is the columns of a matrix from one on: queries, keys and values may stand side by side in one.
type Cols struct {
	X    *Tensor
	From int
}

// Of returns all columns of x.
func Of(x *Tensor) Cols { return Cols{x, 0} }

// QKV returns the parts of qkv [N, (H+2·KVHeads)·D]: queries, then keys, then values.
func QKV(qkv *Tensor, o Attention) (q, k, v Cols) {
	nq, nk := o.Heads*o.HeadDim, o.KVHeads*o.HeadDim
	return Cols{qkv, 0}, Cols{qkv, nq}, Cols{qkv, nq + nk}
}

// stride is the elements between rows.
func (c Cols) stride() int {
	if c.X == nil {
		return 0
	}
	_, n := c.X.Dims2()
	return n
}

func (c Cols) of(b Buf) Buf {
	if b.None() {
		return b
	}
	return b.Slice(c.From, b.Len())
}

// attentionOp is y = attention of q over k and v.
type attentionOp struct {
	Attention
	q, k, v Cols
	y       *Tensor
	lse     *Tensor // [N·H], log-sum-exp of the scores
	drop    kernel.Dropout
}

// Attention takes queries [N, H·D], keys and values [M, KVHeads·D] and returns [N, H·D].
func (t *Tape) Attention(q, k, v Cols, o Attention) *Tensor {
	N, _ := q.X.Dims2()
	if o.Keys == nil {
		o.Keys = o.Queries
	}
	d := q.X.Data.DType()
	grads := t.wants(q.X, k.X, v.X, o.Bias)
	from := t.mark()
	a := attentionOp{Attention: o, q: q, k: k, v: v, y: t.tensor(d, N, o.Heads*o.HeadDim)}
	if t.training && o.Drop != 0 {
		a.drop = t.nextDropout(o.Drop)
	}
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
		Q: o.q.of(data(o.q.X)), K: o.k.of(data(o.k.X)), V: o.v.of(data(o.v.X)), O: data(o.y), LSE: data(o.lse),
		Queries: o.Queries, Keys: o.Keys, Scale: o.Scale, SoftCap: o.SoftCap, Causal: o.Causal, Window: o.Window, Bias: data(o.Bias), Drop: o.drop,
	}
	c.LDQ, c.LDK, c.LDV = o.q.stride(), o.k.stride(), o.v.stride()
	switch {
	case o.Bias == nil:
	case o.Bias.rank == 2:
		c.BiasK = o.Bias.dims[1]
	default:
		c.BiasQ, c.BiasK = o.Bias.dims[1], o.Bias.dims[2]
	}
	return c
}

func (o *attentionOp) reads() { read(o.q.X, o.k.X, o.v.X, o.y, o.lse, o.Bias) }

// back writes the gradients of q, k and v, which may be columns of one tensor.
func (o *attentionOp) back(t *Tape) {
	g := &t.call.attentionGrad
	*g = kernel.AttentionGrad{DO: o.y.Grad, DBias: t.sumGrad(o.Bias)}
	parts := [3]Cols{o.q, o.k, o.v}
	dst := [3]*Buf{&g.DQ, &g.DK, &g.DV}
	spans := [3][]Span{o.Queries, o.Keys, o.Keys}
	var whole, own, dx [3]Buf // own: scratch for a gradient that is there already, to be added to dx, or to be dropped
	for i, p := range parts {
		if i > 0 && parts[i-1].X == p.X {
			whole[i] = whole[i-1]
			*dst[i] = p.of(whole[i])
			continue
		}
		d, acc := t.grad(p.X)
		whole[i] = d
		if d.None() || acc {
			dx[i], own[i] = d, t.scratch(p.X.Data.DType(), p.X.Len())
			whole[i] = own[i]
		}
		if N, _ := p.X.Dims2(); rows(spans[i]) < N {
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

// CachedAttention is attention of new tokens, whose keys and values join a cache, over all that the cache holds of their sequences; it does not
// record. The queries are [N, H·D], keys and values [N, KVHeads·D]; o.Keys holds the positions of each sequence, the new ones included. Without k and
// v nothing joins: cross-attention over what Store put there.
func (t *Tape) CachedAttention(q, k, v Cols, cache *Cache, o Attention) *Tensor {
	N, _ := q.X.Dims2()
	a := attentionOp{Attention: o, q: q, k: k, v: v, y: t.tensor(q.X.Data.DType(), N, o.Heads*o.HeadDim)}
	c := a.call(t)
	c.Cache = cache
	t.k.Attention(c)
	return a.y
}

// Store puts keys and values [M, KVHeads·D] of new tokens into a cache: o.Queries are their rows, o.Keys the positions of each sequence, the new ones
// included.
func (t *Tape) Store(k, v Cols, cache *Cache, o Attention) {
	a := attentionOp{Attention: o, k: k, v: v}
	c := a.call(t)
	c.Cache = cache
	t.k.Attention(c)
}

func rows(spans []Span) int {
	n := 0
	for _, s := range spans {
		n += s.Len
	}
	return n
}
