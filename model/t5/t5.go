// Package t5 is T5 (Raffel et al. 2020, Exploring the Limits of Transfer Learning with a Unified Text-to-Text Transformer): an encoder and
// a decoder without biases, pre-normed by RMS norms, whose attention is not scaled and knows positions by a bias of the distance, which all layers of
// a stack share. v1.1 (Shazeer 2020, GLU Variants Improve Transformer) has a gated GELU and a head of its own; Flan-T5 is v1.1.
package t5

import (
	"math"

	"github.com/plinth-ml/plinth/model"
	"github.com/plinth-ml/plinth/nn"
	"github.com/plinth-ml/plinth/tensor"
)

// Encoder is T5's encoder with the token embedding. Its tags are Hugging Face's tensor names.
type Encoder struct {
	Config Config
	// Dropout is the probability with which a recording tape drops elements of embeddings, of attention's probabilities, of what layers add, of the MLP's inside and of what a
	// stack returns; 0: nothing is dropped.
	Dropout float64

	Tokens *nn.Embedding        `name:"shared"` // [V, C]
	Stack  Stack[*EncoderBlock] `name:"encoder"`
}

// Model is T5: the encoder, the decoder, and v1.1's head.
type Model struct {
	Encoder `name:""`
	Writer  Stack[*DecoderBlock] `name:"decoder"`
	Logits  *nn.Linear           `name:"lm_head"` // [V, C], nil: the token embedding
}

// Stack is layers and the norm behind them. The first layer holds the bias by distance of all.
type Stack[B any] struct {
	Blocks []B         `name:"block"`
	Norm   *nn.RMSNorm `name:"final_layer_norm"`
}

// EncoderBlock is self-attention and MLP.
type EncoderBlock struct {
	Self SelfLayer `name:"layer.0"`
	FF   FFLayer   `name:"layer.1"`
}

// DecoderBlock is causal self-attention, attention to the source, and MLP.
type DecoderBlock struct {
	Self  SelfLayer  `name:"layer.0"`
	Cross CrossLayer `name:"layer.1"`
	FF    FFLayer    `name:"layer.2"`
}

// SelfLayer is x + attention(norm(x)).
type SelfLayer struct {
	Attention *Attention  `name:"SelfAttention"`
	Norm      *nn.RMSNorm `name:"layer_norm"`
}

// CrossLayer is x + attention(norm(x), source).
type CrossLayer struct {
	Attention *Attention  `name:"EncDecAttention"`
	Norm      *nn.RMSNorm `name:"layer_norm"`
}

// FFLayer is x + MLP(norm(x)).
type FFLayer struct {
	MLP  *MLP        `name:"DenseReluDense"`
	Norm *nn.RMSNorm `name:"layer_norm"`
}

// Attention is the matrices of attention; its scores are not scaled.
type Attention struct {
	Q    *nn.Linear       `name:"q"` // [C, H·D]
	K    *nn.Linear       `name:"k"`
	V    *nn.Linear       `name:"v"`
	O    *nn.Linear       `name:"o"`                       // [H·D, C]
	Bias *nn.RelativeBias `name:"relative_attention_bias"` // of a stack's first layer, otherwise nil
	spec tensor.Attention
}

// MLP is out(act(in(x))), or out(act(gate(x)) * in(x)).
type MLP struct {
	In   *nn.Linear `name:"wi"`   // [C, F]; of v1.0
	Gate *nn.Linear `name:"wi_0"` // [C, F]; of v1.1
	Up   *nn.Linear `name:"wi_1"` // [C, F]; of v1.1
	Out  *nn.Linear `name:"wo"`   // [F, C]
	act  tensor.Act
}

// NewEncoder returns an encoder whose parameters have no memory yet.
func NewEncoder(c Config) (*Encoder, error) {
	if err := c.Check(); err != nil {
		return nil, err
	}
	c.Encoder = true
	e := newEncoder(c)
	return &e, nil
}

func newEncoder(c Config) Encoder {
	e := Encoder{Config: c, Tokens: nn.NewEmbedding(c.Vocab, c.Width, c.InitFactor), Stack: Stack[*EncoderBlock]{Norm: c.norm()}}
	for l := range c.Layers {
		e.Stack.Blocks = append(e.Stack.Blocks, &EncoderBlock{Self: SelfLayer{c.attention(l, true), c.norm()}, FF: c.ff()})
	}
	return e
}

// New returns a model whose parameters have no memory yet. They start as in Mesh TensorFlow, but for a head of its own, whose logits would start
// with a standard deviation of sqrt(d_model): it starts as N(0, 1/d_model), as in T5X.
func New(c Config) (*Model, error) {
	if err := c.Check(); err != nil {
		return nil, err
	}
	c.Encoder = false
	m := &Model{Encoder: newEncoder(c), Writer: Stack[*DecoderBlock]{Norm: c.norm()}}
	for l := range c.DecoderLayers {
		b := &DecoderBlock{Self: SelfLayer{c.attention(l, false), c.norm()}, Cross: CrossLayer{c.attention(-1, true), c.norm()}, FF: c.ff()}
		m.Writer.Blocks = append(m.Writer.Blocks, b)
	}
	if !c.tied() {
		m.Logits = nn.NewLinear(c.Width, c.Vocab, c.InitFactor*fan(c.Width), false)
	}
	return m, nil
}

// fan is the standard deviation that leaves a sum over n inputs of unit size at unit size.
func fan(n int) float64 { return 1 / math.Sqrt(float64(n)) }

func (c Config) norm() *nn.RMSNorm {
	n := nn.NewRMSNorm(c.Width, c.Eps)
	n.Weight.Constant = c.InitFactor
	return n
}

// attention is that of a layer; 0 has the bias.
func (c Config) attention(layer int, bidirectional bool) *Attention {
	inner, in := c.Heads*c.HeadDim, c.InitFactor*fan(c.Width)
	a := &Attention{
		Q: nn.NewLinear(c.Width, inner, in*fan(c.HeadDim), false), // in place of the scores' scale
		K: nn.NewLinear(c.Width, inner, in, false), V: nn.NewLinear(c.Width, inner, in, false),
		O:    nn.NewLinear(inner, c.Width, c.InitFactor*fan(inner), false),
		spec: tensor.Attention{Heads: c.Heads, KVHeads: c.Heads, HeadDim: c.HeadDim, Scale: 1, Causal: !bidirectional},
	}
	if layer == 0 {
		a.Bias = nn.NewRelativeBias(c.Buckets, c.Heads, c.MaxDistance, bidirectional, in)
	}
	return a
}

func (c Config) ff() FFLayer {
	gated, act := c.mlp()
	in := func() *nn.Linear { return nn.NewLinear(c.Width, c.Hidden, c.InitFactor*fan(c.Width), false) }
	m := &MLP{Out: nn.NewLinear(c.Hidden, c.Width, c.InitFactor*fan(c.Hidden), false), act: model.Activations[act]}
	if gated {
		m.Gate, m.Up = in(), in()
	} else {
		m.In = in()
	}
	return FFLayer{m, c.norm()}
}
