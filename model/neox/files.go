package neox

import (
	"strings"

	"github.com/plinth-ml/plinth/checkpoint"
	"github.com/plinth-ml/plinth/model"
)

// ConfigJSON is the model's config.json.
func (m *Model) ConfigJSON() ([]byte, error) { return m.Config.Marshal() }

// ggufNames are the names of the parts in GGUF files.
var ggufNames = map[string]string{
	"gpt_neox.embed_in": "token_embd", "gpt_neox.final_layer_norm": "output_norm", "embed_out": "output",

	"input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm",
	"attention.q_proj": "attn_qkv", "attention.k_proj": "attn_qkv", "attention.v_proj": "attn_qkv", "attention.o_proj": "attn_output",
	"mlp.dense_h_to_4h": "ffn_up", "mlp.dense_4h_to_h": "ffn_down",
}

// Places are where a parameter stands in files. Queries, keys and values are one tensor: in Hugging Face's head after head, each with its own
// three, in GGUF all queries, all keys, all values.
func (m *Model) Places(s checkpoint.Scheme, param string) []checkpoint.Place {
	part := model.PartOf(param, "gpt_neox.layers.")
	p := checkpoint.Place{Name: param}
	if s == checkpoint.GGUF {
		p.Name = part.GGUF(ggufNames)
	} else if part.Module == "attention.o_proj" {
		p.Name = part.Path("gpt_neox.layers.", "attention.dense")
	}
	which := map[string]int{"attention.q_proj": 0, "attention.k_proj": 1, "attention.v_proj": 2}
	i, fused := which[part.Module]
	D := m.Config.Width / m.Config.Heads
	switch {
	case fused && s == checkpoint.GGUF:
		p.From = i * m.Config.Width
	case fused:
		p.Name, p.From = part.Path("gpt_neox.layers.", "attention.query_key_value"), i*D
		p.Row = func(row int) int { return row/D*3*D + row%D }
	}
	return []checkpoint.Place{p}
}

// Ignored reports tensors of published files that hold no parameter: masks, tables of frequencies, and a head that is the embedding again.
func (m *Model) Ignored(_ checkpoint.Scheme, name string) bool {
	for _, end := range []string{".attention.bias", ".attention.masked_bias", "rotary_emb.inv_freq"} {
		if strings.HasSuffix(name, end) {
			return true
		}
	}
	return m.Output == nil && (name == "embed_out.weight" || name == "output.weight")
}

// Shape is the arithmetic of the configuration.
func (c Config) Shape() model.Shape {
	s := model.Shape{Layers: c.Layers, Width: c.Width, Heads: c.Heads, Hidden: c.Hidden, Biases: model.MLPBias, NormBias: true,
		Positions: model.Rotary, Vocab: c.Vocab, Context: c.Context, Untied: !c.Tied}
	if c.Bias {
		s.Biases = model.LayerBiases
	}
	return s
}

// Cost counts the arithmetic per token for sequences of seq tokens.
func (m *Model) Cost(seq int) model.Cost { return m.Config.Shape().Cost(seq) }
