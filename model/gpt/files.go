package gpt

import (
	"strings"

	"github.com/plinth-ml/plinth/checkpoint"
	"github.com/plinth-ml/plinth/model"
)

// ConfigJSON is the model's config.json.
func (m *Model) ConfigJSON() ([]byte, error) { return m.Config.Marshal() }

// Places are a parameter's names in published files: OpenAI's own leave the prefix out.
func (m *Model) Places(_ checkpoint.Scheme, param string) []checkpoint.Place {
	return []checkpoint.Place{{Name: param}, {Name: strings.TrimPrefix(param, "transformer.")}}
}

// Ignored reports tensors of published files that hold no parameter: causal masks, and the head, which is the embedding again.
func (m *Model) Ignored(_ checkpoint.Scheme, name string) bool {
	return strings.HasSuffix(name, ".attn.bias") || strings.HasSuffix(name, ".attn.masked_bias") || name == "lm_head.weight"
}

// Cost counts the arithmetic per token for sequences of seq tokens.
func (m *Model) Cost(seq int) model.Cost { return m.Config.Cost(seq) }
