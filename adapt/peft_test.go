package adapt_test

import (
	"strings"
	"testing"

	"github.com/plinth-ml/plinth/adapt"
	"github.com/plinth-ml/plinth/internal/kernel/cpu"
)

// A file says by name what it has that is not implemented; keys that say nothing about the arithmetic, or that ask for nothing, pass.
func TestParseAdapterConfig(t *testing.T) {
	const good = `"peft_type": "LORA", "r": 4, "target_modules": ["c_attn"]`
	o, err := adapt.ParseAdapterConfig([]byte(`{` + good + `, "lora_alpha": 16, "task_type": "CAUSAL_LM", "peft_version": "0.21.2", "layer_replication": null,
		"loftq_config": {}, "lora_bias": false, "layers_to_transform": 1, "layers_pattern": "h", "exclude_modules": ".*proj", "use_rslora": true}`))
	if err != nil {
		t.Fatal(err)
	}
	if o.Rank != 4 || o.Alpha != 16 || len(o.Layers) != 1 || o.Layers[0] != 1 || len(o.Blocks) != 1 || o.Blocks[0] != "h" || o.Exclude.Pattern != ".*proj" || !o.RankStabilised {
		t.Errorf("read as %+v", o)
	}
	for text, want := range map[string]string{
		`{"peft_type": "IA3"}`:                          "peft_type",
		`{` + good + `, "bias": "all"}`:                 "bias",
		`{` + good + `, "lora_bias": true}`:             "lora_bias",
		`{` + good + `, "init_lora_weights": "pissa"}`:  "init_lora_weights",
		`{` + good + `, "layer_replication": [[0, 1]]}`: "layer_replication",
		`{` + good + `, "some_new_method": 3}`:          "some_new_method",
		`{` + good + `, "r": 0.5}`:                      "r",
		`{` + good + `, "r": -1}`:                       "r is -1",
		`{` + good + `, "lora_dropout": 1}`:             "lora_dropout",
		`{"peft_type": "LORA"}`:                         "target_modules",
		`[]`:                                            "cannot unmarshal",
	} {
		if _, err := adapt.ParseAdapterConfig([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want an error about %s", text, err, want)
		}
	}
}

// FuzzParseAdapterConfig: foreign bytes end in options or in an error.
func FuzzParseAdapterConfig(f *testing.F) {
	f.Add([]byte(`{"peft_type": "LORA", "r": 4, "target_modules": "all-linear", "rank_pattern": {"a": 2}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if o, err := adapt.ParseAdapterConfig(data); err == nil && (o.Rank < 1 || !(o.Alpha > 0)) {
			t.Errorf("%q is read as %+v", data, o)
		}
	})
}

func TestAttachRefuses(t *testing.T) {
	k := cpu.New(cpu.Options{Threads: 1})
	for want, o := range map[string]adapt.LoRA{
		"c_attn, c_proj, c_fc":    {Targets: adapt.ParseNames("q_proj,v_proj")},
		"target_modules":          {Targets: adapt.ParseNames("c_(attn")},
		"exclude_modules":         {Targets: adapt.ParseNames("c_attn"), Exclude: adapt.ParseNames("(")},
		"modules_to_save":         {Targets: adapt.ParseNames("c_attn"), Save: []string{"score"}},
		"rank_pattern":            {Targets: adapt.ParseNames("c_attn"), RankPattern: map[string]int{"c_attn": 0}},
		"alpha_pattern":           {Targets: adapt.ParseNames("c_attn"), AlphaPattern: map[string]float64{"(": 1}},
		"fits no linear layer":    {Targets: adapt.ParseNames("c_attn"), Layers: []int{7}},
		"target_modules names no": {},
		"lora_alpha is -1":        {Targets: adapt.ParseNames("c_attn"), Alpha: -1},
	} {
		if _, err := adapt.AttachLoRA(k, small(t), nil, o, 1); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want an error about %s", o, err, want)
		}
	}
	m := small(t)
	o := adapt.LoRA{Targets: adapt.ParseNames("c_attn")}
	if _, err := adapt.AttachLoRA(k, m, nil, o, 1); err != nil {
		t.Fatal(err)
	}
	if _, err := adapt.AttachLoRA(k, m, nil, o, 1); err == nil || !strings.Contains(err.Error(), "already") {
		t.Errorf("a second adapter: %v", err)
	}
}
