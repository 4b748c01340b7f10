package gpt

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/plinth-ml/plinth/tensor"
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

	HeadDim int `json:"head_dim,omitempty"` // GPT-3 only: where heads x head_dim is not n_embd; 0 means n_embd/n_head
	Window  int `json:"window,omitempty"`   // GPT-3 only: band of odd layers
}

// activations of config.json; GPT-2 was trained with gelu_new.
var activations = map[string]tensor.Act{
	"gelu_new": tensor.GELUTanh, "gelu_pytorch_tanh": tensor.GELUTanh, "gelu": tensor.GELU, "relu": tensor.ReLU, "silu": tensor.SiLU, "swish": tensor.SiLU,
}

// neutral keys say nothing about the arithmetic of inference and pre-training here.
var neutral = strings.Fields(`architectures attn_pdrop embd_pdrop resid_pdrop n_ctx summary_activation summary_first_dropout
	summary_proj_to_labels summary_type summary_use_proj task_specific_params transformers_version torch_dtype dtype use_cache
	pad_token_id _name_or_path id2label label2id num_labels return_dict output_attentions output_hidden_states is_decoder
	gradient_checkpointing output_past _num_labels problem_type chunk_size_feed_forward is_encoder_decoder reorder_and_upcast_attn`)

// fixed keys change the arithmetic: only these values are implemented.
var fixed = map[string]string{
	"scale_attn_weights": "true", "scale_attn_by_inverse_layer_idx": "false", "add_cross_attention": "false", "tie_word_embeddings": "true",
}

// Parse reads a config.json. A key that it does not know is an error, because it may change the arithmetic.
func Parse(data []byte) (Config, error) {
	var keys map[string]json.RawMessage
	c := Config{Activation: "gelu_new", LayerNormEps: 1e-5, InitStd: 0.02, Context: 1024, Vocab: 50257, Width: 768, Layers: 12, Heads: 12}
	if err := json.Unmarshal(data, &keys); err != nil {
		return c, fmt.Errorf("gpt: config.json: %w", err)
	}
	for _, k := range slices.Sorted(maps.Keys(keys)) {
		if want, ok := fixed[k]; ok {
			if got := string(bytes.TrimSpace(keys[k])); got != want {
				return c, fmt.Errorf("gpt: config.json: %s is %s, only %s is implemented", k, got, want)
			}
			delete(keys, k)
		}
	}
	for _, k := range neutral {
		delete(keys, k)
	}
	rest, err := json.Marshal(keys)
	if err != nil {
		return c, fmt.Errorf("gpt: config.json: %w", err)
	}
	d := json.NewDecoder(bytes.NewReader(rest))
	d.DisallowUnknownFields()
	if err := d.Decode(&c); err != nil {
		return c, fmt.Errorf("gpt: config.json: %w", err)
	}
	return c, c.Check()
}

// Marshal writes config.json as transformers reads it.
func (c Config) Marshal() ([]byte, error) {
	type plain Config
	out := struct {
		Architectures []string `json:"architectures,omitempty"`
		plain
		AttnDropout  float64 `json:"attn_pdrop"`
		EmbdDropout  float64 `json:"embd_pdrop"`
		ResidDropout float64 `json:"resid_pdrop"`
		Tied         bool    `json:"tie_word_embeddings"`
		DType        string  `json:"torch_dtype"`
	}{plain: plain(c), Tied: true, DType: "float32"}
	if c.ModelType == TypeGPT2 {
		out.Architectures = []string{"GPT2LMHeadModel"}
	}
	b, err := json.MarshalIndent(out, "", "  ")
	return append(b, '\n'), err
}

// Check reports the first field whose value no model can have.
func (c Config) Check() error {
	for _, f := range []struct {
		name     string
		v, limit int
	}{
		{"vocab_size", c.Vocab, 1 << 24}, {"n_positions", c.Context, 1 << 24}, {"n_embd", c.Width, 1 << 18}, {"n_layer", c.Layers, 1 << 12},
		{"n_head", c.Heads, 1 << 12}, {"n_inner", c.hidden(), 1 << 20}, {"head_dim", c.headDim(), 1 << 12},
	} {
		if f.v < 1 || f.v > f.limit {
			return fmt.Errorf("gpt: config.json: %s is %d, not within 1 to %d", f.name, f.v, f.limit)
		}
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
	if _, ok := activations[c.Activation]; !ok {
		return fmt.Errorf("gpt: config.json: activation_function %q is unknown; known: %s", c.Activation, strings.Join(slices.Sorted(maps.Keys(activations)), ", "))
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
