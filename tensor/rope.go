package tensor

import (
	"math"

	"github.com/plinth-ml/plinth/internal/kernel"
)

// RopeTable holds the cosines and sines of rotary position embedding.
type RopeTable struct {
	HeadDim  int
	Pairs    bool // rotate elements (2i, 2i+1), as GPT-J; otherwise (i, i+D/2), as Llama
	Cos, Sin Buf  // [positions, D/2]
}

// NewRopeTable returns the table for positions [0, positions) with angles p·base^(-2i/D) (Su et al. 2021, section 3.2.2).
func NewRopeTable(d DType, positions, headDim int, base float64, pairs bool) *RopeTable {
	half := headDim / 2
	r := &RopeTable{headDim, pairs, kernel.Alloc(d, positions*half), kernel.Alloc(d, positions*half)}
	for p := range positions {
		for i := range half {
			sin, cos := math.Sincos(float64(p) * math.Pow(base, -2*float64(i)/float64(headDim)))
			if d == F64 {
				r.Cos.F64()[p*half+i], r.Sin.F64()[p*half+i] = cos, sin
			} else {
				r.Cos.F32()[p*half+i], r.Sin.F32()[p*half+i] = float32(cos), float32(sin)
			}
		}
	}
	return r
}

// ropeOp is y = x, rotated.
type ropeOp struct {
	x, y      *Tensor
	table     *RopeTable
	positions Buf
}

// Rope rotates every head of x [N, H*D] by its row's position; positions is I32 [N].
func (t *Tape) Rope(x *Tensor, r *RopeTable, positions Buf) *Tensor {
	from := t.mark()
	y := t.like(x)
	o := ropeOp{x, y, r, positions}
	o.rotate(t, y.Data, x.Data, false)
	if t.wants(x) {
		record(t, y, from, o)
	}
	return y
}

func (o *ropeOp) back(t *Tape) {
	o.rotate(t, o.y.Grad, o.y.Grad, true)
	t.give(o.x, o.y)
}

func (o *ropeOp) rotate(t *Tape, y, x Buf, inverse bool) {
	_, C := o.x.Dims2()
	r := o.table
	t.call.rope = kernel.Rope{Heads: C / r.HeadDim, HeadDim: r.HeadDim, Pairs: r.Pairs, Inverse: inverse, Pos: o.positions, Cos: r.Cos, Sin: r.Sin}
	t.k.Rope(y, x, &t.call.rope)
}
