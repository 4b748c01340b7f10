package serve_test

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/plinth-ml/plinth/eval"
	"github.com/plinth-ml/plinth/eval/task"
	"github.com/plinth-ml/plinth/generate"
	"github.com/plinth-ml/plinth/internal/kernel/cpu"
	"github.com/plinth-ml/plinth/internal/testkit"
)

// TestHarness: lm-evaluation-harness, asking the server for the log-probabilities of ids, has for each item the bits that plinth eval has.
func TestHarness(t *testing.T) {
	testkit.Python(t, "lm_eval", "datasets", "transformers")
	m, decoder := tinyDecoder(t, generate.EngineOptions{})
	url := serveModels(t, m)
	dir := t.TempDir()
	save := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	var b strings.Builder
	if err := m.Tokenizer.Save(filepath.Join(dir, "tokenizer.json")); err != nil {
		t.Fatal(err)
	}
	save("tokenizer_config.json", `{"tokenizer_class":"PreTrainedTokenizerFast","clean_up_tokenization_spaces":false}`)
	words := strings.Fields("some words to begin with and more é, 42; the rest of it")
	var requests []task.Request
	for i := range 16 {
		var text []string
		for j := range 3 + i%9 {
			text = append(text, words[(i*7+j*j)%len(words)])
		}
		r, err := task.LAMBADA(strings.Join(text, " "))
		if err != nil {
			t.Fatal(err)
		}
		line, _ := json.Marshal(map[string]string{"text": strings.Join(text, " ")})
		fmt.Fprintf(&b, "%s\n", line)
		requests = append(requests, r)
	}
	save("data.jsonl", b.String())
	want, err := eval.NewLikelihoods(decoder, m.Tokenizer, cpu.New(cpu.Options{Threads: 2})).Answer(t.Context(), requests)
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Acc, Perplexity float64
		Items           [][2]any
	}
	testkit.Ask(t, "testdata/harness.py", []string{"lm_eval"}, map[string]any{"base": url + "/v1", "model": m.Name, "tokenizer": dir, "data": filepath.Join(dir, "data.jsonl"), "home": filepath.Join(dir, "home"), "context": m.Context}, &got)
	if len(got.Items) != len(want) {
		t.Fatalf("%d items, want %d", len(got.Items), len(want))
	}
	for i, w := range want {
		if got.Items[i] != [2]any{w.LogProb, w.Greedy} {
			t.Errorf("item %d: the harness has %v, eval %v", i, got.Items[i], w)
		}
	}
	scores, err := task.ScoreLAMBADA(want)
	if err != nil {
		t.Fatal(err)
	}
	if math.Abs(got.Acc-scores.Accuracy) > 1e-12 || math.Abs(got.Perplexity/scores.Perplexity-1) > 1e-12 { // the means are summed in other orders
		t.Errorf("accuracy %v and perplexity %v, eval has %+v", got.Acc, got.Perplexity, scores)
	}
}
