package main

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/plinth-ml/plinth/internal/random"
	"github.com/plinth-ml/plinth/internal/testkit"
	"github.com/plinth-ml/plinth/model"
	"github.com/plinth-ml/plinth/model/zoo"
	"github.com/plinth-ml/plinth/tokenizer"
)

// drawnHead gives the model "bert" a head in a folder, with weights so wide that its scores vary from word to word.
func drawnHead(t *testing.T, dir string, kind model.Task, names ...string) {
	t.Helper()
	m, err := zoo.NewTask("bert", kind, len(names), 1, zoo.Options{F32: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range m.Params() {
		key := random.NewKey(7).Named(p.Name)
		for i := range p.T().F32() {
			p.T().F32()[i] += 0.3 * float32(key.Normal(uint64(i)))
		}
	}
	tok, err := tokenizer.Open("tok")
	if err != nil {
		t.Fatal(err)
	}
	if err := zoo.SaveTask(dir, m, tok, zoo.Labels{Names: names}); err != nil {
		t.Fatal(err)
	}
}

// The verbs tag and ask say what transformers says with the folders that they read.
func TestTransformersTagsAndAnswers(t *testing.T) {
	modules := []string{"torch", "transformers"}
	testkit.Python(t, modules...)
	script := filepath.Join(testkit.Root(), "cmd", "plinth", "testdata", "heads.py")
	world(t)
	freshBERT(t, readerText(t)+" Ada Lovelace lived in London, didn't she? naïve façade", 2, 48)
	taggers, readers := []string{"tagger", "kinds", "adapted-tagger"}, []string{"reader", "adapted-reader", "decoder"}
	drawnHead(t, taggers[0], model.TokenTask, "O", "B-person", "I-person", "B-place", "I-place")
	drawnHead(t, taggers[1], model.TokenTask, "NOUN", "VERB", "O")
	drawnHead(t, readers[0], model.SpanTask, "LABEL_0", "LABEL_1")
	named(t, "train.conll", 60, 1)
	holdings(t, "train.json", 60, 1, true)
	ok(t, args("adapt --task tag --model bert --data train.conll --steps 20 --lr 3e-3 --method lora --out", taggers[2])...)
	ok(t, args("adapt --task qa --model bert --data train.json --steps 20 --lr 3e-3 --out", readers[1])...)
	ok(t, args("adapt --task qa --data train.json --steps 20 --lr 3e-3 --model", shared.model, "--out", readers[2])...)
	texts := []string{"Ada Lovelace lived in London, didn't she?", "  red has eggs;blue\thas “boats” … ", "naïve façade of 世界 coins", "unbelievable apples antidisestablishmentarianism"}
	words := [][]string{{"Ada", "didn't", "live", "in", "London."}, {"U.S.", "red-blue", "eggs"}}
	long := strings.Repeat("red has eggs boats . blue has “coins” … grey has é dogs . ", 6)
	const window, stride = 28, 8
	questions := [][2]string{{"what has red ?", "red has eggs boats . blue has coins dogs ."}, {"  what has grey?", long}, {"who ?", "naïve façade"}}

	type span struct {
		Type               string
		Start, End         int
		Score, Probability float64
	}
	var answers []struct {
		Entities [][]span
		Tags     [][]string
		Answers  []struct {
			Windows    int
			Difference float64
			Best       []span
		}
	}
	root, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	var jobs []map[string]any
	for _, dir := range taggers {
		jobs = append(jobs, map[string]any{"dir": filepath.Join(root, dir), "texts": texts, "words": words})
	}
	for _, dir := range readers {
		jobs = append(jobs, map[string]any{"dir": filepath.Join(root, dir), "questions": questions, "window": window, "stride": stride})
	}
	testkit.Ask(t, script, modules, jobs, &answers)

	// said decodes what a verb says into x.
	said := func(x any, words ...string) {
		t.Helper()
		if err := json.Unmarshal([]byte(ok(t, append([]string{"--json"}, words...)...)), x); err != nil {
			t.Fatal(err)
		}
	}
	same := func(what string, got, want span) {
		t.Helper()
		near := func(a, b float64) bool { return math.Abs(a-b) <= 1e-4*math.Max(1, math.Abs(b)) }
		if got.Type != want.Type || got.Start != want.Start || got.End != want.End || !near(got.Score, want.Score) || !near(got.Probability, want.Probability) {
			t.Errorf("%s: %+v, transformers says %+v", what, got, want)
		}
	}
	found := 0
	for i, dir := range taggers {
		var plain, listed struct {
			Results []struct {
				Entities []span
				Words    []struct{ Tag string }
			}
		}
		said(&plain, append(args("tag --model "+dir), texts...)...)
		for j, want := range answers[i].Entities {
			got := plain.Results[j].Entities
			if len(got) != len(want) {
				t.Errorf("%s, %q: %v, transformers says %v", dir, texts[j], got, want)
				continue
			}
			found += len(got)
			for k := range want {
				same(texts[j], got[k], want[k])
			}
		}
		var rows strings.Builder
		for _, list := range words {
			b, err := json.Marshal(map[string]any{"words": list})
			if err != nil {
				t.Fatal(err)
			}
			rows.Write(append(b, '\n'))
		}
		write(t, "words.jsonl", rows.String())
		said(&listed, args("tag --words --data words.jsonl --model "+dir)...)
		for j, want := range answers[i].Tags {
			for k, w := range listed.Results[j].Words {
				if w.Tag != want[k] {
					t.Errorf("%s, word %q: %s, transformers says %s", dir, words[j][k], w.Tag, want[k])
				}
			}
		}
	}
	if found < 10 {
		t.Errorf("only %d entities: the test shows little", found)
	}
	for j, dir := range readers {
		for i, q := range questions {
			var r struct {
				Results []struct {
					Answers []span
				}
			}
			said(&r, append(args(fmt.Sprintf("ask --model %s --window %d --stride %d --top 20 --context", dir, window, stride)), q[1], "--", q[0])...)
			want := answers[len(taggers)+j].Answers[i]
			got := r.Results[0].Answers
			if len(got) != len(want.Best) {
				t.Errorf("%q: %d answers, transformers has %d", q[0], len(got), len(want.Best))
				continue
			}
			for k := range got {
				same(q[0], got[k], want.Best[k])
			}
			var none struct {
				Results []struct {
					NoAnswer float64 `json:"no_answer"`
				}
			}
			said(&none, append(args(fmt.Sprintf("ask --no-answer --model %s --window %d --stride %d --context", dir, window, stride)), q[1], "--", q[0])...)
			if d := none.Results[0].NoAnswer; math.Abs(d-want.Difference) > 1e-4*math.Max(1, math.Abs(d)) {
				t.Errorf("%q: no answer scores %v above the best, transformers says %v", q[0], d, want.Difference)
			}
		}
	}
	if answers[len(taggers)].Answers[1].Windows < 3 {
		t.Errorf("%d windows: the test shows little", answers[len(taggers)].Answers[1].Windows)
	}
}
