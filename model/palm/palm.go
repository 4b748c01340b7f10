// Package palm is PaLM (Chowdhery et al. 2022, Scaling Language Modeling with Pathways, section 2): a decoder whose attention and MLP stand
// in parallel on one norm, with one key and value head for all query heads (multi-query attention), SwiGLU, rotary positions, tied
// embeddings and no biases, in norms neither. Nobody published weights or a layout of files; the names here follow Llama's.
package palm

import (
	"math"

	"github.com/plinth-ml/plinth/model"
	"github.com/plinth-ml/plinth/nn"
	"github.com/plinth-ml/plinth/tensor"
)

// Model is a decoder.
type Model struct {
	Config  Config
	Decoder Decoder `name:"model"`
}

// Decoder is everything below the head, which is the token embedding again.
type Decoder struct {
	Tokens *nn.Embedding `name:"embed_tokens"` // [V, C]
	Blocks []*Block      `name:"layers"`
	Norm   *nn.LayerNorm `name:"norm"` // without a bias
}

// Block is attention and MLP on one norm.
type Block struct {
	Norm *nn.LayerNorm     `name:"norm"` // without a bias
	Attn *nn.SelfAttention `name:"self_attn"`
	MLP  *nn.GatedMLP      `name:"mlp"`
}

// New returns a model of shapes without memory; nn.Init or a loader gives it values. The first values are those of section 5 of the paper:
// embeddings N(0, 1), matrices N(0, 1/inputs).
func New(c Config) (*Model, error) {
	if err := c.Check(); err != nil {
		return nil, err
	}
	C, D, F := c.Width, c.HeadDim, c.hidden()
	linear := func(in, out int) *nn.Linear { return nn.NewLinear(in, out, 1/math.Sqrt(float64(in)), false) }
	norm := func() *nn.LayerNorm { return &nn.LayerNorm{Weight: nn.NewConstant(1, C), Eps: c.LayerNormEps} }
	rope := nn.NewRope(c.rope(), D, c.Context, false)
	m := &Model{Config: c, Decoder: Decoder{Tokens: nn.NewEmbedding(c.Vocab, C, 1), Norm: norm()}}
	for range c.Layers {
		m.Decoder.Blocks = append(m.Decoder.Blocks, &Block{
			Norm: norm(),
			Attn: &nn.SelfAttention{
				Q: linear(C, c.Heads*D), K: linear(C, D), V: linear(C, D), O: linear(c.Heads*D, C),
				Rope: rope,
				Spec: tensor.Attention{Heads: c.Heads, KVHeads: 1, HeadDim: D},
			},
			MLP: &nn.GatedMLP{Gate: linear(C, F), Up: linear(C, F), Down: linear(F, C), Act: tensor.SiLU},
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

// Forward is y = x + MLP(norm(x)) + attention(norm(x)) (section 2, "Parallel Layers"). x is [N, C], the tokens of all sequences.
func (b *Block) Forward(t *tensor.Tape, x *tensor.Tensor, seqs *nn.Seqs, kv *nn.KV, layer int) *tensor.Tensor {
	h := b.Norm.Forward(t, x)
	return b.MLP.Forward(t, h, b.Attn.Forward(t, h, x, seqs, kv, layer))
}

// Norm is the final norm on x [N, C], divided by sqrt(C): the logits' scale, because the embedding that is the head too starts at 1
// (section 5, "Weight initialization").
func (m *Model) Norm(t *tensor.Tape, x *tensor.Tensor) *tensor.Tensor {
	return t.Scale(m.Decoder.Norm.Forward(t, x), 1/math.Sqrt(float64(m.Config.Width)))
}

// Head is the token embedding [V, C], tied; there is no bias.
func (m *Model) Head() nn.Head { return nn.Head{Weight: m.Decoder.Tokens.Weight.T()} }

// Sizes are the facts that callers plan with.
func (m *Model) Sizes() model.Sizes {
	c := m.Config
	return model.Sizes{Layers: c.Layers, Width: c.Width, Heads: c.Heads, KVHeads: 1, HeadDim: c.HeadDim, Vocab: c.Vocab, Context: c.Context, Virtual: m.Decoder.Tokens.Virtual()}
}
