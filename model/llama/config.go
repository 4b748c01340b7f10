package llama

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/plinth-ml/plinth/model"
	"github.com/plinth-ml/plinth/nn"
)

// Config is a config.json under Hugging Face's field names.
type Config struct {
	ModelType  string        `json:"model_type"`
	Vocab      int           `json:"vocab_size"`
	Context    int           `json:"max_position_embeddings"`
	Width      int           `json:"hidden_size"`
	Hidden     int           `json:"intermediate_size"`
	Layers     int           `json:"num_hidden_layers"`
	Heads      int           `json:"num_attention_heads"`
	KVHeads    int           `json:"num_key_value_heads"` // 0 or null means the heads
	Activation string        `json:"hidden_act"`
	NormEps    float64       `json:"rms_norm_eps"`
	InitStd    float64       `json:"initializer_range"`
	Tied       bool          `json:"tie_word_embeddings"` // the head is the token embedding
	BOS        model.IDs     `json:"bos_token_id"`
	EOS        model.IDs     `json:"eos_token_id"`
	Rope       nn.RopeConfig `json:"-"` // rope_parameters, or rope_theta and rope_scaling

	// What some model types have only; see kinds.
	HeadDim       int      `json:"head_dim"`                         // 0 or null means hidden_size/num_attention_heads
	AttentionBias bool     `json:"attention_bias"`                   // of all four products of attention
	MLPBias       bool     `json:"mlp_bias"`                         // of all three of the MLP
	Window        int      `json:"sliding_window"`                   // of the layers that have one: positions seen, 0 or null for all
	UseWindow     bool     `json:"use_sliding_window"`               // Qwen: whether there are such layers
	FirstWindow   int      `json:"max_window_layers"`                // Qwen: the first of them, where layer_types does not say
	LayerTypes    []string `json:"layer_types"`                      // Qwen: full_attention or sliding_attention for each layer
	Experts       int      `json:"num_local_experts"`                // Mixtral: MLPs of a layer
	Chosen        int      `json:"num_experts_per_tok"`              // and those that a token goes through
	Original      int      `json:"original_max_position_embeddings"` // Phi-3: context before longrope; that of rope_parameters counts not

	// RopePairs says that heads turn elements (2i, 2i+1), because the rows of the query and key matrices stand in that order, as in GGUF files.
	RopePairs bool `json:"-"`
}

// kind is what sets a model type apart.
type kind struct {
	architecture string
	defaults     Config  // of keys that a file leaves out
	keys         string  // of the optional fields, those that it has
	neutral      string  // keys that say nothing about the arithmetic
	fixed        string  // KEY=VALUE: keys of which one value only is implemented
	end          int     // eos_token_id that transformers writes where none was chosen, whatever the vocabulary
	theta        float64 // rope_theta that a file leaves out; 0 means 10000
	partial      bool    // a share of each head may turn
	fused        bool    // files hold queries, keys and values in one tensor, and gate and up in one
	qkvBias      bool    // biases of queries, keys and values
	headNorm     bool    // a norm for each query and key head
	windows      bool    // every layer has the window
	ggufPairs    bool    // GGUF files hold the rows of queries and keys in the order of pairs
}

var kinds = map[string]kind{
	"llama": {
		architecture: "LlamaForCausalLM", keys: "head_dim attention_bias mlp_bias", ggufPairs: true,
		neutral: "is_llama_config max_sequence_length", fixed: "rope_interleaved=false",
		defaults: Config{Vocab: 32000, Width: 4096, Hidden: 11008, Layers: 32, Heads: 32, Context: 2048, NormEps: 1e-6},
	},
	"mistral": {
		architecture: "MistralForCausalLM", keys: "head_dim sliding_window", windows: true, ggufPairs: true,
		defaults: Config{Vocab: 32000, Width: 4096, Hidden: 14336, Layers: 32, Heads: 32, KVHeads: 8, Context: 131072, NormEps: 1e-6, Window: 4096},
	},
	"qwen2": {
		architecture: "Qwen2ForCausalLM", keys: "use_sliding_window sliding_window max_window_layers layer_types", qkvBias: true, fixed: "use_mrope=false",
		defaults: Config{Vocab: 151936, Width: 4096, Hidden: 22016, Layers: 32, Heads: 32, KVHeads: 32, Context: 32768, NormEps: 1e-6, Window: 4096, FirstWindow: 28},
	},
	"qwen3": {
		architecture: "Qwen3ForCausalLM", keys: "head_dim attention_bias use_sliding_window sliding_window max_window_layers layer_types", headNorm: true,
		defaults: Config{Vocab: 151936, Width: 4096, Hidden: 22016, Layers: 32, Heads: 32, KVHeads: 32, HeadDim: 128, Context: 32768, NormEps: 1e-6, Window: 4096, FirstWindow: 28},
	},
	"phi3": {
		architecture: "Phi3ForCausalLM", keys: "sliding_window original_max_position_embeddings", windows: true, partial: true, fused: true, end: 32000,
		defaults: Config{Vocab: 32064, Width: 3072, Hidden: 8192, Layers: 32, Heads: 32, Context: 4096, NormEps: 1e-5, Original: 4096},
	},
	"mixtral": {
		architecture: "MixtralForCausalLM", keys: "head_dim sliding_window num_local_experts num_experts_per_tok", windows: true, ggufPairs: true,
		neutral: "router_aux_loss_coef", fixed: "output_router_logits=false router_jitter_noise=0", theta: 1e6,
		defaults: Config{Vocab: 32000, Width: 4096, Hidden: 14336, Layers: 32, Heads: 32, KVHeads: 8, Context: 131072, NormEps: 1e-5, Experts: 8, Chosen: 2},
	},
}

// optional are the keys that some kinds have only.
var optional = strings.Fields("head_dim attention_bias mlp_bias sliding_window use_sliding_window max_window_layers layer_types num_local_experts num_experts_per_tok original_max_position_embeddings")

// absent lists the keys that the kind has not.
func (k kind) absent() []string { return slices.DeleteFunc(slices.Clone(optional), k.has) }

func (k kind) has(key string) bool { return slices.Contains(strings.Fields(k.keys), key) }

// Parse reads a config.json. A key that its model_type does not know is an error, because it may change the arithmetic.
func Parse(data []byte) (Config, error) {
	modelType, err := model.TypeOf(data)
	if err != nil {
		return Config{}, fmt.Errorf("llama: %w", err)
	}
	k, c := kinds[modelType], kinds[modelType].defaults // Check refuses a type that is not there
	c.Activation, c.InitStd = "silu", 0.02
	raw := struct {
		*Config
		model.Rope
	}{Config: &c, Rope: model.Rope{Theta: cmp.Or(k.theta, 10000)}}
	fixed := map[string]string{}
	for _, f := range strings.Fields(k.fixed) {
		key, value, _ := strings.Cut(f, "=")
		fixed[key] = value
	}
	err = model.ParseConfig(data, &raw, model.Keys{Neutral: strings.Fields(k.neutral), Fixed: fixed, Others: k.absent()})
	if err == nil {
		c.Rope, err = raw.Rope.Config()
	}
	if err != nil {
		return c, fmt.Errorf("llama: %w", err)
	}
	if c.resolve(); c.Original != 0 && c.Rope.Type == "longrope" {
		c.Rope.Original = c.Original
	}
	return c, c.Check()
}

// resolve fills in what follows from other fields.
func (c *Config) resolve() {
	if c.KVHeads == 0 {
		c.KVHeads = c.Heads
	}
	if c.HeadDim == 0 {
		c.HeadDim = c.Width / max(c.Heads, 1)
	}
}

// AsGGUF is the configuration of a model in the layout of GGUF files.
func (c Config) AsGGUF() Config {
	c.RopePairs = kinds[c.ModelType].ggufPairs
	return c
}

// Marshal writes config.json as transformers reads it, positions in the form that its older versions read too.
func (c Config) Marshal() ([]byte, error) {
	k := kinds[c.ModelType]
	more := c.Rope.Keys()
	more["architectures"], more["torch_dtype"], more["pad_token_id"] = []string{k.architecture}, "float32", nil
	if c.Window == 0 {
		more["sliding_window"] = nil
	}
	return model.MarshalConfig(c, k.absent(), more)
}

// Check reports the first field whose value no model can have.
func (c Config) Check() error {
	bad := func(format string, args ...any) error { return fmt.Errorf("llama: config.json: "+format, args...) }
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
		err = model.CheckEnds(c.Vocab, k.end, c.EOS...)
	}
	if err != nil {
		return fmt.Errorf("llama: %w", err)
	}
	switch {
	case c.Heads%c.KVHeads != 0:
		return bad("num_attention_heads %d is not a multiple of num_key_value_heads %d", c.Heads, c.KVHeads)
	case c.HeadDim*c.Heads != c.Width && !k.has("head_dim"):
		return bad("hidden_size %d is not a multiple of num_attention_heads %d", c.Width, c.Heads)
	case !(c.NormEps > 0) || !(c.InitStd > 0):
		return bad("rms_norm_eps %v and initializer_range %v must be positive", c.NormEps, c.InitStd)
	case c.Window < 0 || c.FirstWindow < 0:
		return bad("sliding_window %d and max_window_layers %d must not be negative", c.Window, c.FirstWindow)
	case c.Rope.Partial != 0 && c.Rope.Partial != 1 && !k.partial:
		return bad("partial_rotary_factor is %v, only 1 is implemented for %s", c.Rope.Partial, c.ModelType)
	case k.fused && c.Rope.Type != "default" && c.Rope.Type != "longrope":
		return bad("rope_type is %q, %s has default and longrope only", c.Rope.Type, c.ModelType)
	case (c.Experts != 0 || k.has("num_local_experts")) && (c.Experts < 1 || c.Experts > 1<<10 || c.Chosen < 1 || c.Chosen > c.Experts):
		return bad("num_experts_per_tok %d of num_local_experts %d", c.Chosen, c.Experts)
	case c.Layers*c.Experts > 1<<14:
		return bad("num_hidden_layers %d times num_local_experts %d is more than %d", c.Layers, c.Experts, 1<<14)
	case len(c.LayerTypes) != 0 && len(c.LayerTypes) != c.Layers:
		return bad("layer_types names %d layers of %d", len(c.LayerTypes), c.Layers)
	}
	for _, t := range c.LayerTypes {
		if t != "full_attention" && t != "sliding_attention" {
			return bad("layer_types: %q is neither full_attention nor sliding_attention", t)
		}
	}
	if err := model.CheckActivation(c.Activation); err != nil {
		return bad("hidden_act: %w", err)
	}
	if err := c.Rope.Check(c.HeadDim); err != nil {
		return bad("rope_parameters: %w", err)
	}
	return nil
}

// window is the number of positions that a layer sees, 0 for all.
func (c Config) window(layer int) int {
	sliding := kinds[c.ModelType].windows
	if c.UseWindow {
		sliding = layer >= c.FirstWindow
		if len(c.LayerTypes) > 0 {
			sliding = c.LayerTypes[layer] == "sliding_attention"
		}
	}
	if !sliding {
		return 0
	}
	return c.Window
}
