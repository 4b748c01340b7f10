package zoo

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/plinth-ml/plinth/checkpoint/gguf"
	"github.com/plinth-ml/plinth/nn"
)

// vector is a tensor that a GGUF has beside the model's.
type vector struct {
	name   string
	values []float32
}

// metadataOf says in a GGUF's metadata, and in vectors, what a config.json says.
func metadataOf(config []byte) (gguf.Metadata, []vector, error) {
	var c map[string]any
	if err := json.Unmarshal(config, &c); err != nil {
		return nil, nil, err
	}
	kind, _ := c["model_type"].(string)
	i := slices.IndexFunc(architectures, func(a architecture) bool { return slices.Contains(a.types, kind) })
	if i < 0 {
		return nil, nil, fmt.Errorf("model_type %q has no GGUF form that llama.cpp knows", kind)
	}
	arch := architectures[i]
	if w := number(c, "sliding_window"); w != 0 && arch.keys["sliding_window"] == "" && (c["use_sliding_window"] == nil || c["use_sliding_window"] == true) && w < number(c, "max_position_embeddings") {
		return nil, nil, fmt.Errorf("sliding_window %v: a GGUF of architecture %q has no windows", w, arch.name)
	}
	for _, f := range strings.Fields(arch.fixed) {
		key, values, _ := strings.Cut(f, "=")
		if v := c[key]; v != nil && !slices.Contains(strings.Split(values, "|"), fmt.Sprint(v)) {
			return nil, nil, fmt.Errorf("%s %v: a GGUF of architecture %q stands for %s only", key, v, arch.name, values)
		}
	}
	meta := gguf.Metadata{{Key: "general.architecture", Value: arch.name}, {Key: "general.quantization_version", Value: uint32(2)}}
	set := func(key string, v any) { meta.Set(arch.name+"."+key, v) }
	if kind == "gpt2" && number(c, "n_inner") == 0 {
		c["n_inner"] = 4 * number(c, "n_embd")
	}
	for _, key := range slices.Sorted(maps.Keys(arch.keys)) {
		switch v := c[key].(type) {
		case float64:
			if floats[key] {
				set(arch.keys[key], float32(v))
			} else {
				set(arch.keys[key], uint32(v))
			}
		case bool:
			set(arch.keys[key], v)
		case nil:
			if key == "sliding_window" { // 0 says that there is none
				set(arch.keys[key], uint32(0))
			}
		}
	}
	if arch.every > 0 {
		if err := setLayers(set, arch, c); err != nil {
			return nil, nil, err
		}
	}
	vocab, _ := c["vocab_size"].(float64)
	set("vocab_size", uint32(vocab))
	if v, ok := c["head_dim"].(float64); ok {
		set("attention.value_length", uint32(v))
	}
	if !arch.rope {
		return meta, nil, nil
	}
	vectors, err := setRope(set, arch, c)
	return meta, vectors, err
}

// setLayers writes which layers of Gemma 2 and 3 have a window, and checks by what they divide scores.
func setLayers(set func(key string, v any), arch architecture, c map[string]any) error {
	size := func(key string) int { return int(number(c, key)) }
	want := arch.queryScale(size("num_hidden_layers"), size("head_dim"), size("hidden_size"), size("num_attention_heads"))
	if got := size("query_pre_attn_scalar"); got != want {
		return fmt.Errorf("query_pre_attn_scalar %d: a GGUF of architecture %q and this size stands for %d only", got, arch.name, want)
	}
	types, _ := c["layer_types"].([]any)
	usual, flags := true, make([]bool, len(types))
	for i, t := range types {
		flags[i] = t == "sliding_attention"
		if flags[i] && size("sliding_window") == 0 {
			return fmt.Errorf("layer_types has sliding_attention and sliding_window is 0, which has no GGUF form")
		}
		usual = usual && flags[i] == ((i+1)%arch.every != 0)
	}
	if !usual {
		set("attention.sliding_window_pattern", flags)
	}
	return nil
}

// floats are the keys of config.json whose values have a fraction.
var floats = map[string]bool{"rms_norm_eps": true, "layer_norm_eps": true, "layer_norm_epsilon": true, "attn_logit_softcapping": true, "final_logit_softcapping": true}

// number returns a number of config.json, 0 for none.
func number(c map[string]any, key string) float64 {
	v, _ := c[key].(float64)
	return v
}

// setRope writes rotary positions.
func setRope(set func(key string, v any), arch architecture, c map[string]any) ([]vector, error) {
	headDim := int(number(c, "head_dim"))
	if headDim == 0 {
		headDim = int(number(c, "hidden_size") / max(number(c, "num_attention_heads"), 1))
	}
	partial := number(c, "partial_rotary_factor")
	if arch.name == "gptneox" {
		partial = number(c, "rotary_pct")
	}
	dims := headDim
	if partial != 0 {
		dims = int(float64(headDim) * partial)
	}
	set("rope.dimension_count", uint32(dims))
	theta := number(c, "rope_theta")
	if arch.name == "gptneox" {
		theta = number(c, "rotary_emb_base")
	}
	scaling, ok := c["rope_scaling"].(map[string]any)
	if nested, _ := c["rope_parameters"].(map[string]any); nested != nil { // Gemma 3: one for each type of layer
		local, _ := nested["sliding_attention"].(map[string]any)
		if local["rope_type"] != "default" {
			return nil, fmt.Errorf("rope_parameters: sliding_attention: %v has no GGUF form", local["rope_type"])
		}
		set("rope.freq_base_swa", float32(number(local, "rope_theta")))
		scaling, ok = nested["full_attention"].(map[string]any)
		theta = number(scaling, "rope_theta")
	}
	set("rope.freq_base", float32(theta))
	if !ok {
		return nil, nil
	}
	text, err := json.Marshal(scaling)
	if err != nil {
		return nil, err
	}
	rope, err := nn.ParseRope(text, theta, partial)
	if err != nil {
		return nil, err
	}
	switch rope.Type {
	case "default":
		return nil, nil
	case "linear":
		set("rope.scaling.type", "linear")
		set("rope.scaling.factor", float32(rope.Factor))
		return nil, nil
	case "llama3":
		return []vector{{"rope_freqs.weight", divisors(rope, headDim)}}, nil
	case "yarn":
		if rope.MScale != 0 || rope.MScaleAll != 0 || rope.Truncate != nil && !*rope.Truncate {
			return nil, fmt.Errorf("rope_scaling: mscale and truncate of yarn have no GGUF form")
		}
		if fast, slow := cmp.Or(rope.BetaFast, 32), cmp.Or(rope.BetaSlow, 1); fast != 32 || slow != 1 { // there are keys, which llama.cpp reads in other architectures only
			return nil, fmt.Errorf("rope_scaling: beta_fast %v and beta_slow %v of yarn: a GGUF of architecture %q stands for 32 and 1 only", fast, slow, arch.name)
		}
		if rope.AttentionFactor != nil {
			set("rope.scaling.attn_factor", float32(*rope.AttentionFactor/yarnFactor(rope.Factor)))
		}
		if rope.Original == 0 {
			rope.Original = int(number(c, "max_position_embeddings"))
		}
		set("rope.scaling.type", "yarn")
		set("rope.scaling.factor", float32(rope.Factor))
		set("rope.scaling.original_context_length", uint32(rope.Original))
		return nil, nil
	case "longrope":
		if slices.Equal(rope.Short, rope.Long) && rope.AttentionFactor != nil && *rope.AttentionFactor == 1 && arch.name != "phi3" {
			return []vector{{"rope_freqs.weight", narrow(rope.Long)}}, nil
		}
		if arch.name != "phi3" {
			break
		}
		original := number(c, "original_max_position_embeddings")
		if original == 0 {
			original = float64(rope.Original)
		}
		grown, factor := number(c, "max_position_embeddings")/max(original, 1), 1.0
		if rope.AttentionFactor != nil {
			factor = *rope.AttentionFactor
		} else if grown > 1 {
			factor = math.Sqrt(1 + math.Log(grown)/math.Log(original))
		}
		set("rope.scaling.original_context_length", uint32(original))
		set("rope.scaling.attn_factor", float32(factor))
		return []vector{{"rope_factors_long.weight", narrow(rope.Long)}, {"rope_factors_short.weight", narrow(rope.Short)}}, nil
	}
	return nil, fmt.Errorf("rope_scaling %q has no form in a GGUF of architecture %q", rope.Type, arch.name)
}

func narrow(x []float64) []float32 {
	out := make([]float32, len(x))
	for i, v := range x {
		out[i] = float32(v)
	}
	return out
}
