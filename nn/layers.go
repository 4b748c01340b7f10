package nn

import "github.com/plinth-ml/plinth/tensor"

// Linear is y = act(x·w + b). The weight is stored [out, in], or [in, out] when InOut (GPT-2's Conv1D).
type Linear struct {
	Weight *Param `name:"weight"`
	Bias   *Param `name:"bias"` // [out], or nil
	InOut  bool

	Adapters []*LoRA // changes of the weight that are kept apart from it, or none
	merged   bool    // the changes are in the weight
}

// NewLinear returns a layer that starts as N(0, std²) with a zero bias.
func NewLinear(in, out int, std float64, bias bool) *Linear {
	l := &Linear{Weight: NewParam(std, out, in)}
	if bias {
		l.Bias = NewConstant(0, out)
	}
	return l
}

// NewConv1D is NewLinear with the weight stored [in, out].
func NewConv1D(in, out int, std float64) *Linear {
	return &Linear{Weight: NewParam(std, in, out), Bias: NewConstant(0, out), InOut: true}
}

// Forward maps x [N, in] to [N, out]: act(x·w + b) + residual, which may be nil.
func (l *Linear) Forward(t *tensor.Tape, x *tensor.Tensor, act tensor.Act, residual *tensor.Tensor) *tensor.Tensor {
	if len(l.Adapters) > 0 && !l.merged {
		return l.adapted(t, x, act, residual)
	}
	return t.Linear(x, l.Weight.T(), l.Bias.T(), tensor.Linear{InOut: l.InOut, Act: act, Residual: residual})
}

// ForwardDrop maps x [N, in] to [N, out]: dropout(x·w + b) + residual, with each element of the product left out with probability p in training.
func (l *Linear) ForwardDrop(t *tensor.Tape, x *tensor.Tensor, p float64, residual *tensor.Tensor) *tensor.Tensor {
	if p == 0 {
		return l.Forward(t, x, tensor.Identity, residual)
	}
	if len(l.Adapters) > 0 && !l.merged {
		return t.Add(t.Dropout(l.adapted(t, x, tensor.Identity, nil), p), residual)
	}
	return t.Linear(x, l.Weight.T(), l.Bias.T(), tensor.Linear{InOut: l.InOut, Drop: p, Residual: residual})
}

// Together maps x [N, C] by up to three layers [out, in], whose weights are read in one loop where their type allows.
func Together(t *tensor.Tape, x *tensor.Tensor, layers ...*Linear) (ys [3]*tensor.Tensor) {
	var ws, bs [3]*tensor.Tensor
	for i, l := range layers {
		if l.InOut || len(l.Adapters) > 0 {
			for i, l := range layers {
				ys[i] = l.Forward(t, x, tensor.Identity, nil)
			}
			return ys
		}
		ws[i], bs[i] = l.Weight.T(), l.Bias.T()
	}
	t.Linears(ys[:len(layers)], x, ws[:len(layers)], bs[:len(layers)])
	return ys
}

// LayerNorm normalises rows, then scales and shifts them (Ba et al. 2016).
type LayerNorm struct {
	Weight *Param `name:"weight"` // [C]
	Bias   *Param `name:"bias"`   // [C], or nil
	Eps    float64
}

// NewLayerNorm returns the identity scale and shift.
func NewLayerNorm(width int, eps float64) *LayerNorm {
	return &LayerNorm{Weight: NewConstant(1, width), Bias: NewConstant(0, width), Eps: eps}
}

// Forward normalises x [N, C].
func (l *LayerNorm) Forward(t *tensor.Tape, x *tensor.Tensor) *tensor.Tensor {
	return t.LayerNorm(x, l.Weight.T(), l.Bias.T(), l.Eps)
}

// RMSNorm scales rows to unit root-mean-square (Zhang & Sennrich 2019).
type RMSNorm struct {
	Weight *Param `name:"weight"` // [C]
	Eps    float64
}

// NewRMSNorm returns the identity scale.
func NewRMSNorm(width int, eps float64) *RMSNorm {
	return &RMSNorm{Weight: NewConstant(1, width), Eps: eps}
}

// Forward normalises x [N, C].
func (l *RMSNorm) Forward(t *tensor.Tape, x *tensor.Tensor) *tensor.Tensor {
	return t.RMSNorm(x, l.Weight.T(), l.Eps)
}

// Embedding is a table of rows. With a prompt ids from V on name its rows: virtual tokens, which no text has (Lester et al. 2021).
type Embedding struct {
	Weight *Param  `name:"weight"` // [V, C]
	Prompt *Param  // [n, C], or nil: it is no parameter of the model, but of what was attached to it
	Scale  float64 // by which the family multiplies the rows of both; 0 for 1
}

// NewEmbedding returns a table that starts as N(0, std²).
func NewEmbedding(rows, width int, std float64) *Embedding {
	return &Embedding{Weight: NewParam(std, rows, width)}
}

// Forward maps ids I32 [N] to their rows [N, C]. Scale is the caller's. given are rows [n, C] that ids from V on name where there is no Prompt, or nil.
func (e *Embedding) Forward(t *tensor.Tape, ids tensor.Buf, given *tensor.Tensor) *tensor.Tensor {
	if e.Prompt == nil && given == nil {
		return t.Gather(e.Weight.T(), ids)
	}
	return t.Embed(e.Lookup(ids, given))
}

// Lookup names the rows of ids as one term of a sum of embeddings; given is that of Forward.
func (e *Embedding) Lookup(ids tensor.Buf, given *tensor.Tensor) tensor.Lookup {
	if e.Prompt != nil {
		given = e.Prompt.T()
	}
	return tensor.Lookup{Table: e.Weight.T(), IDs: ids, More: given}
}

// Virtual is the number of virtual tokens.
func (e *Embedding) Virtual() int {
	if e.Prompt == nil {
		return 0
	}
	n, _ := e.Prompt.T().Dims2()
	return n
}
