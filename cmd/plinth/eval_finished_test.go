package main

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
)

// evaluated checks that eval finds of a finished model on test and shifted files what adapt's report r says of them, and how they differ.
func evaluated(t *testing.T, r map[string]any, words string) {
	t.Helper()
	o := object(t, args("eval "+words)...)
	keys(t, o, "task model cut results shift")
	for _, key := range []string{"results", "shift"} {
		if !reflect.DeepEqual(o[key], r[key]) {
			t.Errorf("%s: %s\n%v, the report has\n%v", words, key, o[key], r[key])
		}
	}
	for _, s := range o["shift"].([]any) {
		s := s.(map[string]any)
		if got, want := s["difference"].(float64), s["shifted"].(float64)-s["matching"].(float64); got != want {
			t.Errorf("%s: difference %v of %v", words, got, s)
		}
	}
}

func TestEvalFinished(t *testing.T) {
	base(t)
	reviews(t, "train.csv", 60, "good", "bad", "odd")
	reviews(t, "test.csv", 30, "odd", "good", "bad")
	reviews(t, "far.csv", 20, "bad", "good")
	const sets = " --test test.csv --shifted far.csv "
	r := object(t, args("adapt --task classify --model base --data train.csv --method lora --steps 20 --lr 5e-3 --out out"+sets)...)
	if first := r["shift"].([]any)[0].(map[string]any); first["score"] != "accuracy" || first["matching"] != r["results"].([]any)[0].(map[string]any)["accuracy"] {
		t.Errorf("%v", first)
	}
	evaluated(t, r, "--task classify --model base --adapter out/adapter --data test.csv --shifted far.csv")
	if text := ok(t, args("eval --task classify --model out --data test.csv --shifted far.csv")...); !strings.Contains(text, "difference") || !strings.Contains(text, "Brier") || strings.Contains(text, "AUC") { // far.csv lacks a label
		t.Errorf("merged: %s", text)
	}
	r = object(t, args("adapt --task classify --model base --data train.csv --multi ; --steps 2 --out many"+sets)...)
	evaluated(t, r, "--task classify --model many --multi ; --data test.csv --shifted far.csv")
	r = object(t, args("adapt --task regress --model base --data train.csv --label id --steps 2 --out numbers"+sets)...)
	evaluated(t, r, "--task regress --label id --model numbers --data test.csv --shifted far.csv")
	var b strings.Builder
	b.WriteString("text,pair,near\n")
	for i := range 12 {
		fmt.Fprintf(&b, "question %d,answer %d,0.%d\n", i, i%9, i%9)
	}
	write(t, "pairs.csv", b.String())
	write(t, "others.csv", "text,pair,near\na,b,0.5\nc,d,0.25\n")
	const run = "adapt --task embed --model base --pair pair --data pairs.csv --test pairs.csv --shifted others.csv --steps 1 --batch 4 "
	r = object(t, args(run+"--out vectors")...)
	evaluated(t, r, "--task embed --model vectors --pair pair --data pairs.csv --shifted others.csv")
	s := r["results"].([]any)[1].(map[string]any) // of two texts the five nearest are all
	if s["recall_5"] != 1.0 || s["recall_1"] != s["accuracy"] || s["ndcg_10"].(float64) < s["mrr"].(float64) {
		t.Errorf("%v", s)
	}
	r = object(t, args(run+"--score near --out cosines")...)
	evaluated(t, r, "--task embed --model cosines --pair pair --score near --data pairs.csv --shifted others.csv")
	for words, want := range map[string]string{
		"--task classify --model numbers --data test.csv":       "--task regress",
		"--task regress --label id --model out --data test.csv": "--task classify",
		"--task classify --model out --multi ; --data test.csv": "--multi SEP",
		"--task classify --model out --data test.csv,far.csv":   "one file",
		"--model base --data test.csv --shifted far.csv":        "--shifted",
	} {
		fails(t, 2, want, args("eval "+words)...)
	}
	write(t, "new.csv", "text,label\na,fresh\n")
	fails(t, 1, `"fresh"`, args("eval --task classify --model out --data new.csv")...)
	fails(t, 1, "no head", args("eval --task classify --model base --data test.csv")...)
}
