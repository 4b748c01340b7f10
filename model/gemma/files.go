package gemma

import (
	"maps"
	"strings"

	"github.com/plinth-ml/plinth/checkpoint"
	"github.com/plinth-ml/plinth/model"
)

// ConfigJSON is the model's config.json.
func (m *Model) ConfigJSON() ([]byte, error) { return m.Config.Marshal() }

// ggufNames are the names of Gemma 2's and 3's parts in GGUF files.
var ggufNames = map[string]string{
	"model.embed_tokens": "token_embd", "model.norm": "output_norm",

	"input_layernorm": "attn_norm", "post_attention_layernorm": "post_attention_norm",
	"pre_feedforward_layernorm": "ffn_norm", "post_feedforward_layernorm": "post_ffw_norm",
	"self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output",
	"self_attn.q_norm": "attn_q_norm", "self_attn.k_norm": "attn_k_norm",
	"mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down",
}

// gguf1Names are those of Gemma 1, whose second norm is the MLP's.
var gguf1Names = func() map[string]string {
	names := maps.Clone(ggufNames)
	names["post_attention_layernorm"] = "ffn_norm"
	return names
}()

// Places are where a parameter stands in files. Norm weights here and in GGUF files are 1 + those of Hugging Face's. Files of models that take
// images have the decoder below another name.
func (m *Model) Places(s checkpoint.Scheme, param string) []checkpoint.Place {
	if s == checkpoint.GGUF {
		names := ggufNames
		if !kinds[m.Config.ModelType].sandwich {
			names = gguf1Names
		}
		return []checkpoint.Place{{Name: model.PartOf(param, "model.layers.").GGUF(names)}}
	}
	var add float32
	if strings.HasSuffix(param, "norm.weight") {
		add = 1
	}
	rest := strings.TrimPrefix(param, "model.")
	return []checkpoint.Place{{Name: param, Add: add}, {Name: "language_model.model." + rest, Add: add}, {Name: "model.language_model." + rest, Add: add}}
}

// Ignored reports tensors of published files that hold no parameter: tables of frequencies, a head that is the embedding again, and what
// takes images in.
func (m *Model) Ignored(_ checkpoint.Scheme, name string) bool {
	for _, part := range []string{"vision_tower.", "multi_modal_projector."} {
		if strings.HasPrefix(strings.TrimPrefix(name, "model."), part) {
			return true
		}
	}
	return strings.HasSuffix(name, "rotary_emb.inv_freq") || strings.HasSuffix(name, "lm_head.weight") || name == "output.weight"
}

// Shape is the arithmetic of the configuration.
func (c Config) Shape() model.Shape {
	k := kinds[c.ModelType]
	s := model.Shape{Layers: c.Layers, Width: c.Width, Heads: c.Heads, KVHeads: c.KVHeads, HeadDim: c.HeadDim, Hidden: c.Hidden, Gated: true,
		Sandwich: k.sandwich, HeadNorm: k.headNorm, Positions: model.Rotary, Vocab: c.Vocab, Context: c.Context}
	if c.Bias {
		s.Biases = model.QKVBias | model.OutputBias
	}
	for l := range c.Layers {
		window := 0
		if c.banded(l) {
			window = c.Window
		}
		s.Windows = append(s.Windows, window)
	}
	return s
}

// Cost counts the arithmetic per token for sequences of seq tokens.
func (m *Model) Cost(seq int) model.Cost { return m.Config.Shape().Cost(seq) }
