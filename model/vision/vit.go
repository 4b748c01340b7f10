package vision

import (
	"math"

	"github.com/plinth-ml/plinth/nn"
	"github.com/plinth-ml/plinth/tensor"
)

// ViTConfig is the shape of a ViT.
type ViTConfig struct {
	LayerConfig
	Side, Patch int // pixels
}

// Patches is the number of patches of a picture.
func (c ViTConfig) Patches() int { n := c.Side / c.Patch; return n * n }

// ViT is the Vision Transformer as CLIP has it: patches by a matrix without bias, a class token, learned positions, a norm in front of the layers, and
// behind them the norm of the class token's features. Its tags are Hugging Face's.
type ViT struct {
	Config    ViTConfig
	Class     *nn.Param     `name:"embeddings.class_embedding"`           // [C]
	Patch     *nn.Linear    `name:"embeddings.patch_embedding"`           // [C, 3, P, P]
	Positions *nn.Param     `name:"embeddings.position_embedding.weight"` // [1 + patches, C], the class token's first
	PreNorm   *nn.LayerNorm `name:"pre_layrnorm"`
	Layers    []*Layer      `name:"encoder.layers"`
	Norm      *nn.LayerNorm `name:"post_layernorm"`
}

// NewViT returns a tower of shapes, which starts as OpenAI's does.
func NewViT(c ViTConfig) *ViT {
	C := c.Width
	std := 1 / math.Sqrt(float64(C))
	m := &ViT{Config: c, Class: nn.NewParam(std, C), Patch: &nn.Linear{Weight: nn.NewParam(0.02, C, 3, c.Patch, c.Patch)},
		Positions: nn.NewParam(std, 1+c.Patches(), C), PreNorm: nn.NewLayerNorm(C, c.Eps), Norm: nn.NewLayerNorm(C, c.Eps)}
	for range c.Layers {
		m.Layers = append(m.Layers, NewLayer(c.LayerConfig))
	}
	return m
}

// Width is the length of a picture's vector.
func (m *ViT) Width() int { return m.Config.Width }

// Side is that of the pictures, in pixels.
func (m *ViT) Side() int { return m.Config.Side }

// Encode maps the pictures to the features of their class tokens [B, C].
func (m *ViT) Encode(t *tensor.Tape, in Images) *tensor.Tensor {
	x, seqs, first := m.embed(t, in)
	return m.Norm.Forward(t, RunOf(t, m.Layers, x, seqs, first))
}

// embed returns class tokens and patches with their positions, normed [N, C], and the rows of the class tokens.
func (m *ViT) embed(t *tensor.Tape, in Images) (x *tensor.Tensor, seqs *nn.Seqs, first tensor.Buf) {
	in.check(m.Config.Side)
	B, P := in.Len(), m.Config.Patches()
	lengths := make([]int, B)
	for i := range lengths {
		lengths[i] = 1 + P
		if in.Keep != nil {
			lengths[i] = 1 + len(in.Keep[i])
		}
	}
	seqs = nn.NewSeqs(lengths...)
	positions, patches, firsts := seqs.Positions.I32(), make([]int32, 0, seqs.Rows()-B), make([]int32, B)
	for i, s := range seqs.Spans {
		firsts[i] = int32(s.Start)
		for j := 1; j < s.Len; j++ {
			patches = append(patches, int32(s.Start+j))
			if in.Keep != nil {
				positions[s.Start+j] = 1 + in.Keep[i][j-1]
			}
		}
	}
	first = tensor.IDs(firsts)
	width := 3 * m.Config.Patch * m.Config.Patch
	pixels := t.Input(func(dst []float32) {
		for i, s := range seqs.Spans {
			picture := in.Pixels[i*3*in.Side*in.Side:]
			for _, p := range positions[s.Start+1 : s.End()] {
				m.cut(dst[:width], picture, int(p)-1)
				dst = dst[width:]
			}
		}
	}, len(patches), width)
	x = t.AddRows(t.Gather(m.Positions.T(), seqs.Positions), []*tensor.Tensor{
		t.Gather(m.Class.T(), tensor.IDs(make([]int32, B))),
		m.Patch.Forward(t, pixels, tensor.Identity, nil),
	}, []tensor.Buf{first, tensor.IDs(patches)})
	return m.PreNorm.Forward(t, x), seqs, first
}

// cut copies patch p of a picture [3, Side, Side] to dst [3, P, P].
func (m *ViT) cut(dst, picture []float32, p int) {
	side, n := m.Config.Side, m.Config.Patch
	corner := p/(side/n)*n*side + p%(side/n)*n
	for c := range 3 {
		for y := range n {
			at := (c*side+y)*side + corner
			dst = dst[copy(dst[:n], picture[at:at+n]):]
		}
	}
}
