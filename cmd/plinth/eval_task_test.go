package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/plinth-ml/plinth/model/gpt"
	"github.com/plinth-ml/plinth/model/zoo"
	"github.com/plinth-ml/plinth/nn"
	"github.com/plinth-ml/plinth/tokenizer"
)

func TestEvalTasks(t *testing.T) {
	world(t)
	dir := t.TempDir()
	for _, folder := range []string{"test", "dev"} {
		if err := os.Mkdir(filepath.Join(dir, folder), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	passages := filepath.Join(dir, "passages.csv")
	write(t, passages, "text\none and two\ntwo and three\n")
	o := object(t, "eval", "--task", "lambada", "--model", shared.model, "--data", passages)
	keys(t, o, "accuracy perplexity examples cut")
	if o["examples"] != 2.0 || o["perplexity"].(float64) <= 1 {
		t.Errorf("%v", o)
	}
	write(t, filepath.Join(dir, "test", "sums_test.csv"), "q1,one,two,three,four,A\nq2,1,2,3,4,B\n")
	write(t, filepath.Join(dir, "dev", "sums_dev.csv"), "q0,one,two,three,four,C\n")
	// The shared run's context is too small for a question of MMLU, which loses its beginning there.
	o = object(t, "eval", "--task", "mmlu", "--shots", "1", "--model", shared.model, "--data", filepath.Join(dir, "test"))
	if s := o["subjects"].([]any)[0].(map[string]any); o["cut"] != 2.0 || o["questions"] != 2.0 || s["cut"] != 2.0 || s["shots"] != 0.0 || o["mean"] != o["accuracy"] {
		t.Errorf("%v", o)
	}
	tok, err := tokenizer.Open(shared.tok)
	if err != nil {
		t.Fatal(err)
	}
	m, err := gpt.New(gpt.Shape(1, 16, 2, tok.VocabSize(), 512))
	if err != nil {
		t.Fatal(err)
	}
	nn.Init(m.Params(), 1, false)
	wide := filepath.Join(dir, "wide")
	if err := zoo.Save(wide, m, tok); err != nil {
		t.Fatal(err)
	}
	o = object(t, "eval", "--task", "mmlu", "--shots", "1", "--model", wide, "--data", filepath.Join(dir, "test"))
	keys(t, o, "accuracy cut mean questions subjects")
	if s := o["subjects"].([]any); o["questions"] != 2.0 || len(s) != 1 || s[0].(map[string]any)["subject"] != "sums" || s[0].(map[string]any)["shots"] != 1.0 {
		t.Errorf("%v", o)
	}
	for _, c := range []struct{ args, want string }{
		{"--task mmlu --data " + filepath.Join(dir, "test"), "sums_dev.csv has 1"},
		{"--task mmlu --data " + filepath.Join(dir, "dev"), "no file SUBJECT_test.csv"},
		{"--task lambada --text passage --data " + passages, `no column "passage" for --text`},
	} {
		var out, errs strings.Builder
		if code := run(append([]string{"eval", "--model", shared.model}, strings.Fields(c.args)...), &out, &errs); code != exitFailed || !strings.Contains(errs.String(), c.want) {
			t.Errorf("%s: %d %s", c.args, code, errs.String())
		}
	}
}
