// Package gpt is GPT-2 (Radford et al. 2019, Language Models are Unsupervised Multitask Learners) and GPT-3 (Brown et al. 2020,
// Language Models are Few-Shot Learners): a pre-norm decoder with learned positions, GELU and tied embeddings. In GPT-3 the odd
// layers attend within a local band.
package gpt

import (
	"math"

	"github.com/plinth-ml/plinth/model"
	"github.com/plinth-ml/plinth/nn"
	"github.com/plinth-ml/plinth/tensor"
)

// Model is a GPT. Its tags are Hugging Face's tensor names.
type Model struct {
	Config      Config
	Transformer Transformer `name:"transformer"`
}

// Transformer is everything below the head, which is the token embedding again.
type Transformer struct {
	Tokens    *nn.Embedding `name:"wte"` // [V, C]
	Positions *nn.Embedding `name:"wpe"` // [T, C]
	Blocks    []*Block      `name:"h"`
	Norm      *nn.LayerNorm `name:"ln_f"`
}

// Block is attention and MLP, each pre-normed, each added to the residual stream.
type Block struct {
	Norm1 *nn.LayerNorm `name:"ln_1"`
	Attn  *Attention    `name:"attn"`
	Norm2 *nn.LayerNorm `name:"ln_2"`
	MLP   *MLP          `name:"mlp"`
}

// Attention is causal self-attention; queries, keys and values come from one product.
type Attention struct {
	QKV  *nn.Linear `name:"c_attn"` // [C, 3·H·D]
	Proj *nn.Linear `name:"c_proj"` // [H·D, C]
	spec tensor.Attention
	drop float64
}

// MLP is two linear layers with a GELU between.
type MLP struct {
	Up   *nn.Linear `name:"c_fc"`   // [C, F]
	Down *nn.Linear `name:"c_proj"` // [F, C]
	act  tensor.Act
	drop float64
}

// New returns a model of shapes without memory; nn.Init or a loader gives it values. The first values are GPT-2's: N(0, 0.02²),
// projections into the residual stream scaled by 1/sqrt(2L).
func New(c Config) (*Model, error) {
	if err := c.Check(); err != nil {
		return nil, err
	}
	C, F, inner, std := c.Width, c.hidden(), c.Heads*c.headDim(), c.InitStd
	residual, shape := std/math.Sqrt(2*float64(c.Layers)), c.Shape()
	m := &Model{Config: c, Transformer: Transformer{
		Tokens:    nn.NewEmbedding(c.Vocab, C, std),
		Positions: nn.NewEmbedding(c.Context, C, std),
		Norm:      nn.NewLayerNorm(C, c.LayerNormEps),
	}}
	for l := range c.Layers {
		m.Transformer.Blocks = append(m.Transformer.Blocks, &Block{
			Norm1: nn.NewLayerNorm(C, c.LayerNormEps),
			Attn: &Attention{
				QKV:  c.linear(C, 3*inner, std),
				Proj: c.linear(inner, C, residual),
				spec: tensor.Attention{Heads: c.Heads, KVHeads: c.Heads, HeadDim: c.headDim(), Window: shape.LayerWindow(l), Drop: c.AttnDropout},
				drop: c.ResidDropout,
			},
			Norm2: nn.NewLayerNorm(C, c.LayerNormEps),
			MLP:   &MLP{Up: c.linear(C, F, std), Down: c.linear(F, C, residual), act: model.Activations[c.Activation], drop: c.ResidDropout},
		})
	}
	return m, nil
}

// linear is a layer of a block in the configuration's layout.
func (c Config) linear(in, out int, std float64) *nn.Linear {
	if c.OutIn {
		return nn.NewLinear(in, out, std, true)
	}
	return nn.NewConv1D(in, out, std)
}

// Params lists the parameters under Hugging Face's names.
func (m *Model) Params() []nn.Named { return nn.Params(m) }

// Embed adds token and position embeddings: ids I32 [N] to [N, C].
func (m *Model) Embed(t *tensor.Tape, ids tensor.Buf, seqs *nn.Seqs) *tensor.Tensor {
	x := t.Embed(m.Transformer.Tokens.Lookup(ids, seqs.Given), tensor.Lookup{Table: m.Transformer.Positions.Weight.T(), IDs: seqs.Positions})
	return t.Dropout(x, m.Config.EmbdDropout)
}

// Body runs blocks [from, to) on x [N, C].
func (m *Model) Body(t *tensor.Tape, x *tensor.Tensor, seqs *nn.Seqs, kv *nn.KV, from, to int) *tensor.Tensor {
	return model.Body(t, x, m.Transformer.Blocks, seqs, kv, from, to)
}

// Forward is attention then MLP, each pre-normed with a residual. x is [N, C], the tokens of all sequences.
func (b *Block) Forward(t *tensor.Tape, x *tensor.Tensor, seqs *nn.Seqs, kv *nn.KV, layer int) *tensor.Tensor {
	x = b.Attn.Forward(t, b.Norm1.Forward(t, x), x, seqs, kv, layer)
	return b.MLP.Forward(t, b.Norm2.Forward(t, x), x)
}

// Forward returns attention of x [N, C] plus residual [N, C].
func (a *Attention) Forward(t *tensor.Tape, x, residual *tensor.Tensor, seqs *nn.Seqs, kv *nn.KV, layer int) *tensor.Tensor {
	qkv := a.QKV.Forward(t, x, tensor.Identity, nil) // [N, 3·H·D]
	spec := a.spec
	spec.Queries = seqs.Spans
	q, k, v := tensor.QKV(qkv, spec)
	y := nn.Attend(t, q, k, v, spec, kv, layer) // [N, H·D]
	return a.Proj.ForwardDrop(t, y, a.drop, residual)
}

// Forward returns the MLP of x [N, C] plus residual [N, C].
func (m *MLP) Forward(t *tensor.Tape, x, residual *tensor.Tensor) *tensor.Tensor {
	return m.Down.ForwardDrop(t, m.Up.Forward(t, x, m.act, nil), m.drop, residual)
}

// Norm is the final norm on x [N, C].
func (m *Model) Norm(t *tensor.Tape, x *tensor.Tensor) *tensor.Tensor {
	return m.Transformer.Norm.Forward(t, x)
}

// Head is the token embedding [V, C], tied; there is no bias.
func (m *Model) Head() nn.Head { return nn.Head{Weight: m.Transformer.Tokens.Weight.T()} }

// Sizes are the facts that callers plan with.
func (m *Model) Sizes() model.Sizes {
	s := m.Config.Sizes()
	s.Virtual = m.Transformer.Tokens.Virtual()
	return s
}

// Sizes are the facts that callers plan with.
func (c Config) Sizes() model.Sizes {
	return model.Sizes{Layers: c.Layers, Width: c.Width, Heads: c.Heads, KVHeads: c.Heads, HeadDim: c.headDim(), Vocab: c.Vocab, Context: c.Context, Window: c.Window}
}

// windows are the positions that each layer sees: the odd ones have the band.
func (c Config) windows() []int {
	if c.Window == 0 {
		return nil
	}
	list := make([]int, c.Layers)
	for l := 1; l < c.Layers; l += 2 {
		list[l] = c.Window
	}
	return list
}

// Shape is the arithmetic of the configuration.
func (c Config) Shape() model.Shape {
	return model.Shape{Layers: c.Layers, Width: c.Width, Heads: c.Heads, HeadDim: c.headDim(), Hidden: c.hidden(), Biases: model.LayerBiases, NormBias: true,
		Vocab: c.Vocab, Context: c.Context, Windows: c.windows()}
}

// Cost counts the arithmetic per token for sequences of seq tokens.
func (c Config) Cost(seq int) model.Cost { return c.Shape().Cost(seq) }
