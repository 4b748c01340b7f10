package main

import (
	"bufio"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/plinth-ml/plinth/internal/testkit"
	"github.com/plinth-ml/plinth/model/gpt"
	"github.com/plinth-ml/plinth/model/zoo"
	"github.com/plinth-ml/plinth/nn"
	"github.com/plinth-ml/plinth/tokenizer"
)

// TestEvalHarness: the verb eval and lm-evaluation-harness, which asks the verb serve over /v1/completions, have the same bits for each of the first passages of LAMBADA's test set.
func TestEvalHarness(t *testing.T) {
	testkit.Python(t, "lm_eval", "datasets", "transformers")
	f, err := os.Open(testkit.Data(t, "tasks/lambada/lambada_test.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	world(t)
	const passages = 24
	dir := t.TempDir()
	var lines strings.Builder
	s := bufio.NewScanner(f)
	for i := 0; i < passages && s.Scan(); i++ {
		fmt.Fprintln(&lines, s.Text())
	}
	data, model := filepath.Join(dir, "passages.jsonl"), filepath.Join(dir, "model")
	write(t, data, lines.String())
	tok, err := tokenizer.Open(shared.tok)
	if err != nil {
		t.Fatal(err)
	}
	m, err := gpt.New(gpt.Shape(1, 16, 2, tok.VocabSize(), 1024))
	if err != nil {
		t.Fatal(err)
	}
	nn.Init(m.Params(), 1, false)
	if err := zoo.Save(model, m, tok); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(model, "tokenizer_config.json"), `{"tokenizer_class":"PreTrainedTokenizerFast","clean_up_tokenization_spaces":false}`)
	want := object(t, "eval", "--task", "lambada", "--items", "--model", model, "--data", data)
	var got struct {
		Acc, Perplexity float64
		Items           [][2]any
	}
	testkit.Ask(t, filepath.Join("..", "..", "serve", "testdata", "harness.py"), []string{"lm_eval"}, map[string]any{"base": served(t, "--model", model) + "/v1", "model": "model", "tokenizer": model, "data": data,
		"home": filepath.Join(dir, "home"), "context": 1024}, &got)
	items := want["items"].([]any)
	if len(got.Items) != passages || len(items) != passages {
		t.Fatalf("%d items, eval has %d, want %d", len(got.Items), len(items), passages)
	}
	for i, item := range items {
		if item := item.(map[string]any); got.Items[i] != [2]any{item["logprob"], item["greedy"]} {
			t.Errorf("passage %d: the harness has %v, eval %v", i, got.Items[i], item)
		}
	}
	if math.Abs(got.Acc-want["accuracy"].(float64)) > 1e-12 || math.Abs(got.Perplexity/want["perplexity"].(float64)-1) > 1e-12 { // the means are summed in other orders
		t.Errorf("accuracy %v and perplexity %v, eval has %v and %v", got.Acc, got.Perplexity, want["accuracy"], want["perplexity"])
	}
}
