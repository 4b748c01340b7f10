package tensor

import (
	"fmt"
	"sync"

	"github.com/plinth-ml/plinth/internal/kernel"
)

// Linear describes a linear layer's product and what is fused into it.
type Linear struct {
	InOut    bool    // w is stored [in, out], as GPT-2's Conv1D does; otherwise [out, in]
	Act      Act     // applied to the product plus bias
	Drop     float64 // probability of dropout after that, in training; see Dropout
	Residual *Tensor // [N, out], added last; or nil
}

// linearOp is y = dropout(act(x·w + b)) + residual.
type linearOp struct {
	x, w, b, y *Tensor
	pre        *Tensor        // [N, out], the value before act; nil for Identity
	drop       kernel.Dropout // with P 0: none
	Linear
}

// Linear returns dropout(act(x·w + b)) + residual. x is [N, in], w [out, in] or with InOut [in, out], b [out] or nil; the result is [N, out].
// w may have a storage type (without InOut). It then is a constant; the gradient of x is that of a product with the numbers that w stands for, in float32.
func (t *Tape) Linear(x, w, b *Tensor, o Linear) *Tensor {
	N, in := x.Dims2()
	out, wIn := w.Dims2()
	if o.InOut {
		out, wIn = wIn, out
	}
	if in != wIn || b != nil && b.Len() != out {
		panic(fmt.Sprintf("tensor: Linear of x %v, w %v (in-out %v)", x.Shape(), w.Shape(), o.InOut))
	}
	if o.Residual != nil {
		if rN, rC := o.Residual.Dims2(); rN != N || rC != out {
			panic(fmt.Sprintf("tensor: Linear residual %v for result [%d, %d]", o.Residual.Shape(), N, out))
		}
	}
	grads := t.wants(x, w, b, o.Residual)
	stored := w.Data.DType().Stored()
	from := t.mark()
	y := t.tensor(x.Data.DType(), N, out)
	m := kernel.MatMul{M: N, N: out, K: in, A: x.Data, B: w.Data, TransB: !o.InOut, C: y.Data, Act: o.Act, Bias: data(b)}
	var drop kernel.Dropout
	if t.training && o.Drop != 0 {
		drop = t.nextDropout(o.Drop)
	} else {
		m.Residual = data(o.Residual)
	}
	if t.pack && !stored { // products read a storage type as it lies
		m.Packed = t.packed(w, !o.InOut, in, out, N)
	}
	var pre *Tensor
	if grads && o.Act != Identity {
		pre = t.like(y)
		m.Pre = pre.Data
	}
	t.product(m)
	if drop.P != 0 {
		t.k.Dropout(drop, y.Data, y.Data, false)
		if o.Residual != nil {
			t.k.Add(y.Data, y.Data, o.Residual.Data)
		}
	}
	if grads {
		record(t, y, from, linearOp{x, w, b, y, pre, drop, o})
	}
	return y
}

// Linears sets ys[i] to x·ws[i] + bs[i], for at most three layers whose weights are stored [out, in]: as Linear of each, but where nothing
// needs a gradient the weights are read in one loop. x is [N, in], ws[i] [out, in], bs[i] [out] or nil, ys[i] [N, out].
func (t *Tape) Linears(ys []*Tensor, x *Tensor, ws, bs []*Tensor) {
	grads := false
	for i, w := range ws {
		grads = grads || t.wants(x, w, bs[i])
	}
	if grads {
		for i, w := range ws {
			ys[i] = t.Linear(x, w, bs[i], Linear{})
		}
		return
	}
	N, in := x.Dims2()
	ms := t.call.products[:len(ws)]
	for i, w := range ws {
		out, wIn := w.Dims2()
		if in != wIn || bs[i] != nil && bs[i].Len() != out {
			panic(fmt.Sprintf("tensor: Linears of x %v, w %v", x.Shape(), w.Shape()))
		}
		ys[i] = t.tensor(x.Data.DType(), N, out)
		ms[i] = kernel.MatMul{M: N, N: out, K: in, A: x.Data, B: w.Data, TransB: true, C: ys[i].Data, Bias: data(bs[i])}
		if t.pack && !w.Data.DType().Stored() {
			ms[i].Packed = t.packed(w, true, in, out, N)
		}
		if i > 0 {
			ms[i-1].Next = &ms[i]
		}
	}
	t.k.MatMul(&ms[0])
}

// packing is a weight in the layout that products read fastest, as it was in its version.
type packing struct {
	kernel.Packed
	version int
	uses    int // products so far that would have gained by it
	bias    Buf // of ConvNorm
}

// packs are the packed weights of a tape, or of several of one set of weights.
type packs struct {
	sync.Mutex
	of map[*Tensor]*packing
}

// entry returns the place of w's packed form; p is locked.
func (p *packs) entry(w *Tensor) *packing {
	if p.of == nil {
		p.of = map[*Tensor]*packing{}
	}
	e := p.of[w]
	if e == nil {
		e = &packing{version: w.version - 1}
		p.of[w] = e
	}
	return e
}

// A packed copy takes as much memory as the weight. Products of many rows make one on the way at little cost, and a set may read weights
// [out, in] as they lie for a single row; those between gain by a factor of about two, which pays once there are several of them.
const (
	packRows = 64 // so many rows are many
	packUses = 8
)

// packed returns op(w) [in, out] in packed form for a product with so many rows, made anew where w has changed, or nil while that does not pay. In 8 bits it
// always pays.
func (t *Tape) packed(w *Tensor, trans bool, in, out, rows int) *kernel.Packed {
	t.packs.Lock()
	defer t.packs.Unlock()
	p := t.packs.entry(w)
	if !t.int8 && trans && p.uses < packUses && t.k.ReadsRows {
		if rows > 1 && rows < packRows {
			p.uses++
		}
		if p.uses < packUses {
			return nil
		}
	}
	if p.version != w.version || p.K != in || p.N != out {
		pack := t.k.Pack
		if t.int8 {
			pack = t.k.PackInt8
		}
		pack(&p.Packed, w.Data, trans, in, out)
		p.version = w.version
	}
	return &p.Packed
}

func (t *Tape) product(m kernel.MatMul) {
	t.call.product = m
	t.k.MatMul(&t.call.product)
}

func (o *linearOp) cheap() bool { return o.Act != Identity && o.Residual == nil }

func (o *linearOp) remake(t *Tape) {
	t.k.Act(o.Act, o.y.Data, o.pre.Data)
	if o.drop.P != 0 {
		t.k.Dropout(o.drop, o.y.Data, o.y.Data, false)
	}
}

func (o *linearOp) reads() {
	read(o.pre)
	if needs(o.x) {
		read(o.w)
	}
	if needs(o.w) {
		read(o.x)
	}
	if o.drop.P != 0 {
		read(o.y) // as scratch
	}
}

func (o *linearOp) back(t *Tape) {
	x, w, y := o.x, o.w, o.y
	N, in := x.Dims2()
	_, out := y.Dims2()
	dz := y.Grad // [N, out], gradient of the product
	if o.drop.P != 0 {
		dz = y.Data // which is not needed any more
		t.k.Dropout(o.drop, dz, y.Grad, false)
	} else {
		t.drop(&y.Data)
	}
	if o.Act != Identity {
		t.k.ActGrad(o.Act, o.pre.Data, dz, o.pre.Data, false)
		dz = o.pre.Data
	}
	if o.Residual == nil && (o.drop.P != 0 || o.Act != Identity) {
		t.drop(&y.Grad)
	}
	if dx, acc := t.grad(x); !dx.None() {
		t.product(kernel.MatMul{M: N, N: in, K: out, A: dz, B: w.Data, TransB: o.InOut, C: dx, Accumulate: acc})
	}
	if dw, acc := t.grad(w); !dw.None() {
		dW := kernel.MatMul{M: out, N: in, K: N, A: dz, B: x.Data, TransA: true, C: dw, Accumulate: acc}
		if o.InOut {
			dW.M, dW.N, dW.A, dW.B = in, out, x.Data, dz
		}
		t.product(dW)
	}
	if db := t.sumGrad(o.b); !db.None() {
		t.k.SumRows(db, dz)
	}
	t.give(o.Residual, y)
}

// MatMul returns a·b. a is [M, K], b [K, N], the result [M, N].
func (t *Tape) MatMul(a, b *Tensor) *Tensor { return t.Linear(a, b, nil, Linear{InOut: true}) }
