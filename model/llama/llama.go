// Package llama is Llama (Touvron et al. 2023) and the models that changed little of it: Mistral (Jiang et al. 2023: a window), Qwen 2
// (biases of queries, keys and values), Qwen 3 (a norm for each head), Phi-3 (Abdin et al. 2024: the same under other tensor names) and
// Mixtral (Jiang et al. 2024: a mixture of MLPs). A pre-norm decoder with RMSNorm, rotary positions, grouped key heads and a gated MLP.
package llama

import (
	"math"

	"github.com/plinth-ml/plinth/model"
	"github.com/plinth-ml/plinth/nn"
	"github.com/plinth-ml/plinth/tensor"
)

// Model is a decoder with its head. Its tags are Hugging Face's tensor names.
type Model struct {
	Config  Config
	Decoder Decoder    `name:"model"`
	Output  *nn.Linear `name:"lm_head"` // [C, V]; nil where the head is the token embedding
}

// Decoder is everything below the head.
type Decoder struct {
	Tokens *nn.Embedding `name:"embed_tokens"` // [V, C]
	Blocks []*Block      `name:"layers"`
	Norm   *nn.RMSNorm   `name:"norm"`
}

// Block is attention and MLP, each pre-normed, each added to the residual stream.
type Block struct {
	Norm1 *nn.RMSNorm       `name:"input_layernorm"`
	Attn  *nn.SelfAttention `name:"self_attn"`
	Norm2 *nn.RMSNorm       `name:"post_attention_layernorm"`
	MLP   *nn.GatedMLP      `name:"mlp"`              // or
	MoE   *nn.MoE           `name:"block_sparse_moe"` // Mixtral's
}

// New returns a model of shapes without memory; nn.Init or a loader gives it values. The first values are N(0, initializer_range²),
// of projections into the residual stream scaled by 1/sqrt(2L).
func New(c Config) (*Model, error) {
	c.resolve()
	if err := c.Check(); err != nil {
		return nil, err
	}
	k, C, D, std := kinds[c.ModelType], c.Width, c.HeadDim, c.InitStd
	residual := std / math.Sqrt(2*float64(c.Layers))
	rope := nn.NewRope(c.Rope, D, c.Context, c.RopePairs)
	norm := func(width int) *nn.RMSNorm { return nn.NewRMSNorm(width, c.NormEps) }
	m := &Model{Config: c, Decoder: Decoder{Tokens: nn.NewEmbedding(c.Vocab, C, std), Norm: norm(C)}}
	if !c.Tied {
		m.Output = nn.NewLinear(C, c.Vocab, std, false)
	}
	for l := range c.Layers {
		attn := &nn.SelfAttention{
			Q: nn.NewLinear(C, c.Heads*D, std, c.AttentionBias || k.qkvBias),
			K: nn.NewLinear(C, c.KVHeads*D, std, c.AttentionBias || k.qkvBias),
			V: nn.NewLinear(C, c.KVHeads*D, std, c.AttentionBias || k.qkvBias),
			O: nn.NewLinear(c.Heads*D, C, residual, c.AttentionBias),

			Rope: rope,
			Spec: tensor.Attention{Heads: c.Heads, KVHeads: c.KVHeads, HeadDim: D, Window: c.window(l)},
		}
		if k.headNorm {
			attn.QNorm, attn.KNorm = norm(D), norm(D)
		}
		b := &Block{Norm1: norm(C), Attn: attn, Norm2: norm(C)}
		if act := model.Activations[c.Activation]; c.Experts > 0 {
			b.MoE = nn.NewMoE(C, c.Hidden, c.Experts, c.Chosen, act, std, residual)
		} else {
			b.MLP = nn.NewGatedMLP(C, c.Hidden, act, std, residual, c.MLPBias)
		}
		m.Decoder.Blocks = append(m.Decoder.Blocks, b)
	}
	return m, nil
}

// Params lists the parameters under Hugging Face's names.
func (m *Model) Params() []nn.Named { return nn.Params(m) }

// Embed looks tokens up: ids I32 [N] to [N, C].
func (m *Model) Embed(t *tensor.Tape, ids tensor.Buf, seqs *nn.Seqs) *tensor.Tensor {
	return m.Decoder.Tokens.Forward(t, ids, seqs.Given)
}

// Body runs blocks [from, to) on x [N, C].
func (m *Model) Body(t *tensor.Tape, x *tensor.Tensor, seqs *nn.Seqs, kv *nn.KV, from, to int) *tensor.Tensor {
	return model.Body(t, x, m.Decoder.Blocks, seqs, kv, from, to)
}

// Forward is attention then MLP, each pre-normed with a residual. x is [N, C], the tokens of all sequences.
func (b *Block) Forward(t *tensor.Tape, x *tensor.Tensor, seqs *nn.Seqs, kv *nn.KV, layer int) *tensor.Tensor {
	x = b.Attn.Forward(t, b.Norm1.Forward(t, x), x, seqs, kv, layer)
	if b.MoE != nil {
		return b.MoE.Forward(t, b.Norm2.Forward(t, x), x)
	}
	return b.MLP.Forward(t, b.Norm2.Forward(t, x), x)
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
	c, window := m.Config, 0
	for l := range c.Layers {
		window = max(window, c.window(l))
	}
	return model.Sizes{Layers: c.Layers, Width: c.Width, Heads: c.Heads, KVHeads: c.KVHeads, HeadDim: c.HeadDim, Vocab: c.Vocab, Context: c.Context, Window: window, Switch: c.Rope.Switch(c.Context), Grows: c.Rope.Grows(), Virtual: m.Decoder.Tokens.Virtual()}
}
