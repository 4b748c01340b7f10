package zoo

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"

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
	if theta == 0 {
		theta = number(c, "rotary_emb_base")
	}
	set("rope.freq_base", float32(theta))
	scaling, ok := c["rope_scaling"].(map[string]any)
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
		if rope.MScale != 0 || rope.MScaleAll != 0 || rope.Truncate != nil || rope.AttentionFactor != nil {
			return nil, fmt.Errorf("rope_scaling: mscale, truncate and attention_factor of yarn have no GGUF form")
		}
		set("rope.scaling.type", "yarn")
		set("rope.scaling.factor", float32(rope.Factor))
		set("rope.scaling.original_context_length", uint32(rope.Original))
		if rope.BetaFast != 0 {
			set("rope.scaling.yarn_beta_fast", float32(rope.BetaFast))
		}
		if rope.BetaSlow != 0 {
			set("rope.scaling.yarn_beta_slow", float32(rope.BetaSlow))
		}
		return nil, nil
	case "longrope":
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
	return nil, fmt.Errorf("rope_scaling %q has no GGUF form", rope.Type)
}

func narrow(x []float64) []float32 {
	out := make([]float32, len(x))
	for i, v := range x {
		out[i] = float32(v)
	}
	return out
}
