package nn

import (
	"math"

	"github.com/plinth-ml/plinth/tensor"
)

// Conv is a convolution of pictures: see tensor.Tape.Conv.
type Conv struct {
	Weight      *Param `name:"weight"` // [O, C, K, K]
	Bias        *Param `name:"bias"`   // [O], or nil
	Stride, Pad int
}

// NewConv returns a layer with a square kernel of size x size pixels, padded so that with stride 1 the picture keeps its size. Its weight starts as
// N(0, 1/(3·C·size²)), the variance that PyTorch's have.
func NewConv(in, out, size, stride int, bias bool) *Conv {
	l := &Conv{Weight: NewParam(1/math.Sqrt(float64(3*in*size*size)), out, in, size, size), Stride: stride, Pad: size / 2}
	if bias {
		l.Bias = NewConstant(0, out)
	}
	return l
}

// Forward maps the pixels x [B·H·W, C] of pictures to those of the pictures that it returns: act(conv + b) + residual, which may be nil.
func (l *Conv) Forward(t *tensor.Tape, x *tensor.Tensor, p tensor.Pictures, act tensor.Act, residual *tensor.Tensor) (*tensor.Tensor, tensor.Pictures) {
	return t.Conv(x, p, l.Weight.T(), l.Bias.T(), tensor.Conv{Stride: l.Stride, Pad: l.Pad, Act: act, Residual: residual})
}

// ForwardNorm is Forward with the batch norm n behind it: act(norm(conv) + residual). The layer has no bias.
func (l *Conv) ForwardNorm(t *tensor.Tape, x *tensor.Tensor, p tensor.Pictures, n *BatchNorm, act tensor.Act, residual *tensor.Tensor) (*tensor.Tensor, tensor.Pictures) {
	return t.ConvNorm(x, p, l.Weight.T(), tensor.Conv{Stride: l.Stride, Pad: l.Pad},
		tensor.Norm{Weight: n.Weight.T(), Bias: n.Bias.T(), Mean: n.Mean.T(), Var: n.Var.T(), BatchNorm: n.spec(act, residual)})
}

// BatchNorm normalises columns by the statistics of the batch, or by running ones: see tensor.Tape.BatchNorm.
type BatchNorm struct {
	Weight *Param `name:"weight"`       // [C]
	Bias   *Param `name:"bias"`         // [C]
	Mean   *Param `name:"running_mean"` // [C], a statistic
	Var    *Param `name:"running_var"`  // [C], a statistic

	Eps, Momentum float64
	Frozen        bool // the running statistics are used, and stay, in training too
}

// NewBatchNorm returns a layer with PyTorch's settings, whose scale starts at scale.
func NewBatchNorm(width int, scale float64) *BatchNorm {
	return &BatchNorm{Weight: NewConstant(scale, width), Bias: NewConstant(0, width), Mean: NewStatistic(0, width), Var: NewStatistic(1, width), Eps: 1e-5, Momentum: 0.1}
}

// Forward maps x [N, C] to act(norm(x) + residual), which may be nil.
func (l *BatchNorm) Forward(t *tensor.Tape, x *tensor.Tensor, act tensor.Act, residual *tensor.Tensor) *tensor.Tensor {
	return t.BatchNorm(x, l.Weight.T(), l.Bias.T(), l.Mean.T(), l.Var.T(), l.spec(act, residual))
}

func (l *BatchNorm) spec(act tensor.Act, residual *tensor.Tensor) tensor.BatchNorm {
	return tensor.BatchNorm{Eps: l.Eps, Momentum: l.Momentum, Frozen: l.Frozen, Act: act, Residual: residual}
}
