package llama

import (
	"strings"

	"github.com/plinth-ml/plinth/model"
)

// ConfigJSON is the model's config.json.
func (m *Model) ConfigJSON() ([]byte, error) { return m.Config.Marshal() }

// Aliases are other names of a parameter in published files.
func (m *Model) Aliases(name string) []string { return nil }

// Ignored reports tensors of published files that hold no parameter: tables of frequencies, and a head that is the embedding again.
func (m *Model) Ignored(name string) bool {
	return strings.HasSuffix(name, "rotary_emb.inv_freq") || m.Output == nil && name == "lm_head.weight"
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
