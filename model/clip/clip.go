// Package clip is CLIP (Radford et al. 2021, Learning Transferable Visual Models From Natural Language Supervision): a tower for pictures and one for
// texts, whose vectors lie in one space, so that a picture and the text that describes it have a small angle.
package clip

import (
	"fmt"
	"math"

	"github.com/plinth-ml/plinth/model/vision"
	"github.com/plinth-ml/plinth/nn"
	"github.com/plinth-ml/plinth/tensor"
)

// MaxScale bounds the logarithm of the factor of cosines: the factor is at most 100 (section 2.5).
var MaxScale = math.Log(100)

// Model is a CLIP. Its tags are the tensor names of Hugging Face's CLIPModel; those of a ResNet, which it has not, are OpenAI's.
type Model struct {
	Config Config
	Text   Text           `name:"text_model"`
	ViT    *vision.ViT    `name:"vision_model"` // or nil
	ResNet *vision.ResNet `name:"visual"`       // or nil

	ProjectText  *nn.Linear `name:"text_projection"`   // [E, Ct], no bias; nil of SigLIP
	ProjectImage *nn.Linear `name:"visual_projection"` // [E, Cv], no bias; nil of SigLIP and of a ResNet, which ends in E
	Scale        *nn.Param  `name:"logit_scale"`       // the logarithm of the factor of cosines
	Bias         *nn.Param  `name:"logit_bias"`        // added to them, of models trained by the sigmoid loss (Zhai et al. 2023, SigLIP); or nil
}

// Text is the tower for texts: a causal transformer whose features at a text's last token, its end mark, stand for all of it. SigLIP's is not causal, and
// projects them itself.
type Text struct {
	Tokens    *nn.Embedding   `name:"embeddings.token_embedding"`    // [V, C]
	Positions *nn.Embedding   `name:"embeddings.position_embedding"` // [T, C]
	Layers    []*vision.Layer `name:"encoder.layers"`
	Norm      *nn.LayerNorm   `name:"final_layer_norm"`
	Head      *nn.Linear      `name:"head"` // [E, C] of SigLIP, or nil
}

// New returns a model of shapes without memory; nn.Init or a loader gives it values. The first values are OpenAI's.
func New(c Config) (*Model, error) {
	if err := c.Check(); err != nil {
		return nil, err
	}
	E := c.Projection
	text := c.Text.tower.layer(!c.siglip())
	number := c.number()
	m := &Model{Config: c, Scale: nn.NewConstant(c.ScaleInit, number...),
		Text: Text{Tokens: nn.NewEmbedding(c.Text.Vocab, text.Width, 0.02), Positions: nn.NewEmbedding(c.Text.Context, text.Width, 0.01), Norm: nn.NewLayerNorm(text.Width, text.Eps)}}
	if c.residual() {
		m.ResNet = vision.NewResNet(c.resnet())
	} else {
		m.ViT = vision.NewViT(c.vit())
	}
	for range text.Layers {
		m.Text.Layers = append(m.Text.Layers, vision.NewLayer(text))
	}
	project := func(width int) *nn.Linear { return nn.NewLinear(width, E, 1/math.Sqrt(float64(width)), false) }
	if c.siglip() {
		m.Text.Head = nn.NewLinear(text.Width, E, 1/math.Sqrt(float64(text.Width)), true)
	} else {
		m.ProjectText = project(text.Width)
		if m.ViT != nil {
			m.ProjectImage = project(m.ViT.Width())
		}
	}
	if c.Sigmoid {
		m.Bias = nn.NewConstant(c.BiasInit, number...)
	}
	return m, nil
}

// Tower is the model's tower for pictures.
func (m *Model) Tower() vision.Tower {
	if m.ResNet != nil {
		return m.ResNet
	}
	return m.ViT
}

// Rows is the number of rows of a picture in the tower's last layer.
func (m *Model) Rows() int {
	if m.ResNet != nil {
		return m.ResNet.Config.Rows()
	}
	return m.ViT.Config.Rows()
}

// Describe says in words what the tower for pictures is.
func (m *Model) Describe() string {
	v := m.Config.Vision
	if m.ResNet != nil {
		return fmt.Sprintf("a ResNet of %v blocks, width %d, heads %d x %d", v.Stages, v.Width, v.Heads, m.ResNet.Config.Features()/v.Heads)
	}
	return fmt.Sprintf("patches of %d, layers %d, width %d, heads %d x %d", v.Patch, v.Layers, v.Width, v.Heads, v.Width/v.Heads)
}

// Images maps pictures to vectors [B, E], of any length.
func (m *Model) Images(t *tensor.Tape, in vision.Images) *tensor.Tensor {
	return projected(t, m.ProjectImage, m.Tower().Encode(t, in))
}

// Texts maps texts to vectors [B, E], of any length. ids I32 [N] are the tokens of all texts, each from its start mark to its end mark; of a SigLIP each with its
// padding, up to the context.
func (m *Model) Texts(t *tensor.Tape, ids tensor.Buf, seqs *nn.Seqs) *tensor.Tensor {
	return projected(t, m.ProjectText, m.Text.Encode(t, ids, seqs))
}

// projected is x [B, C] by a layer, or x where there is none.
func projected(t *tensor.Tape, l *nn.Linear, x *tensor.Tensor) *tensor.Tensor {
	if l == nil {
		return x
	}
	return l.Forward(t, x, tensor.Identity, nil)
}

// Encode maps texts to the features of their last tokens, by the head where there is one: [B, C].
func (m *Text) Encode(t *tensor.Tape, ids tensor.Buf, seqs *nn.Seqs) *tensor.Tensor {
	x := t.Embed(m.Tokens.Lookup(ids, nil), m.Positions.Lookup(seqs.Positions, nil)) // [N, C]
	last := make([]int32, len(seqs.Spans))
	for i, s := range seqs.Spans {
		last[i] = int32(s.End() - 1)
	}
	return projected(t, m.Head, m.Norm.Forward(t, vision.RunOf(t, m.Layers, x, seqs, tensor.IDs(last))))
}

// Factor is what cosines are multiplied by to be logits.
func (m *Model) Factor() float64 { return math.Exp(float64(m.Scale.T().F32()[0])) }

// Settle bounds the factor of cosines by 100. It is for behind an optimiser's step.
func (m *Model) Settle() {
	s := m.Scale.T().F32()
	s[0] = min(s[0], float32(MaxScale))
}
