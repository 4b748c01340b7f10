// Package gemma is Gemma (Gemma Team 2024), Gemma 2 (2024: norms behind attention and MLP too, soft caps, a window in every other layer) and
// the text part of Gemma 3 (2025: norms of queries and keys, five layers with a window for each without, which turn by other frequencies).
// A pre-norm decoder with RMSNorm, scaled embeddings, rotary positions, GeGLU and tied embeddings. Norm weights are 1 + those of Hugging
// Face's files.
package gemma

import (
	"math"

	"github.com/plinth-ml/plinth/model"
	"github.com/plinth-ml/plinth/nn"
	"github.com/plinth-ml/plinth/tensor"
)

// Model is a decoder. Its tags are Hugging Face's tensor names.
type Model struct {
	Config  Config
	Decoder Decoder `name:"model"`
}

// Decoder is everything below the head, which is the token embedding again.
type Decoder struct {
	Tokens *nn.Embedding `name:"embed_tokens"` // [V, C]
	Blocks []*Block      `name:"layers"`
	Norm   *nn.RMSNorm   `name:"norm"`
}

// Block is attention and MLP, each pre-normed, each added to the residual stream. In Gemma 1 Norm2 stands before the MLP; later it stands
// behind attention, and there are two more.
type Block struct {
	Norm1 *nn.RMSNorm       `name:"input_layernorm"`
	Attn  *nn.SelfAttention `name:"self_attn"`
	Norm2 *nn.RMSNorm       `name:"post_attention_layernorm"`
	Norm3 *nn.RMSNorm       `name:"pre_feedforward_layernorm"` // or nil
	MLP   *nn.GatedMLP      `name:"mlp"`
	Norm4 *nn.RMSNorm       `name:"post_feedforward_layernorm"`
}

// New returns a model of shapes without memory; nn.Init or a loader gives it values. The first values are N(0, initializer_range²),
// of projections into the residual stream scaled by 1/sqrt(2L).
func New(c Config) (*Model, error) {
	if err := c.Check(); err != nil {
		return nil, err
	}
	k, C, D, std := kinds[c.ModelType], c.Width, c.HeadDim, c.InitStd
	residual := std / math.Sqrt(2*float64(c.Layers))
	global := nn.NewRope(c.Rope, D, c.Context, false)
	local := global
	if k.localRope {
		local = nn.NewRope(c.LocalRope, D, c.Context, false)
	}
	norm := func(width int) *nn.RMSNorm { return nn.NewRMSNorm(width, c.NormEps) }
	m := &Model{Config: c, Decoder: Decoder{Tokens: nn.NewEmbedding(c.Vocab, C, std), Norm: norm(C)}}
	m.Decoder.Tokens.Scale = c.embedScale()
	for l := range c.Layers {
		attn := &nn.SelfAttention{
			Q: nn.NewLinear(C, c.Heads*D, std, c.Bias), K: nn.NewLinear(C, c.KVHeads*D, std, c.Bias), V: nn.NewLinear(C, c.KVHeads*D, std, c.Bias),
			O:    nn.NewLinear(c.Heads*D, C, residual, c.Bias),
			Rope: global,
			Spec: tensor.Attention{Heads: c.Heads, KVHeads: c.KVHeads, HeadDim: D, SoftCap: c.ScoreCap},
		}
		if c.QueryScale > 0 {
			attn.Spec.Scale = 1 / math.Sqrt(float64(c.QueryScale))
		}
		if c.banded(l) {
			attn.Rope, attn.Spec.Window = local, c.Window
		}
		if k.headNorm {
			attn.QNorm, attn.KNorm = norm(D), norm(D)
		}
		b := &Block{Norm1: norm(C), Attn: attn, Norm2: norm(C), MLP: nn.NewGatedMLP(C, c.Hidden, tensor.GELUTanh, std, residual, false)}
		if k.sandwich {
			b.Norm3, b.Norm4 = norm(C), norm(C)
		}
		m.Decoder.Blocks = append(m.Decoder.Blocks, b)
	}
	return m, nil
}

// Params lists the parameters under Hugging Face's names.
func (m *Model) Params() []nn.Named { return nn.Params(m) }

// Embed looks tokens up and scales them by sqrt(C): ids I32 [N] to [N, C].
func (m *Model) Embed(t *tensor.Tape, ids tensor.Buf, seqs *nn.Seqs) *tensor.Tensor {
	return t.Scale(m.Decoder.Tokens.Forward(t, ids, seqs.Given), m.Decoder.Tokens.Scale)
}

// Body runs blocks [from, to) on x [N, C].
func (m *Model) Body(t *tensor.Tape, x *tensor.Tensor, seqs *nn.Seqs, kv *nn.KV, from, to int) *tensor.Tensor {
	return model.Body(t, x, m.Decoder.Blocks, seqs, kv, from, to)
}

// Forward is attention then MLP, each between its norms and with a residual. x is [N, C], the tokens of all sequences.
func (b *Block) Forward(t *tensor.Tape, x *tensor.Tensor, seqs *nn.Seqs, kv *nn.KV, layer int) *tensor.Tensor {
	if b.Norm3 == nil {
		x = b.Attn.Forward(t, b.Norm1.Forward(t, x), x, seqs, kv, layer)
		return b.MLP.Forward(t, b.Norm2.Forward(t, x), x)
	}
	x = t.Add(x, b.Norm2.Forward(t, b.Attn.Forward(t, b.Norm1.Forward(t, x), nil, seqs, kv, layer)))
	return t.Add(x, b.Norm4.Forward(t, b.MLP.Forward(t, b.Norm3.Forward(t, x), nil)))
}

// Norm is the final norm on x [N, C].
func (m *Model) Norm(t *tensor.Tape, x *tensor.Tensor) *tensor.Tensor {
	return m.Decoder.Norm.Forward(t, x)
}

// Head is the token embedding [V, C], tied, with Gemma 2's soft cap.
func (m *Model) Head() nn.Head {
	return nn.Head{Weight: m.Decoder.Tokens.Weight.T(), SoftCap: m.Config.LogitCap}
}

// Sizes are the facts that callers plan with.
func (m *Model) Sizes() model.Sizes {
	c := m.Config
	return model.Sizes{Layers: c.Layers, Width: c.Width, Heads: c.Heads, KVHeads: c.KVHeads, HeadDim: c.HeadDim, Vocab: c.Vocab, Context: c.Context, Window: c.Window, Switch: c.Rope.Switch(c.Context), Virtual: m.Decoder.Tokens.Virtual()}
}
