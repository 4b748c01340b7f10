package t5

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/plinth-ml/plinth/model"
)

// Type is config.json's model_type.
const Type = "t5"

// EncoderOnly is the architecture of a folder that holds the encoder alone.
const EncoderOnly = "T5EncoderModel"

const whole = "T5ForConditionalGeneration"

// Config is a T5's config.json, under Hugging Face's field names.
type Config struct {
	ModelType     string    `json:"model_type"`
	Vocab         int       `json:"vocab_size"`
	Width         int       `json:"d_model"`
	HeadDim       int       `json:"d_kv"` // of its own: heads x d_kv need not be d_model
	Hidden        int       `json:"d_ff"`
	Layers        int       `json:"num_layers"`
	DecoderLayers int       `json:"num_decoder_layers"` // null or 0 means num_layers
	Heads         int       `json:"num_heads"`
	Buckets       int       `json:"relative_attention_num_buckets"`
	MaxDistance   int       `json:"relative_attention_max_distance"`
	Dropout       float64   `json:"dropout_rate"` // while training, where the trainer asks for it
	Eps           float64   `json:"layer_norm_epsilon"`
	InitFactor    float64   `json:"initializer_factor"`
	MLP           string    `json:"feed_forward_proj"` // "relu" (v1.0), "gated-gelu" (v1.1), or an activation with or without "gated-"
	Pad           *int      `json:"pad_token_id"`
	EOS           model.IDs `json:"eos_token_id"`
	Start         *int      `json:"decoder_start_token_id"` // null means pad_token_id, and that null 0
	Context       int       `json:"n_positions"`            // longest target; what T5 was trained on. Nothing in the model knows it
	Tied          bool      `json:"tie_word_embeddings"`    // the head is the token embedding and reads features times d_model^-0.5 (v1.0)
	Scaled        *bool     `json:"scale_decoder_outputs"`  // transformers 5 writes v1.1 as tied and not scaled; null means as tied

	// Encoder says that there is no decoder: architectures names T5EncoderModel.
	Encoder bool `json:"-"`
}

// keys beside those of the struct.
var keys = model.Keys{Neutral: strings.Fields("task_specific_params output_past dense_act_fn is_gated_act num_hidden_layers num_attention_heads hidden_size head_dim forced_eos_token_id bos_token_id")}

// Parse reads a config.json. A key that it does not know is an error, because it may change the arithmetic.
func Parse(data []byte) (Config, error) {
	c := Config{Vocab: 32128, Width: 512, HeadDim: 64, Hidden: 2048, Layers: 6, Heads: 8, Buckets: 32, MaxDistance: 128, Dropout: 0.1, Eps: 1e-6, InitFactor: 1,
		MLP: "relu", EOS: model.IDs{1}, Context: 512, Tied: true}
	if err := model.ParseConfig(data, &c, keys); err != nil {
		return c, fmt.Errorf("t5: %w", err)
	}
	var head struct { // keys that say nothing about the arithmetic in any other family
		Architectures []string `json:"architectures"`
		Pad           *int     `json:"pad_token_id"`
	}
	if err := json.Unmarshal(data, &head); err != nil {
		return c, fmt.Errorf("t5: config.json: %w", err)
	}
	c.Encoder, c.Pad = slices.Contains(head.Architectures, EncoderOnly), head.Pad
	if c.DecoderLayers == 0 {
		c.DecoderLayers = c.Layers
	}
	return c, c.Check()
}

// Marshal writes config.json as transformers reads it.
func (c Config) Marshal() ([]byte, error) {
	scaled, tied := c.scaled(), c.tied()
	c.Scaled, c.Tied = &scaled, tied
	architecture := whole
	if c.Encoder {
		architecture = EncoderOnly
	}
	gated, act := c.mlp()
	if gated && act == "gelu" {
		act = "gelu_new"
	}
	return model.MarshalConfig(c, nil, map[string]any{
		"architectures": []string{architecture}, "is_encoder_decoder": !c.Encoder, "torch_dtype": "float32", "dense_act_fn": act, "is_gated_act": gated,
	})
}

// Check reports the first field whose value no model can have.
func (c Config) Check() error {
	if err := model.CheckLimits(
		model.Limit{Key: "vocab_size", Value: c.Vocab, Most: 1 << 24}, model.Limit{Key: "d_model", Value: c.Width, Most: 1 << 18},
		model.Limit{Key: "d_kv", Value: c.HeadDim, Most: 1 << 12}, model.Limit{Key: "d_ff", Value: c.Hidden, Most: 1 << 20},
		model.Limit{Key: "num_layers", Value: c.Layers, Most: 1 << 12}, model.Limit{Key: "num_decoder_layers", Value: c.DecoderLayers, Most: 1 << 12},
		model.Limit{Key: "num_heads", Value: c.Heads, Most: 1 << 12}, model.Limit{Key: "n_positions", Value: c.Context, Most: 1 << 24},
		model.Limit{Key: "relative_attention_num_buckets", Value: c.Buckets, Most: 1 << 16},
		model.Limit{Key: "relative_attention_max_distance", Value: c.MaxDistance, Most: 1 << 24}); err != nil {
		return fmt.Errorf("t5: %w", err)
	}
	_, act := c.mlp()
	switch {
	case c.ModelType != Type:
		return fmt.Errorf("t5: config.json: model_type is %q, not %q", c.ModelType, Type)
	case c.Buckets%4 != 0 || c.MaxDistance <= c.Buckets/2:
		return fmt.Errorf("t5: config.json: relative_attention_num_buckets %d is not a multiple of 4 below twice relative_attention_max_distance %d", c.Buckets, c.MaxDistance)
	case !(c.Eps > 0) || !(c.InitFactor > 0):
		return fmt.Errorf("t5: config.json: layer_norm_epsilon %v and initializer_factor %v must be positive", c.Eps, c.InitFactor)
	case !(c.Dropout >= 0 && c.Dropout < 1):
		return fmt.Errorf("t5: config.json: dropout_rate is %v, not within 0 to 1", c.Dropout)
	}
	if err := model.CheckActivation(act); err != nil {
		return fmt.Errorf("t5: config.json: feed_forward_proj %q: %w", c.MLP, err)
	}
	for _, id := range append(slices.Clone(c.EOS), c.start()) {
		if id < 0 || id >= c.Vocab {
			return fmt.Errorf("t5: config.json: token id %d of eos_token_id or decoder_start_token_id is not within the vocabulary of %d", id, c.Vocab)
		}
	}
	return nil
}

// scaled says whether the head reads features times d_model^-0.5.
func (c Config) scaled() bool {
	if c.Scaled != nil {
		return *c.Scaled
	}
	return c.Tied
}

// tied says whether the head is the token embedding. Models whose outputs are not scaled, v1.1, have a head of their own, whatever
// transformers 5 says.
func (c Config) tied() bool { return c.Tied && c.scaled() }

// mlp takes feed_forward_proj apart. Its gelu with a gate is the tanh approximation.
func (c Config) mlp() (gated bool, act string) {
	act, gated = strings.CutPrefix(c.MLP, "gated-")
	if gated && act == "gelu" {
		act = "gelu_new"
	}
	return gated, act
}

func (c Config) start() int {
	for _, id := range []*int{c.Start, c.Pad} {
		if id != nil {
			return *id
		}
	}
	return 0
}
