// Package gptj is GPT-J (Wang & Komatsuzaki 2021): a decoder with one LayerNorm for attention and MLP, which stand in parallel, rotary
// positions that turn neighbouring elements of a part of each head, and biases in the MLP and the head only.
package gptj

import (
	"math"

	"github.com/plinth-ml/plinth/model"
	"github.com/plinth-ml/plinth/nn"
	"github.com/plinth-ml/plinth/tensor"
)

// Model is a decoder with its head. Its tags are Hugging Face's tensor names.
type Model struct {
	Config  Config
	Decoder Decoder    `name:"transformer"`
	Output  *nn.Linear `name:"lm_head"` // [C, V], with a bias
}

// Decoder is everything below the head.
type Decoder struct {
	Tokens *nn.Embedding `name:"wte"` // [V, C]
	Blocks []*Block      `name:"h"`
	Norm   *nn.LayerNorm `name:"ln_f"`
}

// Block is attention and MLP on one norm.
type Block struct {
	Norm *nn.LayerNorm     `name:"ln_1"`
	Attn *nn.SelfAttention `name:"attn"`
	MLP  *MLP              `name:"mlp"`
}

// MLP is two linear layers with an activation between.
type MLP struct {
	Up   *nn.Linear `name:"fc_in"`  // [C, F]
	Down *nn.Linear `name:"fc_out"` // [F, C]
	act  tensor.Act
}

// New returns a model of shapes without memory; nn.Init or a loader gives it values. The first values are N(0, initializer_range²),
// of projections into the residual stream scaled by 1/sqrt(2L).
func New(c Config) (*Model, error) {
	if err := c.Check(); err != nil {
		return nil, err
	}
	C, D, F, std := c.Width, c.Width/c.Heads, c.hidden(), c.InitStd
	residual := std / math.Sqrt(2*float64(c.Layers))
	rope := nn.NewRope(c.rope(), D, c.Context, true)
	m := &Model{Config: c, Output: nn.NewLinear(C, c.Vocab, std, true),
		Decoder: Decoder{Tokens: nn.NewEmbedding(c.Vocab, C, std), Norm: nn.NewLayerNorm(C, c.LayerNormEps)}}
	for range c.Layers {
		m.Decoder.Blocks = append(m.Decoder.Blocks, &Block{
			Norm: nn.NewLayerNorm(C, c.LayerNormEps),
			Attn: &nn.SelfAttention{
				Q: nn.NewLinear(C, C, std, false), K: nn.NewLinear(C, C, std, false), V: nn.NewLinear(C, C, std, false),
				O:    nn.NewLinear(C, C, residual, false),
				Rope: rope,
				Spec: tensor.Attention{Heads: c.Heads, KVHeads: c.Heads, HeadDim: D},
			},
			MLP: &MLP{Up: nn.NewLinear(C, F, std, true), Down: nn.NewLinear(F, C, residual, true), act: model.Activations[c.Activation]},
		})
	}
	return m, nil
}

// Params lists the parameters.
func (m *Model) Params() []nn.Named { return nn.Params(m) }

// Embed looks tokens up: ids I32 [N] to [N, C].
func (m *Model) Embed(t *tensor.Tape, ids tensor.Buf, seqs *nn.Seqs) *tensor.Tensor {
	return m.Decoder.Tokens.Forward(t, ids, seqs.Given)
}

// Body runs blocks [from, to) on x [N, C].
func (m *Model) Body(t *tensor.Tape, x *tensor.Tensor, seqs *nn.Seqs, kv *nn.KV, from, to int) *tensor.Tensor {
	return model.Body(t, x, m.Decoder.Blocks, seqs, kv, from, to)
}

// Forward is x + attention(norm(x)) + MLP(norm(x)). x is [N, C], the tokens of all sequences.
func (b *Block) Forward(t *tensor.Tape, x *tensor.Tensor, seqs *nn.Seqs, kv *nn.KV, layer int) *tensor.Tensor {
	h := b.Norm.Forward(t, x)
	return b.MLP.Forward(t, h, b.Attn.Forward(t, h, x, seqs, kv, layer))
}

// Forward returns the MLP of x [N, C] plus residual [N, C].
func (m *MLP) Forward(t *tensor.Tape, x, residual *tensor.Tensor) *tensor.Tensor {
	return m.Down.Forward(t, m.Up.Forward(t, x, m.act, nil), tensor.Identity, residual)
}

// Norm is the final norm on x [N, C].
func (m *Model) Norm(t *tensor.Tape, x *tensor.Tensor) *tensor.Tensor {
	return m.Decoder.Norm.Forward(t, x)
}

// Head is the output matrix with its bias.
func (m *Model) Head() nn.Head {
	return nn.Head{Weight: m.Output.Weight.T(), Bias: m.Output.Bias.T()}
}

// Sizes are the facts that callers plan with.
func (m *Model) Sizes() model.Sizes {
	c := m.Config
	return model.Sizes{Layers: c.Layers, Width: c.Width, Heads: c.Heads, KVHeads: c.Heads, HeadDim: c.Width / c.Heads, Vocab: c.Vocab, Context: c.Context, Virtual: m.Decoder.Tokens.Virtual()}
}
