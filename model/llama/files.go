package llama

import (
	"strings"

	"github.com/plinth-ml/plinth/checkpoint"
	"github.com/plinth-ml/plinth/model"
)

// ConfigJSON is the model's config.json.
func (m *Model) ConfigJSON() ([]byte, error) { return m.Config.Marshal() }

// ggufNames are the names of a model's parts in GGUF files.
var ggufNames = map[string]string{
	"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output",

	"input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm",
	"self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output",
	"self_attn.q_norm": "attn_q_norm", "self_attn.k_norm": "attn_k_norm",
	"mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down",
}

// Places are where a parameter stands in files. In GGUF files of llama's architecture the rows of queries and keys are in the order of
// pairs: row 2i+s of a head is row s·D/2+i elsewhere.
func (m *Model) Places(s checkpoint.Scheme, param string) []checkpoint.Place {
	p := checkpoint.Place{Name: param}
	part := model.PartOf(param, "model.layers.")
	if s == checkpoint.GGUF {
		p.Name = part.GGUF(ggufNames)
	}
	if pairs := s == checkpoint.GGUF && kinds[m.Config.ModelType].ggufPairs; pairs != m.Config.RopePairs && (part.Module == "self_attn.q_proj" || part.Module == "self_attn.k_proj") {
		p.Row = m.Config.turned(pairs)
	}
	return []checkpoint.Place{p}
}

// turned is where the row of a query or key matrix stands in a file whose heads have the other order: pairs says whether the file's is that
// of pairs.
func (c Config) turned(pairs bool) func(row int) int {
	D, half := c.HeadDim, c.HeadDim/2
	return func(row int) int {
		head, i := row/D*D, row%D
		if pairs {
			return head + i%half*2 + i/half
		}
		return head + i%2*half + i/2
	}
}

// Ignored reports tensors of published files that hold no parameter: tables of frequencies, and a head that is the embedding again.
func (m *Model) Ignored(_ checkpoint.Scheme, name string) bool {
	return strings.HasSuffix(name, "rotary_emb.inv_freq") || strings.HasPrefix(name, "rope_f") ||
		m.Output == nil && (name == "lm_head.weight" || name == "output.weight")
}

// Shape is the arithmetic of the configuration.
func (c Config) Shape() model.Shape {
	k := kinds[c.ModelType]
	s := model.Shape{Layers: c.Layers, Width: c.Width, Heads: c.Heads, KVHeads: c.KVHeads, HeadDim: c.HeadDim, Hidden: c.Hidden, Gated: true,
		HeadNorm: k.headNorm, Positions: model.Rotary, Vocab: c.Vocab, Context: c.Context, Untied: !c.Tied}
	if k.qkvBias {
		s.Biases |= model.QKVBias
	}
	if c.AttentionBias {
		s.Biases |= model.QKVBias | model.OutputBias
	}
	if c.MLPBias {
		s.Biases |= model.MLPBias
	}
	for l := range c.Layers {
		s.Windows = append(s.Windows, c.window(l))
	}
	return s
}

// Cost counts the arithmetic per token for sequences of seq tokens.
func (m *Model) Cost(seq int) model.Cost { return m.Config.Shape().Cost(seq) }
