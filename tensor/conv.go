package tensor

import (
	"fmt"

	"github.com/plinth-ml/plinth/internal/kernel"
)

// Conv describes a convolution and what is fused into it.
type Conv struct {
	Stride, Pad int     // of both axes; Stride 0 means 1
	Act         Act     // applied to the sum plus bias
	Residual    *Tensor // of the result's size, added last; or nil
}

// convOp is y = act(conv(x, w) + b) + residual.
type convOp struct {
	Conv
	pictures   Pictures
	x, w, b, y *Tensor
	pre        *Tensor // of y's size, the value before act; nil for Identity
}

// Conv returns act(x * w + b) + residual for the cross-correlation x * w, with x 0 outside of the pictures. x is [B·H·W, C], the pixels of p; w [O, C, KH, KW],
// b [O] or nil; the result is [B·H'·W', O], the pixels of the pictures returned, with H' = (H + 2·Pad - KH)/Stride + 1.
func (t *Tape) Conv(x *Tensor, p Pictures, w, b *Tensor, o Conv) (*Tensor, Pictures) {
	c := convOp{Conv: o, pictures: p, x: x, w: w, b: b}
	k := c.call(t)
	out := Pictures{B: p.B}
	out.H, out.W = k.Out()
	if o.Residual != nil {
		if n, width := o.Residual.Dims2(); n != out.Rows() || width != k.O {
			panic(fmt.Sprintf("tensor: Conv residual %v for result [%d, %d]", o.Residual.Shape(), out.Rows(), k.O))
		}
	}
	grads := t.wants(x, w, b, o.Residual)
	from := t.mark()
	c.y = t.tensor(x.Data.DType(), out.Rows(), k.O)
	k.Y, k.Bias, k.Act, k.Residual = c.y.Data, data(b), o.Act, data(o.Residual)
	if t.pack {
		k.Packed = t.packedConv(w, k)
	} else if w.Data.DType().Stored() {
		wide := t.widened(w)
		defer t.drop(&wide)
		k.Weight = wide
	}
	if grads && o.Act != Identity {
		c.pre = t.like(c.y)
		k.Pre = c.pre.Data
	}
	t.k.Conv(k)
	if grads {
		record(t, c.y, from, c)
	}
	return c.y, out
}

// call returns the kernel's arguments but for those of the epilogue.
func (o *convOp) call(t *Tape) *kernel.Conv {
	O, in, kh, kw := o.w.Dims4()
	p := o.pictures
	if C := p.channels("Conv", o.x); C != in || o.b != nil && o.b.Len() != O {
		panic(fmt.Sprintf("tensor: Conv of x %v by w %v", o.x.Shape(), o.w.Shape()))
	}
	t.call.conv = kernel.Conv{B: p.B, H: p.H, W: p.W, C: in, O: O, KH: kh, KW: kw, Stride: max(o.Stride, 1), Pad: o.Pad, X: o.x.Data, Weight: o.w.Data}
	return &t.call.conv
}

// widened returns a copy of the numbers that a weight stands for, to be dropped by the caller.
func (t *Tape) widened(w *Tensor) Buf {
	O, n := w.Dims2()
	rows := t.scratch(I32, O)
	for i := range rows.I32() {
		rows.I32()[i] = int32(i)
	}
	wide := t.scratch(valuesOf(w), w.Len())
	t.k.Gather(wide, w.Data, rows, n, false)
	t.drop(&rows)
	return wide
}

// packedConv returns the weight in packed form, made anew where it has changed.
func (t *Tape) packedConv(w *Tensor, c *kernel.Conv) *kernel.Packed {
	t.packs.Lock()
	defer t.packs.Unlock()
	p := t.packs.entry(w)
	if p.version != w.version || !p.bias.None() {
		t.packConv(p, w, c, nil)
		p.bias, p.version = Buf{}, w.version
	}
	return &p.Packed
}

// packConv packs the weight of c, output o times scale[o] where there is a scale.
func (t *Tape) packConv(p *packing, w *Tensor, c *kernel.Conv, scale []float64) {
	k := *c
	if scale != nil || w.Data.DType().Stored() {
		k.Weight = t.widened(w)
		defer t.drop(&k.Weight)
	}
	n := w.Len() / k.O
	for o, v := range scale {
		row := k.Weight.Slice(o*n, (o+1)*n)
		t.k.Scale(row, v, row)
	}
	t.k.PackConv(&p.Packed, &k)
}

func (o *convOp) cheap() bool    { return o.Act != Identity && o.Residual == nil }
func (o *convOp) remake(t *Tape) { t.k.Act(o.Act, o.y.Data, o.pre.Data) }

func (o *convOp) reads() {
	read(o.pre)
	if needs(o.x) {
		read(o.w)
	}
	if needs(o.w) {
		read(o.x)
	}
}

func (o *convOp) back(t *Tape) {
	y := o.y
	t.drop(&y.Data)
	dz := y.Grad // of the sum
	if o.Act != Identity {
		t.k.ActGrad(o.Act, o.pre.Data, dz, o.pre.Data, false)
		dz = o.pre.Data
		if o.Residual == nil {
			t.drop(&y.Grad)
		}
	}
	g := &t.call.convGrad
	*g = kernel.ConvGrad{DY: dz}
	g.DX, g.Acc = t.grad(o.x)
	g.DW = t.sumGrad(o.w)
	t.k.ConvGrad(o.call(t), g)
	if db := t.sumGrad(o.b); !db.None() {
		t.k.SumRows(db, dz)
	}
	t.give(o.Residual, y)
}
