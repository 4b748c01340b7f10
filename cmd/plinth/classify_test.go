package main

import (
	"fmt"
	"math"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/plinth-ml/plinth/internal/testkit"
)

// TestZeroShotIsThePipelines: probabilities equal to transformers' zero-shot-classification, of texts that are cut too.
func TestZeroShotIsThePipelines(t *testing.T) {
	texts := []string{"the match ended two to one", "parliament votes on the budget", "the budget of the match " + strings.Repeat("ended ", 20)}
	labels := []string{"sport", "politics", "the budget"}
	for _, c := range []struct {
		classes  []string
		template string
	}{
		{[]string{"contradiction", "neutral", "entailment"}, "this example is {} ."},
		{[]string{"ENTAILMENT", "NEUTRAL", "CONTRADICTION"}, "about {} ."},
	} {
		dir := filepath.Join(t.TempDir(), "nli")
		var want map[string][]map[string]float64
		testkit.Ask(t, "testdata/zero_shot.py", []string{"torch", "transformers"},
			map[string]any{"dir": dir, "classes": c.classes, "texts": texts, "labels": labels, "template": c.template}, &want)
		for mode, flags := range map[string][]string{"single": nil, "multi": {"--multi"}} {
			o := object(t, append(append([]string{"classify", "--model", dir, "--labels", strings.Join(labels, ", "), "--template", c.template, "--top", "0"}, flags...), texts...)...)
			if o["cut"] != 1.0 {
				t.Errorf("%v texts cut", o["cut"])
			}
			for i, r := range o["results"].([]any) {
				got := r.(map[string]any)["labels"].([]any)
				if len(got) != 3 {
					t.Fatalf("%v", r)
				}
				for _, l := range got {
					name, p := l.(map[string]any)["label"].(string), l.(map[string]any)["probability"].(float64)
					if w := want[mode][i][name]; math.Abs(p-w) > 1e-5 {
						t.Errorf("%s, text %d, %s: %v, the pipeline says %v", mode, i, name, p, w)
					}
				}
			}
		}
		fails(t, 2, "{}", "classify", "--model", dir, "--labels", "a,b", "--template", "no place", "x")
		fails(t, 2, "--shots", "classify", "--model", dir, "--labels", "a,b", "--shots", "x.csv", "x")
		fails(t, 1, "the 31 of the second text", "classify", "--model", dir, "--labels", "a", "--template", "{} "+strings.Repeat("budget ", 30), "x")
	}
}

// TestPrompted asks the shared run, which knows number words, for labels by their likelihood.
func TestPrompted(t *testing.T) {
	base(t)
	// The run writes "A and B make N."; a number is far more likely behind "make" than a word.
	flags := []string{"classify", "--model", "base", "--labels", "and,make", "--top", "0"}
	for _, more := range [][]string{nil, {"--score", "sum"}} {
		r := object(t, append(append(flags, "--template", "{text} {}"), append(more, "one and two", "seven")...)...)["results"].([]any)
		for i, want := range []string{"make", "and"} {
			if best := r[i].(map[string]any)["labels"].([]any)[0].(map[string]any)["label"]; best != want {
				t.Errorf("%v: text %d is %v, want %s", more, i, r[i], want)
			}
		}
	}
	// Divided by what is said without content, probabilities are others, and sum to 1.
	plain := object(t, append(flags, "one and two")...)["results"]
	calibrated := object(t, append(flags, "--calibrate", "one and two")...)["results"]
	if reflect.DeepEqual(plain, calibrated) {
		t.Error("--calibrate changes nothing")
	}
	sum := 0.0
	for _, l := range calibrated.([]any)[0].(map[string]any)["labels"].([]any) {
		sum += l.(map[string]any)["probability"].(float64)
	}
	if math.Abs(sum-1) > 1e-9 {
		t.Errorf("calibrated probabilities sum to %v", sum)
	}
}

func TestFewShot(t *testing.T) {
	base(t)
	var b strings.Builder
	b.WriteString("text,label\n")
	for i := range 20 {
		fmt.Fprintf(&b, "%s,%s\n", []string{"one and two", "seven"}[i%2], []string{"make", "and"}[i%2])
	}
	write(t, "shots.csv", b.String())
	flags := args("classify --model base --shots shots.csv --per-label 2 --data shots.csv --label label --template", "{text} {}")
	first := object(t, flags...)
	keys(t, first, "model cut results scores")
	scores := first["scores"].(map[string]any)
	keys(t, scores, "examples accuracy averages classes labels confusion")
	if scores["examples"] != 20.0 || !reflect.DeepEqual(scores["labels"], []any{"and", "make"}) {
		t.Errorf("%v", scores)
	}
	if again := object(t, append(flags, "--threads", "3")...); !reflect.DeepEqual(first, again) {
		t.Error("the same seed, other answers")
	}
	// Texts of the command line go with any columns of the examples.
	write(t, "named.csv", strings.Replace(b.String(), "text,label", "body,kind", 1))
	same := object(t, args("classify --model base --shots shots.csv --per-label 2 one")...)
	if named := object(t, args("classify --model base --shots named.csv --text body --label kind --per-label 2 one")...); !reflect.DeepEqual(same, named) {
		t.Errorf("%v, with other names of the columns %v", same, named)
	}
	write(t, "blank.csv", "text,label\none,make\ntwo,\n")
	// The run's context is 32 tokens: not all of 20 examples have room, the text always has.
	code, out, err := plinth(append(flags, "--per-label", "10")...)
	if code != 0 || !strings.Contains(err, "room for some of the 20 examples") || strings.Count(out, "\n") != 20 || !strings.Contains(err, "accuracy") {
		t.Errorf("%d %q %q", code, out, err)
	}
	if long := object(t, "classify", "--model", "base", "--labels", "and,make", strings.Repeat("one and two make ", 20)); long["cut"] != 1.0 {
		t.Errorf("%v", long)
	}
	for _, c := range []struct {
		code  int
		want  string
		flags string
	}{
		{1, `10 examples of "and"`, "--shots shots.csv --per-label 11 x"}, {1, `none of --labels good,and`, "--shots shots.csv --labels good,and x"},
		{2, "--multi", "--labels a,b --multi x"}, {2, "always right", "--labels a x"}, {2, "twice", "--labels a,a x"}, {2, "label 1 is empty", "--labels , x"}, {2, "label 2 is empty", "--labels a,,b x"}, {2, "--top -1", "--labels a,b --top=-1 x"}, {1, "--labels-file", "--labels-file nowhere x"},
		{2, "{text}", "--labels a,b --template {} x"}, {2, "--labels", "--template {} x"}, {2, "--pair", "--labels a,b --pair p --data shots.csv"},
		{1, `"make" is none of the labels x, y`, "--labels x,y --data shots.csv --label label"}, {2, "--label", "--labels a,b --label c x"}, {1, "blank.csv:3: the label is empty", "--shots blank.csv x"}, {2, "--per-label 0", "--shots shots.csv --per-label 0 x"},
		{1, "no head", "text"}, {1, "nowhere.csv", "--shots nowhere.csv x"},
	} {
		fails(t, c.code, c.want, args("classify --model base "+c.flags)...)
	}
}

// An encoder-decoder that was taught to write labels says them of texts, and of several which is likelier.
func TestZeroShotEncoderDecoder(t *testing.T) {
	base(t)
	smallT5(t)
	reviews(t, "train.csv", 60, "good", "bad")
	ok(t, args("adapt --task summarize --model t5 --data train.csv --summary label --validation 0 --prefix= --max-tokens 8 --lr 1e-2 --epochs 20 --out writer")...)
	o := object(t, append(args("classify --model writer --labels good,bad --data train.csv --label label --template"), "{text} {}")...)
	if a := o["scores"].(map[string]any)["accuracy"].(float64); a < 0.9 {
		t.Errorf("accuracy %v", a)
	}
	p := 0.0
	for _, l := range object(t, args("classify --model writer --labels good,bad,odd --calibrate --score sum --top 0 poor")...)["results"].([]any)[0].(map[string]any)["labels"].([]any) {
		p += l.(map[string]any)["probability"].(float64)
	}
	if math.Abs(p-1) > 1e-9 {
		t.Errorf("probabilities add up to %v", p)
	}
	if long := object(t, args("classify --model writer --labels good,bad", strings.Repeat("super ", 200))...); long["cut"] != 1.0 {
		t.Errorf("%v", long["cut"])
	}
}
