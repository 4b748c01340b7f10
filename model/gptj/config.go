package gptj

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/plinth-ml/plinth/checkpoint"
	"github.com/plinth-ml/plinth/model"
	"github.com/plinth-ml/plinth/nn"
)

// Type is the model_type.
const Type = "gptj"

// Config is a config.json under Hugging Face's field names.
type Config struct {
	ModelType    string    `json:"model_type"`
	Vocab        int       `json:"vocab_size"`
	Context      int       `json:"n_positions"`
	Width        int       `json:"n_embd"`
	Layers       int       `json:"n_layer"`
	Heads        int       `json:"n_head"`
	RotaryDim    int       `json:"rotary_dim"` // elements of each head that turn
	Hidden       int       `json:"n_inner"`    // 0 or null means 4·n_embd
	Activation   string    `json:"activation_function"`
	LayerNormEps float64   `json:"layer_norm_epsilon"`
	InitStd      float64   `json:"initializer_range"`
	BOS          model.IDs `json:"bos_token_id"`
	EOS          model.IDs `json:"eos_token_id"`
}

// neutral keys say nothing about the arithmetic here.
var neutral = strings.Fields(`n_ctx summary_activation summary_first_dropout summary_proj_to_labels summary_type summary_use_proj task_specific_params`)

// fixed keys change the arithmetic: only these values are implemented.
var fixed = map[string]string{"tie_word_embeddings": "false", "rotary": "true", "scale_attn_weights": "true"}

// Parse reads a config.json. A key that it does not know is an error, because it may change the arithmetic.
func Parse(data []byte) (Config, error) {
	c := Config{Vocab: 50400, Context: 2048, Width: 4096, Layers: 28, Heads: 16, RotaryDim: 64, Activation: "gelu_new", LayerNormEps: 1e-5, InitStd: 0.02}
	if err := model.ParseConfig(data, &c, model.Keys{Neutral: neutral, Fixed: fixed}); err != nil {
		return c, fmt.Errorf("gptj: %w", err)
	}
	return c, c.Check()
}

// Marshal writes config.json as transformers reads it.
func (c Config) Marshal() ([]byte, error) {
	more := map[string]any{"architectures": []string{"GPTJForCausalLM"}, "torch_dtype": "float32", "tie_word_embeddings": false}
	if c.Hidden == 0 {
		more["n_inner"] = nil
	}
	return model.MarshalConfig(c, nil, more)
}

// Check reports the first field whose value no model can have.
func (c Config) Check() error {
	bad := func(format string, args ...any) error { return fmt.Errorf("gptj: config.json: "+format, args...) }
	err := model.CheckLimits(
		model.Limit{Key: "vocab_size", Value: c.Vocab, Most: 1 << 24}, model.Limit{Key: "n_positions", Value: c.Context, Most: 1 << 24},
		model.Limit{Key: "n_embd", Value: c.Width, Most: 1 << 18}, model.Limit{Key: "n_inner", Value: c.hidden(), Most: 1 << 20},
		model.Limit{Key: "n_layer", Value: c.Layers, Most: 1 << 12}, model.Limit{Key: "n_head", Value: c.Heads, Most: 1 << 12},
		model.Limit{Key: "rotary_dim", Value: c.RotaryDim, Most: 1 << 12})
	if err == nil {
		err = model.CheckEnds(c.Vocab, 50256, c.EOS...)
	}
	switch {
	case c.ModelType != Type:
		return bad("model_type is %q, not %q", c.ModelType, Type)
	case err != nil:
		return fmt.Errorf("gptj: %w", err)
	case c.Width%c.Heads != 0:
		return bad("n_embd %d is not a multiple of n_head %d", c.Width, c.Heads)
	case !(c.LayerNormEps > 0) || !(c.InitStd > 0):
		return bad("layer_norm_epsilon %v and initializer_range %v must be positive", c.LayerNormEps, c.InitStd)
	}
	if err := model.CheckActivation(c.Activation); err != nil {
		return bad("activation_function: %w", err)
	}
	if err := c.rope().Check(c.Width / c.Heads); err != nil {
		return bad("rotary_dim: %w", err)
	}
	return nil
}

func (c Config) hidden() int { return cmp.Or(c.Hidden, 4*c.Width) }

func (c Config) rope() nn.RopeConfig {
	return nn.RopeConfig{Type: "default", Theta: 10000, Dims: c.RotaryDim}
}

// ConfigJSON is the model's config.json.
func (m *Model) ConfigJSON() ([]byte, error) { return m.Config.Marshal() }

// ggufNames are the names of the parts in GGUF files.
var ggufNames = map[string]string{
	"transformer.wte": "token_embd", "transformer.ln_f": "output_norm", "lm_head": "output",

	"ln_1": "attn_norm", "attn.q_proj": "attn_q", "attn.k_proj": "attn_k", "attn.v_proj": "attn_v", "attn.o_proj": "attn_output",
	"mlp.fc_in": "ffn_up", "mlp.fc_out": "ffn_down",
}

// Places are a parameter's names in files.
func (m *Model) Places(s checkpoint.Scheme, param string) []checkpoint.Place {
	part := model.PartOf(param, "transformer.h.")
	if s == checkpoint.GGUF {
		return []checkpoint.Place{{Name: part.GGUF(ggufNames)}}
	}
	return []checkpoint.Place{{Name: strings.Replace(param, ".o_proj.", ".out_proj.", 1)}}
}

// Ignored reports tensors of published files that hold no parameter: masks and tables of frequencies.
func (m *Model) Ignored(_ checkpoint.Scheme, name string) bool {
	return strings.HasSuffix(name, ".attn.bias") || strings.HasSuffix(name, ".attn.masked_bias") || strings.HasSuffix(name, ".attn.embed_positions")
}

// Shape is the arithmetic of the configuration.
func (c Config) Shape() model.Shape {
	return model.Shape{Layers: c.Layers, Width: c.Width, Heads: c.Heads, Hidden: c.hidden(), Parallel: true, Biases: model.MLPBias | model.HeadBias, NormBias: true,
		Positions: model.Rotary, Vocab: c.Vocab, Context: c.Context, Untied: true}
}

// Cost counts the arithmetic per token for sequences of seq tokens.
func (m *Model) Cost(seq int) model.Cost { return m.Config.Shape().Cost(seq) }

// Size is a named shape.
type Size struct {
	Name   string
	Config Config
}

// Sizes lists the one published shape.
var Sizes = []Size{{"gpt-j-6b", Config{ModelType: Type, Vocab: 50400, Context: 2048, Width: 4096, Layers: 28, Heads: 16, RotaryDim: 64,
	Activation: "gelu_new", LayerNormEps: 1e-5, InitStd: 0.02}}}
