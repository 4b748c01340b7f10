package gpt

import (
	"strings"

	"github.com/plinth-ml/plinth/checkpoint"
	"github.com/plinth-ml/plinth/model"
)

// ConfigJSON is the model's config.json.
func (m *Model) ConfigJSON() ([]byte, error) { return m.Config.Marshal() }

// ggufNames are the names of GPT-2's parts in GGUF files.
var ggufNames = map[string]string{
	"transformer.wte": "token_embd", "transformer.wpe": "position_embd", "transformer.ln_f": "output_norm",

	"ln_1": "attn_norm", "attn.c_attn": "attn_qkv", "attn.c_proj": "attn_output",
	"ln_2": "ffn_norm", "mlp.c_fc": "ffn_up", "mlp.c_proj": "ffn_down",
}

// Places are a parameter's names in published files: OpenAI's own leave the prefix out. GGUF files hold the blocks' matrices [out, in].
func (m *Model) Places(s checkpoint.Scheme, param string) []checkpoint.Place {
	part := model.PartOf(param, "transformer.h.")
	turned := m.Config.OutIn != (s == checkpoint.GGUF) && strings.Contains(part.Module, ".c_") && part.Tensor == "weight"
	if s == checkpoint.GGUF {
		return []checkpoint.Place{{Name: part.GGUF(ggufNames), Transpose: turned}}
	}
	return []checkpoint.Place{{Name: param, Transpose: turned}, {Name: strings.TrimPrefix(param, "transformer."), Transpose: turned}}
}

// Ignored reports tensors of published files that hold no parameter: causal masks, and the head, which is the embedding again.
func (m *Model) Ignored(_ checkpoint.Scheme, name string) bool {
	return strings.HasSuffix(name, ".attn.bias") || strings.HasSuffix(name, ".attn.masked_bias") || name == "lm_head.weight" || name == "output.weight"
}

// Cost counts the arithmetic per token for sequences of seq tokens.
func (m *Model) Cost(seq int) model.Cost { return m.Config.Cost(seq) }
