package main

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/plinth-ml/plinth/internal/testkit"
)

// dynamicModel is a trained Llama whose configuration then got dynamic rotary scaling and a context of 16.
func dynamicModel(t *testing.T) string {
	t.Helper()
	world(t)
	dir := filepath.Join(t.TempDir(), "run")
	ok(t, args("train --family llama --size nano --steps 20 --batch 4 --seq 32 --vocab 300 --threads 2", "--data", shared.text, "--out", dir)...)
	var config map[string]any
	if err := json.Unmarshal([]byte(read(t, filepath.Join(dir, "config.json"))), &config); err != nil {
		t.Fatal(err)
	}
	config["max_position_embeddings"], config["rope_scaling"] = 16, map[string]any{"rope_type": "dynamic", "factor": 4}
	data, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "config.json"), string(data))
	return dir
}

// TestDynamicContext: with --context a model of dynamic scaling writes beyond its own, what transformers writes (with PLINTH_PYTHON).
func TestDynamicContext(t *testing.T) {
	dir := dynamicModel(t)
	type job struct {
		Dir    string  `json:"dir"`
		Prompt []int32 `json:"prompt"`
		N      int     `json:"n"`
	}
	var jobs []job
	var got [][]int32
	for n := 2; n <= 12; n += 5 {
		prompt := strings.Repeat("one and two make ", n)
		var o struct {
			Sequences []struct {
				IDs    []int32
				Prompt []int32 `json:"prompt_ids"`
				Finish string  `json:"finish_reason"`
			}
		}
		out := ok(t, args("generate --json --echo --ignore-eos --temperature 0 --max-tokens 40 --context 200 --threads 2 --model", dir, prompt)...)
		if err := json.Unmarshal([]byte(out), &o); err != nil {
			t.Fatal(err)
		}
		s := o.Sequences[0]
		if len(s.IDs) != 40 || s.Finish != "length" {
			t.Errorf("prompt of %d tokens: %+v", len(s.Prompt), s)
		}
		if distinct := len(slices.Compact(slices.Sorted(slices.Values(s.IDs)))); distinct < 3 {
			t.Errorf("%d distinct tokens: this test tests less than it says", distinct)
		}
		jobs, got = append(jobs, job{dir, s.Prompt, 40}), append(got, s.IDs)
	}
	if first, last := len(jobs[0].Prompt), len(jobs[2].Prompt); first >= 16 || last <= 16 {
		t.Errorf("prompts of %d to %d tokens are not on both sides of the context", first, last)
	}
	fails(t, 1, "context 16", "generate", "--model", dir, strings.Repeat("one and two make ", 12))
	fails(t, 2, "--context 33", "generate", "--model", shared.model, "--context", "33", "one")

	modules := []string{"torch", "transformers"}
	testkit.Python(t, modules...)
	var want [][]int32
	testkit.Ask(t, filepath.Join(testkit.Root(), "cmd", "plinth", "testdata", "greedy.py"), modules, jobs, &want)
	for i := range jobs {
		if !reflect.DeepEqual(got[i], want[i]) {
			t.Errorf("prompt of %d tokens: %v, transformers %v", len(jobs[i].Prompt), fmt.Sprint(got[i]), fmt.Sprint(want[i]))
		}
	}
}
