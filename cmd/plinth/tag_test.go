package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/plinth-ml/plinth/internal/random"
	"github.com/plinth-ml/plinth/model/bert"
	"github.com/plinth-ml/plinth/model/zoo"
	"github.com/plinth-ml/plinth/nn"
	"github.com/plinth-ml/plinth/tokenizer"
)

// freshBERT changes to an empty folder and puts an untrained BERT there as "bert": 64 wide, with a WordPiece vocabulary learnt from text.
func freshBERT(t *testing.T, text string, layers, context int) {
	t.Helper()
	t.Chdir(t.TempDir())
	write(t, "text.txt", text)
	ok(t, args("tokenizer train --type wordpiece --vocab 400 --data text.txt --out tok")...)
	tok, err := tokenizer.Open("tok")
	if err != nil {
		t.Fatal(err)
	}
	c := bert.Shape(layers, 64, tok.VocabSize(), context)
	c.Heads, c.Dropout, c.AttnDropout, c.InitStd = 2, 0, 0, 0.1 // 0.02 is for a width of 768: so narrow a model learns slowly from it
	m, err := bert.New(c)
	if err != nil {
		t.Fatal(err)
	}
	nn.Init(m.Params(), 1, false)
	if err := zoo.Save("bert", m, tok); err != nil {
		t.Fatal(err)
	}
}

// draw is a source of numbers below n.
func draw(seed uint64) func(n int) int {
	i := uint64(0)
	return func(n int) int {
		i++
		return random.NewKey(seed).IntN(i, n)
	}
}

// named writes n sentences as CoNLL: the words after mr are a person, the word after in is a place.
func named(t *testing.T, path string, n int, seed uint64) (sentences []string) {
	t.Helper()
	next := draw(seed)
	names := strings.Fields("ada bob carl dora emil fritz gina hugo ines jan")
	fill := strings.Fields("saw the old and a dog “é” green paper near tall trees")
	var b strings.Builder
	for range n {
		var words []string
		add := func(word, tag string) {
			fmt.Fprintf(&b, "%s\t%s\n", word, tag)
			words = append(words, word)
		}
		for range 3 + next(8) { // up to 30 words: more than some contexts hold
			switch next(4) {
			case 0:
				add("mr", "O")
				add(names[next(10)], "B-person")
				add(names[next(10)], "I-person")
			case 1:
				add("in", "O")
				add(names[next(10)], "B-place")
			default:
				add(fill[next(len(fill))], "O")
				add(names[next(10)], "O")
			}
		}
		b.WriteByte('\n')
		sentences = append(sentences, strings.Join(words, " "))
	}
	write(t, path, b.String())
	return sentences
}

// micro is the F1 over all entities in what a report or the verb says of a set.
func micro(scores any) float64 {
	return scores.(map[string]any)["averages"].(map[string]any)["micro"].(map[string]any)["f1"].(float64)
}

func TestAdaptTagAndTag(t *testing.T) {
	dir := t.TempDir()
	text := strings.Join(named(t, filepath.Join(dir, "x"), 300, 9), "\n")
	freshBERT(t, text, 2, 24)
	named(t, "train.conll", 300, 1)
	named(t, "dev.conll", 30, 2)
	sentences := named(t, "test.conll", 40, 3)
	named(t, "other.conll", 20, 4)
	r := object(t, args("adapt --task tag --model bert --data train.conll --validation dev.conll --test test.conll --shifted other.conll --out out --epochs 12 --batch 8 --lr 3e-3")...)
	keys(t, r, "cut examples labels lr method model out params results seconds shift steps task trained_params validated windows")
	evaluated(t, r, "--task tag --model out --data test.conll --shifted other.conll")
	if got := fmt.Sprint(r["labels"]); got != "[O B-person I-person B-place I-place]" {
		t.Errorf("labels %s", got)
	}
	f1 := micro(r["results"].([]any)[0])
	if f1 < 0.95 || len(r["results"].([]any)) != 2 {
		t.Errorf("F1 %v of %d sets: %v", f1, len(r["results"].([]any)), r["validated"])
	}
	for _, name := range []string{"predictions.conll", "predictions-shifted.conll", "report.txt"} {
		if _, err := os.Stat(filepath.Join("out", name)); err != nil {
			t.Error(err)
		}
	}
	// The verb says of the test's words what the report counted.
	said := object(t, args("tag --model out --data test.conll --words")...)
	if got := micro(said["scores"]); got != f1 {
		t.Errorf("tag finds F1 %v, the report %v", got, f1)
	}
	if results := said["results"].([]any); len(results) != 40 || results[7].(map[string]any)["text"] != sentences[7] {
		t.Errorf("%d results, text 7 is %v", len(results), results[7])
	}
	// --words is CoNLL again, and of words alone the tags are the same.
	words := ok(t, args("tag --model out --data test.conll --words")...)
	write(t, "again.conll", words)
	if f := micro(object(t, args("tag --model out --data again.conll")...)["scores"]); f != 1 {
		t.Errorf("its own tags score %v", f)
	}
	// A plain text, longer than the context of 24, with offsets in characters.
	long := "“é” " + strings.Repeat("the ada saw bob ", 9) + "mr gina hugo saw  jan in   emil"
	one := object(t, "tag", "--model", "out", long)["results"].([]any)[0].(map[string]any)
	found := map[string]bool{}
	for _, e := range one["entities"].([]any) {
		e := e.(map[string]any)
		chars := []rune(long)[int(e["start"].(float64)):int(e["end"].(float64))]
		if string(chars) != e["text"] {
			t.Errorf("%v is %q", e, string(chars))
		}
		found[e["type"].(string)+" "+e["text"].(string)] = true
	}
	if len(found) != 2 || !found["person gina hugo"] || !found["place emil"] {
		t.Errorf("found %v", found)
	}
	if line := ok(t, "tag", "--model", "out", "mr ada bob saw"); !strings.HasPrefix(line, "person\t") || !strings.HasSuffix(line, "\t3-10\tada bob\n") {
		t.Errorf("tag: %q", line)
	}
	// Word lists of a table.
	write(t, "words.jsonl", `{"words": ["in", "jan"], "tags": ["O", "B-place"]}`+"\n"+`{"words": ["mr", "ada", "jan"], "tags": ["O", "B-person", "I-person"]}`+"\n")
	if o := object(t, args("tag --model out --data words.jsonl")...); len(o["results"].([]any)) != 2 || o["scores"] == nil {
		t.Errorf("a table of words: %v", o)
	}
	stdin(t, "in jan\n\nmr ada jan\n")
	if got := ok(t, args("tag --model out --data - --format text --words")...); got != "in\tO\njan\tB-place\n\nmr\tO\nada\tB-person\njan\tI-person\n" {
		t.Errorf("texts of standard input: %q", got)
	}
	fails(t, 1, "--resume", args("adapt --task tag --model bert --data train.conll --out out")...)
	fails(t, 1, "head for token", args("classify --model out text")...)
	fails(t, 1, "head for tokens", args("ask --model out --context a b")...)
	fails(t, 2, "one of them", args("tag --model out")...)
}

func TestAdaptTagMethods(t *testing.T) {
	dir := t.TempDir()
	freshBERT(t, strings.Join(named(t, filepath.Join(dir, "x"), 300, 9), "\n"), 2, 64)
	named(t, "train.conll", 60, 1)
	named(t, "dev.conll", 20, 2)
	for method, flags := range map[string]string{"frozen": "--method frozen --balance --lr 1e-2", "full": "--patience 1 --batch 4", "lora": "--method lora --targets query,value --lr 1e-2"} {
		r := object(t, args("adapt --task tag --model bert --data train.conll --validation dev.conll --epochs 6 --out out-"+method+" "+flags)...)
		if trained, all := r["trained_params"].(float64), r["params"].(float64); (method == "full") != (trained == all) {
			t.Errorf("%s trains %v of %v parameters", method, trained, all)
		}
		v := r["validated"].([]any)
		if first, last := v[0].(map[string]any)["loss"].(float64), v[len(v)-1].(map[string]any)["loss"].(float64); len(v) > 1 && last >= first {
			t.Errorf("%s: validation loss from %v to %v", method, first, last)
		}
		// The verb finds what the report counted, also with an adapter that was merged.
		want := micro(r["results"].([]any)[0])
		if got := micro(object(t, "tag", "--model", "out-"+method, "--data", "dev.conll")["scores"]); got != want || want == 0 {
			t.Errorf("%s: tag finds F1 %v, the report %v", method, got, want)
		}
	}
	var adapter struct {
		Kind string   `json:"task_type"`
		Save []string `json:"modules_to_save"`
	}
	if err := json.Unmarshal([]byte(read(t, "out-lora/adapter/adapter_config.json")), &adapter); err != nil || adapter.Kind != "TOKEN_CLS" || !slices.Equal(adapter.Save, []string{"classifier"}) {
		t.Errorf("adapter_config.json: %+v, %v", adapter, err)
	}
	// Parts of speech are no entities.
	write(t, "pos.jsonl", strings.Repeat(`{"words": ["the", "dog", "saw"], "tags": ["DET", "NOUN", "VERB"]}`+"\n", 20))
	r := object(t, args("adapt --task tag --scheme plain --model bert --data pos.jsonl --validation 0.2 --epochs 8 --lr 5e-3 --out pos")...)
	if s := r["results"].([]any)[0].(map[string]any); s["accuracy"] != 1.0 || s["types"].(map[string]any)["NOUN"].(map[string]any)["f1"] != 1.0 {
		t.Errorf("parts of speech: %v", s)
	}
	if got := ok(t, args("tag --model pos the dog")...); strings.Count(got, "\n") < 2 {
		t.Errorf("tags of two texts: %q", got)
	}
}

// breaker ends a context when the n-th line about a validation is written.
type breaker struct {
	n    int
	stop context.CancelCauseFunc
}

func (s *breaker) Write(b []byte) (int, error) {
	if s.n -= strings.Count(string(b), "validation"); s.n <= 0 {
		s.stop(interrupted{os.Interrupt})
	}
	return len(b), nil
}

// A run that Ctrl-C ended and that went on has the bits of one that was never interrupted.
func TestAdaptTagResumed(t *testing.T) {
	dir := t.TempDir()
	freshBERT(t, strings.Join(named(t, filepath.Join(dir, "x"), 300, 9), "\n"), 2, 24)
	named(t, "train.conll", 60, 1)
	for method, flags := range map[string]string{"lora": "--method lora --dropout 0.2 --lr 1e-2", "full": "--lr 3e-3 --layer-decay 0.9"} {
		run := func(out string) []string {
			return args("adapt --task tag --model bert --data train.conll --validation 0.2 --epochs 4 " + flags + " --out " + out)
		}
		whole := object(t, run("whole-"+method)...)
		ctx, stop := context.WithCancelCause(t.Context())
		var c cli
		c.out, c.err = io.Discard, &breaker{2, stop}
		if code := c.run(ctx, run("parts-"+method)); code != exitInterrupted+2 {
			t.Fatalf("%s: exit code %d", method, code)
		}
		if _, err := os.Stat("parts-" + method + "/model.safetensors"); err == nil {
			t.Fatalf("%s: the interrupted run is finished", method)
		}
		parts := object(t, append(run("parts-"+method), "--resume")...)
		if fmt.Sprint(parts["validated"], parts["steps"]) != fmt.Sprint(whole["validated"], whole["steps"]) {
			t.Errorf("%s: %v, without interruption %v", method, parts, whole)
		}
		for _, name := range []string{"model.safetensors", "predictions.conll"} {
			if read(t, "parts-"+method+"/"+name) != read(t, "whole-"+method+"/"+name) {
				t.Errorf("%s: %s differs from that of the run without interruption", method, name)
			}
		}
	}
}

func TestTagRefuses(t *testing.T) {
	freshBERT(t, "a b c d", 1, 16)
	for text, want := range map[string]string{
		"a\tO\nb\tI-x\n": "bad.conll:2", "a\tO\nb\n": "line 2", "a\tO\nb\tB-\n": `"B-" is not IOB2`, "a\tB-x\nb\tI-y\n": "B-y", "a\nb\n": "no tags",
		"a\tO\n": "nothing can be told apart", "\n": "no sentences", "a\tO\nb\xff\tO\n": "line 2 is not UTF-8",
	} {
		write(t, "bad.conll", text)
		fails(t, 1, want, args("adapt --task tag --model bert --out out --data bad.conll")...)
		fails(t, 1, "bad.conll", args("adapt --task tag --model bert --out out --data bad.conll")...)
	}
	for text, want := range map[string]string{
		`{"words": ["a", "b"], "tags": ["O"]}`: "2 words and 1 tags", `{"words": "a b", "tags": ["O"]}`: "no list of words", `{"words": ["a"], "tags": "O"}`: "no list of tags",
		`{"words": ["a"]}`: `"tags"`, `{"tokens": ["a"], "tags": ["O"]}`: `"words"`,
	} {
		write(t, "bad.jsonl", text+"\n")
		fails(t, 1, want, args("adapt --task tag --model bert --out out --data bad.jsonl")...)
		fails(t, 1, "bad.jsonl", args("adapt --task tag --model bert --out out --data bad.jsonl")...)
	}
	write(t, "good.conll", "a\tI-x\nb\tO\n")
	write(t, "new.conll", "a\tB-new\n")
	fails(t, 1, "does not occur", args("adapt --task tag --scheme any --model bert --validation 0 --out out --data good.conll --test new.conll")...)
	fails(t, 1, "no head", args("tag --model bert a")...)
	fails(t, 2, "--format", args("tag --model bert --data -")...)
}

// An epoch is every window once: of sentences and of contexts that are longer than what the model reads.
func TestEpochsCountWindows(t *testing.T) {
	freshBERT(t, readerText(t), 2, 32)
	sentence := strings.Repeat("red O\nhas O\neggs B-x\n", 30) + "\n" // 90 words and more tokens, in windows of 30
	write(t, "train.conll", strings.Repeat(sentence, 5))
	write(t, "table.csv", "question,context,answer\n"+strings.Repeat("what has red ?,"+strings.Repeat("red has eggs . ", 20)+"blue has boats .,boats\n", 5))
	for task, file := range map[string]string{"tag": "train.conll", "qa": "table.csv"} {
		r := object(t, args("adapt --model bert --validation 0 --epochs 2 --batch 4 --task "+task+" --out out-"+task+" --data "+file)...)
		windows, steps := r["windows"].(float64), r["steps"].(float64)
		if r["examples"] != 5.0 || windows < 15 || steps != math.Round(2*windows/4) {
			t.Errorf("%s: %v examples in %v windows, %v steps of 4 for two epochs", task, r["examples"], windows, steps)
		}
	}
}
