package t5

import (
	"math"

	"github.com/plinth-ml/plinth/model"
	"github.com/plinth-ml/plinth/nn"
	"github.com/plinth-ml/plinth/tensor"
)

// Encode maps the N tokens of in to the features [N, C] behind the encoder's norm.
func (e *Encoder) Encode(t *tensor.Tape, in model.Input) *tensor.Tensor {
	bias := e.Stack.Blocks[0].Self.Attention.Bias.Of(t, in.Seqs) // [H, 2T-1]
	x := t.Dropout(e.Tokens.Forward(t, in.IDs, nil), e.Dropout)  // [N, C]
	for _, b := range e.Stack.Blocks {
		x = t.Scope(func() *tensor.Tensor {
			return b.FF.Forward(t, b.Self.Forward(t, x, in.Seqs, bias, nil, 0, e.Dropout), e.Dropout)
		})
	}
	return t.Dropout(e.Stack.Norm.Forward(t, x), e.Dropout)
}

// Forward is self-attention of x [N, C] with the stack's bias, added to x.
func (l *SelfLayer) Forward(t *tensor.Tape, x *tensor.Tensor, seqs *nn.Seqs, bias *tensor.Tensor, kv *nn.KV, layer int, drop float64) *tensor.Tensor {
	a, h := l.Attention, l.Norm.Forward(t, x)
	spec := a.spec
	spec.Queries, spec.Bias, spec.Drop = seqs.Spans, bias, drop
	q := a.Q.Forward(t, h, tensor.Identity, nil) // [N, H·D]
	k, v := a.keys(t, h)
	var y *tensor.Tensor // [N, H·D]
	if spec.Causal {
		y = nn.Attend(t, tensor.Of(q), k, v, spec, kv, layer)
	} else {
		y = t.Attention(tensor.Of(q), k, v, spec)
	}
	return add(t, a.O, y, x, drop)
}

// Forward is attention of x [N, C] to the sources of seqs, added to x.
func (l *CrossLayer) Forward(t *tensor.Tape, x *tensor.Tensor, seqs *nn.Seqs, layer int, drop float64) *tensor.Tensor {
	a, spec := l.Attention, l.Attention.spec
	spec.Drop = drop
	q := a.Q.Forward(t, l.Norm.Forward(t, x), tensor.Identity, nil) // [N, H·D]
	y := nn.CrossAttend(t, tensor.Of(q), func(memory *tensor.Tensor) (k, v tensor.Cols) { return a.keys(t, memory) }, spec, seqs, layer)
	return add(t, a.O, y, x, drop)
}

// keys are those of x [M, C], and the values: [M, H·D].
func (a *Attention) keys(t *tensor.Tape, x *tensor.Tensor) (k, v tensor.Cols) {
	return tensor.Of(a.K.Forward(t, x, tensor.Identity, nil)), tensor.Of(a.V.Forward(t, x, tensor.Identity, nil))
}

// Forward is the MLP of x [N, C], added to x.
func (l *FFLayer) Forward(t *tensor.Tape, x *tensor.Tensor, drop float64) *tensor.Tensor {
	m, h := l.MLP, l.Norm.Forward(t, x)
	if m.In != nil {
		h = m.In.Forward(t, h, m.act, nil) // [N, F]
	} else {
		h = t.Mul(m.Gate.Forward(t, h, m.act, nil), m.Up.Forward(t, h, tensor.Identity, nil))
	}
	return add(t, m.Out, t.Dropout(h, drop), x, drop)
}

// add returns x plus the layer's product with h, of which elements are dropped.
func add(t *tensor.Tape, l *nn.Linear, h, x *tensor.Tensor, drop float64) *tensor.Tensor {
	if drop == 0 {
		return l.Forward(t, h, tensor.Identity, x)
	}
	return t.Add(x, t.Dropout(l.Forward(t, h, tensor.Identity, nil), drop))
}

// Params lists the parameters under Hugging Face's names.
func (e *Encoder) Params() []nn.Named { return nn.Params(e) }

// Params lists the parameters under Hugging Face's names.
func (m *Model) Params() []nn.Named { return nn.Params(m) }

// Decoder is the model's decoder.
func (m *Model) Decoder() model.Decoder { return writer{m} }

// writer is a model as the decoder that it has.
type writer struct{ *Model }

// Embed maps ids I32 [N] to [N, C].
func (w writer) Embed(t *tensor.Tape, ids tensor.Buf, _ *nn.Seqs) *tensor.Tensor {
	return t.Dropout(w.Tokens.Forward(t, ids, nil), w.Dropout)
}

// Body runs decoder blocks [from, to) on x [N, C].
func (w writer) Body(t *tensor.Tape, x *tensor.Tensor, seqs *nn.Seqs, kv *nn.KV, from, to int) *tensor.Tensor {
	bias := w.Writer.Blocks[0].Self.Attention.Bias.Of(t, seqs) // [H, 2T-1]
	for l := from; l < to; l++ {
		x = t.Scope(func() *tensor.Tensor {
			b := w.Writer.Blocks[l]
			return b.FF.Forward(t, b.Cross.Forward(t, b.Self.Forward(t, x, seqs, bias, kv, l, w.Dropout), seqs, l, w.Dropout), w.Dropout)
		})
	}
	return x
}

// Norm maps x [N, C] to features: v1.0's are scaled for a head that is the token embedding.
func (w writer) Norm(t *tensor.Tape, x *tensor.Tensor) *tensor.Tensor {
	x = t.Dropout(w.Writer.Norm.Forward(t, x), w.Dropout)
	if w.Config.scaled() {
		x = t.Scale(x, 1/math.Sqrt(float64(w.Config.Width)))
	}
	return x
}

// Head maps features to logits.
func (w writer) Head() nn.Head {
	if w.Logits != nil {
		return nn.Head{Weight: w.Logits.Weight.T()}
	}
	return nn.Head{Weight: w.Tokens.Weight.T()}
}

// Sizes are those of the decoder.
func (w writer) Sizes() model.Sizes {
	s := w.Model.Sizes()
	s.Layers = w.Config.DecoderLayers
	return s
}

// Remember stores the keys and values of memory [M, C] for each layer's cross-attention.
func (m *Model) Remember(t *tensor.Tape, memory *tensor.Tensor, spans []tensor.Span, cross *nn.KV) {
	for l, b := range m.Writer.Blocks {
		k, v := b.Cross.Attention.keys(t, memory)
		cross.Store(t, k, v, spans, l)
	}
}

// Start is the id that targets begin with.
func (m *Model) Start() int32 { return int32(m.Config.start()) }

// Ends are the ids that targets end with.
func (m *Model) Ends() []int32 {
	var list []int32
	for _, id := range m.Config.EOS {
		list = append(list, int32(id))
	}
	return list
}

// Sizes are the facts that callers plan with; Layers are the encoder's.
func (e *Encoder) Sizes() model.Sizes {
	s := e.Config.Sizes()
	s.Virtual = e.Tokens.Virtual()
	return s
}

// Sizes are the facts that callers plan with; Layers are the encoder's.
func (c Config) Sizes() model.Sizes {
	return model.Sizes{Layers: c.Layers, Width: c.Width, Heads: c.Heads, KVHeads: c.Heads, HeadDim: c.HeadDim, Vocab: c.Vocab, Context: c.Context}
}
