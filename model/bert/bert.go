// Package bert is BERT (Devlin et al. 2019, BERT: Pre-training of Deep Bidirectional Transformers for Language Understanding): a post-norm encoder
// that sees a text whole, with its pooler, the heads of its pre-training and those of tasks; and its relatives RoBERTa, DistilBERT and MiniLM.
package bert

import (
	"sync/atomic"

	"github.com/plinth-ml/plinth/model"
	"github.com/plinth-ml/plinth/nn"
	"github.com/plinth-ml/plinth/tensor"
)

// Model is a BERT. Its tags are the tensor names of Hugging Face's bert; Params gives those of the family.
type Model struct {
	Config Config
	Bert   Encoder    `name:"bert"`
	Cls    *Cloze     `name:"cls.predictions"`      // predicts masked tokens, or nil
	NSP    *nn.Linear `name:"cls.seq_relationship"` // [2, C], on the pooler: 0 where the second text follows the first; or nil

	Dense  *nn.Linear `name:"pre_classifier"` // [C, C] under a classifier of RoBERTa and DistilBERT, or nil
	Scores *nn.Linear `name:"classifier"`     // [K, C] of a task, or nil
	Answer *nn.Linear `name:"qa_outputs"`     // [2, C]: an answer's start and end, or nil

	zeros atomic.Pointer[[]int32]
}

// Encoder is everything below the heads.
type Encoder struct {
	Embeddings Embeddings `name:"embeddings"`
	Layers     []*Layer   `name:"encoder.layer"`
	Pooler     *nn.Linear `name:"pooler.dense"` // [C, C], tanh of the first token's features; or nil
}

// Embeddings are LN(tokens + segments + positions).
type Embeddings struct {
	Tokens    *nn.Embedding `name:"word_embeddings"`       // [V, C]
	Positions *nn.Embedding `name:"position_embeddings"`   // [T, C]
	Segments  *nn.Embedding `name:"token_type_embeddings"` // [2, C], or nil
	Norm      *nn.LayerNorm `name:"LayerNorm"`
}

// Layer is attention and MLP, each with a residual and a norm behind it.
type Layer struct {
	Attn *Attention    `name:"attention"`
	Up   *nn.Linear    `name:"intermediate.dense"` // [F, C]
	Down *nn.Linear    `name:"output.dense"`       // [C, F]
	Norm *nn.LayerNorm `name:"output.LayerNorm"`
	act  tensor.Act
	drop float64
}

// Attention is self-attention in which every token sees all of its text.
type Attention struct {
	Q    *nn.Linear    `name:"self.query"` // [C, C]
	K    *nn.Linear    `name:"self.key"`
	V    *nn.Linear    `name:"self.value"`
	Out  *nn.Linear    `name:"output.dense"`
	Norm *nn.LayerNorm `name:"output.LayerNorm"`
	spec tensor.Attention
	drop float64
}

// Cloze maps features to logits of the tokens that were masked: a dense layer, GELU and a norm, then the token embedding again, with a bias.
type Cloze struct {
	Dense *nn.Linear    `name:"transform.dense"` // [C, C]
	Norm  *nn.LayerNorm `name:"transform.LayerNorm"`
	Bias  *nn.Param     `name:"bias"` // [V]
	act   tensor.Act
}

// New returns a model of shapes without memory; nn.Init or a loader gives it values. The first values are BERT's: N(0, 0.02²), biases 0.
func New(c Config) (*Model, error) {
	if err := c.Check(); err != nil {
		return nil, err
	}
	C, std, act := c.Width, c.InitStd, model.Activations[c.Activation]
	linear := func(in, out int) *nn.Linear { return nn.NewLinear(in, out, std, true) }
	m := &Model{Config: c, Bert: Encoder{Embeddings: Embeddings{
		Tokens: nn.NewEmbedding(c.Vocab, C, std), Positions: nn.NewEmbedding(c.Context, C, std), Norm: nn.NewLayerNorm(C, c.Eps),
	}}}
	if c.Segments > 0 {
		m.Bert.Embeddings.Segments = nn.NewEmbedding(c.Segments, C, std)
	}
	for range c.Layers {
		m.Bert.Layers = append(m.Bert.Layers, &Layer{
			Attn: &Attention{Q: linear(C, C), K: linear(C, C), V: linear(C, C), Out: linear(C, C), Norm: nn.NewLayerNorm(C, c.Eps), drop: c.Dropout,
				spec: tensor.Attention{Heads: c.Heads, KVHeads: c.Heads, HeadDim: C / c.Heads, Drop: c.AttnDropout}},
			Up: linear(C, c.Hidden), Down: linear(c.Hidden, C), Norm: nn.NewLayerNorm(C, c.Eps), act: act, drop: c.Dropout,
		})
	}
	if c.pooled() {
		m.Bert.Pooler = linear(C, C)
	}
	if c.masked() {
		m.Cls = &Cloze{Dense: linear(C, C), Norm: nn.NewLayerNorm(C, c.Eps), Bias: nn.NewConstant(0, c.Vocab), act: act}
		if c.ModelType == TypeRoBERTa {
			m.Cls.act = tensor.GELU // whatever hidden_act is
		}
	}
	switch c.Head {
	case PreTraining:
		m.NSP = linear(C, 2)
	case Classification:
		m.Scores = linear(C, c.Labels)
		if c.ModelType != TypeBERT {
			m.Dense = linear(C, C)
		}
	case Tagging:
		m.Scores = linear(C, c.Labels)
	case Answers:
		m.Answer = linear(C, 2)
	}
	return m, nil
}

// Encode maps the N tokens of in to features [N, C].
func (m *Model) Encode(t *tensor.Tape, in model.Input) *tensor.Tensor {
	x := m.embed(t, in)
	for _, l := range m.Bert.Layers {
		x = t.Scope(func() *tensor.Tensor { return l.Forward(t, x, in.Seqs) })
	}
	return x
}

// embed returns the embeddings of the tokens of in, normed: [N, C].
func (m *Model) embed(t *tensor.Tape, in model.Input) *tensor.Tensor {
	e := &m.Bert.Embeddings
	tables := [3]tensor.Lookup{e.Tokens.Lookup(in.IDs, nil), {Table: e.Positions.Weight.T(), IDs: in.Seqs.Positions, From: m.Config.firstPosition()}}
	n := 2
	if e.Segments != nil {
		tables[2] = tensor.Lookup{Table: e.Segments.Weight.T(), IDs: in.Segments}
		if in.Segments.None() {
			tables[2].IDs = m.firstSegment(in.IDs.Len())
		}
		n = 3
	}
	return t.Dropout(e.Norm.Forward(t, t.Embed(tables[:n]...)), m.Config.Dropout)
}

// firstSegment is n zeros, which tapes of several goroutines may share.
func (m *Model) firstSegment(n int) tensor.Buf {
	z := m.zeros.Load()
	if z == nil || len(*z) < n {
		s := make([]int32, n)
		z = &s
		m.zeros.Store(z)
	}
	return tensor.IDs((*z)[:n])
}

// Forward is LN(y + MLP(y)) of y = LN(x + attention(x)). x is [N, C], the tokens of all texts.
func (l *Layer) Forward(t *tensor.Tape, x *tensor.Tensor, seqs *nn.Seqs) *tensor.Tensor {
	y := l.Attn.Forward(t, x, seqs)
	h := l.Up.Forward(t, y, l.act, nil) // [N, F]
	return l.Norm.Forward(t, l.Down.ForwardDrop(t, h, l.drop, y))
}

// Forward is LN(x + attention(x)). x is [N, C].
func (a *Attention) Forward(t *tensor.Tape, x *tensor.Tensor, seqs *nn.Seqs) *tensor.Tensor {
	spec := a.spec
	spec.Queries = seqs.Spans
	qkv := nn.Together(t, x, a.Q, a.K, a.V)                                         // each [N, H·D]
	y := t.Attention(tensor.Of(qkv[0]), tensor.Of(qkv[1]), tensor.Of(qkv[2]), spec) // [N, H·D]
	return a.Norm.Forward(t, a.Out.ForwardDrop(t, y, a.drop, x))
}

// Pool maps features of first tokens [B, C] to tanh of the pooler's layer [B, C]. The model must have a pooler.
func (m *Model) Pool(t *tensor.Tape, first *tensor.Tensor) *tensor.Tensor {
	return m.Bert.Pooler.Forward(t, first, tensor.Tanh, nil)
}

// Pooled maps the texts of in to one vector each [B, C]: the pooler's.
func (m *Model) Pooled(t *tensor.Tape, in model.Input) *tensor.Tensor {
	return m.Pool(t, m.first(t, m.Encode(t, in), in.Seqs))
}

// first returns the features of each text's first token: [B, C] of x [N, C].
func (m *Model) first(t *tensor.Tape, x *tensor.Tensor, seqs *nn.Seqs) *tensor.Tensor {
	return t.SeqMean(x, model.First.Spans(nil, seqs))
}

// Cloze maps features of masked tokens [M, C] to what Tokens reads [M, C]. The model must have the head.
func (m *Model) Cloze(t *tensor.Tape, x *tensor.Tensor) *tensor.Tensor {
	return m.Cls.Norm.Forward(t, m.Cls.Dense.Forward(t, x, m.Cls.act, nil))
}

// Tokens is the head that scores tokens: the token embedding, with a bias for each.
func (m *Model) Tokens() nn.Head {
	return nn.Head{Weight: m.Bert.Embeddings.Tokens.Weight.T(), Bias: m.Cls.Bias.T()}
}

// NextSentence is the head on the pooler: class 0 where the second text follows the first, 1 where it is from elsewhere.
func (m *Model) NextSentence() nn.Head {
	return nn.Head{Weight: m.NSP.Weight.T(), Bias: m.NSP.Bias.T()}
}

// Sizes are the facts that callers plan with.
func (m *Model) Sizes() model.Sizes {
	s := m.Config.Sizes()
	s.Virtual = m.Bert.Embeddings.Tokens.Virtual()
	return s
}

// Cost counts the arithmetic per token for texts of seq tokens, with a task's head among the parameters.
func (m *Model) Cost(seq int) model.Cost {
	c := m.Config.Shape().Cost(seq)
	c.Params = nn.Count(m.Params())
	return c
}
