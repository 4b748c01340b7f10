package vision

import (
	"math"

	"github.com/plinth-ml/plinth/nn"
	"github.com/plinth-ml/plinth/tensor"
)

// LayerConfig is the shape of a Layer.
type LayerConfig struct {
	Width, Heads, Hidden int
	Layers               int // of the tower: they set how the matrices start
	Act                  tensor.Act
	Eps                  float64
	Causal               bool
}

// Layer is attention and MLP, each behind a norm and with a residual. Its tags are Hugging Face's.
type Layer struct {
	Attn  Attention     `name:"self_attn"`
	Norm1 *nn.LayerNorm `name:"layer_norm1"`
	Up    *nn.Linear    `name:"mlp.fc1"` // [F, C]
	Down  *nn.Linear    `name:"mlp.fc2"` // [C, F]
	Norm2 *nn.LayerNorm `name:"layer_norm2"`
	act   tensor.Act
}

// Attention is the matrices of self-attention, [C, C] with biases.
type Attention struct {
	K    *nn.Linear `name:"k_proj"`
	V    *nn.Linear `name:"v_proj"`
	Q    *nn.Linear `name:"q_proj"`
	Out  *nn.Linear `name:"out_proj"`
	spec tensor.Attention
}

// NewLayer returns a layer of shapes. Its matrices start as OpenAI's do: attention as N(0, 1/C), what is added to the residual by 1/√(2L) less, the MLP's
// inside as N(0, 1/(2C)).
func NewLayer(c LayerConfig) *Layer {
	std := 1 / math.Sqrt(float64(c.Width))
	out := std / math.Sqrt(2*float64(c.Layers))
	linear := func(in, to int, std float64) *nn.Linear { return nn.NewLinear(in, to, std, true) }
	return &Layer{
		Attn: Attention{K: linear(c.Width, c.Width, std), V: linear(c.Width, c.Width, std), Q: linear(c.Width, c.Width, std), Out: linear(c.Width, c.Width, out),
			spec: tensor.Attention{Heads: c.Heads, KVHeads: c.Heads, HeadDim: c.Width / c.Heads, Causal: c.Causal}},
		Norm1: nn.NewLayerNorm(c.Width, c.Eps), Norm2: nn.NewLayerNorm(c.Width, c.Eps),
		Up: linear(c.Width, c.Hidden, std/math.Sqrt2), Down: linear(c.Hidden, c.Width, out), act: c.Act,
	}
}

// Forward maps x [N, C] to [N, C].
func (l *Layer) Forward(t *tensor.Tape, x *tensor.Tensor, seqs *nn.Seqs) *tensor.Tensor {
	n := l.Norm1.Forward(t, x)
	qkv := nn.Together(t, n, l.Attn.Q, l.Attn.K, l.Attn.V) // each [N, C]
	return l.rest(t, x, qkv[0], qkv[1], qkv[2], seqs.Spans, nil)
}

// ForwardOf is Forward of one row of each sequence, named by rows, I32 [B]: [B, C]. The others are read as keys and values alone. A causal layer's rows are the
// last ones.
func (l *Layer) ForwardOf(t *tensor.Tape, x *tensor.Tensor, seqs *nn.Seqs, rows tensor.Buf) *tensor.Tensor {
	n := l.Norm1.Forward(t, x)
	kv := nn.Together(t, n, l.Attn.K, l.Attn.V) // each [N, C]
	q := l.Attn.Q.Forward(t, t.Gather(n, rows), tensor.Identity, nil)
	return l.rest(t, t.Gather(x, rows), q, kv[0], kv[1], single(rows.Len()), seqs.Spans)
}

// single is n spans of a row each.
func single(n int) []tensor.Span {
	spans := make([]tensor.Span, n)
	for i := range spans {
		spans[i] = tensor.Span{Start: i, Len: 1}
	}
	return spans
}

// rest is the layer behind the three matrices, for queries of the rows x, which may be nil: then attention has no residual.
func (l *Layer) rest(t *tensor.Tape, x, q, k, v *tensor.Tensor, queries, keys []tensor.Span) *tensor.Tensor {
	spec := l.Attn.spec
	spec.Queries, spec.Keys = queries, keys
	a := t.Attention(tensor.Of(q), tensor.Of(k), tensor.Of(v), spec)
	y := l.Attn.Out.Forward(t, a, tensor.Identity, x)
	h := l.Up.Forward(t, l.Norm2.Forward(t, y), l.act, nil) // [N, F]
	return l.Down.Forward(t, h, tensor.Identity, y)
}

// RunOf runs layers on x [N, C], the last one for one row of each sequence only: [B, C].
func RunOf(t *tensor.Tape, layers []*Layer, x *tensor.Tensor, seqs *nn.Seqs, rows tensor.Buf) *tensor.Tensor {
	for i, l := range layers {
		x = t.Scope(func() *tensor.Tensor {
			if i == len(layers)-1 {
				return l.ForwardOf(t, x, seqs, rows)
			}
			return l.Forward(t, x, seqs)
		})
	}
	return x
}
