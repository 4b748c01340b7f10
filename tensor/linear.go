package tensor

import (
	"fmt"

	"github.com/plinth-ml/plinth/internal/kernel"
)

// Linear describes a linear layer's product and what is fused into it.
type Linear struct {
	InOut    bool    // w is stored [in, out], as GPT-2's Conv1D does; otherwise [out, in]
	Act      Act     // applied to the product plus bias
	Residual *Tensor // [N, out], added last; or nil
}

// Linear returns act(x·w + b) + residual. x is [N, in], w [out, in] or with InOut [in, out], b [out] or nil; the result is [N, out].
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
	record := t.wants(x, w, b, o.Residual)
	from := t.mark()
	y := t.tensor(x.Data.DType(), N, out)
	m := kernel.MatMul{M: N, N: out, K: in, A: x.Data, B: w.Data, TransB: !o.InOut, C: y.Data, Act: o.Act}
	if b != nil {
		m.Bias = b.Data
	}
	if o.Residual != nil {
		m.Residual = o.Residual.Data
	}
	if t.pack {
		if w.packedBy != t.k {
			if w.packedBy != nil {
				w.packed = kernel.Packed{} // in another set's layout
			}
			t.k.Pack(&w.packed, w.Data, !o.InOut, in, out)
			w.packedBy = t.k
		}
		m.Packed = &w.packed
	}
	if record && o.Act != Identity {
		m.Pre = t.scratch(x.Data.DType(), N*out)
	}
	t.k.MatMul(&m)
	if !record {
		return y
	}
	pre := m.Pre // [N, out], the value before act
	t.record(y, from, func() {
		dz := y.Grad // [N, out], gradient of the product
		if o.Act != Identity {
			dz = pre
			t.k.ActGrad(o.Act, dz, y.Grad, pre, false)
		}
		if dx, acc := t.grad(x); !dx.None() {
			t.k.MatMul(&kernel.MatMul{M: N, N: in, K: out, A: dz, B: w.Data, TransB: o.InOut, C: dx, Accumulate: acc})
		}
		if dw, acc := t.grad(w); !dw.None() {
			dW := kernel.MatMul{M: out, N: in, K: N, A: dz, B: x.Data, TransA: true, C: dw, Accumulate: acc}
			if o.InOut {
				dW.M, dW.N, dW.A, dW.B = in, out, x.Data, dz
			}
			t.k.MatMul(&dW)
		}
		if db := t.sumGrad(b); !db.None() {
			t.k.SumRows(db, dz)
		}
		t.give(o.Residual, y)
	})
	return y
}

// MatMul returns a·b. a is [M, K], b [K, N], the result [M, N].
func (t *Tape) MatMul(a, b *Tensor) *Tensor { return t.Linear(a, b, nil, Linear{InOut: true}) }
