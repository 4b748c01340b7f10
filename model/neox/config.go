package neox

import (
	"fmt"

	"github.com/plinth-ml/plinth/model"
	"github.com/plinth-ml/plinth/nn"
)

// Type is the model_type.
const Type = "gpt_neox"

// Config is a config.json under Hugging Face's field names.
type Config struct {
	ModelType    string        `json:"model_type"`
	Vocab        int           `json:"vocab_size"`
	Context      int           `json:"max_position_embeddings"`
	Width        int           `json:"hidden_size"`
	Hidden       int           `json:"intermediate_size"`
	Layers       int           `json:"num_hidden_layers"`
	Heads        int           `json:"num_attention_heads"`
	Activation   string        `json:"hidden_act"`
	LayerNormEps float64       `json:"layer_norm_eps"`
	InitStd      float64       `json:"initializer_range"`
	Parallel     bool          `json:"use_parallel_residual"` // attention and MLP read the same residual stream
	Bias         bool          `json:"attention_bias"`        // of the products of attention; the MLP always has biases
	Tied         bool          `json:"tie_word_embeddings"`   // the head is the token embedding
	BOS          model.IDs     `json:"bos_token_id"`
	EOS          model.IDs     `json:"eos_token_id"`
	Rope         nn.RopeConfig `json:"-"` // rope_parameters, or rotary_emb_base, rotary_pct and rope_scaling
}

// Parse reads a config.json. A key that it does not know is an error, because it may change the arithmetic.
func Parse(data []byte) (Config, error) {
	c := Config{Vocab: 50432, Context: 2048, Width: 6144, Hidden: 24576, Layers: 44, Heads: 64, Activation: "gelu", LayerNormEps: 1e-5, InitStd: 0.02,
		Parallel: true, Bias: true}
	raw := struct {
		*Config
		model.Rope
		Base  float64 `json:"rotary_emb_base"`
		Share float64 `json:"rotary_pct"`
	}{Config: &c, Base: 10000, Share: 0.25}
	err := model.ParseConfig(data, &raw, model.Keys{Neutral: []string{"attention_probs_dropout_prob", "hidden_dropout_prob"}})
	if err == nil {
		raw.Rope.Theta, raw.Rope.Partial = raw.Base, raw.Share
		c.Rope, err = raw.Rope.Config()
	}
	if err != nil {
		return c, fmt.Errorf("neox: %w", err)
	}
	return c, c.Check()
}

// Marshal writes config.json as transformers reads it.
func (c Config) Marshal() ([]byte, error) {
	more := c.Rope.Keys()
	more["rotary_emb_base"], more["rotary_pct"] = more["rope_theta"], c.Rope.Partial
	delete(more, "rope_theta")
	delete(more, "partial_rotary_factor")
	more["architectures"], more["torch_dtype"] = []string{"GPTNeoXForCausalLM"}, "float32"
	return model.MarshalConfig(c, nil, more)
}

// Check reports the first field whose value no model can have.
func (c Config) Check() error {
	bad := func(format string, args ...any) error { return fmt.Errorf("neox: config.json: "+format, args...) }
	err := model.CheckLimits(
		model.Limit{Key: "vocab_size", Value: c.Vocab, Most: 1 << 24}, model.Limit{Key: "max_position_embeddings", Value: c.Context, Most: 1 << 24},
		model.Limit{Key: "hidden_size", Value: c.Width, Most: 1 << 18}, model.Limit{Key: "intermediate_size", Value: c.Hidden, Most: 1 << 20},
		model.Limit{Key: "num_hidden_layers", Value: c.Layers, Most: 1 << 12}, model.Limit{Key: "num_attention_heads", Value: c.Heads, Most: 1 << 12})
	if err == nil {
		err = model.CheckEnds(c.Vocab, 0, c.EOS...)
	}
	switch {
	case c.ModelType != Type:
		return bad("model_type is %q, not %q", c.ModelType, Type)
	case err != nil:
		return fmt.Errorf("neox: %w", err)
	case c.Width%c.Heads != 0:
		return bad("hidden_size %d is not a multiple of num_attention_heads %d", c.Width, c.Heads)
	case !(c.LayerNormEps > 0) || !(c.InitStd > 0):
		return bad("layer_norm_eps %v and initializer_range %v must be positive", c.LayerNormEps, c.InitStd)
	}
	if err := model.CheckActivation(c.Activation); err != nil {
		return bad("hidden_act: %w", err)
	}
	if err := c.Rope.Check(c.Width / c.Heads); err != nil {
		return bad("rotation: %w", err)
	}
	return nil
}
