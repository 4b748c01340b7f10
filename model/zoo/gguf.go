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

var architectures = []architecture{
	{"llama", []string{"llama", "mixtral", "mistral"}, with(map[string]string{"num_local_experts": "expert_count", "num_experts_per_tok": "expert_used_count"}), true},
	{"qwen2", []string{"qwen2"}, common, true},
	{"qwen3", []string{"qwen3"}, common, true},
	{"phi3", []string{"phi3"}, with(map[string]string{"sliding_window": "attention.sliding_window", "original_max_position_embeddings": "rope.scaling.original_context_length"}), true},
	{"gemma", []string{"gemma"}, common, true},
	{"gemma2", []string{"gemma2"}, with(map[string]string{"sliding_window": "attention.sliding_window", "attn_logit_softcapping": "attn_logit_softcapping",
		"final_logit_softcapping": "final_logit_softcapping"}), true},
	{"gemma3", []string{"gemma3_text"}, with(map[string]string{"sliding_window": "attention.sliding_window", "final_logit_softcapping": "final_logit_softcapping"}), true},
	{"gptneox", []string{"gpt_neox"}, map[string]string{"max_position_embeddings": "context_length", "hidden_size": "embedding_length", "num_hidden_layers": "block_count",
		"intermediate_size": "feed_forward_length", "num_attention_heads": "attention.head_count", "layer_norm_eps": "attention.layer_norm_epsilon",
		"use_parallel_residual": "use_parallel_residual"}, true},
	{"gpt2", []string{"gpt2"}, map[string]string{"n_positions": "context_length", "n_embd": "embedding_length", "n_layer": "block_count", "n_inner": "feed_forward_length",
		"n_head": "attention.head_count", "layer_norm_epsilon": "attention.layer_norm_epsilon"}, false},
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
	switch name {
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
	if theta, ok := field[float64](r, "rope.freq_base"); ok {
		c["rope_theta"] = theta
	}
	headDim, ok := c["head_dim"].(int)
	if !ok {
		width, _ := c["hidden_size"].(int)
		heads, _ := c["num_attention_heads"].(int)
		headDim = width / max(heads, 1)
	}
	if dims, ok := field[int](r, "rope.dimension_count"); ok && dims != headDim && headDim > 0 {
		c["partial_rotary_factor"] = float64(dims) / float64(headDim)
		if r.arch == "gptneox" {
			delete(c, "partial_rotary_factor")
			c["rotary_pct"] = float64(dims) / float64(headDim)
		}
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
		theta, _ := c["rope_theta"].(float64)
		scaling = llama3Of(freqs, theta, headDim)
		if scaling == nil {
			return fmt.Errorf("gguf: rope_freqs.weight holds no factors of Llama 3's, which alone are implemented")
		}
	case kind == "linear" || kind == "yarn":
		scaling["rope_type"] = kind
		if kind == "linear" {
			delete(scaling, "original_max_position_embeddings")
		}
	case kind == "" || kind == "none":
		return nil
	default:
		return fmt.Errorf("gguf: rope.scaling.type %q is not implemented", kind)
	}
	c["rope_scaling"] = scaling
	return nil
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
