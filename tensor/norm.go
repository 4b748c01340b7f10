package tensor

import "fmt"

// layerNormOp is y = (x-mean)*rstd*w + b.
type layerNormOp struct {
	x, w, b, y, mean, rstd *Tensor
	eps                    float64
}

// LayerNorm returns (x-mean)/sqrt(var+eps)*w + b over the rows of x. x is [N, C], w [C], b [C] or nil.
func (t *Tape) LayerNorm(x, w, b *Tensor, eps float64) *Tensor {
	N, _ := x.Dims2()
	from := t.mark()
	y := t.like(x)
	d := x.Data.DType()
	mean, rstd := t.tensor(d, N), t.tensor(d, N)
	o := layerNormOp{x, w, b, y, mean, rstd, eps}
	o.remake(t)
	if t.wants(x, w, b) {
		record(t, y, from, o)
	}
	return y
}

func (o *layerNormOp) cheap() bool { return true }

func (o *layerNormOp) remake(t *Tape) {
	t.k.LayerNorm(o.y.Data, o.mean.Data, o.rstd.Data, o.x.Data, o.w.Data, data(o.b), o.eps)
}

func (o *layerNormOp) reads() { read(o.x, o.w, o.mean, o.rstd) }

func (o *layerNormOp) back(t *Tape) {
	t.drop(&o.y.Data)
	dx, acc := t.grad(o.x)
	t.k.LayerNormGrad(dx, t.sumGrad(o.w), t.sumGrad(o.b), o.y.Grad, o.x.Data, o.w.Data, o.mean.Data, o.rstd.Data, acc)
}

// rmsNormOp is y = x*rstd*w.
type rmsNormOp struct {
	x, w, y, rstd *Tensor
	eps           float64
}

// RMSNorm returns x scaled to unit root-mean-square over its rows, times w. x is [N, C], w [C]; or w is [D] and x [N, H·D], whose heads
// are normalised each by itself.
func (t *Tape) RMSNorm(x, w *Tensor, eps float64) *Tensor {
	if _, C := x.Dims2(); C%w.Len() != 0 {
		panic(fmt.Sprintf("tensor: RMSNorm of %v by %v", x.Shape(), w.Shape()))
	}
	from := t.mark()
	y := t.like(x)
	rstd := t.tensor(x.Data.DType(), x.Len()/w.Len())
	o := rmsNormOp{x, w, y, rstd, eps}
	o.remake(t)
	if t.wants(x, w) {
		record(t, y, from, o)
	}
	return y
}

func (o *rmsNormOp) cheap() bool { return true }

func (o *rmsNormOp) remake(t *Tape) {
	t.k.RMSNorm(o.y.Data, o.rstd.Data, o.x.Data, o.w.Data, o.eps)
}

func (o *rmsNormOp) reads() { read(o.x, o.w, o.rstd) }

func (o *rmsNormOp) back(t *Tape) {
	t.drop(&o.y.Data)
	dx, acc := t.grad(o.x)
	t.k.RMSNormGrad(dx, t.sumGrad(o.w), o.y.Grad, o.x.Data, o.w.Data, o.rstd.Data, acc)
}

// softmaxOp is y = softmax(x) over rows.
type softmaxOp struct{ x, y *Tensor }

// Softmax normalises the rows of x [N, C].
func (t *Tape) Softmax(x *Tensor) *Tensor {
	_, C := x.Dims2()
	from := t.mark()
	y := t.like(x)
	t.k.Softmax(y.Data, x.Data, C)
	if t.wants(x) {
		record(t, y, from, softmaxOp{x, y})
	}
	return y
}

func (o *softmaxOp) reads() { read(o.y) }

func (o *softmaxOp) back(t *Tape) {
	_, C := o.x.Dims2()
	dx, acc := t.grad(o.x)
	t.k.SoftmaxGrad(dx, o.y.Grad, o.y.Data, C, acc)
}
