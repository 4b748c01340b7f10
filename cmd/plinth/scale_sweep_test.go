package main

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

const tinySweep = "scale sweep --sizes 1x16,1x24,1x32,2x16,2x32 --isoflop 3e8,6e8 --ratio 0.01,50 --batch 64 --base-tokens 4000 --val-tokens 640 --repeat"

func TestScaleSweepAndPlot(t *testing.T) {
	world(t)
	dir := t.TempDir()
	out, prep := dir+"/sweep", dir+"/prep"
	ok(t, "data", "prepare", "--data", shared.text, "--tokenizer", shared.tok, "--out", prep, "--seq", "16", "--validation", "0.5")
	o := object(t, args(tinySweep, "--data", prep, "--out", out)...)
	keys(t, o, "out runs")
	runs := o["runs"].([]any)
	if len(runs) != 10 {
		t.Fatalf("%d runs", len(runs))
	}
	for _, r := range runs {
		r := r.(map[string]any)
		keys(t, r, "name n d c loss loss_se diverged")
		if l, ok := r["loss"].(float64); !ok || !(l > 0.5 && l < 6) || r["diverged"] != false {
			t.Errorf("%v", r)
		}
		ok(t, "generate", "--model", filepath.Join(out, "runs", r["name"].(string)), "--max-tokens", "3", "one") // each run is a model
	}
	csv := read(t, out+"/runs.csv")
	if lines := strings.Count(csv, "\n"); lines != 11 {
		t.Errorf("%d lines in runs.csv", lines)
	}
	code, _, errs := plinth(args(tinySweep, "--data", prep, "--out", out)...)
	if code != exitFailed || !strings.Contains(errs, "resume it") {
		t.Errorf("again: code %d, %s", code, errs)
	}
	again := object(t, args(tinySweep, "--data", prep, "--out", out, "--resume", "--threads", "3")...)
	if !reflect.DeepEqual(o, again) || read(t, out+"/runs.csv") != csv {
		t.Error("a finished sweep changes")
	}
	code, _, errs = plinth(args(tinySweep, "--data", prep, "--out", out, "--resume", "--lr", "0.1")...)
	if code != exitUsage || !strings.Contains(errs, "the saved run differs") {
		t.Errorf("another rate: code %d, %s", code, errs)
	}

	figs := dir + "/figs"
	o = object(t, "scale", "plot", out, "--out", figs, "--scale", "1")
	keys(t, o, "files runs law held_out")
	for _, f := range o["files"].([]any) {
		if info, err := os.Stat(f.(string)); err != nil || info.Size() < 1000 {
			t.Errorf("%v: %v", f, err)
		}
	}
	for _, name := range []string{"loss-compute.svg", "loss-compute.png", "loss-tokens.png", "models.svg", "report.html"} {
		if _, err := os.Stat(filepath.Join(figs, name)); err != nil {
			t.Error(err)
		}
	}
	if !strings.Contains(read(t, figs+"/loss-compute.svg"), `opacity="0.55"`) {
		t.Error("no training curves")
	}
}

func TestScaleSweepOfText(t *testing.T) {
	world(t)
	out := t.TempDir() + "/sweep"
	flags := []string{"scale", "sweep", "--data", shared.text, "--out", out, "--vocab", "300", "--seq", "16", "--validation", "0.3", "--sizes", "1x16", "--also", "1x16:2000", "--val-tokens", "640"}
	ok(t, flags...)
	if !strings.Contains(read(t, out+"/text.json"), `"vocab": 300`) {
		t.Error(read(t, out+"/text.json"))
	}
	ok(t, append(flags, "--resume")...)
	fails(t, exitUsage, "was prepared with", append(flags, "--resume", "--seq", "32")...)
}

func TestScaleSweepUsage(t *testing.T) {
	world(t)
	sweep := func(flags string) []string {
		return args("scale sweep "+flags, "--data", shared.prep, "--out", t.TempDir()+"/sweep")
	}
	for _, c := range []struct{ flags, want string }{
		{"--sizes 2by3", "is not layers x width"},
		{"--sizes 0x16", "is not layers x width"},
		{"--isoflop 1e9 --tokens-per-param 3", "exclude each other"},
		{"--isoflop 1e20", "no size spends"},
		{"--tokens-per-param 1e6", "the training text has"},
		{"--tokens-per-param=-1", "tokens"},
		{"--also 1x16", "want a size and its tokens"},
		{"--also 1x16:many", "want a size and its tokens"},
		{"--ratio 4", "least and the most"},
		{"--lr 0", "--lr 0 is below"},
		{"--lr NaN", "--lr NaN is below"},
		{"--jobs=-1", "--jobs -1 is below"},
	} {
		fails(t, exitUsage, c.want, sweep(c.flags)...)
	}
	fails(t, exitFailed, "fewer than 32", sweep("--also 1x16:2000 --repeat --val-tokens 100")...)
	code, out, errs := plinth(sweep("--also 1x16:2000 --repeat --dry-run")...)
	if code != 0 || out != "" || !strings.Contains(errs, "1 runs") || !strings.Contains(errs, "learning rate 9.60e-02") {
		t.Errorf("--dry-run: code %d, %q, %q", code, out, errs)
	}
}

func TestScalePlotUsage(t *testing.T) {
	dir := t.TempDir()
	csv := dir + "/runs.csv"
	write(t, csv, "name,n,d,loss\na,1e6,1e7,3\nb,2e6,2e7,zero\n")
	plot := func(runs string, more ...string) []string {
		return append([]string{"scale", "plot", runs, "--out", dir + "/figs"}, more...)
	}
	fails(t, exitFailed, `line 3: column loss: "zero" is no number`, plot(csv)...)
	fails(t, exitFailed, "no such file", plot(dir+"/none")...)
	fails(t, exitUsage, "--scale 0", plot(csv, "--scale", "0")...)
	fails(t, exitUsage, "--holdout -1", plot(csv, "--holdout=-1")...)
	write(t, csv, "name,n,d,loss\na,1e6,1e7,3\nb,2e6,2e7,2.5\n")
	code, out, errs := plinth(plot(csv)...)
	if code != 0 || !strings.Contains(errs, "no law is drawn") || !strings.Contains(out, "report.html") {
		t.Errorf("two runs: code %d, %q, %q", code, out, errs)
	}
	var many strings.Builder
	many.WriteString("name,n,d,loss,diverged\n")
	for i, n := range []float64{1e5, 2e5, 4e5} {
		for j, d := range []float64{1e6, 3e6, 9e6} {
			fmt.Fprintf(&many, "r%d%d,%g,%g,%g,false\n", i, j, n, d, 1.5+3/float64(i+2)+4/float64(j+2))
		}
	}
	many.WriteString("bad,1e6,1e7,,true\n")
	write(t, csv, many.String())
	o := object(t, plot(csv)...)
	if held := o["held_out"].([]any); len(held) != 1 || held[0] != "r22" || o["law"] == nil {
		t.Errorf("%v", o)
	}
	o = object(t, plot(csv, "--form", "kaplan", "--holdout", "0")...)
	if law := o["law"].(map[string]any); law["alpha_n"] == nil || len(o["held_out"].([]any)) != 0 {
		t.Errorf("%v", o)
	}
}
