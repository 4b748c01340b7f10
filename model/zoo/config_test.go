package zoo_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/plinth-ml/plinth/checkpoint"
	"github.com/plinth-ml/plinth/model/zoo"
)

// A folder of quantised weights is refused by the name of the method, with what to do.
func TestQuantisedRefused(t *testing.T) {
	for keys, want := range map[string]string{
		`"quantization_config": {"quant_method": "gptq", "bits": 4, "group_size": 128, "desc_act": false}`:                "gptq, 4 bits",
		`"quantization_config": {"quant_method": "awq", "bits": 4, "version": "gemm"}`:                                    "awq, 4 bits",
		`"quantization_config": {"quant_method": "bitsandbytes", "load_in_8bit": true}`:                                   "bitsandbytes, 8 bits",
		`"quantization_config": {"quant_method": "fp8", "weight_block_size": [128, 128], "activation_scheme": "dynamic"}`: "fp8, which",
		`"compression_config": {"quant_method": "compressed-tensors", "format": "pack-quantized"}`:                        "compressed-tensors",
		`"quantization_config": 7`: "quantization_config",
	} {
		dir := t.TempDir()
		config := `{"model_type": "llama", ` + tiny["llama"] + ", " + keys + "}"
		if err := os.WriteFile(filepath.Join(dir, zoo.ConfigFile), []byte(config), 0o644); err != nil {
			t.Fatal(err)
		}
		_, err := zoo.Describe(dir)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), dir) {
			t.Errorf("%s: %v", keys, err)
		}
	}
}

// A key or a value that would change the arithmetic unseen is an error that names it.
func TestConfigRefuses(t *testing.T) {
	everyFamily(t, func(t *testing.T, kind string) {
		for name, keys := range map[string]string{
			"mystery_factor":   `"mystery_factor": 2`,
			"quantization":     `"quantization_config": {"bits": 4}`,
			"vocab_size":       `"vocab_size": -1`,
			"want a whole":     `"vocab_size": "many"`,
			"not within 1 to":  `"vocab_size": 1000000000000`,
			"num_local_expert": `"num_local_experts": -3`,
		} {
			if kind == "gemma3" {
				continue // its keys stand in text_config
			}
			if _, err := parse(kind, tiny[kind]+", "+keys); err == nil || !strings.Contains(err.Error(), name) {
				t.Errorf("%s: %v", keys, err)
			}
		}
	})
	for _, c := range []struct{ kind, keys, names string }{
		{"llama", `"sliding_window": 4`, "sliding_window"},
		{"llama", `"eos_token_id": [1, 1000000]`, "eos_token_id 1000000"},
		{"gpt2", `"eos_token_id": 1000000`, "eos_token_id 1000000"},
		{"gptj", `"eos_token_id": 1000000`, "eos_token_id 1000000"},
		{"gpt_neox", `"eos_token_id": 1000000`, "eos_token_id 1000000"},
		{"gemma", `"eos_token_id": 1000000`, "eos_token_id 1000000"},
		{"plinth_palm", `"eos_token_id": 1000000`, "eos_token_id 1000000"},
		{"llama", `"num_attention_heads": 3`, "num_key_value_heads"},
		{"llama", `"rope_scaling": {"rope_type": "mrope", "factor": 2}`, "mrope"},
		{"llama", `"rope_scaling": {"rope_type": "linear"}`, "factor"},
		{"llama", `"rope_scaling": {"rope_type": "linear", "factor": 2, "beta_fast": 3}`, "beta_fast"},
		{"llama", `"rope_scaling": {"rope_type": "linear", "factor": -2}`, "factor"},
		{"llama", `"rope_scaling": {"rope_type": "longrope", "short_factor": [1], "long_factor": [1], "original_max_position_embeddings": 8}`, "short_factor"},
		{"llama", `"rope_theta": 0`, "rope_theta"},
		{"llama", `"partial_rotary_factor": 0.5`, "partial_rotary_factor"},
		{"llama", `"hidden_act": "maxout"`, "maxout"},
		{"llama", `"rope_interleaved": true`, "rope_interleaved"},
		{"qwen2", `"layer_types": ["full_attention"]`, "layer_types"},
		{"qwen3", `"layer_types": ["full_attention", "linear_attention"]`, "linear_attention"},
		{"phi3", `"rope_scaling": {"type": "linear", "factor": 2}`, "linear"},
		{"mixtral", `"num_experts_per_tok": 9`, "num_experts_per_tok"},
		{"mixtral", `"output_router_logits": true`, "output_router_logits"},
		{"gemma", `"hidden_act": "silu"`, "hidden_act"},
		{"gemma2", `"tie_word_embeddings": false`, "tie_word_embeddings"},
		{"gemma2", `"query_pre_attn_scalar": 0`, "query_pre_attn_scalar"},
		{"gemma3_text", `"attn_logit_softcapping": 3.0`, "attn_logit_softcapping"},
		{"gemma3_text", `"use_bidirectional_attention": true`, "use_bidirectional_attention"},
		{"gemma3_text", `"rope_parameters": {"full_attention": {}, "other": {}}`, "other"},
		{"gpt_neox", `"rotary_pct": 0.6`, "partial_rotary_factor"},
		{"gptj", `"rotary_dim": 5`, "rotary_dim"},
		{"plinth_palm", `"head_dim": 7`, "rotation"},
	} {
		if _, err := parse(c.kind, tiny[c.kind]+", "+c.keys); err == nil || !strings.Contains(err.Error(), c.names) {
			t.Errorf("%s with %s: %v", c.kind, c.keys, err)
		}
	}
}

// transformers writes the end of the published vocabulary into the configuration of a smaller model that names none.
func TestStandardEnd(t *testing.T) {
	for kind, id := range map[string]string{"gpt2": "50256", "gptj": "50256", "phi3": "32000"} {
		if _, err := parse(kind, tiny[kind]+`, "eos_token_id": `+id); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
	}
}

// parse is a family's constructor on keys of a config.json; of equal keys the last counts.
func parse(kind, keys string) (zoo.Stored, error) {
	return zoo.Families[kind]([]byte(`{"model_type": "`+kind+`", `+keys+`}`), checkpoint.HuggingFace)
}

// The positions of older files read as those of transformers 5 do.
func TestRopeForms(t *testing.T) {
	base := `"vocab_size": 288, "hidden_size": 24, "intermediate_size": 40, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, `
	for _, c := range []struct{ kind, old, new string }{
		{"llama", `"rope_theta": 300.0, "rope_scaling": null`, `"rope_parameters": {"rope_type": "default", "rope_theta": 300.0}`},
		{"llama", `"rope_theta": 300.0, "rope_scaling": {"type": "linear", "factor": 2}`, `"rope_parameters": {"rope_type": "linear", "rope_theta": 300.0, "factor": 2}`},
		{"gemma3_text", `"rope_theta": 300.0, "rope_local_base_freq": 20.0, "rope_scaling": {"rope_type": "linear", "factor": 8}`,
			`"rope_parameters": {"full_attention": {"rope_type": "linear", "rope_theta": 300.0, "factor": 8}, "sliding_attention": {"rope_type": "default", "rope_theta": 20.0}}`},
		{"gpt_neox", `"rotary_pct": 1.0, "rotary_emb_base": 30`, `"rope_parameters": {"rope_type": "default", "rope_theta": 30.0, "partial_rotary_factor": 1.0}`},
	} {
		if c.kind == "gpt_neox" {
			base = strings.Replace(base, `"num_key_value_heads": 2, `, "", 1)
		}
		var texts [2][]byte
		for i, keys := range []string{c.old, c.new} {
			m, err := parse(c.kind, base+keys)
			if err != nil {
				t.Fatalf("%s with %s: %v", c.kind, keys, err)
			}
			if texts[i], err = m.ConfigJSON(); err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(texts[0], texts[1]) {
			t.Errorf("%s: %s became\n%s%s became\n%s", c.kind, c.old, texts[0], c.new, texts[1])
		}
	}
}

// FuzzConfig: no config.json makes a constructor panic or take much memory, and what it accepts reads back as itself.
func FuzzConfig(f *testing.F) {
	for _, kind := range decoders() {
		f.Add([]byte(`{"model_type": "` + kind + `", ` + tiny[kind] + `}`))
	}
	f.Add([]byte(`{"model_type": "phi3", "rope_scaling": {"type": "su", "short_factor": [1.0], "long_factor": [2.0]}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var head struct {
			Type   string  `json:"model_type"`
			Layers float64 `json:"num_hidden_layers"`
			Other  float64 `json:"n_layer"`
			Width  float64 `json:"num_local_experts"`
		}
		if json.Unmarshal(data, &head) != nil || zoo.Families[head.Type] == nil || head.Layers > 100 || head.Other > 100 || head.Width > 100 {
			return // many layers are many structs
		}
		m, err := zoo.Families[head.Type](data, checkpoint.HuggingFace)
		if err != nil {
			return
		}
		once, err := m.ConfigJSON()
		if err != nil {
			t.Fatal(err)
		}
		json.Unmarshal(once, &head)
		back, err := zoo.Families[head.Type](once, checkpoint.HuggingFace)
		if err != nil {
			t.Fatalf("%v\n%s", err, once)
		}
		twice, err := back.ConfigJSON()
		if err != nil || !bytes.Equal(once, twice) {
			t.Fatalf("%s became %s: %v", once, twice, err)
		}
	})
}
