package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/plinth-ml/plinth/scaling"
)

func TestScalePlan(t *testing.T) {
	o := object(t, "scale", "plan", "--flops", "1e21", "--unique", "2e10", "--device", "h100", "--devices", "64", "--price", "2", "--search")
	keys(t, o, "budget_flops by laws shape training over_training repeated cost")
	if o["by"] != "epoch" || len(o["laws"].([]any)) != 7 {
		t.Errorf("by %v, laws %v", o["by"], o["laws"])
	}
	layout := o["cost"].(map[string]any)["layout"].(map[string]any)["layout"].(map[string]any)
	if layout["data"].(float64)*layout["tensor"].(float64)*layout["pipeline"].(float64) != 64 || layout["recompute"] != "fused" {
		t.Errorf("layout %v", layout)
	}
	out := ok(t, args("scale plan --flops 1e21 --unique 2e10 --device h100 --devices 64 --price 2 --search")...)
	for _, want := range []string{"approach-1", "kaplan", "plan by epoch", "learning rate", "smaller and trained longer", "fresh ones", "layout", "device hours", "in money"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	if n := strings.Count(out, "\n"); n > 50 {
		t.Errorf("%d lines are more than a screen", n)
	}
}

func TestScalePlanPublished(t *testing.T) {
	out := ok(t, args("scale plan --published mt-nlg-530b")...)
	for _, want := range []string{"529600819200", "2240 x a100-80gb", "data 8 x tensor 8 x pipeline 35", "60.18 s a step", "above its optimum"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	if out = ok(t, args("scale plan --published gpt3")...); strings.Count(out, "gpt3-") != 8 || !strings.Contains(out, "% of the compute") {
		t.Errorf("GPT-3's sizes:\n%s", out)
	}
	if o := object(t, args("scale plan --published all --by approach-1")...); len(o["models"].([]any)) < 24 {
		t.Errorf("%v models", len(o["models"].([]any)))
	}
	if out = ok(t, args("scale plan --published mt-nlg-530b --tensor 4 --pipeline 7")...); !strings.Contains(out, "more than the device has") {
		t.Errorf("530 G parameters on 28 devices:\n%s", out)
	}
}

func TestScalePlanLaw(t *testing.T) {
	path := filepath.Join(t.TempDir(), "law.json")
	l := scaling.Law{E: 1.8, A: 480, B: 2100, Alpha: 0.35, Beta: 0.37}
	lower := l
	lower.E = 1.7
	file := (&scaling.Fitted{Law: l, Runs: 1, Draws: []scaling.Law{l, lower}}).File([]scaling.Run{{N: 1e6, D: 1e8, C: 6e14, Loss: 3}}, scaling.AllParams, nil)
	if err := file.Write(path); err != nil {
		t.Fatal(err)
	}
	out := ok(t, "scale", "plan", "--flops", "1e20", "--law", path)
	if !strings.Contains(out, "plan by yours") || !strings.Contains(out, "% of the bootstrap") || !strings.Contains(out, "extrapolated") {
		t.Errorf("a law of one's own:\n%s", out)
	}
	write(t, path, `{}`)
	fails(t, 1, "no law file", "scale", "plan", "--flops", "1e20", "--law", path)
	write(t, path, `{`)
	fails(t, 1, "law.json", "scale", "plan", "--flops", "1e20", "--law", path)
}

func TestScalePlanErrors(t *testing.T) {
	for flags, want := range map[string]string{
		"":                                       "give one budget, --flops",
		"--flops 0":                              "--flops is 0, not positive",
		"--flops=-1":                             "--flops is -1, not positive",
		"--hours 0 --device h100":                "--hours is 0, not positive",
		"--money=-5":                             "--money is -5, not positive",
		"--target-loss 0":                        "--target-loss is 0, not positive",
		"--flops 1e20 --hours 3":                 "there are 2",
		"--flops 1e20 --published gpt2":          "there are 2",
		"--hours 3":                              "--device is missing",
		"--hours 3 --device h100":                "--devices is 0",
		"--hours 3 --device h100 --devices=-1":   "--devices is -1",
		"--money 3 --device h100":                "--price is 0",
		"--flops 1e20 --device a1000":            `--device: device "a1000"`,
		"--flops 1e20 --device h100 --mfu 1.2":   "--mfu is 1.2",
		"--flops 1e20 --search":                  "--device is missing",
		"--flops 1e20 --tensor 2 --search":       "--search finds the layout",
		"--flops 1e20 --by x":                    `--by "x" is no law`,
		"--target-loss 1.1":                      "--target-loss 1.1 is out of reach",
		"--flops 1e12":                           "--vocab 50257",
		"--flops 1e20 --vocab 0":                 "--vocab 0",
		"--flops 1e20 --efficiency 0":            "--efficiency is 0",
		"--published palm-540b --devices=-1":     "--devices is -1",
		"--flops 1e20 --batch=-2":                "--batch is -2",
		"--flops 1e20 --unique=-2":               "--unique is -2",
		"--published gpt5":                       `--published: published model "gpt5"`,
		"--published gpt3 --search":              "--published gpt3 is 8 models",
		"--published mt-nlg-530b --tensor 7":     "--tensor 7 does not divide the 128 heads",
		"--published mt-nlg-530b --pipeline 8":   "--pipeline 8 x interleave 1 does not divide the 105 layers",
		"--published mt-nlg-530b --devices 2241": "--devices is 2241, but data 8 x tensor 8 x pipeline 35",
	} {
		fails(t, 2, want, args("scale plan "+flags)...)
	}
	if help := ok(t, args("scale plan --help")...); !strings.Contains(strings.Join(strings.Fields(help), " "), "Example: plinth scale plan") {
		t.Errorf("no example in\n%s", help)
	}
}
