package tensor

import "github.com/plinth-ml/plinth/internal/kernel"

// RopeTable holds the cosines and sines of rotary position embedding (Su et al. 2021, eq. 34).
type RopeTable struct {
	HeadDim  int
	Dims     int  // R, the first elements of each head, which turn; 0 means all
	Pairs    bool // rotate elements (2i, 2i+1), as GPT-J; otherwise (i, i+R/2), as Llama
	Cos, Sin Buf  // [rows, R/2]
}

// NewRopeTable returns a table of the given number of rows, one for each position. turn tells the cosine and the sine of pair i in a row.
func NewRopeTable(d DType, headDim, dims int, pairs bool, rows int, turn func(row, i int) (cos, sin float64)) *RopeTable {
	if dims == 0 {
		dims = headDim
	}
	half := dims / 2
	r := &RopeTable{headDim, dims, pairs, kernel.Alloc(d, rows*half), kernel.Alloc(d, rows*half)}
	for p := range rows {
		for i := range half {
			cos, sin := turn(p, i)
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
	x, y  *Tensor
	table *RopeTable
	rows  Buf
}

// Rope rotates every head of x [N, H*D] by the row of the table that rows, I32 [N], names: the position.
func (t *Tape) Rope(x *Tensor, r *RopeTable, rows Buf) *Tensor {
	from := t.mark()
	y := t.like(x)
	o := ropeOp{x, y, r, rows}
	o.rotate(t, y.Data, x.Data, false)
	if t.wants(x) {
		record(t, y, from, o)
	}
	return y
}

func (o *ropeOp) reads() {}

func (o *ropeOp) back(t *Tape) {
	o.rotate(t, o.y.Grad, o.y.Grad, true)
	t.give(o.x, o.y)
}

func (o *ropeOp) rotate(t *Tape, y, x Buf, inverse bool) {
	_, C := o.x.Dims2()
	r := o.table
	t.call.rope = kernel.Rope{Heads: C / r.HeadDim, HeadDim: r.HeadDim, Dims: r.Dims, Pairs: r.Pairs, Inverse: inverse, Pos: o.rows, Cos: r.Cos, Sin: r.Sin}
	t.k.Rope(y, x, &t.call.rope)
}
