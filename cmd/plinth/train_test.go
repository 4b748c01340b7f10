package main

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/plinth-ml/plinth/adapt"
	"github.com/plinth-ml/plinth/internal/file"
	"github.com/plinth-ml/plinth/internal/testkit"
	"github.com/plinth-ml/plinth/model"
	"github.com/plinth-ml/plinth/model/zoo"
	"github.com/plinth-ml/plinth/tensor"
)

const trainKeys = "params steps tokens seconds tokens_per_second flops_per_second peak_share loss val_loss val_bits_per_byte peak_rss_bytes run_dir"

func TestTrain(t *testing.T) {
	world(t)
	dir := t.TempDir()
	out := filepath.Join(dir, "run")
	text := args("train --steps 6 --vocab 300 --seq 32 "+shape, "--data", shared.text, "--out", out)
	o := object(t, text...)
	keys(t, o, trainKeys)
	if o["steps"] != 6.0 || o["tokens"] != 6*8*32.0 || o["run_dir"] != out || !(o["val_loss"].(float64) > 0) || !(o["peak_share"].(float64) > 0) {
		t.Errorf("%v", o)
	}
	for _, f := range []string{"data/meta.json", "config.json", "tokenizer.json", "model.safetensors", "train.json", "result.json", "metrics.jsonl", "recipe.yaml"} {
		read(t, filepath.Join(out, f))
	}
	before := read(t, out+"/model.safetensors")
	fails(t, 1, "--resume", text...)
	again := object(t, append(text, "--resume")...)
	if again["loss"] != o["loss"] || again["val_loss"] != o["val_loss"] || read(t, out+"/model.safetensors") != before {
		t.Error("--resume on a finished run changes it")
	}
	for _, c := range [][]string{{"--size nano --depth 2", "--depth"}, {"--size nano --layers 2", "--layers"}, {"--depth 2 --width 32", "--width"}, {"--layers 2", "--heads"},
		{"--layers 2 --width 33 --heads 2", "--width"}, {"--size huge", "huge"}, {"--steps=-1", "--steps"}, {"--warmup=-2", "--warmup"}, {"--keep 0", "--keep"},
		{"--min-lr 2", "--min-lr"}, {"--schedule up", "--schedule"}, {"--spike-factor 1", "--spike-factor"}, {"--micro 9999", "--micro"}, {"--vocab 10", "--vocab"},
		{"--seq 999", "--seq"}, {"--tokenizer x", "--tokenizer"}, {"--family llama --depth 2", "--depth"}, {"--family palm --size gpt2", "gpt2"},
		{"--family llama --size llama2-7b", "--lr"}, {"--family mamba", "--family"}} {
		fails(t, 2, c[1], args("train "+c[0], "--data", shared.prep, "--out", dir+"/no")...)
	}
	fails(t, 1, "missing", "train", "--data", dir+"/missing", "--out", dir+"/no")
	if _, err := os.Stat(dir + "/no"); err == nil {
		t.Error("a run that never began left a folder")
	}
}

// A family beside GPT trains, and its run directory generates.
func TestTrainFamily(t *testing.T) {
	world(t)
	for _, family := range []string{"llama", "palm"} {
		out := filepath.Join(t.TempDir(), "run")
		o := object(t, args("train --steps 3 --batch 4 --vocab 300 --seq 32 --size nano --family "+family, "--data", shared.text, "--out", out)...)
		if o["steps"] != 3.0 || !(o["val_loss"].(float64) > 0) {
			t.Errorf("%s: %v", family, o)
		}
		if g := object(t, "generate", "--model", out, "the", "--max-tokens", "3"); len(g["sequences"].([]any)) != 1 {
			t.Errorf("%s: %v", family, g)
		}
	}
}

// BERT trains on text and says how many gaps it fills; its run directory is a BertForPreTraining, and no decoder.
func TestTrainBERT(t *testing.T) {
	world(t)
	dir := t.TempDir()
	out := filepath.Join(dir, "run")
	flags := args("train --family bert --size tiny --steps 3 --batch 4 --vocab 300 --seq 32 --validation 0.3 --whole-words", "--data", shared.text)
	o := object(t, append(flags, "--out", out)...)
	if o["steps"] != 3.0 || !(o["val_loss"].(float64) > 0) {
		t.Errorf("%v", o)
	}
	if m := read(t, out+"/metrics.jsonl"); !strings.Contains(m, `"masked"`) || !strings.Contains(m, `"next_sentence"`) {
		t.Errorf("the metrics have no terms: %s", m)
	}
	if c := read(t, out+"/config.json"); !strings.Contains(c, "BertForPreTraining") {
		t.Errorf("config.json is %s", c)
	}
	if r := read(t, out+"/recipe.yaml"); !strings.Contains(r, "schedule: linear") || !strings.Contains(r, "beta2: 0.999") {
		t.Errorf("recipe.yaml is %s", r)
	}
	if s := object(t, "show", out); s["family"] != "bert" || s["memory"] != nil {
		t.Errorf("%v", s)
	}
	fails(t, 1, "no decoder", "generate", "--model", out, "the")
	fails(t, 2, "--recompute", append(flags, "--recompute", "--out", dir+"/no")...)
	single := filepath.Join(dir, "single")
	object(t, append(args("train --family bert --layers 1 --width 32 --heads 2 --no-next-sentence --neighbours --mask 0.3 --dropout 0 --steps 2 --batch 4 --vocab 300 --seq 32 --validation 0.3"), "--data", shared.text, "--out", single)...)
	if c := read(t, single+"/config.json"); !strings.Contains(c, "BertForMaskedLM") || !strings.Contains(c, `"hidden_dropout_prob": 0.0,`) {
		t.Errorf("config.json is %s", c)
	}
	if r := read(t, single+"/recipe.yaml"); !strings.Contains(r, "neighbours: true") {
		t.Errorf("recipe.yaml is %s", r)
	}
	if m := read(t, single+"/metrics.jsonl"); strings.Contains(m, "next_sentence") {
		t.Errorf("the metrics have next sentences: %s", m)
	}
	fails(t, 2, "--no-next-sentence", args("train --size nano --no-next-sentence --steps 3 --out no", "--data", shared.text)...)
	fails(t, 2, "--neighbours", args("train --size nano --neighbours --steps 3 --out no", "--data", shared.text)...)
	fails(t, 1, "[CLS]", args("train --family bert --size tiny --steps 3", "--data", shared.prep, "--out", dir+"/no")...)
}

// T5 trains on text, resumes to the same bits from the recipe that it saved, and transformers loads it with the same loss.
func TestTrainT5(t *testing.T) {
	world(t)
	dir := t.TempDir()
	out, whole := filepath.Join(dir, "run"), filepath.Join(dir, "whole")
	flags := args("train --family t5 --vocab 420 --seq 48 --schedule constant --warmup=-1 --validation 0.2 --sample-every 2 "+shape, "--data", shared.text)
	o := object(t, append(flags, "--steps", "2", "--out", out)...)
	if o["steps"] != 2.0 || !(o["val_loss"].(float64) > 0) || !(o["peak_share"].(float64) > 0) {
		t.Errorf("%v", o)
	}
	code, text, said := plinth("train", "--config", out+"/recipe.yaml", "--steps", "4", "--resume")
	if code != 0 || !strings.Contains(text, "nats per target token; of those that are text") || !strings.Contains(said, "  | ") {
		t.Errorf("exit code %d, %q, %q", code, text, said)
	}
	ok(t, append(flags, "--steps", "4", "--out", whole)...)
	if read(t, out+"/model.safetensors") != read(t, whole+"/model.safetensors") {
		t.Error("a resumed run has other weights than an unbroken one")
	}
	fails(t, 1, "no decoder", "generate", "--model", out, "the")
	fails(t, 2, "--recompute", append(flags, "--steps", "3", "--recompute", "--out", dir+"/no")...)
	fails(t, 1, "<extra_id_0>", args("train --family t5 --steps 3 "+shape, "--data", shared.prep, "--out", dir+"/no")...)
	fails(t, 2, "--depth", args("train --family t5 --depth 3", "--data", shared.text, "--out", dir+"/no")...)

	m, err := zoo.OpenAny(out, zoo.Options{})
	if err != nil {
		t.Fatal(err)
	}
	pair := adapt.Pair{Source: []int32{9, 30, 2, 17, 17, 44, 5, 1}, Target: []int32{12, 3, 40, 8, 1}}
	obj, err := adapt.NewWriting(m.(model.Seq2Seq), []adapt.Pair{pair}, 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	p, err := obj.Part(nil, 0, 0, 1)
	if err != nil {
		t.Fatal(err)
	}
	loss := []float64{0}
	p.Loss(tensor.Evaluation(tensor.CPU(2)), p.Terms(), loss)
	var theirs struct{ Loss float64 }
	testkit.Ask(t, filepath.Join(testkit.Root(), "tools", "golden", "t5_check.py"), []string{"torch", "transformers"},
		map[string]any{"dir": out, "source": pair.Source, "target": pair.Target}, &theirs)
	if got := loss[0] / float64(len(pair.Target)); math.Abs(got-theirs.Loss) > 1e-4 {
		t.Errorf("loss %v, in transformers %v", got, theirs.Loss)
	}
}

// A tokenizer without sentinels gets those of T5, one with sentinels keeps them, and too few for the sequences are an error.
func TestTrainT5Tokenizer(t *testing.T) {
	world(t)
	dir := t.TempDir()
	tok := filepath.Join(dir, "tok")
	ok(t, "tokenizer", "train", "--data", shared.text, "--vocab", "300", "--sentinels", "10", "--out", tok)
	ids := func(tok string) float64 { return object(t, "tokenizer", "info", "--model", tok)["vocab"].(float64) }
	for from, more := range map[string]float64{shared.tok: 100, tok: 0} {
		out := filepath.Join(dir, "run"+strconv.Itoa(int(more)))
		ok(t, args("train --family t5 --steps 1 --seq 48 "+shape, "--tokenizer", from, "--data", shared.text, "--out", out)...)
		if got, want := ids(out), ids(from)+more; got != want {
			t.Errorf("%v ids, want %v", got, want)
		}
		if got, want := ok(t, "tokenizer", "encode", "--model", out, "--special", "<extra_id_0>"), fmt.Sprintf("%v\n", ids(out)-1); got != want {
			t.Errorf("<extra_id_0> is %q of %v ids, want %q", got, ids(out), want)
		}
	}
	fails(t, 1, "need 23 sentinels", args("train --family t5 --steps 1 --seq 460 "+shape, "--tokenizer", tok, "--data", shared.text, "--out", dir+"/no")...)
}

// The data beside a run is that of the flags: made anew for a new run, and a changed flag is refused when a run goes on.
func TestTrainOtherText(t *testing.T) {
	world(t)
	dir := t.TempDir()
	out := filepath.Join(dir, "run")
	flags := args("train --vocab 300 --seq 32 "+shape, "--steps", "3", "--out", out)
	other := filepath.Join(dir, "other.txt")
	if err := os.WriteFile(other, []byte(strings.Repeat("quite another text. ", 3000)), 0o644); err != nil {
		t.Fatal(err)
	}
	ok(t, append(flags, "--data", other)...)
	if err := os.RemoveAll(filepath.Join(out, "state")); err != nil { // as if it had never begun to train
		t.Fatal(err)
	}
	first := read(t, out+"/data/meta.json")
	ok(t, append(flags, "--data", shared.text)...)
	if read(t, out+"/data/meta.json") == first {
		t.Error("a new run goes on with the data of an earlier attempt")
	}
	for _, c := range [][]string{{"--data", other}, {"--pack", "bestfit"}, {"--validation", "0.5"}, {"--field", "body"}} {
		fails(t, 2, c[0], append(append(slices.Clone(flags), "--resume", "--data", shared.text), c...)...)
	}
	if o := object(t, append(flags, "--data", other, "--validation", "0", "--out", filepath.Join(dir, "all"))...); o["val_loss"] != nil || o["val_bits_per_byte"] != nil {
		t.Errorf("nothing is held out, but validation gives %v", o["val_loss"])
	}
	fails(t, 2, "--out", append(args("train --steps 3 "+shape), "--data", shared.prep, "--out", shared.prep)...)
	unlock, err := file.Lock(filepath.Join(out, "lock"))
	if err != nil {
		t.Fatal(err)
	}
	fails(t, 1, "in use", append(flags, "--resume", "--data", shared.text)...)
	unlock()
	mine := filepath.Join(dir, "mine")
	if err := os.MkdirAll(mine+"/data", 0o755); err != nil {
		t.Fatal(err)
	}
	fails(t, 1, "mine", append(args("train --vocab 300 --seq 32 --steps 3 "+shape), "--data", other, "--out", mine)...)
}

// Several prepared folders are mixed in the shares given.
func TestTrainMixture(t *testing.T) {
	world(t)
	dir := t.TempDir()
	other := filepath.Join(dir, "other")
	text := filepath.Join(dir, "other.txt")
	if err := os.WriteFile(text, []byte(strings.Repeat("quite another text. ", 3000)), 0o644); err != nil {
		t.Fatal(err)
	}
	ok(t, "data", "prepare", "--data", text, "--tokenizer", shared.prep, "--seq", "32", "--validation", "0", "--out", other)
	run := func(mix string) string {
		out := filepath.Join(t.TempDir(), "run")
		o := object(t, append(args("train --steps 4 --sample-every=-1 "+shape), "--data", shared.prep, "--data", other, "--mix", mix, "--out", out)...)
		if !(o["val_loss"].(float64) > 0) {
			t.Errorf("mix %s: %v", mix, o)
		}
		return read(t, out+"/model.safetensors")
	}
	if a := run("0.5,0.5"); a != run("1,1") || a == run("0.1,0.9") {
		t.Error("the shares do not decide what is trained on")
	}
	for _, c := range [][]string{{"--mix", "--mix=1"}, {"--data", "--data=" + text}} {
		fails(t, 2, c[0], append(args("train --steps 4 "+shape), "--data", shared.prep, "--data", other, c[1], "--out", dir+"/no")...)
	}
}

func TestTrainThreads(t *testing.T) {
	world(t)
	var want string
	for _, n := range []int{1, 2, 3, 8} {
		out := filepath.Join(t.TempDir(), "run")
		ok(t, args("train --steps 4 --sample-every=-1 "+shape, "--threads", strconv.Itoa(n), "--data", shared.prep, "--out", out)...)
		got := read(t, out+"/model.safetensors")
		if want == "" {
			want = got
		}
		if got != want {
			t.Errorf("%d threads give other weights than one", n)
		}
	}
}

// TestInterrupt sends signals to the program itself and compares the resumed run with an unbroken one.
func TestInterrupt(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no signals to send")
	}
	world(t)
	dir := t.TempDir()
	out := filepath.Join(dir, "run")
	flags := args("train --steps 150 --save-every 50 --val-every=-1 --sample-every=-1 "+shape, "--data", shared.prep)
	child := func(sig syscall.Signal, code int) {
		t.Helper()
		cmd := exec.Command(os.Args[0], append(flags, "--out", out, "--resume")...)
		cmd.Env = append(os.Environ(), "PLINTH_TEST_MAIN=1")
		var stdout, stderr bytes.Buffer
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		lines := func() int { b, _ := os.ReadFile(out + "/metrics.jsonl"); return bytes.Count(b, []byte("\n")) }
		from := lines()
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		for deadline := time.Now().Add(time.Minute); lines() < from+5; time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				cmd.Process.Kill()
				t.Fatalf("no step in a minute: %s", stderr.String())
			}
		}
		if err := cmd.Process.Signal(sig); err != nil {
			t.Fatal(err)
		}
		var exit *exec.ExitError
		if err := cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != code {
			t.Fatalf("%v: %v, want exit code %d\n%s", sig, err, code, stderr.String())
		}
		if !strings.Contains(stderr.String(), "--resume") || stdout.Len() > 0 {
			t.Errorf("%v: stderr %q, stdout %q", sig, stderr.String(), stdout.String())
		}
		ok(t, "generate", "--model", out, "--max-tokens", "3", "one") // it can be used as it is
	}
	child(syscall.SIGINT, 130)
	child(syscall.SIGTERM, 143)
	o := object(t, append(flags, "--out", out, "--resume")...)
	if o["steps"] != 150.0 {
		t.Errorf("resumed to step %v", o["steps"])
	}
	whole := filepath.Join(dir, "whole")
	ok(t, append(flags, "--out", whole)...)
	if read(t, out+"/model.safetensors") != read(t, whole+"/model.safetensors") {
		t.Error("an interrupted and resumed run has other weights than an unbroken one")
	}
}

func TestRecipe(t *testing.T) {
	world(t)
	dir := t.TempDir()
	recipe, out := filepath.Join(dir, "r.yaml"), filepath.Join(dir, "a")
	write(t, recipe, "data: ["+strconv.Quote(shared.prep)+"]\nlayers: 2\nwidth: 32\nheads: 2\nbatch: 8\nsteps: 9\nwarmup: -1\nclip: 0\nsample-every: -1\nrecompute: true\n")
	o := object(t, "train", "--config", recipe, "--steps", "3", "--out", out)
	if o["steps"] != 3.0 {
		t.Errorf("%v steps: the command line must win", o["steps"])
	}
	saved := read(t, out+"/recipe.yaml")
	for _, line := range []string{"clip: 0.0\n", "steps: 3\n", "warmup: -1\n", "recompute: true\n", "seed: 1\n"} {
		if !strings.Contains("\n"+saved, "\n"+line) {
			t.Errorf("recipe.yaml lacks %q:\n%s", line, saved)
		}
	}
	ok(t, "train", "--config", out+"/recipe.yaml", "--out", dir+"/b")
	if read(t, out+"/model.safetensors") != read(t, dir+"/b/model.safetensors") {
		t.Error("the saved recipe gives other weights")
	}
	ok(t, "train", "--config", out+"/recipe.yaml", "--resume")
	fails(t, 1, "--config", "train", "--data", shared.prep, "--out", out, "--resume", "--steps", "3")
	for text, want := range map[string]string{"stpes: 3": `"stpes"`, "steps: x": "--steps", "steps: {a: 1}": "steps", ": [": "r.yaml", "config: a": `"config"`} {
		write(t, recipe, text)
		fails(t, 2, want, "train", "--config", recipe, "--data", shared.prep, "--out", dir+"/c")
	}
	fails(t, 2, "none.yaml", "train", "--config", dir+"/none.yaml")
}
