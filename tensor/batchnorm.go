package tensor

import (
	"fmt"

	"github.com/plinth-ml/plinth/internal/kernel"
)

// BatchNorm describes the normalisation of columns and what is fused into it.
type BatchNorm struct {
	Eps      float64
	Momentum float64 // share of a batch in the running statistics: PyTorch's is 0.1
	Frozen   bool    // the running statistics are used, and stay, in training too
	Residual *Tensor // [N, C], added to the normalised x; or nil
	Act      Act     // applied last
}

// batchNormOp is y = act((x-mean)/sqrt(variance+eps)*w + b + residual).
type batchNormOp struct {
	BatchNorm
	x, w, b, y     *Tensor
	mean, variance *Tensor // [C]
	fixed          bool    // they are running statistics
}

// BatchNorm returns act((x-mean)/sqrt(variance+eps)·w + b + residual) (Ioffe & Szegedy 2015). x is [N, C], w, b, mean and variance [C]. A tape for training
// takes the statistics of the columns of x, with the variance divided by N, and, where it records, moves mean and variance by the share Momentum towards them,
// with the variance divided by N-1, as PyTorch does. Otherwise mean and variance are the statistics. They are never trained.
func (t *Tape) BatchNorm(x, w, b, mean, variance *Tensor, o BatchNorm) *Tensor {
	N, C := x.Dims2()
	if w.Len() != C || b.Len() != C || mean.Len() != C || variance.Len() != C {
		panic(fmt.Sprintf("tensor: BatchNorm of %v by %v, %v with statistics %v, %v", x.Shape(), w.Shape(), b.Shape(), mean.Shape(), variance.Shape()))
	}
	if o.Residual != nil {
		mustMatch("BatchNorm with residual", x, o.Residual)
	}
	from := t.mark()
	n := batchNormOp{BatchNorm: o, x: x, w: w, b: b, y: t.like(x), mean: mean, variance: variance, fixed: !t.training || o.Frozen}
	if !n.fixed {
		d := x.Data.DType()
		n.mean, n.variance = t.tensor(d, C), t.tensor(d, C)
		t.k.BatchStats(n.mean.Data, n.variance.Data, x.Data)
		if t.recording {
			move(t, mean, n.mean, o.Momentum, 1)
			move(t, variance, n.variance, o.Momentum, float64(N)/float64(max(N-1, 1)))
		}
	}
	n.remake(t)
	if t.wants(x, w, b, o.Residual) {
		record(t, n.y, from, n)
	}
	return n.y
}

// move is running += share·(factor·batch - running).
func move(t *Tape, running, batch *Tensor, share, factor float64) {
	t.k.Scale(running.Data, 1-share, running.Data)
	t.k.Axpy(running.Data, share*factor, batch.Data)
	running.Changed()
}

func (o *batchNormOp) call(t *Tape) *kernel.BatchNorm {
	t.call.batchNorm = kernel.BatchNorm{X: o.x.Data, Y: o.y.Data, Mean: o.mean.Data, Var: o.variance.Data, Weight: o.w.Data, Bias: o.b.Data,
		Residual: data(o.Residual), Act: o.Act, Eps: o.Eps}
	return &t.call.batchNorm
}

func (o *batchNormOp) cheap() bool    { return true }
func (o *batchNormOp) remake(t *Tape) { t.k.BatchNorm(o.call(t)) }

func (o *batchNormOp) reads() { read(o.x, o.w, o.b, o.mean, o.variance, o.Residual) }

func (o *batchNormOp) back(t *Tape) {
	t.drop(&o.y.Data)
	n := o.call(t)
	g := &t.call.batchNormGrad
	*g = kernel.BatchNormGrad{DY: o.y.Grad, DW: t.sumGrad(o.w), DB: t.sumGrad(o.b), Fixed: o.fixed}
	g.DX, g.Acc = t.grad(o.x)
	t.k.BatchNormGrad(n, g)
	t.give(o.Residual, o.y)
}
