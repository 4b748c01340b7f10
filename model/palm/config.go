package palm

import (
	"cmp"
	"fmt"

	"github.com/plinth-ml/plinth/checkpoint"
	"github.com/plinth-ml/plinth/model"
	"github.com/plinth-ml/plinth/nn"
)

// Type is the model_type. Transformers has no such model.
const Type = "plinth_palm"

// Config is a PaLM's config.json, under Llama's field names.
type Config struct {
	ModelType    string    `json:"model_type"`
	Vocab        int       `json:"vocab_size"`
	Context      int       `json:"max_position_embeddings"`
	Width        int       `json:"hidden_size"`
	Hidden       int       `json:"intermediate_size"` // 0 means 4·hidden_size
	Layers       int       `json:"num_hidden_layers"`
	Heads        int       `json:"num_attention_heads"`
	HeadDim      int       `json:"head_dim"`
	LayerNormEps float64   `json:"layer_norm_eps"`
	RopeTheta    float64   `json:"rope_theta"`
	BOS          model.IDs `json:"bos_token_id"`
	EOS          model.IDs `json:"eos_token_id"`
}

// Parse reads a config.json. A key that it does not know is an error, because it may change the arithmetic.
func Parse(data []byte) (Config, error) {
	c := Config{LayerNormEps: 1e-5, RopeTheta: 10000}
	if err := model.ParseConfig(data, &c, model.Keys{}); err != nil {
		return c, fmt.Errorf("palm: %w", err)
	}
	return c, c.Check()
}

// Marshal writes config.json.
func (c Config) Marshal() ([]byte, error) {
	return model.MarshalConfig(c, nil, map[string]any{"torch_dtype": "float32"})
}

// Check reports the first field whose value no model can have.
func (c Config) Check() error {
	bad := func(format string, args ...any) error { return fmt.Errorf("palm: config.json: "+format, args...) }
	err := model.CheckLimits(
		model.Limit{Key: "vocab_size", Value: c.Vocab, Most: 1 << 24}, model.Limit{Key: "max_position_embeddings", Value: c.Context, Most: 1 << 24},
		model.Limit{Key: "hidden_size", Value: c.Width, Most: 1 << 18}, model.Limit{Key: "intermediate_size", Value: c.hidden(), Most: 1 << 20},
		model.Limit{Key: "num_hidden_layers", Value: c.Layers, Most: 1 << 12}, model.Limit{Key: "num_attention_heads", Value: c.Heads, Most: 1 << 12},
		model.Limit{Key: "head_dim", Value: c.HeadDim, Most: 1 << 12})
	if err == nil {
		err = model.CheckEnds(c.Vocab, 0, c.EOS...)
	}
	switch {
	case c.ModelType != Type:
		return bad("model_type is %q, not %q", c.ModelType, Type)
	case err != nil:
		return fmt.Errorf("palm: %w", err)
	case !(c.LayerNormEps > 0):
		return bad("layer_norm_eps is %v", c.LayerNormEps)
	}
	if err := c.rope().Check(c.HeadDim); err != nil {
		return bad("rotation: %w", err)
	}
	return nil
}

func (c Config) hidden() int { return cmp.Or(c.Hidden, 4*c.Width) }

func (c Config) rope() nn.RopeConfig { return nn.RopeConfig{Type: "default", Theta: c.RopeTheta} }

// ConfigJSON is the model's config.json.
func (m *Model) ConfigJSON() ([]byte, error) { return m.Config.Marshal() }

// Places is the parameter's own name in every file.
func (m *Model) Places(_ checkpoint.Scheme, param string) []checkpoint.Place {
	return []checkpoint.Place{{Name: param}}
}

// Ignored is false: nobody published files with anything else in them.
func (m *Model) Ignored(checkpoint.Scheme, string) bool { return false }

// Shape is the arithmetic of the configuration.
func (c Config) Shape() model.Shape {
	return model.Shape{Layers: c.Layers, Width: c.Width, Heads: c.Heads, KVHeads: 1, HeadDim: c.HeadDim, Hidden: c.hidden(), Gated: true, Parallel: true,
		Positions: model.Rotary, Vocab: c.Vocab, Context: c.Context}
}

// Cost counts the arithmetic per token for sequences of seq tokens.
func (m *Model) Cost(seq int) model.Cost { return m.Config.Shape().Cost(seq) }
