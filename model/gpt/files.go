package gpt

import (
	"strings"

	"github.com/plinth-ml/plinth/model"
)

// ConfigJSON is the model's config.json.
func (m *Model) ConfigJSON() ([]byte, error) { return m.Config.Marshal() }

// Aliases are other names of a parameter in published files: OpenAI's own leave the prefix out.
func (m *Model) Aliases(name string) []string {
	return []string{strings.TrimPrefix(name, "transformer.")}
}

// Ignored reports tensors of published files that hold no parameter: causal masks, and the head, which is the embedding again.
func (m *Model) Ignored(name string) bool {
	return strings.HasSuffix(name, ".attn.bias") || strings.HasSuffix(name, ".attn.masked_bias") || name == "lm_head.weight"
}

// Cost counts the arithmetic per token for sequences of seq tokens.
func (m *Model) Cost(seq int) model.Cost { return m.Config.Cost(seq) }
