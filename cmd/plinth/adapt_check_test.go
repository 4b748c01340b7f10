package main

import (
	"regexp"
	"strings"
	"testing"
)

// A flag that the run would not look at is refused by its name, and so is a length that is none; all before a file is opened.
func TestAdaptFlags(t *testing.T) {
	for flags, want := range map[string]string{
		"--rank 8": "--rank is for --method lora", "--alpha 4": "--alpha is", "--dropout 0": "--dropout is", "--targets q_proj --method frozen": "--targets is",
		"--curve-steps 4": "--curve-steps is for --curve", "--teacher-weight 0.3": "--teacher-weight is for --teacher", "--teacher-temperature 2": "--teacher-temperature is",
		"--scheme any": "--scheme is for --task tag", "--question-column q": "--question-column is for --task qa", "--summary s": "--summary is", "--negative n": "--negative is",
		"--rank 8 --curve 4 --curve-of full,bag": "--rank is",
		"--epochs 0":                             "--epochs is 0", "--epochs=-1": "--epochs is -1", "--epochs=nan": "--epochs is NaN", "--patience=-1": "--patience is -1", "--steps=-3": "--steps is -3", "--batch 0": "--batch is 0", "--lr=-1": "--lr is -1",
	} {
		fails(t, 2, want, args("adapt --task classify --model nowhere --data no.csv --out no "+flags)...)
	}
	for task, flags := range map[string]string{"qa": "text label pair", "summarize": "label pair scheme", "regress": "multi head stride", "embed": "label multi", "tag": "pair pool window"} {
		for _, flag := range strings.Fields(flags) {
			value := map[string]string{"head": "probe", "pool": "mean", "stride": "1", "window": "9", "scheme": "any"}[flag]
			if value == "" {
				value = "x"
			}
			fails(t, 2, "--"+flag+" is for", args("adapt --model nowhere --data no.csv --out no --task "+task, "--"+flag, value)...)
		}
	}
	// A curve of lora reads its flags.
	fails(t, 1, "nowhere", args("adapt --task classify --model nowhere --data no.csv --out no --rank 4 --curve 4")...)
}

// The help of a flag that has a placeholder names its values and its default.
func TestAdaptHelp(t *testing.T) {
	_, out, _ := plinth("adapt", "--help")
	help := strings.Join(strings.Fields(out), " ")
	next := regexp.MustCompile(` --[a-z-]+=`)
	for flag, want := range map[string]string{
		"--method=NAME": "full, lora, prompt or frozen; default full", "--pool=NAME": "published or mean; default published", "--head=NAME": "fresh or probe; default fresh",
		"--prompt-init=NAME": "vocabulary or random; default vocabulary", "--curve-of=NAME": "of full,lora,probe,scratch,bag", "--epochs=F": "default 3", "--batch=N": "default 16",
		"--rank=N": "default 8", "--alpha=F": "default 16", "--dropout=F": "default 0.05", "--validation=FILE|F": "default 0.1", "--prompt-tokens=N": "default 20", "--patience=N": "default 0",
		"--layer-decay=F": "default 1", "--targets=NAMES": "default all-linear", "--curve-draws=N": "default 3", "--curve-steps=N": "default 100",
	} {
		_, after, _ := strings.Cut(help, flag)
		if after = next.Split(after, 2)[0]; !strings.Contains(after, want) {
			t.Errorf("%s: %q, want %q", flag, after, want)
		}
	}
}
