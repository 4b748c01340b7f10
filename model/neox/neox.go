// Package neox is GPT-NeoX (Black et al. 2022) and Pythia (Biderman et al. 2023): a decoder with LayerNorm, biases, partial rotary
// positions and, as a rule, attention and MLP in parallel.
package neox

import (
	"math"

	"github.com/plinth-ml/plinth/model"
	"github.com/plinth-ml/plinth/nn"
	"github.com/plinth-ml/plinth/tensor"
)

// Model is a decoder with its head. Its tags are Hugging Face's tensor names, but for queries, keys and values, which are one tensor there.
type Model struct {
	Config  Config
	Decoder Decoder    `name:"gpt_neox"`
	Output  *nn.Linear `name:"embed_out"` // [C, V]; nil where the head is the token embedding
}

// Decoder is everything below the head.
type Decoder struct {
	Tokens *nn.Embedding `name:"embed_in"` // [V, C]
	Blocks []*Block      `name:"layers"`
	Norm   *nn.LayerNorm `name:"final_layer_norm"`
}

// Block is attention and MLP, each pre-normed, side by side or one after the other.
type Block struct {
	Norm1    *nn.LayerNorm     `name:"input_layernorm"`
	Norm2    *nn.LayerNorm     `name:"post_attention_layernorm"`
	Attn     *nn.SelfAttention `name:"attention"`
	MLP      *MLP              `name:"mlp"`
	parallel bool
}

// MLP is two linear layers with an activation between.
type MLP struct {
	Up   *nn.Linear `name:"dense_h_to_4h"` // [C, F]
	Down *nn.Linear `name:"dense_4h_to_h"` // [F, C]
	act  tensor.Act
}

// New returns a model of shapes without memory; nn.Init or a loader gives it values. The first values are N(0, initializer_range²),
// of projections into the residual stream scaled by 1/sqrt(2L).
func New(c Config) (*Model, error) {
	if err := c.Check(); err != nil {
		return nil, err
	}
	C, D, std := c.Width, c.Width/c.Heads, c.InitStd
	residual := std / math.Sqrt(2*float64(c.Layers))
	rope := nn.NewRope(c.Rope, D, c.Context, false)
	norm := func() *nn.LayerNorm { return nn.NewLayerNorm(C, c.LayerNormEps) }
	m := &Model{Config: c, Decoder: Decoder{Tokens: nn.NewEmbedding(c.Vocab, C, std), Norm: norm()}}
	if !c.Tied {
		m.Output = nn.NewLinear(C, c.Vocab, std, false)
	}
	for range c.Layers {
		m.Decoder.Blocks = append(m.Decoder.Blocks, &Block{
			Norm1: norm(), Norm2: norm(), parallel: c.Parallel,
			Attn: &nn.SelfAttention{
				Q: nn.NewLinear(C, C, std, c.Bias), K: nn.NewLinear(C, C, std, c.Bias), V: nn.NewLinear(C, C, std, c.Bias),
				O:    nn.NewLinear(C, C, residual, c.Bias),
				Rope: rope,
				Spec: tensor.Attention{Heads: c.Heads, KVHeads: c.Heads, HeadDim: D},
			},
			MLP: &MLP{Up: nn.NewLinear(C, c.Hidden, std, true), Down: nn.NewLinear(c.Hidden, C, residual, true), act: model.Activations[c.Activation]},
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

// Forward is x + attention(norm1(x)) + MLP(norm2(x)), or with attention's sum in the MLP's norm. x is [N, C], the tokens of all sequences.
func (b *Block) Forward(t *tensor.Tape, x *tensor.Tensor, seqs *nn.Seqs, kv *nn.KV, layer int) *tensor.Tensor {
	y := b.Attn.Forward(t, b.Norm1.Forward(t, x), x, seqs, kv, layer)
	if !b.parallel {
		x = y
	}
	return b.MLP.Forward(t, b.Norm2.Forward(t, x), y)
}

// Forward returns the MLP of x [N, C] plus residual [N, C].
func (m *MLP) Forward(t *tensor.Tape, x, residual *tensor.Tensor) *tensor.Tensor {
	return m.Down.Forward(t, m.Up.Forward(t, x, m.act, nil), tensor.Identity, residual)
}

// Norm is the final norm on x [N, C].
func (m *Model) Norm(t *tensor.Tape, x *tensor.Tensor) *tensor.Tensor {
	return m.Decoder.Norm.Forward(t, x)
}

// Head is the output matrix, or the token embedding where they are tied.
func (m *Model) Head() nn.Head {
	if m.Output == nil {
		return nn.Head{Weight: m.Decoder.Tokens.Weight.T()}
	}
	return nn.Head{Weight: m.Output.Weight.T()}
}

// Sizes are the facts that callers plan with.
func (m *Model) Sizes() model.Sizes {
	c := m.Config
	return model.Sizes{Layers: c.Layers, Width: c.Width, Heads: c.Heads, KVHeads: c.Heads, HeadDim: c.Width / c.Heads, Vocab: c.Vocab, Context: c.Context, Switch: c.Rope.Switch(c.Context), Grows: c.Rope.Grows(), Virtual: m.Decoder.Tokens.Virtual()}
}
