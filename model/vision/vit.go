package vision

import (
	"math"

	"github.com/plinth-ml/plinth/nn"
	"github.com/plinth-ml/plinth/tensor"
)

// ViTConfig is the shape of a ViT.
type ViTConfig struct {
	LayerConfig
	Side, Patch int  // pixels
	Probed      bool // SigLIP's: see ViT
}

// Rows is the number of rows of a picture in the layers: its patches, and the class token.
func (c ViTConfig) Rows() int {
	if c.Probed {
		return c.Patches()
	}
	return 1 + c.Patches()
}

// Patches is the number of patches of a picture.
func (c ViTConfig) Patches() int { n := c.Side / c.Patch; return n * n }

// ViT is the Vision Transformer as CLIP has it: patches by a matrix without bias, a class token, learned positions, a norm in front of the layers, and
// behind them the norm of the class token's features. SigLIP's (Zhai et al. 2023) has patches with a bias, neither class token nor the norm in front, and a
// probe that attends to the normed features of all patches. Its tags are Hugging Face's.
type ViT struct {
	Config    ViTConfig
	Class     *nn.Param     `name:"embeddings.class_embedding"`           // [C], or nil
	Patch     *nn.Linear    `name:"embeddings.patch_embedding"`           // [C, 3, P, P]
	Positions *nn.Param     `name:"embeddings.position_embedding.weight"` // [Rows, C], the class token's first
	PreNorm   *nn.LayerNorm `name:"pre_layrnorm"`                         // or nil
	Layers    []*Layer      `name:"encoder.layers"`
	Norm      *nn.LayerNorm `name:"post_layernorm"`
	Probe     *Probe        `name:"head"` // or nil
}

// NewViT returns a tower of shapes, which starts as OpenAI's does.
func NewViT(c ViTConfig) *ViT {
	C := c.Width
	std := 1 / math.Sqrt(float64(C))
	m := &ViT{Config: c, Patch: &nn.Linear{Weight: nn.NewParam(0.02, C, 3, c.Patch, c.Patch)}, Positions: nn.NewParam(std, c.Rows(), C), Norm: nn.NewLayerNorm(C, c.Eps)}
	if c.Probed {
		m.Patch.Bias, m.Probe = nn.NewConstant(0, C), newProbe(c.LayerConfig)
	} else {
		m.Class, m.PreNorm = nn.NewParam(std, C), nn.NewLayerNorm(C, c.Eps)
	}
	for range c.Layers {
		m.Layers = append(m.Layers, NewLayer(c.LayerConfig))
	}
	return m
}

// Width is the length of a picture's vector.
func (m *ViT) Width() int { return m.Config.Width }

// Side is that of the pictures, in pixels.
func (m *ViT) Side() int { return m.Config.Side }

// Encode maps the pictures to the features of their class tokens, or to what the probe makes of their patches: [B, C].
func (m *ViT) Encode(t *tensor.Tape, in Images) *tensor.Tensor {
	x, seqs, first := m.embed(t, in)
	if m.Probe == nil {
		return m.Norm.Forward(t, RunOf(t, m.Layers, x, seqs, first))
	}
	for _, l := range m.Layers {
		x = t.Scope(func() *tensor.Tensor { return l.Forward(t, x, seqs) })
	}
	return m.Probe.Forward(t, m.Norm.Forward(t, x), seqs)
}

// embed returns class tokens and patches with their positions, normed [N, C], and the rows of the class tokens.
func (m *ViT) embed(t *tensor.Tape, in Images) (x *tensor.Tensor, seqs *nn.Seqs, first tensor.Buf) {
	in.check(m.Config.Side)
	B, before := in.Len(), m.Config.Rows()-m.Config.Patches() // rows of the class token
	lengths := make([]int, B)
	for i := range lengths {
		lengths[i] = m.Config.Rows()
		if in.Keep != nil {
			lengths[i] = before + len(in.Keep[i])
		}
	}
	seqs = nn.NewSeqs(lengths...)
	positions, patches, firsts := seqs.Positions.I32(), make([]int32, 0, seqs.Rows()-B*before), make([]int32, B)
	for i, s := range seqs.Spans {
		firsts[i] = int32(s.Start)
		for j := before; j < s.Len; j++ {
			patches = append(patches, int32(s.Start+j))
			if in.Keep != nil {
				positions[s.Start+j] = int32(before) + in.Keep[i][j-before]
			}
		}
	}
	first = tensor.IDs(firsts)
	width := 3 * m.Config.Patch * m.Config.Patch
	pixels := t.Input(func(dst []float32) {
		for i, s := range seqs.Spans {
			picture := in.Pixels[i*3*in.Side*in.Side:]
			for _, p := range positions[s.Start+before : s.End()] {
				m.cut(dst[:width], picture, int(p)-before)
				dst = dst[width:]
			}
		}
	}, len(patches), width)
	at := t.Gather(m.Positions.T(), seqs.Positions)
	if m.Class == nil {
		return m.Patch.Forward(t, pixels, tensor.Identity, at), seqs, first
	}
	x = t.AddRows(at, []*tensor.Tensor{
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
