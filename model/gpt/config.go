package gpt

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/plinth-ml/plinth/model"
)

// Model types in config.json.
const (
	TypeGPT2 = "gpt2"        // every layer attends to all earlier positions; loads in transformers as GPT2LMHeadModel
	TypeGPT3 = "plinth_gpt3" // odd layers are locally banded (Brown et al. 2020, section 2.1); transformers has no such model
)

// Config is a GPT's config.json, under Hugging Face's field names.
type Config struct {
	ModelType    string  `json:"model_type"`
	Vocab        int     `json:"vocab_size"`
	Context      int     `json:"n_positions"`
	Width        int     `json:"n_embd"`
	Layers       int     `json:"n_layer"`
	Heads        int     `json:"n_head"`
	Hidden       int     `json:"n_inner,omitempty"` // 0 or null means 4·n_embd
	Activation   string  `json:"activation_function"`
	LayerNormEps float64 `json:"layer_norm_epsilon"`
	InitStd      float64 `json:"initializer_range"`
	BOS          *int    `json:"bos_token_id"`
	EOS          *int    `json:"eos_token_id"`

	AttnDropout  float64 `json:"attn_pdrop"`  // of attention's probabilities, in training; a file without the key means 0
	EmbdDropout  float64 `json:"embd_pdrop"`  // of the embeddings
	ResidDropout float64 `json:"resid_pdrop"` // of what attention and MLP add

	HeadDim int `json:"head_dim,omitempty"` // GPT-3 only: where heads x head_dim is not n_embd; 0 means n_embd/n_head
	Window  int `json:"window,omitempty"`   // GPT-3 only: band of odd layers

	// OutIn says that the matrices of the blocks are stored [out, in], as in GGUF files; Hugging Face's are [in, out].
	OutIn bool `json:"-"`
}

// neutral keys say nothing about the arithmetic here.
var neutral = strings.Fields(`n_ctx summary_activation summary_first_dropout summary_proj_to_labels summary_type summary_use_proj
	task_specific_params output_past _num_labels reorder_and_upcast_attn`)

// fixed keys change the arithmetic: only these values are implemented.
var fixed = map[string]string{
	"scale_attn_weights": "true", "scale_attn_by_inverse_layer_idx": "false", "add_cross_attention": "false", "tie_word_embeddings": "true",
}

// Parse reads a config.json. A key that it does not know is an error, because it may change the arithmetic.
func Parse(data []byte) (Config, error) {
	c := Config{Activation: "gelu_new", LayerNormEps: 1e-5, InitStd: 0.02, Context: 1024, Vocab: 50257, Width: 768, Layers: 12, Heads: 12}
	if err := model.ParseConfig(data, &c, model.Keys{Neutral: neutral, Fixed: fixed}); err != nil {
		return c, fmt.Errorf("gpt: %w", err)
	}
	return c, c.Check()
}

// AsGGUF is the configuration of a model in the layout of GGUF files.
func (c Config) AsGGUF() Config {
	c.OutIn = true
	return c
}

// Marshal writes config.json as transformers reads it.
func (c Config) Marshal() ([]byte, error) {
	type plain Config
	out := struct {
		Architectures []string `json:"architectures,omitempty"`
		plain
		Tied  bool   `json:"tie_word_embeddings"`
		DType string `json:"torch_dtype"`
	}{plain: plain(c), Tied: true, DType: "float32"}
	if c.ModelType == TypeGPT2 {
		out.Architectures = []string{"GPT2LMHeadModel"}
	}
	b, err := json.MarshalIndent(out, "", "  ")
	return append(b, '\n'), err
}

// Check reports the first field whose value no model can have.
func (c Config) Check() error {
	if err := model.CheckLimits(
		model.Limit{Key: "vocab_size", Value: c.Vocab, Most: 1 << 24}, model.Limit{Key: "n_positions", Value: c.Context, Most: 1 << 24},
		model.Limit{Key: "n_embd", Value: c.Width, Most: 1 << 18}, model.Limit{Key: "n_layer", Value: c.Layers, Most: 1 << 12},
		model.Limit{Key: "n_head", Value: c.Heads, Most: 1 << 12}, model.Limit{Key: "n_inner", Value: c.hidden(), Most: 1 << 20},
		model.Limit{Key: "head_dim", Value: c.headDim(), Most: 1 << 12}); err != nil {
		return fmt.Errorf("gpt: %w", err)
	}
	switch {
	case c.ModelType != TypeGPT2 && c.ModelType != TypeGPT3:
		return fmt.Errorf("gpt: config.json: model_type is %q, not %q or %q", c.ModelType, TypeGPT2, TypeGPT3)
	case c.HeadDim == 0 && c.Width%c.Heads != 0:
		return fmt.Errorf("gpt: config.json: n_embd %d is not a multiple of n_head %d", c.Width, c.Heads)
	case c.ModelType == TypeGPT2 && (c.Window != 0 || c.HeadDim != 0 && c.HeadDim*c.Heads != c.Width):
		return fmt.Errorf("gpt: config.json: window and head_dim are for model_type %q", TypeGPT3)
	case c.Window < 0:
		return fmt.Errorf("gpt: config.json: window is %d", c.Window)
	case !(c.LayerNormEps > 0) || !(c.InitStd > 0):
		return fmt.Errorf("gpt: config.json: layer_norm_epsilon %v and initializer_range %v must be positive", c.LayerNormEps, c.InitStd)
	}
	for key, p := range map[string]float64{"attn_pdrop": c.AttnDropout, "embd_pdrop": c.EmbdDropout, "resid_pdrop": c.ResidDropout} {
		if !(p >= 0 && p < 0.999) {
			return fmt.Errorf("gpt: config.json: %s is %v, not from 0 to below 1", key, p)
		}
	}
	if c.EOS != nil {
		if err := model.CheckEnds(c.Vocab, 50256, *c.EOS); err != nil {
			return fmt.Errorf("gpt: %w", err)
		}
	}
	if err := model.CheckActivation(c.Activation); err != nil {
		return fmt.Errorf("gpt: config.json: activation_function: %w", err)
	}
	return nil
}

func (c Config) hidden() int {
	if c.Hidden != 0 {
		return c.Hidden
	}
	return 4 * c.Width
}

func (c Config) headDim() int {
	if c.HeadDim != 0 {
		return c.HeadDim
	}
	return c.Width / max(c.Heads, 1)
}
