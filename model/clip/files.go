package clip

import (
	"fmt"
	"strings"

	"github.com/plinth-ml/plinth/checkpoint"
	"github.com/plinth-ml/plinth/model"
	"github.com/plinth-ml/plinth/nn"
)

// Params lists the parameters under the names of transformers' files.
func (m *Model) Params() []nn.Named { return nn.Params(m) }

// Scheme is that of the model's folders: transformers' where it can say what the model is, otherwise open_clip's.
func (m *Model) Scheme() checkpoint.Scheme {
	if m.ResNet != nil || m.Config.Sigmoid && !m.Config.siglip() {
		return checkpoint.OpenCLIP
	}
	return checkpoint.HuggingFace
}

// ConfigJSON is the configuration file of the model's scheme: config.json or open_clip_config.json.
func (m *Model) ConfigJSON() ([]byte, error) {
	if m.Scheme() == checkpoint.OpenCLIP {
		return m.Config.MarshalOpenCLIP()
	}
	return m.Config.Marshal()
}

// Sizes are those of the tower for texts.
func (m *Model) Sizes() model.Sizes {
	t := m.Config.Text
	return model.Sizes{Layers: t.Layers, Width: t.Width, Heads: t.Heads, KVHeads: t.Heads, HeadDim: t.Width / t.Heads, Vocab: t.Vocab, Context: t.Context}
}

// outside are OpenAI's names of what stands outside layers.
var outside = map[string]string{
	"text_model.embeddings.token_embedding.weight":      "token_embedding.weight",
	"text_model.embeddings.position_embedding.weight":   "positional_embedding",
	"text_model.final_layer_norm.weight":                "ln_final.weight",
	"text_model.final_layer_norm.bias":                  "ln_final.bias",
	"text_projection.weight":                            "text_projection",
	"visual_projection.weight":                          "visual.proj",
	"vision_model.embeddings.class_embedding":           "visual.class_embedding",
	"vision_model.embeddings.patch_embedding.weight":    "visual.conv1.weight",
	"vision_model.embeddings.position_embedding.weight": "visual.positional_embedding",
	"vision_model.pre_layrnorm.weight":                  "visual.ln_pre.weight",
	"vision_model.pre_layrnorm.bias":                    "visual.ln_pre.bias",
	"vision_model.post_layernorm.weight":                "visual.ln_post.weight",
	"vision_model.post_layernorm.bias":                  "visual.ln_post.bias",
}

// inside are OpenAI's names of modules of layers.
var inside = map[string]string{"self_attn.out_proj": "attn.out_proj", "layer_norm1": "ln_1", "layer_norm2": "ln_2", "mlp.fc1": "mlp.c_fc", "mlp.fc2": "mlp.c_proj"}

// Places are a parameter's names in files: transformers', OpenAI's, and OpenAI's as open_clip has them for a text tower that is a module of its own.
func (m *Model) Places(s checkpoint.Scheme, param string) []checkpoint.Place {
	if m.Config.siglip() {
		for i, module := range []string{"q_proj", "k_proj", "v_proj"} {
			if tensor, ok := strings.CutPrefix(param, "vision_model.head.attention."+module+"."); ok {
				return []checkpoint.Place{{Name: "vision_model.head.attention.in_proj_" + tensor, From: i * m.Config.Vision.Width}}
			}
		}
		return []checkpoint.Place{{Name: param}}
	}
	theirs := m.openAI(param)
	custom := theirs
	if !strings.HasPrefix(theirs.Name, "visual.") && !strings.HasPrefix(theirs.Name, "logit_") {
		custom.Name = "text." + theirs.Name
	}
	if s == checkpoint.OpenCLIP {
		return []checkpoint.Place{theirs, custom, {Name: param}}
	}
	return []checkpoint.Place{{Name: param}, theirs, custom}
}

// openAI is where OpenAI's files hold a parameter: queries, keys and values of a layer are one matrix there, and the projections are transposed.
func (m *Model) openAI(param string) checkpoint.Place {
	if name, ok := outside[param]; ok {
		return checkpoint.Place{Name: name, Transpose: strings.HasSuffix(param, "_projection.weight")}
	}
	for _, t := range []struct {
		prefix, root string
		width        int
	}{{"text_model.encoder.layers.", "transformer.resblocks.", m.Config.Text.Width}, {"vision_model.encoder.layers.", "visual.transformer.resblocks.", m.Config.Vision.Width}} {
		part := model.PartOf(param, t.prefix)
		if part.Layer < 0 {
			continue
		}
		root := fmt.Sprintf("%s%d.", t.root, part.Layer)
		for i, module := range []string{"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"} {
			if part.Module == module {
				return checkpoint.Place{Name: root + "attn.in_proj_" + part.Tensor, From: i * t.width}
			}
		}
		return checkpoint.Place{Name: root + inside[part.Module] + "." + part.Tensor}
	}
	return checkpoint.Place{Name: param} // logit_scale and logit_bias, and what is in a ResNet
}

// Ignored reports tensors of published files that hold no parameter: numbers of positions, how many batches a running mean has seen, which does not change it, and what OpenAI's scripted models have as tensors.
func (m *Model) Ignored(_ checkpoint.Scheme, name string) bool {
	switch name {
	case "attn_mask", "text.attn_mask", "input_resolution", "context_length", "vocab_size":
		return true
	}
	return strings.HasSuffix(name, ".embeddings.position_ids") || strings.HasSuffix(name, ".num_batches_tracked")
}

// Cost counts the arithmetic of a picture and a text of seq tokens, divided by the tokens of both: patches, with the class token, and tokens. For a ResNet a
// picture is one token.
func (m *Model) Cost(seq int) model.Cost {
	rows, patches := 1, 0
	if m.ViT != nil {
		rows, patches = m.Rows(), m.ViT.Config.Patches()
	}
	matrix, attention := m.ImageFLOPs(patches)
	tm, ta := m.TextFLOPs(float64(seq))
	n := float64(rows + seq)
	return model.Cost{Params: nn.Count(m.Params()), Matrix: (matrix + tm) / n, Attention: (attention + ta) / n}
}

// ImageFLOPs is the forward arithmetic of a picture of which so many patches are seen, a multiply-add being two: products with weights, and scores and values of
// attention. A ResNet sees all of it, and its attention counts as products.
func (m *Model) ImageFLOPs(patches int) (matrix, attention float64) {
	if m.ResNet != nil {
		return m.ResNet.Config.FLOPs(), 0
	}
	v, c := m.Config.Vision, m.Config.vit()
	rows, C, F := float64(c.Rows()-c.Patches()+patches), float64(v.Width), float64(v.Hidden)
	last := 1.0 // the last layer makes one row: see vision.RunOf
	if m.Config.siglip() {
		last = rows
	}
	matrix, attention = v.cost(rows, last)
	matrix += 2 * float64(patches*3*v.Patch*v.Patch) * C
	if m.Config.siglip() { // the probe
		return matrix + 2*(rows*2*C*C+2*C*C+2*C*F), attention + 4*C*rows
	}
	return matrix + 2*float64(m.Config.Projection)*C, attention
}

// TextFLOPs is that of a text of so many tokens.
func (m *Model) TextFLOPs(tokens float64) (matrix, attention float64) {
	t, causal := m.Config.Text, 2.0
	if m.Config.siglip() {
		causal = 1
	}
	matrix, attention = t.cost(tokens, 1)
	return matrix + 2*float64(m.Config.Projection*t.Width), attention / causal
}

// cost is the arithmetic of n tokens in the layers, the last of which makes so many rows: products with weights, and scores and values without a mask.
func (c tower) cost(n, last float64) (matrix, attention float64) {
	C, F, L := float64(c.Width), float64(c.Hidden), float64(c.Layers)
	return 2 * ((L-1)*n*(4*C*C+2*C*F) + n*2*C*C + last*(2*C*C+2*C*F)), 4 * C * ((L-1)*n*n + last*n)
}
