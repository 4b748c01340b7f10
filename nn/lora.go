package nn

import (
	"fmt"
	"slices"

	"github.com/plinth-ml/plinth/tensor"
)

// LoRA is a change of low rank of a linear layer's weight W [out, in], or of some of its rows: W + s·B·A, of which only B and A are trained (Hu
// et al. 2021, eq. 3). With a magnitude m it is DoRA: row i of that is scaled to the length m_i (Liu et al. 2024, eq. 5).
type LoRA struct {
	A         *Param  // [r, in]; layers that are one module elsewhere share it
	B         *Param  // [n, r]
	Magnitude *Param  // [n], or nil
	From      int     // the first of the n rows of W, that is, columns of the layer's result
	Scale     float64 // s
	Dropout   float64 // probability, of the elements of the input that A sees, in training

	squares []float64      // of the rows of W
	factors *tensor.Tensor // m over the norms, while the change is merged
}

// change is what the adapter does to l's weight.
func (a *LoRA) change(l *Linear) *tensor.LowRank {
	return &tensor.LowRank{W: l.Weight.T(), InOut: l.InOut, A: a.A.T(), B: a.B.T(), From: a.From, Scale: a.Scale}
}

// Attach gives the layer an adapter, whose parameters have memory. Values of the layer's weight must not change from then on.
func (l *Linear) Attach(t *tensor.Tape, a *LoRA) {
	if l.merged {
		panic("nn: Attach to a layer with merged adapters")
	}
	if a.Magnitude != nil {
		a.squares = t.Squares(a.change(l))
	}
	l.Adapters = append(l.Adapters, a)
}

// ResetMagnitude makes DoRA's magnitude the lengths of the rows of W + s·B·A, so that it changes nothing.
func (a *LoRA) ResetMagnitude(t *tensor.Tape, l *Linear) {
	for i, v := range t.InverseNorms(a.change(l), a.squares).F32() {
		a.Magnitude.T().F32()[i] = 1 / v
	}
	a.Magnitude.T().Changed()
}

// adapted is Forward with the adapters. The norms of DoRA are constants for the gradient (section 4.3).
func (l *Linear) adapted(t *tensor.Tape, x *tensor.Tensor, act tensor.Act, residual *tensor.Tensor) *tensor.Tensor {
	g := l.magnitudes(t)
	bias, inside := l.Bias.T(), residual // what the product's epilogue adds
	if g != nil {
		bias, inside = nil, nil
	} else if act != tensor.Identity {
		inside = nil
	}
	y := t.Linear(x, l.Weight.T(), bias, tensor.Linear{InOut: l.InOut, Residual: inside})
	for _, a := range l.Adapters {
		u := t.Linear(t.Dropout(x, a.Dropout), a.A.T(), nil, tensor.Linear{}) // [N, r]
		y = t.AddProduct(y, u, a.B.T(), a.From, a.Scale)
	}
	if g != nil {
		y = t.ScaleColumns(y, g, l.Bias.T())
	}
	if act != tensor.Identity {
		y = t.Act(act, y)
	}
	if residual != nil && inside == nil {
		y = t.Add(y, residual)
	}
	return y
}

// magnitudes are the factors of the layer's rows, m_i over the length of row i where there is a magnitude and 1 elsewhere; nil where there is none at all.
func (l *Linear) magnitudes(t *tensor.Tape) *tensor.Tensor {
	out := l.outputs()
	var parts []*tensor.Tensor
	var rows []tensor.Buf
	var rest *tensor.Tensor // 1 in rows without a magnitude
	for _, a := range l.Adapters {
		if a.Magnitude == nil {
			continue
		}
		g := t.Mul(a.Magnitude.T(), t.InverseNorms(a.change(l), a.squares))
		if g.Len() == out {
			return g
		}
		if rest == nil {
			rest = t.Constant(1, out, 1)
		}
		ids := make([]int32, g.Len())
		for i := range ids {
			ids[i] = int32(a.From + i)
			rest.F32()[a.From+i] = 0
		}
		parts, rows = append(parts, g), append(rows, tensor.IDs(ids))
	}
	if rest == nil {
		return nil
	}
	return t.AddRows(rest, parts, rows)
}

func (l *Linear) outputs() int {
	out, in := l.Weight.T().Dims2()
	if l.InOut {
		return in
	}
	return out
}

// Merge puts the adapters' changes into the weight, which then needs no more arithmetic than without them; Unmerge takes them out again, but for
// roundings. The weight must be float32 memory of its own, and t must not record.
func (l *Linear) Merge(t *tensor.Tape) error {
	if d := l.Weight.T().Data.DType(); d != tensor.F32 {
		return fmt.Errorf("nn: an adapter cannot be merged into weights of %s; load the model as float32", d)
	}
	if l.merged || len(l.Adapters) == 0 {
		return nil
	}
	for _, a := range l.Adapters {
		if a.Magnitude != nil {
			g := slices.Clone(t.InverseNorms(a.change(l), a.squares).F32())
			for i, m := range a.Magnitude.T().F32() {
				g[i] *= m
			}
			a.factors = tensor.FromF32(g, len(g))
		}
		t.Merge(a.change(l), a.factors)
	}
	l.merged = true
	return nil
}

// Unmerge undoes Merge.
func (l *Linear) Unmerge(t *tensor.Tape) {
	if !l.merged {
		return
	}
	for i := range l.Adapters {
		a := l.Adapters[len(l.Adapters)-1-i]
		t.Unmerge(a.change(l), a.factors)
		a.factors = nil
	}
	l.merged = false
}

// Detach forgets the layer's adapters. Merged changes stay in the weight.
func (l *Linear) Detach() { l.Adapters, l.merged = nil, false }
