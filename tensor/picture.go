package tensor

import (
	"fmt"

	"github.com/plinth-ml/plinth/internal/kernel"
)

// Pictures says which pixels the rows of a matrix [B·H·W, C] are: those of B pictures, each from its upper left corner on, row by row.
type Pictures struct{ B, H, W int }

// Rows is the number of pixels of all pictures.
func (p Pictures) Rows() int { return p.B * p.H * p.W }

// channels returns the width of x, whose rows must be the pixels of p.
func (p Pictures) channels(op string, x *Tensor) int {
	n, c := x.Dims2()
	if n != p.Rows() {
		panic(fmt.Sprintf("tensor: %s of %v for %d pictures of %d x %d pixels", op, x.Shape(), p.B, p.H, p.W))
	}
	return c
}

// avgPoolOp is y = the means of squares of x.
type avgPoolOp struct {
	kernel.Pool
	x, y *Tensor
}

// AvgPool returns the means of squares of size x size pixels, one beside the other; what is left over at the lower and right border counts nowhere.
// x is [B·H·W, C]; the result has pictures of H/size x W/size pixels.
func (t *Tape) AvgPool(x *Tensor, p Pictures, size int) (*Tensor, Pictures) {
	o := avgPoolOp{Pool: kernel.Pool{B: p.B, H: p.H, W: p.W, C: p.channels("AvgPool", x), Size: size}, x: x}
	out := Pictures{B: p.B}
	out.H, out.W = o.Out()
	from := t.mark()
	o.y = t.tensor(x.Data.DType(), out.Rows(), o.C)
	t.k.AvgPool(o.Pool, o.y.Data, x.Data)
	if t.wants(x) {
		record(t, o.y, from, o)
	}
	return o.y, out
}

func (o *avgPoolOp) reads() {}

func (o *avgPoolOp) back(t *Tape) {
	dx, acc := t.grad(o.x)
	t.k.AvgPoolGrad(o.Pool, dx, o.y.Grad, acc)
}
