package main

import (
	"fmt"
	"strings"
	"testing"
)

// A student learns from its teacher what its labels, all wrong, do not tell; and LoRA learns on a folder of BF16 as it stands.
func TestAdaptTeacher(t *testing.T) {
	base(t)
	reviews(t, "train.csv", 90, "good", "bad")
	reviews(t, "test.csv", 30, "bad", "good")
	right := strings.Split(read(t, "train.csv"), "\n")
	swap := strings.NewReplacer(",good,", ",bad,", ",bad,", ",good,")
	for i := range right {
		right[i] = swap.Replace(right[i])
	}
	write(t, "wrong.csv", strings.Join(right, "\n"))
	ok(t, args("adapt --task classify --model base --data train.csv --lr 5e-3 --epochs 20 --out teacher")...)
	const run = "adapt --task classify --model base --validation 0 --test test.csv --lr 5e-3 --epochs 20 --teacher teacher "
	for weight, least := range map[string]float64{"1": 0.9, "0": -1} {
		r := object(t, args(run+"--data wrong.csv --out student"+weight+" --teacher-weight "+weight)...)
		a := r["results"].([]any)[0].(map[string]any)["accuracy"].(float64)
		if a < least || least < 0 && a > 0.2 || r["teacher"] != "teacher" {
			t.Errorf("weight %s: accuracy %v by %v", weight, a, r["teacher"])
		}
	}
	reviews(t, "three.csv", 30, "good", "bad", "odd")
	fails(t, 1, "the examples have bad, good, odd", args(run+"--data three.csv --out no")...)
	for flags, want := range map[string]string{"--teacher-weight 2": "--teacher-weight", "--teacher-temperature 0": "--teacher-temperature", "--balance": "--balance"} {
		fails(t, 2, want, args(run+"--data train.csv --out no "+flags)...)
	}
	fails(t, 1, "--teacher: base has no head", args("adapt --task classify --model base --data train.csv --teacher base --out no")...)
}

func TestAdaptBF16(t *testing.T) {
	base(t)
	reviews(t, "train.csv", 90, "good", "bad")
	reviews(t, "test.csv", 30, "bad", "good")
	ok(t, args("convert --model base --dtype bf16 --out half")...)
	r := object(t, args("adapt --task classify --model half --data train.csv --test test.csv --method lora --keep-types --dora --lr 5e-3 --epochs 60 --validation 0.3 --dropout 0 --out out")...)
	if a := r["results"].([]any)[0].(map[string]any)["accuracy"].(float64); a < 0.9 {
		t.Errorf("accuracy %v", a)
	}
	if _, wrong := said(t, "out", "--model", "half", "--adapter", "out/adapter"); wrong > 0 {
		t.Errorf("%d answers are not the report's", wrong)
	}
	if config := read(t, "out/adapter/adapter_config.json"); !strings.Contains(config, fmt.Sprintf("%q", "half")) {
		t.Error(config)
	}
}
