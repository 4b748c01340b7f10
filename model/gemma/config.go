package gemma

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/plinth-ml/plinth/model"
	"github.com/plinth-ml/plinth/nn"
)

// Config is a config.json under Hugging Face's field names. The activation is always GELU in its tanh form, the head always the token
// embedding.
type Config struct {
	ModelType string    `json:"model_type"`
	Vocab     int       `json:"vocab_size"`
	Context   int       `json:"max_position_embeddings"`
	Width     int       `json:"hidden_size"`
	Hidden    int       `json:"intermediate_size"`
	Layers    int       `json:"num_hidden_layers"`
	Heads     int       `json:"num_attention_heads"`
	KVHeads   int       `json:"num_key_value_heads"`
	HeadDim   int       `json:"head_dim"`
	NormEps   float64   `json:"rms_norm_eps"`
	InitStd   float64   `json:"initializer_range"`
	Bias      bool      `json:"attention_bias"` // of all four products of attention
	BOS       model.IDs `json:"bos_token_id"`
	EOS       model.IDs `json:"eos_token_id"`

	// From Gemma 2 on.
	QueryScale int      `json:"query_pre_attn_scalar"` // scores are divided by its root; Gemma 1 takes head_dim
	Window     int      `json:"sliding_window"`        // positions that a layer of type sliding_attention sees, 0 for all
	LayerTypes []string `json:"layer_types"`           // sliding_attention or full_attention for each layer
	LogitCap   float64  `json:"final_logit_softcapping"`
	ScoreCap   float64  `json:"attn_logit_softcapping"` // Gemma 2 only

	Rope      nn.RopeConfig `json:"-"`
	LocalRope nn.RopeConfig `json:"-"` // Gemma 3: of the layers with a window
}

// kind is what sets a model type apart.
type kind struct {
	architecture string
	defaults     Config
	absent       string // keys that it has not
	neutral      string
	fixed        string // KEY=VALUE: of these keys only these values are implemented
	theta        float64
	pattern      int  // every pattern-th layer sees all positions where layer_types does not say; 0: every layer does
	sandwich     bool // norms behind attention and MLP
	headNorm     bool // norms of queries and keys
	localRope    bool // layers with a window turn by other frequencies
}

const fixed = `hidden_activation="gelu_pytorch_tanh" tie_word_embeddings=true use_bidirectional_attention=false|null `

var kinds = map[string]kind{
	"gemma": {
		architecture: "GemmaForCausalLM", theta: 10000, absent: "query_pre_attn_scalar sliding_window layer_types final_logit_softcapping attn_logit_softcapping",
		fixed:    `hidden_act="gelu"|"gelu_pytorch_tanh" hidden_activation="gelu_pytorch_tanh"|null tie_word_embeddings=true use_bidirectional_attention=false|null`,
		defaults: Config{Vocab: 256000, Width: 3072, Hidden: 24576, Layers: 28, Heads: 16, KVHeads: 16, Context: 8192},
	},
	"gemma2": {
		architecture: "Gemma2ForCausalLM", theta: 10000, pattern: 2, sandwich: true, neutral: "hidden_act", fixed: fixed,
		defaults: Config{Vocab: 256000, Width: 2304, Hidden: 9216, Layers: 26, Heads: 8, KVHeads: 4, Context: 8192, QueryScale: 256, Window: 4096, LogitCap: 30, ScoreCap: 50},
	},
	"gemma3_text": {
		architecture: "Gemma3ForCausalLM", theta: 1e6, pattern: 6, sandwich: true, headNorm: true, localRope: true, absent: "attn_logit_softcapping",
		neutral: "_sliding_window_pattern", fixed: fixed,
		defaults: Config{Vocab: 262208, Width: 2304, Hidden: 9216, Layers: 26, Heads: 8, KVHeads: 4, Context: 131072, QueryScale: 256, Window: 4096},
	},
}

const sliding, full = "sliding_attention", "full_attention"

// Parse reads a config.json; of one with images (model_type gemma3) the part about text. A key that its model_type does not know is an error,
// because it may change the arithmetic.
func Parse(data []byte) (Config, error) {
	var outer struct {
		Type string          `json:"model_type"`
		Text json.RawMessage `json:"text_config"`
	}
	if err := json.Unmarshal(data, &outer); err != nil {
		return Config{}, fmt.Errorf("gemma: config.json: %w", err)
	}
	if outer.Type == "gemma3" {
		outer.Type, data = "gemma3_text", outer.Text
	}
	k, c := kinds[outer.Type], kinds[outer.Type].defaults // Check refuses a type that is not there
	c.ModelType, c.HeadDim, c.NormEps, c.InitStd = outer.Type, 256, 1e-6, 0.02
	raw := struct {
		*Config
		model.Rope
		Pattern int     `json:"sliding_window_pattern"`
		Local   float64 `json:"rope_local_base_freq"`
	}{Config: &c, Rope: model.Rope{Theta: k.theta}, Pattern: k.pattern, Local: 10000}
	values := map[string]string{}
	for _, f := range strings.Fields(k.fixed) {
		key, value, _ := strings.Cut(f, "=")
		values[key] = value
	}
	err := model.ParseConfig(data, &raw, model.Keys{Neutral: strings.Fields(k.neutral), Fixed: values, Others: strings.Fields(k.absent)})
	if err == nil {
		err = c.parseRope(raw.Rope, raw.Local)
	}
	if err != nil {
		return c, fmt.Errorf("gemma: %w", err)
	}
	if len(c.LayerTypes) == 0 && c.Layers <= 1<<12 {
		c.LayerTypes = pattern(c.Layers, raw.Pattern)
	}
	return c, c.Check()
}

// pattern is the types of layers of which each n-th has no window; none where n is 0.
func pattern(layers, n int) (types []string) {
	for l := 1; l <= layers && n > 0; l++ {
		types = append(types, sliding)
		if l%n == 0 {
			types[l-1] = full
		}
	}
	return types
}

// parseRope reads the rotation, or one for each type of layer.
func (c *Config) parseRope(r model.Rope, local float64) (err error) {
	c.LocalRope = nn.RopeConfig{Type: "default", Theta: local}
	var nested map[string]json.RawMessage
	if len(r.Parameters) > 0 {
		if err := json.Unmarshal(r.Parameters, &nested); err != nil {
			return fmt.Errorf("config.json: rope_parameters: %w", err)
		}
	}
	if kinds[c.ModelType].localRope && (nested[sliding] != nil || nested[full] != nil) {
		for name := range nested {
			if name != sliding && name != full {
				return fmt.Errorf("config.json: rope_parameters: %q is neither %s nor %s", name, sliding, full)
			}
		}
		one := r
		one.Parameters, one.Theta = nested[sliding], local
		if c.LocalRope, err = one.Config(); err != nil {
			return err
		}
		r.Parameters = nested[full]
	}
	c.Rope, err = r.Config()
	return err
}

// Marshal writes config.json as transformers reads it.
func (c Config) Marshal() ([]byte, error) {
	k := kinds[c.ModelType]
	more := c.Rope.Keys()
	if k.localRope {
		more = map[string]any{"rope_parameters": map[string]any{full: c.Rope, sliding: c.LocalRope}}
	}
	more["architectures"], more["torch_dtype"], more["tie_word_embeddings"], more["pad_token_id"] = []string{k.architecture}, "float32", true, nil
	more["hidden_activation"] = "gelu_pytorch_tanh"
	if k.pattern == 0 {
		more["hidden_act"] = "gelu_pytorch_tanh"
	} else {
		for key, v := range map[string]float64{"final_logit_softcapping": c.LogitCap, "attn_logit_softcapping": c.ScoreCap} {
			if v == 0 {
				more[key] = nil
			}
		}
	}
	return model.MarshalConfig(c, strings.Fields(k.absent), more)
}

// Check reports the first field whose value no model can have.
func (c Config) Check() error {
	bad := func(format string, args ...any) error { return fmt.Errorf("gemma: config.json: "+format, args...) }
	k, ok := kinds[c.ModelType]
	if !ok {
		return bad("model_type %q is none of %s", c.ModelType, strings.Join(slices.Sorted(maps.Keys(kinds)), ", "))
	}
	err := model.CheckLimits(
		model.Limit{Key: "vocab_size", Value: c.Vocab, Most: 1 << 24}, model.Limit{Key: "max_position_embeddings", Value: c.Context, Most: 1 << 24},
		model.Limit{Key: "hidden_size", Value: c.Width, Most: 1 << 18}, model.Limit{Key: "intermediate_size", Value: c.Hidden, Most: 1 << 20},
		model.Limit{Key: "num_hidden_layers", Value: c.Layers, Most: 1 << 12}, model.Limit{Key: "num_attention_heads", Value: c.Heads, Most: 1 << 12},
		model.Limit{Key: "num_key_value_heads", Value: c.KVHeads, Most: 1 << 12}, model.Limit{Key: "head_dim", Value: c.HeadDim, Most: 1 << 12})
	if err == nil {
		err = model.CheckEnds(c.Vocab, 0, c.EOS...)
	}
	switch {
	case err != nil:
		return fmt.Errorf("gemma: %w", err)
	case c.Heads%c.KVHeads != 0:
		return bad("num_attention_heads %d is not a multiple of num_key_value_heads %d", c.Heads, c.KVHeads)
	case !(c.NormEps > 0) || !(c.InitStd > 0):
		return bad("rms_norm_eps %v and initializer_range %v must be positive", c.NormEps, c.InitStd)
	case c.Window < 0 || !(c.LogitCap >= 0) || !(c.ScoreCap >= 0):
		return bad("sliding_window %d, final_logit_softcapping %v and attn_logit_softcapping %v must not be negative", c.Window, c.LogitCap, c.ScoreCap)
	case k.pattern > 0 && (c.QueryScale < 1 || c.QueryScale > 1<<20):
		return bad("query_pre_attn_scalar is %d", c.QueryScale)
	case k.pattern > 0 && len(c.LayerTypes) != c.Layers:
		return bad("layer_types names %d layers of %d", len(c.LayerTypes), c.Layers)
	}
	for _, t := range c.LayerTypes {
		if t != full && t != sliding {
			return bad("layer_types: %q is neither %s nor %s", t, full, sliding)
		}
	}
	for _, r := range []nn.RopeConfig{c.Rope, c.LocalRope} {
		if err := r.Check(c.HeadDim); err != nil {
			return bad("rope_parameters: %w", err)
		}
		if r.Partial != 0 && r.Partial != 1 {
			return bad("partial_rotary_factor is %v, only 1 is implemented", r.Partial)
		}
	}
	return nil
}

// banded says whether a layer has the window.
func (c Config) banded(layer int) bool {
	return len(c.LayerTypes) > 0 && c.LayerTypes[layer] == sliding
}

// embedScale is by what token embeddings are multiplied: the root of the width, in float32.
func (c Config) embedScale() float64 { return float64(float32(math.Sqrt(float64(c.Width)))) }
