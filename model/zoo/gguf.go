package zoo

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/plinth-ml/plinth/checkpoint"
	"github.com/plinth-ml/plinth/checkpoint/gguf"
	"github.com/plinth-ml/plinth/nn"
)

// architecture maps one value of general.architecture to config.json and back.
type architecture struct {
	name  string
	types []string          // of config.json that it stands for, the one that reading gives first
	keys  map[string]string // keys of GGUF, without the architecture, by those of config.json
	rope  bool              // has rotary positions
	fixed string            // KEY=VALUE|VALUE: what no key of GGUF says; llama.cpp computes with these
	every int               // of that many layers one has no window where no key says which; 0 where windows are not a matter of layers
	large int               // a model of that many layers divides scores by the root of width/heads, others by that of head_dim; 0: head_dim only
}

// common are the keys of families whose config.json follows Llama's.
var common = map[string]string{
	"max_position_embeddings": "context_length", "hidden_size": "embedding_length", "num_hidden_layers": "block_count", "intermediate_size": "feed_forward_length",
	"num_attention_heads": "attention.head_count", "num_key_value_heads": "attention.head_count_kv", "rms_norm_eps": "attention.layer_norm_rms_epsilon",
	"head_dim": "attention.key_length",
}

// with returns common with more keys.
func with(more map[string]string) map[string]string {
	all := map[string]string{}
	for _, m := range []map[string]string{common, more} {
		for k, v := range m {
			all[k] = v
		}
	}
	return all
}

const silu = "hidden_act=silu|swish "

var architectures = []architecture{
	{name: "llama", types: []string{"llama", "mixtral", "mistral"}, rope: true, fixed: silu,
		keys: with(map[string]string{"num_local_experts": "expert_count", "num_experts_per_tok": "expert_used_count"})},
	{name: "qwen2", types: []string{"qwen2"}, rope: true, fixed: silu, keys: common},
	{name: "qwen3", types: []string{"qwen3"}, rope: true, fixed: silu + "attention_bias=false", keys: common},
	{name: "phi3", types: []string{"phi3"}, rope: true, fixed: silu,
		keys: with(map[string]string{"sliding_window": "attention.sliding_window", "original_max_position_embeddings": "rope.scaling.original_context_length"})},
	{name: "gemma", types: []string{"gemma"}, rope: true, fixed: "attention_bias=false", keys: common},
	{name: "gemma2", types: []string{"gemma2"}, rope: true, fixed: "attention_bias=false", every: 2, large: 46,
		keys: with(map[string]string{"sliding_window": "attention.sliding_window", "attn_logit_softcapping": "attn_logit_softcapping",
			"final_logit_softcapping": "final_logit_softcapping"})},
	{name: "gemma3", types: []string{"gemma3_text"}, rope: true, fixed: "attention_bias=false", every: 6, large: 62,
		keys: with(map[string]string{"sliding_window": "attention.sliding_window", "final_logit_softcapping": "final_logit_softcapping",
			"rope_local_base_freq": "rope.freq_base_swa"})},
	{name: "gptneox", types: []string{"gpt_neox"}, rope: true, fixed: "hidden_act=gelu attention_bias=true tie_word_embeddings=false",
		keys: map[string]string{"max_position_embeddings": "context_length", "hidden_size": "embedding_length", "num_hidden_layers": "block_count",
			"intermediate_size": "feed_forward_length", "num_attention_heads": "attention.head_count", "layer_norm_eps": "attention.layer_norm_epsilon",
			"use_parallel_residual": "use_parallel_residual"}},
	{name: "gpt2", types: []string{"gpt2"}, fixed: "activation_function=gelu_new|gelu_pytorch_tanh|gelu_fast",
		keys: map[string]string{"n_positions": "context_length", "n_embd": "embedding_length", "n_layer": "block_count", "n_inner": "feed_forward_length",
			"n_head": "attention.head_count", "layer_norm_epsilon": "attention.layer_norm_epsilon"}},
}

// queryScale is the number by whose root llama.cpp divides the scores of Gemma 2 and 3.
func (a architecture) queryScale(layers, headDim, width, heads int) int {
	if layers == a.large {
		return width / max(heads, 1)
	}
	return headDim
}

// fields reads the metadata of one architecture and knows what was read.
type fields struct {
	meta gguf.Metadata
	arch string
	read map[string]bool
	err  error
}

// field returns a value, and whether it is there. The first error stays in f.
func field[T any](f *fields, key string) (T, bool) {
	f.read[key] = true
	v, ok, err := gguf.Lookup[T](f.meta, f.arch+"."+key)
	if err != nil && f.err == nil {
		f.err = err
	}
	return v, ok
}

// is refuses a value other than want.
func (f *fields) is(key string, want any) {
	f.read[key] = true
	if v := f.meta.Get(f.arch + "." + key); v != nil && fmt.Sprint(v) != fmt.Sprint(want) && f.err == nil {
		f.err = fmt.Errorf("gguf: metadata %q is %v, only %v is implemented", f.arch+"."+key, v, want)
	}
}

// unread is an error where the architecture has a key that was not read: it may change the arithmetic.
func (f *fields) unread() error {
	for _, p := range f.meta {
		if key, ok := strings.CutPrefix(p.Key, f.arch+"."); ok && !f.read[key] {
			return fmt.Errorf("gguf: unknown metadata key %q", p.Key)
		}
	}
	return f.err
}

// configOf returns the config.json that says what a GGUF's metadata and tensors say.
func configOf(f *gguf.File) ([]byte, error) {
	name, _, err := gguf.Lookup[string](f.Meta, "general.architecture")
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(architectures, func(a architecture) bool { return a.name == name })
	if i < 0 {
		var names []string
		for _, a := range architectures {
			names = append(names, a.name)
		}
		return nil, fmt.Errorf("gguf: architecture %q is not implemented; implemented: %s", name, strings.Join(names, ", "))
	}
	arch := architectures[i]
	r := &fields{meta: f.Meta, arch: name, read: map[string]bool{}}
	c := map[string]any{"model_type": arch.types[0]}
	for key, theirs := range arch.keys {
		if v, ok := field[any](r, theirs); ok {
			c[key] = v
		}
	}
	_, embedding := find(f, "token_embd.weight")
	if len(embedding.Shape) != 2 {
		return nil, fmt.Errorf("gguf: no matrix token_embd.weight")
	}
	c["vocab_size"] = embedding.Shape[0]
	r.is("vocab_size", embedding.Shape[0])
	r.is("attention.value_length", c["head_dim"])
	r.is("attention.causal", true)
	r.read["tensor_data_layout"] = true // of the original file
	for _, key := range []string{"bos_token_id", "eos_token_id"} {
		if id, ok, err := gguf.Lookup[int](f.Meta, "tokenizer.ggml."+key); err != nil {
			return nil, err
		} else if ok {
			c[key] = id
		}
	}
	if untied := has(f, "output.weight"); name != "gpt2" {
		c["tie_word_embeddings"] = !untied
	} else if untied {
		return nil, fmt.Errorf("gguf: output.weight beside token_embd.weight: GPT-2 with a head of its own is not implemented")
	}
	if strings.HasPrefix(name, "gemma") || name == "qwen3" { // whose config.json has other defaults than GGUF
		width, _ := c["hidden_size"].(int)
		heads, _ := c["num_attention_heads"].(int)
		layers, _ := c["num_hidden_layers"].(int)
		setDefault(c, "head_dim", width/max(heads, 1))
		setDefault(c, "num_key_value_heads", heads)
		if headDim, _ := c["head_dim"].(int); arch.large > 0 {
			c["query_pre_attn_scalar"] = arch.queryScale(layers, headDim, width, heads)
		}
	}
	if arch.every > 0 {
		if err := layersOf(r, arch, c); err != nil {
			return nil, err
		}
	}
	switch name {
	case "gemma3":
		if setDefault(c, "sliding_window", 0); c["sliding_window"] == 0 { // then no layer turns by the local frequencies either
			layers, _ := c["num_hidden_layers"].(int)
			c["layer_types"] = slices.Repeat([]string{"full_attention"}, min(max(layers, 0), 1<<12))
		}
	case "llama":
		c["attention_bias"], c["mlp_bias"] = has(f, "blk.0.attn_output.bias"), has(f, "blk.0.ffn_down.bias")
		if n, ok := c["num_local_experts"]; ok && n != 0 {
			c["model_type"] = "mixtral"
			delete(c, "attention_bias")
			delete(c, "mlp_bias")
		} else {
			delete(c, "num_local_experts")
			delete(c, "num_experts_per_tok")
		}
	}
	if arch.rope {
		if err := ropeOf(f, r, c); err != nil {
			return nil, err
		}
	}
	if err := r.unread(); err != nil {
		return nil, err
	}
	return json.Marshal(c)
}

func setDefault(c map[string]any, key string, v any) {
	if c[key] == nil {
		c[key] = v
	}
}

// layersOf reads which layers have a window: a flag for each, or n where each n-th has none.
func layersOf(r *fields, arch architecture, c map[string]any) error {
	const key = "attention.sliding_window_pattern"
	layers, _ := c["num_hidden_layers"].(int)
	c["sliding_window_pattern"] = arch.every
	if _, list := r.meta.Get(r.arch + "." + key).([]bool); !list {
		n, ok := field[int](r, key)
		if ok {
			c["sliding_window_pattern"] = n
		}
		return nil
	}
	flags, _ := field[[]bool](r, key)
	if layers < 0 || len(flags) < layers {
		return fmt.Errorf("gguf: metadata %q has %d values for %d layers", r.arch+"."+key, len(flags), layers)
	}
	var types []string
	for _, windowed := range flags[:layers] {
		types = append(types, map[bool]string{true: "sliding_attention", false: "full_attention"}[windowed])
	}
	c["layer_types"] = types
	return nil
}

// find returns which tensor of the file has a name, and what the file says about it; -1 for none.
func find(f *gguf.File, name string) (int, checkpoint.Info) {
	i, ok := slices.BinarySearchFunc(f.Infos(), name, func(t checkpoint.Info, name string) int { return strings.Compare(t.Name, name) })
	if !ok {
		return -1, checkpoint.Info{}
	}
	return i, f.Infos()[i]
}

// has says whether the file has a tensor.
func has(f *gguf.File, name string) bool {
	i, _ := find(f, name)
	return i >= 0
}

// floatsOf returns the values of a small vector, nil where the file has none of that name.
func floatsOf(f *gguf.File, name string) ([]float32, error) {
	i, t := find(f, name)
	if i < 0 {
		return nil, nil
	}
	if t.DType != checkpoint.F32 || t.Elements() > 1<<12 {
		return nil, fmt.Errorf("gguf: tensor %q is %s %v, want a vector of F32", name, t.DType, t.Shape)
	}
	data, v := make([]byte, 4*t.Elements()), make([]float32, t.Elements())
	if err := f.Read(i, data, 0); err != nil {
		return nil, err
	}
	return v, checkpoint.Tensor{Name: name, DType: t.DType, Data: data}.Float32(v)
}

// ropeOf reads rotary positions into the keys of config.json.
func ropeOf(f *gguf.File, r *fields, c map[string]any) error {
	theta, ok := field[float64](r, "rope.freq_base")
	if !ok {
		theta = 10000
	}
	thetaKey, partialKey := "rope_theta", "partial_rotary_factor"
	if r.arch == "gptneox" {
		thetaKey, partialKey = "rotary_emb_base", "rotary_pct"
		c[partialKey] = 1.0
	}
	c[thetaKey] = theta
	headDim, ok := c["head_dim"].(int)
	if !ok {
		width, _ := c["hidden_size"].(int)
		heads, _ := c["num_attention_heads"].(int)
		headDim = width / max(heads, 1)
	}
	if dims, ok := field[int](r, "rope.dimension_count"); ok && dims != headDim && headDim > 0 {
		c[partialKey] = share(dims, headDim)
	}
	scaling := map[string]any{}
	kind, _ := field[string](r, "rope.scaling.type")
	for key, theirs := range map[string]string{"factor": "factor", "original_max_position_embeddings": "original_context_length", "attention_factor": "attn_factor",
		"beta_fast": "yarn_beta_fast", "beta_slow": "yarn_beta_slow"} {
		if v, ok := field[any](r, "rope.scaling."+theirs); ok {
			scaling[key] = v
		}
	}
	r.is("rope.scaling.finetuned", true)
	if old, ok := field[float64](r, "rope.scale_linear"); ok {
		kind, scaling["factor"] = "linear", old
	}
	long, err := floatsOf(f, "rope_factors_long.weight")
	if err != nil {
		return err
	}
	short, err := floatsOf(f, "rope_factors_short.weight")
	if err != nil {
		return err
	}
	freqs, err := floatsOf(f, "rope_freqs.weight")
	if err != nil {
		return err
	}
	switch {
	case long != nil && short != nil:
		scaling["rope_type"], scaling["long_factor"], scaling["short_factor"] = "longrope", long, short
	case freqs != nil:
		scaling = factorsOf(freqs, theta, headDim)
	case kind == "linear" || kind == "yarn":
		scaling["rope_type"] = kind
		if kind == "linear" {
			delete(scaling, "original_max_position_embeddings")
		} else if attn, ok := scaling["attention_factor"].(float64); ok { // times the paper's
			factor, _ := scaling["factor"].(float64)
			scaling["attention_factor"] = attn * yarnFactor(factor)
		}
	case kind == "" || kind == "none":
		return nil
	default:
		return fmt.Errorf("gguf: rope.scaling.type %q is not implemented", kind)
	}
	c["rope_scaling"] = scaling
	return nil
}

// share is the least float64 part of n that is k elements when cut to a whole number.
func share(k, n int) float64 {
	s := float64(k) / float64(n)
	if int(float64(n)*s) < k {
		s = math.Nextafter(s, 2)
	}
	return s
}

// yarnFactor is YaRN's own factor of cosines and sines, by which llama.cpp multiplies what a file says.
func yarnFactor(factor float64) float64 { return 1 + 0.1*math.Log(max(factor, 1)) }

// factorsOf returns the rope_scaling that divides frequencies by freqs: Llama 3's where it does, else longrope's with the same divisors at every length.
func factorsOf(freqs []float32, theta float64, headDim int) map[string]any {
	if c := llama3Of(freqs, theta, headDim); c != nil {
		return c
	}
	return map[string]any{"rope_type": "longrope", "short_factor": freqs, "long_factor": freqs, "attention_factor": 1.0, "original_max_position_embeddings": 8192}
}

// llama3Of returns the rope_scaling of Llama 3.1 and later that gives the divisors freqs; nil where none of theirs does.
func llama3Of(freqs []float32, theta float64, headDim int) map[string]any {
	factor := float64(slices.Max(freqs))
	c := nn.RopeConfig{Type: "llama3", Theta: theta, Factor: factor, LowFreq: 1, HighFreq: 4, Original: 8192}
	if len(freqs) != headDim/2 || !(factor > 1) {
		return nil
	}
	for i, want := range divisors(c, headDim) {
		if math.Abs(float64(want-freqs[i])) > 1e-4*float64(want) {
			return nil
		}
	}
	return map[string]any{"rope_type": "llama3", "factor": factor, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 8192}
}

// divisors are by how much Llama 3's scaling divides each frequency, as llama.cpp stores it.
func divisors(c nn.RopeConfig, headDim int) []float32 {
	out := make([]float32, headDim/2)
	for i := range out {
		wavelength := 2 * math.Pi * math.Pow(c.Theta, float64(2*i)/float64(headDim))
		switch original := float64(c.Original); {
		case wavelength < original/c.HighFreq:
			out[i] = 1
		case wavelength > original/c.LowFreq:
			out[i] = float32(c.Factor)
		default:
			smooth := (original/wavelength - c.LowFreq) / (c.HighFreq - c.LowFreq)
			out[i] = float32(1 / ((1-smooth)/c.Factor + smooth))
		}
	}
	return out
}
