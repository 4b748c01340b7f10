package main

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/plinth-ml/plinth/checkpoint"
	"github.com/plinth-ml/plinth/embed"
	"github.com/plinth-ml/plinth/internal/testkit"
	"github.com/plinth-ml/plinth/media"
	"github.com/plinth-ml/plinth/model/clip"
	"github.com/plinth-ml/plinth/model/zoo"
	"github.com/plinth-ml/plinth/nn"
	"github.com/plinth-ml/plinth/tokenizer"
)

// colourPairs writes pictures of one colour each, with a table that says which.
func colourPairs(t *testing.T) (table string) {
	t.Helper()
	dir := t.TempDir()
	lines := "image,text\n"
	for i, c := range []color.RGBA{{220, 30, 30, 255}, {30, 200, 40, 255}, {30, 40, 220, 255}, {230, 220, 30, 255}, {20, 20, 20, 255}, {240, 240, 240, 255}, {200, 40, 200, 255}, {40, 210, 210, 255}} {
		m := image.NewRGBA(image.Rect(0, 0, 64, 64))
		for p := range 64 * 64 {
			m.SetRGBA(p%64, p/64, c)
		}
		var b bytes.Buffer
		if err := png.Encode(&b, m); err != nil {
			t.Fatal(err)
		}
		name := fmt.Sprintf("%d.png", i)
		write(t, filepath.Join(dir, name), b.String())
		lines += fmt.Sprintf("%s,a %s square\n", name, strings.Fields("red green blue yellow black white purple cyan")[i])
	}
	table = filepath.Join(dir, "pairs.csv")
	write(t, table, lines)
	return table
}

const clipRun = "train --family clip --size nano --batch 8 --micro 4 --lr 2e-3 --crop-area 1 --validation 0"

func TestTrainCLIP(t *testing.T) {
	table := colourPairs(t)
	out := filepath.Join(t.TempDir(), "run")
	o := object(t, args(clipRun+" --steps 8 --ema 0.5 --patch-drop 0.5 --flip 0.5 --jitter 0.05", "--data", table, "--held", table, "--out", out)...)
	keys(t, o, trainKeys+" measures")
	if r := o["measures"].(map[string]any)["image_to_text_recall@10"]; r != 1.0 || o["val_bits_per_byte"] != nil || !(o["flops_per_second"].(float64) > 0) || !(o["peak_share"].(float64) > 0) {
		t.Errorf("%v", o)
	}
	if result := read(t, out+"/result.json"); !strings.Contains(result, `"text_to_image_recall@1":`) || strings.Contains(result, "bits") {
		t.Errorf("result.json: %s", result)
	}
	if o["steps"] != 8.0 || !(o["val_loss"].(float64) < math.Log(8)) {
		t.Errorf("%v", o)
	}
	metrics := read(t, out+"/metrics.jsonl")
	for _, want := range []string{`"image_to_text_recall@1"`, `"text_to_image_recall@10"`, `"likeness"`, `"factor"`} {
		if !strings.Contains(metrics, want) {
			t.Errorf("metrics.jsonl lacks %s", want)
		}
	}
	more := filepath.Join(t.TempDir(), "more")
	for flags, want := range map[string][]string{"--lock image": {"vision_model.post_layernorm.weight", "visual_projection.weight"}, "--lock text --layer-decay 0.5": {"text_model.final_layer_norm.weight"}} {
		to := more + flags[7:9]
		ok(t, append(args("train --family clip --batch 8 --steps 2 --lr 1e-3 --validation 0 --data "+table+" --model "+out+" --out "+to), strings.Fields(flags)...)...)
		a, b := open(t, out), open(t, to)
		for _, name := range want {
			if x, y := float32s(t, a, name), float32s(t, b, name); !bytes.Equal(x, y) {
				t.Errorf("%s: %s has changed", flags, name)
			}
		}
		if name := "text_projection.weight"; strings.Contains(flags, "image") && bytes.Equal(float32s(t, a, name), float32s(t, b, name)) {
			t.Errorf("%s: %s has not changed", flags, name)
		}
	}
	for _, c := range [][]string{{"--crop-area 0", "--crop-area"}, {"--ground red", "--ground"}, {"--lock both", "--lock"}, {"--loss hinge", "--loss"}, {"--model " + out, "--model"},
		{"--vocab 100", "vocabulary size 100"}, {"--batch 9", "a batch of 9"}, {"--text words", `no column "words"`}, {"--seq 4", "--truncate"}, {"--patch-drop 1", "--patch-drop"},
		{"--ema 1", "--ema"}, {"--mix 1", "--mix"}, {"--recompute", "--recompute"}, {"--lock image", "--model"}, {"--positives all", "--positives"}} {
		code := 2
		if strings.ContainsAny(c[1], " ") || c[1] == "--truncate" {
			code = 1
		}
		fails(t, code, c[1], append(args(clipRun+" --steps 2", "--data", table, "--out", out+"no"), strings.Fields(c[0])...)...)
	}
	if err := os.Remove(filepath.Join(filepath.Dir(table), "5.png")); err != nil {
		t.Fatal(err)
	}
	fails(t, 1, "pairs.csv:7", args(clipRun+" --steps 2 --batch 7", "--data", table, "--out", out+"no")...)
	if _, err := os.Stat(out + "no"); err == nil {
		t.Error("a run whose picture is missing has begun")
	}
	if code, _, stderr := plinth(args(clipRun+" --steps 2 --batch 7 --on-bad skip", "--data", table, "--out", out+"skip")...); code != 0 || !strings.Contains(stderr, "1 of the pictures to train on are not there") {
		t.Errorf("code %d, stderr: %s", code, stderr)
	}
	fails(t, 2, "--patch-drop", args("train --steps 2 --patch-drop 0.5", "--data", table, "--out", out+"no")...)
}

// Flags that cannot be are refused before anything is read or a tokenizer trained.
func TestTrainCLIPRefusesFirst(t *testing.T) {
	out := filepath.Join(t.TempDir(), "no")
	for _, flag := range []string{"--ema 1", "--mix 1", "--lock image", "--z-loss 1e-4"} {
		_, _, stderr := plinth(append(args(clipRun+" --steps 2 --data nowhere.csv --out "+out), strings.Fields(flag)...)...)
		if name, _, _ := strings.Cut(flag, " "); !strings.Contains(stderr, name) || strings.Contains(stderr, "tokenizer") || strings.Contains(stderr, "nowhere") {
			t.Errorf("%s: %s", flag, stderr)
		}
	}
}

// Of classes all pictures' captions are right; a run in two halves has the bits of one, and its recipe says which are.
func TestTrainCLIPPositives(t *testing.T) {
	table, dir := colourPairs(t), t.TempDir()
	for i := range 8 { // two classes
		to := filepath.Join(dir, "classes", []string{"warm", "cold"}[i%2])
		if err := os.MkdirAll(to, 0o755); err != nil {
			t.Fatal(err)
		}
		name := fmt.Sprintf("%d.png", i)
		write(t, filepath.Join(to, name), read(t, filepath.Join(filepath.Dir(table), name)))
	}
	run := func(name, flags string) string {
		out := filepath.Join(dir, name)
		ok(t, append(args(clipRun+" --schedule constant --warmup 2 --template {} --template", "a {}", "--data", filepath.Join(dir, "classes"), "--out", out), strings.Fields(flags)...)...)
		return out
	}
	whole, pairs := run("whole", "--steps 6"), run("pairs", "--steps 6 --positives pairs")
	halves := run("halves", "--steps 3")
	if run("halves", "--steps 6 --resume"); read(t, whole+"/model.safetensors") != read(t, halves+"/model.safetensors") {
		t.Error("a run in two halves has other bits")
	}
	if read(t, whole+"/model.safetensors") == read(t, pairs+"/model.safetensors") {
		t.Error("--positives changes nothing")
	}
	if !strings.Contains(read(t, whole+"/recipe.yaml"), "positives: captions") || !strings.Contains(read(t, whole+"/metrics.jsonl"), `"floor"`) || strings.Contains(read(t, pairs+"/metrics.jsonl"), `"floor"`) {
		t.Error("recipe or metrics do not tell what is right")
	}
	fails(t, 1, "fingerprint", args("train --steps 8 --resume --config "+halves+"/recipe.yaml --positives pairs --out "+halves)...)

	tuned, again, model := filepath.Join(dir, "tuned"), filepath.Join(dir, "again"), filepath.Join(dir, "model")
	ok(t, args("train --family clip --batch 4 --steps 2 --validation 0 --crop-area 1 --data "+filepath.Join(dir, "classes")+" --model "+whole+" --out "+tuned)...)
	ok(t, args("train --config "+tuned+"/recipe.yaml --out "+again)...) // a model's own shape is not in the recipe
	if read(t, tuned+"/model.safetensors") != read(t, again+"/model.safetensors") {
		t.Error("the recipe of a model that is trained on gives another one")
	}
	if err := os.Mkdir(model, 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, model+"/config.json", "{}") // of no run
	fails(t, 1, "holds a model already", args("train --config "+tuned+"/recipe.yaml --out "+model)...)
	fails(t, 1, "holds a model already", args("adapt --task images --model "+whole+" --data "+table+" --out "+model)...)
}

// The sigmoid loss, shards and a ResNet each go from data to a folder that embeds.
func TestTrainCLIPKinds(t *testing.T) {
	table, dir := colourPairs(t), t.TempDir()
	sigmoid, shards, resnet := filepath.Join(dir, "sigmoid"), filepath.Join(dir, "shards"), filepath.Join(dir, "resnet")
	run := func(out, flags string, more ...string) map[string]any {
		t.Helper()
		o := object(t, append(args("train --family clip --steps 10 --batch 8 --crop-area 1 --validation 0 "+flags), append(more, "--out", out)...)...)
		d, err := embed.OpenDual(out, zoo.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if v, err := d.Texts(t.Context(), []string{"a red square"}); err != nil || len(v) != 1 {
			t.Errorf("%s: %v", out, err)
		}
		metrics, _, _ := strings.Cut(read(t, out+"/metrics.jsonl"), "\n")
		var first struct{ Loss float64 }
		if err := json.Unmarshal([]byte(metrics), &first); err != nil || !(o["loss"].(float64) < first.Loss) {
			t.Errorf("%s: loss %v at the end, %v at first: %v", out, o["loss"], first.Loss, err)
		}
		return o
	}
	run(sigmoid, "--size nano --lr 2e-3 --loss sigmoid --data", table)
	if text := read(t, sigmoid+"/recipe.yaml"); !strings.Contains(text, "positives: pairs") {
		t.Errorf("recipe.yaml: %s", text)
	}
	if text := read(t, sigmoid+"/open_clip_config.json"); !strings.Contains(text, "init_logit_bias") {
		t.Errorf("open_clip_config.json: %s", text)
	}

	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for i, line := range strings.Split(strings.TrimSpace(read(t, table)), "\n")[1:] {
		name, caption, _ := strings.Cut(line, ",")
		for _, m := range [][2]string{{".png", read(t, filepath.Join(filepath.Dir(table), name))}, {".txt", caption}} {
			if err := w.WriteHeader(&tar.Header{Name: fmt.Sprint(i, m[0]), Size: int64(len(m[1])), Mode: 0o644}); err != nil {
				t.Fatal(err)
			}
			if _, err := io.WriteString(w, m[1]); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "0.tar"), b.String())
	run(shards, "--size nano --lr 2e-3 --data", filepath.Join(dir, "0.tar"))

	tok, err := tokenizer.Open(shards)
	if err != nil {
		t.Fatal(err)
	}
	c := clip.Shape{Side: 32, Patch: 32, Width: 64, Layers: 1, TextWidth: 64, TextLayers: 1, Vocab: tok.VocabSize(), Context: 16, Projection: 32}.Config()
	c.Vision = clip.VisionConfig{Side: 32, Stages: [4]int{1, 1, 1, 1}}
	c.Vision.Width, c.Vision.Heads = 8, 2
	marks := tok.AddSpecial(nil)
	c.Text.BOS, c.Text.EOS = int(marks[0]), int(marks[1])
	m, err := clip.New(c)
	if err != nil {
		t.Fatal(err)
	}
	nn.Init(m.Params(), 1, false)
	start := filepath.Join(dir, "start")
	if err := zoo.Save(start, m, tok); err != nil {
		t.Fatal(err)
	}
	run(resnet, "--lr 2e-3 --data", table, "--model", start)
	for _, flag := range []string{"--patch-drop=0.5", "--layer-decay=0.5"} {
		fails(t, 2, "the tower for pictures is a ResNet", args("train --family clip --steps 2 --batch 8 --lr 1e-3", "--data", table, "--model", start, "--out", resnet+"no", flag)...)
	}
}

// A run that learns nothing, here as all its pictures are the same, says so at its end, also a short one.
func TestTrainCLIPAlarm(t *testing.T) {
	table, out := colourPairs(t), filepath.Join(t.TempDir(), "run")
	for i := range 8 {
		write(t, filepath.Join(filepath.Dir(table), fmt.Sprint(i, ".png")), read(t, filepath.Join(filepath.Dir(table), "0.png")))
	}
	flags := args("train --family clip --size nano --steps 10 --batch 8 --crop-area 1 --validation 0", "--data", table, "--out", out)
	code, stdout, stderr := plinth(flags...)
	if code != 0 || !strings.Contains(stderr, "alarm: step 9 ") || !strings.Contains(stdout, "WARNING: nothing was learnt up to the last step: for 4 steps") {
		t.Errorf("%s\n%s", stdout, stderr)
	}
}

func open(t *testing.T, dir string) *checkpoint.File {
	t.Helper()
	f, err := checkpoint.Open(dir + "/model.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func float32s(t *testing.T, f *checkpoint.File, name string) []byte {
	t.Helper()
	x, err := f.Tensor(name)
	if err != nil {
		t.Fatal(err)
	}
	return x.Data
}

// A run that a signal stopped goes on to the bits of an unbroken one, running means included.
func TestTrainCLIPInterrupted(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no signals to send")
	}
	table, dir := colourPairs(t), t.TempDir()
	out, whole := filepath.Join(dir, "run"), filepath.Join(dir, "whole")
	flags := args(clipRun+" --steps 30 --ema 0.9 --patch-drop 0.5 --flip 0.5 --save-every 10 --val-every=-1", "--data", table)
	cmd := exec.Command(os.Args[0], append(flags, "--out", out, "--resume")...)
	cmd.Env = append(os.Environ(), "PLINTH_TEST_MAIN=1")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		if b, _ := os.ReadFile(out + "/metrics.jsonl"); bytes.Count(b, []byte("\n")) >= 4 {
			break
		}
		if time.Now().After(deadline) {
			cmd.Process.Kill()
			t.Fatal("no step in a minute")
		}
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	var exit *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != 143 {
		t.Fatalf("%v, want exit code 143", err)
	}
	ok(t, append(flags, "--out", out, "--resume")...)
	ok(t, append(flags, "--out", whole)...)
	if read(t, out+"/model.safetensors") != read(t, whole+"/model.safetensors") {
		t.Error("an interrupted and resumed run has other weights than an unbroken one")
	}
}

// transformers loads the run directory and gives the vectors that the library gives.
func TestTrainCLIPPeer(t *testing.T) {
	modules := []string{"torch", "transformers", "PIL"}
	testkit.Python(t, modules...)
	table, out := colourPairs(t), filepath.Join(t.TempDir(), "run")
	ok(t, args(clipRun+" --steps 4 --ema 0.5", "--data", table, "--out", out)...)
	d, err := embed.OpenDual(out, zoo.Options{})
	if err != nil {
		t.Fatal(err)
	}
	texts := []string{"a red square", "Blue  squares!"}
	got, err := d.Texts(t.Context(), texts)
	if err != nil {
		t.Fatal(err)
	}
	picture := filepath.Join(filepath.Dir(table), "0.png")
	images, err := d.Images(t.Context(), 1, func(int) (*media.Image, error) {
		return media.Decode(strings.NewReader(read(t, picture)), media.Limits{})
	})
	if err != nil {
		t.Fatal(err)
	}
	var want struct{ Texts, Images [][]float32 }
	testkit.Ask(t, filepath.Join("testdata", "clip_features.py"), modules, map[string]any{"model": out, "texts": texts, "images": []string{picture}}, &want)
	for i, v := range append(got, images...) {
		testkit.Close(t, fmt.Sprint("vector ", i), v, append(want.Texts, want.Images...)[i], 1e-4, 1e-6)
	}
}
