package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/plinth-ml/plinth/scaling"
)

func TestScalePlan(t *testing.T) {
	o := object(t, "scale", "plan", "--flops", "1e21", "--unique", "2e10", "--device", "h100", "--devices", "64", "--price", "2", "--search")
	keys(t, o, "budget_flops by laws loss shape training over_training repeated cost")
	if o["by"] != "epoch" || len(o["laws"].([]any)) != 7 {
		t.Errorf("by %v, laws %v", o["by"], o["laws"])
	}
	layout := o["cost"].(map[string]any)["layout"].(map[string]any)["layout"].(map[string]any)
	if layout["data"].(float64)*layout["tensor"].(float64)*layout["pipeline"].(float64) != 64 || layout["recompute"] != "fused" {
		t.Errorf("layout %v", layout)
	}
	out := ok(t, args("scale plan --flops 1e21 --unique 2e10 --device h100 --devices 64 --price 2 --search")...)
	for _, want := range []string{"approach-1", "kaplan", "plan by epoch", "by epoch, for these parameters", "learning rate", "smaller and trained longer", "fresh ones", "layout", "device hours", "in money"} {
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
	for flags, want := range map[string]string{"--zero 0": "pipeline 35, micro 1, recompute full", "--precision mixed16": "gradients 4.12", "--micro 2": "micro 2, recompute full"} {
		if out = ok(t, args("scale plan --published mt-nlg-530b "+flags)...); !strings.Contains(out, want) {
			t.Errorf("%s: no %q in\n%s", flags, want, out)
		}
	}
}

// What does not fit is shown, and the exit code is 1.
func TestScalePlanDoesNotFit(t *testing.T) {
	for flags, want := range map[string][2]string{
		"--published mt-nlg-530b --tensor 4 --pipeline 7":        {"does not fit", "does not fit on 2240 x a100-80gb"},
		"--published mt-nlg-530b --recompute none":               {"pipeline 35, micro 1, recompute none", "recompute none needs 135 GB"},
		"--published gpt3-175b --device a100-80gb --devices 8":   {"8 x a100-80gb\n  memory        does not fit", "does not fit on 8 x a100-80gb"},
		"--flops 5e23 --devices 8 --device a100-40gb":            {"does not fit: a device would hold at least", "does not fit on 8 x a100-40gb"},
		"--flops 1e23 --devices 8 --device a100-40gb --tensor 8": {"does not fit", "does not fit on 8 x a100-40gb"},
	} {
		code, out, err := plinth(args("scale plan " + flags)...)
		if code != 1 || !strings.Contains(out, want[0]) || !strings.Contains(err, want[1]) {
			t.Errorf("%s: code %d, stderr %q, stdout\n%s", flags, code, err, out)
		}
	}
	for _, flags := range []string{"--tensor 8", "--pipeline 4", "--pipeline 2 --interleave 3"} {
		ok(t, args("scale plan --hours 24 --devices 8 --device h100 "+flags)...)
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
	fails(t, 2, "a law of your own sweep wants the --vocab and --context", "scale", "plan", "--flops", "1e12", "--law", path)
	write(t, path, `{}`)
	fails(t, 1, "no law file", "scale", "plan", "--flops", "1e20", "--law", path)
	write(t, path, "n,d,loss\n1,2,3\n")
	fails(t, 1, "--law wants a file that plinth scale fit --out wrote", "scale", "plan", "--flops", "1e20", "--law", path)
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
		"--published gpt2 --vocab 50257":         "--vocab has no effect on a --published",
		"--published gpt2 --context 9":           "--context has no effect",
		"--published gpt2 --head-dim 9":          "--head-dim has no effect",
		"--published gpt2 --unique 9":            "--unique has no effect",
		"--published gpt2 --price 9":             "--price has no effect",
		"--published gpt3 --zero 0":              "--published gpt3 is 8 models",
		"--flops 1e20 --recompute some":          `--recompute "some"`,
		"--flops 1e20 --zero 1":                  "--device is missing: a layout needs one",
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
