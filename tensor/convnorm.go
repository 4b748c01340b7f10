package tensor

import (
	"math"

	"github.com/plinth-ml/plinth/internal/kernel"
)

// Norm is a batch norm with its vectors, [C] each.
type Norm struct {
	Weight, Bias, Mean, Var *Tensor
	BatchNorm
}

// ConvNorm returns the batch norm n of the convolution of x, the pixels of p, by w [O, C, KH, KW], with the stride and padding of c, whose other fields are not
// looked at. A tape for inference makes one convolution of both, by the weight times the norm's factors: the same but for roundings.
func (t *Tape) ConvNorm(x *Tensor, p Pictures, w *Tensor, c Conv, n Norm) (*Tensor, Pictures) {
	c = Conv{Stride: c.Stride, Pad: c.Pad}
	if !t.pack {
		y, out := t.Conv(x, p, w, nil, c)
		return t.BatchNorm(y, n.Weight, n.Bias, n.Mean, n.Var, n.BatchNorm), out
	}
	o := convOp{Conv: c, pictures: p, x: x, w: w}
	k := o.call(t)
	out := Pictures{B: p.B}
	out.H, out.W = k.Out()
	y := t.tensor(x.Data.DType(), out.Rows(), k.O)
	k.Y, k.Act, k.Residual, k.ActLast = y.Data, n.Act, data(n.Residual), true
	k.Packed, k.Bias = t.folded(w, k, n)
	t.k.Conv(k)
	return y, out
}

// folded returns the weight times the norm's factors, packed, and the norm's summands, made anew where one of them has changed.
func (t *Tape) folded(w *Tensor, c *kernel.Conv, n Norm) (*kernel.Packed, Buf) {
	t.packs.Lock()
	defer t.packs.Unlock()
	p := t.packs.entry(w)
	version := w.version + n.Weight.version + n.Bias.version + n.Mean.version + n.Var.version // each only grows
	if p.bias.None() || p.version != version {
		weight, bias, mean, variance := values(n.Weight.Data), values(n.Bias.Data), values(n.Mean.Data), values(n.Var.Data)
		scale, shift := make([]float64, c.O), make([]float32, c.O)
		for o := range scale {
			scale[o] = weight(o) / math.Sqrt(variance(o)+n.Eps)
			shift[o] = float32(bias(o) - mean(o)*scale[o])
		}
		t.packConv(p, w, c, scale)
		p.bias, p.version = kernel.OfF32(shift), version
	}
	return &p.Packed, p.bias
}
