package tensor

import "fmt"

// TopK returns the columns of the k largest elements of each row of x [N, C], the largest first and of equal ones the first column first:
// N·k numbers. It reads the values, and nothing flows back through the choice.
func (t *Tape) TopK(x *Tensor, k int) []int32 {
	N, C := x.Dims2()
	if k > C {
		panic(fmt.Sprintf("tensor: TopK of %d of %v", k, x.Shape()))
	}
	if x.Data.DType() == F64 {
		return topK(x.Data.F64(), N, C, k)
	}
	return topK(x.Data.F32(), N, C, k)
}

func topK[T float32 | float64](x []T, rows, columns, k int) []int32 {
	chosen := make([]int32, 0, rows*k)
	used := make([]bool, columns)
	for r := range rows {
		row := x[r*columns : (r+1)*columns]
		clear(used)
		for range k {
			best := -1
			for c, v := range row {
				if !used[c] && (best < 0 || v > row[best]) {
					best = c
				}
			}
			used[best] = true
			chosen = append(chosen, int32(best))
		}
	}
	return chosen
}

// pickOp is y = elements of x.
type pickOp struct {
	x, y *Tensor
	at   Buf
}

// Pick returns the elements of x that at, I32 [N·columns], names by their place in memory: [N, columns].
func (t *Tape) Pick(x *Tensor, at Buf, columns int) *Tensor {
	from := t.mark()
	y := t.tensor(x.Data.DType(), at.Len()/columns, columns)
	t.k.Gather(y.Data, x.Data, at, 1, false)
	if t.wants(x) {
		record(t, y, from, pickOp{x, y, at})
	}
	return y
}

func (o *pickOp) reads() {}

func (o *pickOp) back(t *Tape) { t.k.ScatterAdd(t.sumGrad(o.x), o.y.Grad, o.at, 1) }

// addRowsOp is y = x with parts added to some of its rows.
type addRowsOp struct {
	x, y  *Tensor
	parts []*Tensor
	rows  []Buf
}

// AddRows returns x [N, C] with row i of every part [n, C] added to the row that rows, I32 [n] for each part, names: part after part.
func (t *Tape) AddRows(x *Tensor, parts []*Tensor, rows []Buf) *Tensor {
	_, C := x.Dims2()
	from := t.mark()
	y := t.like(x)
	t.k.Copy(y.Data, x.Data)
	for i, p := range parts {
		t.k.ScatterAdd(y.Data, p.Data, rows[i], C)
	}
	if t.wants(append(parts, x)...) {
		record(t, y, from, addRowsOp{x, y, parts, rows})
	}
	return y
}

func (o *addRowsOp) reads() {}

func (o *addRowsOp) back(t *Tape) {
	_, C := o.y.Dims2()
	for i, p := range o.parts {
		if dp, acc := t.grad(p); !dp.None() {
			t.k.Gather(dp, o.y.Grad, o.rows[i], C, acc)
		}
	}
	t.give(o.x, o.y)
}
