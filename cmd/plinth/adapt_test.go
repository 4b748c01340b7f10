package main

import (
	"encoding/csv"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// reviews writes a table of n texts whose words tell their label.
func reviews(t *testing.T, path string, n int, labels ...string) {
	t.Helper()
	words := map[string]string{"good": "fine great super", "bad": "poor dull awful", "odd": "weird queer eerie"}
	var b strings.Builder
	b.WriteString("id,label,text\n")
	for i := range n {
		l := labels[i%len(labels)]
		w := strings.Fields(words[l])
		fmt.Fprintf(&b, "%d,%s,\"%s, %s %d\"\n", i, l, w[(i/3)%3], w[(i/9)%3], i%7)
	}
	write(t, path, b.String())
}

// base changes to an empty folder and puts the shared run there as "base".
func base(t *testing.T) {
	t.Helper()
	world(t)
	t.Chdir(t.TempDir())
	if err := os.CopyFS("base", os.DirFS(shared.model)); err != nil {
		t.Fatal(err)
	}
}

func TestAdaptAndClassify(t *testing.T) {
	base(t)
	reviews(t, "train.csv", 90, "good", "bad", "odd")
	reviews(t, "test.csv", 30, "odd", "good", "bad")
	for _, method := range []string{"full", "lora", "frozen"} {
		out := "out-" + method
		lr := map[string]string{"full": "5e-3", "lora": "5e-3", "frozen": "5e-2"}[method]
		r := object(t, args("adapt --task classify --model base --data train.csv --test test.csv --out "+out+" --method "+method+" --lr "+lr+" --epochs "+map[bool]string{true: "40 --dropout 0", false: "20"}[method == "lora"])...)
		keys(t, r, "cut examples labels lr method model out params results seconds steps task trained_params validated")
		result := r["results"].([]any)[0].(map[string]any)
		accuracy := result["accuracy"].(float64)
		if least := map[string]float64{"full": 0.9, "lora": 0.9, "frozen": 0.5}[method]; accuracy < least {
			t.Errorf("%s: accuracy %v", method, accuracy)
		}
		if trained, all := r["trained_params"].(float64), r["params"].(float64); (method == "full") != (trained == all) {
			t.Errorf("%s trains %v of %v parameters", method, trained, all)
		}
		// What classify says of the test's texts is what the report counted, also with an adapter that was merged.
		rows, err := csv.NewReader(strings.NewReader(read(t, filepath.Join(out, "predictions.csv")))).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		said := object(t, "classify", "--model", out, "--data", "test.csv")["results"].([]any)
		if len(rows) != 31 || len(said) != 30 {
			t.Fatalf("%s: %d predictions, %d answers", method, len(rows), len(said))
		}
		right := 0
		for i, one := range said {
			label := one.(map[string]any)["labels"].([]any)[0].(map[string]any)["label"]
			if label != rows[i+1][3] {
				t.Errorf("%s, text %d: classify says %v, the report %s", method, i, label, rows[i+1][3])
			}
			if label == rows[i+1][2] {
				right++
			}
		}
		if got := float64(right) / 30; got != accuracy {
			t.Errorf("%s: accuracy %v, the report says %v", method, got, accuracy)
		}
	}
	if _, err := os.Stat(filepath.Join("out-lora", "adapter", "adapter_model.safetensors")); err != nil {
		t.Error(err)
	}
	if text := ok(t, "classify", "--model", "out-full", "--top", "0", "super, great"); !strings.HasPrefix(text, "good ") || strings.Count(text, "bad ") != 1 {
		t.Errorf("classify: %q", text)
	}
	// A finished run resumed does nothing and reports the same; another is refused.
	again := object(t, "adapt", "--task", "classify", "--model", "base", "--data", "train.csv", "--test", "test.csv", "--out", "out-full", "--lr", "5e-3", "--epochs", "20", "--resume")
	if again["results"].([]any)[0].(map[string]any)["accuracy"].(float64) < 0.9 {
		t.Errorf("resumed: %v", again["results"])
	}
	fails(t, 1, "--resume", args("adapt --task classify --model base --data train.csv --out out-full")...)
	fails(t, 1, "plinth classify", args("generate --model out-full a")...)
}

// said are the labels that classify gives the test's texts with their probabilities; wrong is how many the report has otherwise.
func said(t *testing.T, out string, words ...string) (answers []any, wrong int) {
	t.Helper()
	rows, err := csv.NewReader(strings.NewReader(read(t, filepath.Join(out, "predictions.csv")))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range object(t, append(args("classify --data test.csv"), words...)...)["results"].([]any) {
		label := r.(map[string]any)["labels"].([]any)[0].(map[string]any)
		answers = append(answers, label["label"], label["probability"])
		if label["label"] != rows[i+1][3] {
			wrong++
		}
	}
	return answers, wrong
}

// An adapter beside its base says what the report counted, and what it says merged; on a base of float32, and on one of 8 bits, which stays as it is.
func TestAdaptKeepTypes(t *testing.T) {
	base(t)
	reviews(t, "train.csv", 90, "good", "bad", "odd")
	reviews(t, "test.csv", 30, "odd", "good", "bad")
	ok(t, args("quantize --model base --out base.gguf --type q8_0")...)
	ok(t, args("convert --model base --out float.gguf")...)
	const run = "adapt --task classify --data train.csv --test test.csv --method lora --lr 5e-3 --epochs 40 --dropout 0 "
	for _, c := range []struct {
		flags, model, out string
		merged            bool
		near              float64 // how far probabilities of the merged model may be
	}{
		{"--model base", "base", "plain", true, 1e-4},
		{"--model base --pool mean --keep-types", "base", "mean", false, 0},
		{"--model base.gguf --keep-types", "base.gguf", "small", false, 0},
		{"--model base.gguf --keep-types --merge", "base.gguf", "both", true, 0.1},             // the product with 8 bits rounds activations
		{"--model float.gguf --keep-types --merge --dora", "float.gguf", "mapped", true, 1e-4}, // matrices of the mapped file cannot be written
	} {
		r := object(t, args(run+c.flags+" --out "+c.out)...)
		if a := r["results"].([]any)[0].(map[string]any)["accuracy"].(float64); a < 0.8 {
			t.Errorf("%s: accuracy %v", c.flags, a)
		}
		apart, wrong := said(t, c.out, "--model", c.model, "--adapter", c.out+"/adapter")
		if wrong > 0 || len(apart) != 60 {
			t.Errorf("%s: %d of %d answers beside the base are not the report's", c.flags, wrong, len(apart)/2)
		}
		if !c.merged {
			fails(t, 1, "config.json, only an adapter: --model is", args("classify a --model "+c.out)...)
			continue
		}
		merged, _ := said(t, c.out, "--model", c.out)
		for i := 0; i < len(apart); i += 2 {
			if far := math.Abs(apart[i+1].(float64) - merged[i+1].(float64)); merged[i] != apart[i] || far > c.near {
				t.Errorf("%s, text %d: merged %v, beside the base %v", c.flags, i/2, merged[i:i+2], apart[i:i+2])
			}
		}
	}
	if text := read(t, "small/report.txt"); !strings.Contains(text, "classify --model base.gguf --adapter "+filepath.Join("small", "adapter")) {
		t.Errorf("report.txt: %s", text)
	}
	fails(t, 1, "plinth classify", args("tag a --model base.gguf --adapter small/adapter")...)
	fails(t, 1, "config.json", args("classify a --model base --adapter nowhere")...)
	fails(t, 2, "--adapter", args("classify a --model base --adapter small/adapter --labels a,b")...)
	for want, flags := range map[string]string{"--method lora": "--keep-types", "anyway": "--method lora --merge"} {
		fails(t, 2, want, args("adapt --task classify --model base --data train.csv --out no "+flags)...)
	}
}

// --base-type rounds the base when it is read; beside the file's own numbers the adapter says nearly the same.
func TestAdaptBaseType(t *testing.T) {
	base(t)
	reviews(t, "train.csv", 90, "good", "bad", "odd")
	reviews(t, "test.csv", 30, "odd", "good", "bad")
	ok(t, args("convert --model base --out float.gguf")...)
	const run = "adapt --task classify --model float.gguf --data train.csv --test test.csv --method lora --lr 5e-3 --dropout 0 "
	r := object(t, args(run+"--epochs 40 --base-type q8_0 --out out")...)
	if a := r["results"].([]any)[0].(map[string]any)["accuracy"].(float64); a < 0.8 {
		t.Errorf("accuracy %v", a)
	}
	if _, wrong := said(t, "out", "--model", "float.gguf", "--adapter", "out/adapter"); wrong > 1 {
		t.Errorf("%d of 30 answers beside the base in float32 are not the report's", wrong)
	}
	fails(t, 1, "--base-type q4_k: adapt: no matrix of the model becomes q4_k: their rows are not whole blocks of 256", args(run+"--base-type q4_k --out no")...)
	if code, _, said := plinth(args(run + "--base-type nf4 --steps 1 --out some")...); code != 0 || !strings.Contains(said, "matrices are nf4, the others stay") {
		t.Errorf("rows of 32: exit code %d, %q", code, said)
	}
	fails(t, 1, "stand transposed", args("adapt --task classify --model base --data train.csv --method lora --base-type q8_0 --out no")...)
	fails(t, 2, "--base-type are for --method lora", args("adapt --task classify --model base --data train.csv --base-type nf4 --out no")...)
	fails(t, 2, "--base-type", args(run+"--base-type q3 --out no")...)
}

func TestAdaptSeveralLabels(t *testing.T) {
	base(t)
	var b strings.Builder
	for i := range 60 {
		fmt.Fprintf(&b, `{"text": "%s %s", "tags": "%s"}`+"\n", []string{"red", "grey"}[i%2], []string{"stone", "river"}[i/2%2],
			strings.Trim([]string{"colour", ""}[i%2]+";"+[]string{"", "water"}[i/2%2], ";"))
	}
	write(t, "train.jsonl", b.String())
	r := object(t, args("adapt --task classify --model base --data train.jsonl --label tags --multi ; --out out --lr 1e-2 --epochs 20 --batch 8")...)
	if got := r["results"].([]any)[0].(map[string]any)["accuracy"].(float64); got < 0.9 {
		t.Errorf("all labels right in %v", got)
	}
	if text := ok(t, "classify", "--model", "out", "red river"); !strings.Contains(text, "colour") || !strings.Contains(text, "water") {
		t.Errorf("classify: %q", text)
	}
	// A list of texts is the labels as they are, whatever is in them; without --multi it is no label, and other lists are none either.
	write(t, "lists.jsonl", `{"text": "red stone", "label": ["colour", "a; b"]}`+"\n"+`{"text": "grey river", "label": []}`+"\n"+`{"text": "[x]", "label": "water;colour"}`+"\n")
	r = object(t, args("adapt --task classify --model base --data lists.jsonl --validation 0 --multi ; --steps 1 --out lists")...)
	if got := fmt.Sprint(r["labels"]); got != "[a; b colour water]" {
		t.Errorf("labels %s", got)
	}
	write(t, "gold.jsonl", `{"text": "red stone", "label": ["a; b"]}`+"\n")
	if s := object(t, args("classify --model lists --data gold.jsonl --label label")...)["scores"].(map[string]any); s["examples"] != 1.0 {
		t.Errorf("classify: %v", s)
	}
	for _, verb := range []string{"adapt --task classify --out no --model base", "adapt --task regress --out no --model base"} {
		fails(t, 1, `lists.jsonl:1: column "label" holds ["colour", "a; b"], not one label`, args(verb+" --data lists.jsonl")...)
	}
	write(t, "numbers.jsonl", `{"text": "a", "label": ["x"]}`+"\n"+`{"text": "b", "label": [1]}`+"\n")
	fails(t, 1, `numbers.jsonl:2: column "label" holds [1]: --multi wants a list of texts`, args("adapt --task classify --model base --data numbers.jsonl --multi ; --out no")...)
	fails(t, 2, "--balance", args("adapt --task classify --model base --data train.jsonl --label tags --multi ; --out out2 --balance")...)
}

func TestAdaptRefuses(t *testing.T) {
	base(t)
	reviews(t, "train.csv", 12, "good", "bad")
	reviews(t, "other.csv", 12, "good", "odd")
	reviews(t, "one.csv", 12, "good")
	write(t, "empty.csv", "text,label\n")
	for _, c := range []struct {
		code  int
		want  string
		flags string
	}{
		{1, `"txt"`, "--data train.csv --text txt"}, {1, `"odd"`, "--data train.csv --test other.csv"}, {1, "nothing can be told apart", "--data one.csv"},
		{1, "no examples", "--data empty.csv"}, {2, "--validation", "--data train.csv --validation 1.5"}, {1, "nowhere.csv", "--data nowhere.csv"},
		{1, "fits no linear layer", "--data train.csv --method lora --targets nothing"},
	} {
		fails(t, c.code, c.want, args("adapt --task classify --model base --out out "+c.flags)...)
	}
	fails(t, 2, "--out", args("adapt --task classify --model base --data train.csv --out base")...)
	fails(t, 2, "one of them", args("classify --model base")...)
	fails(t, 1, "no head", args("classify --model base text")...)
}

// The learning curve has every method at every number of labels, and the folder with a mean under its head is one that classify reads.
func TestAdaptCurve(t *testing.T) {
	base(t)
	reviews(t, "train.csv", 90, "good", "bad", "odd")
	reviews(t, "test.csv", 30, "odd", "good", "bad")
	run := "adapt --task classify --model base --data train.csv --validation 0.2 --test test.csv --dropout 0 "
	r := object(t, args(run+"--out out --lr 5e-3 --epochs 12 --pool mean --head probe --curve 4,12 --curve-draws 2 --curve-steps 40 --curve-rates 1e-3,5e-3")...)
	points := r["curve"].(map[string]any)["points"].([]any)
	if len(points) != 10 {
		t.Fatalf("%d points: %v", len(points), points)
	}
	at := map[string]float64{}
	for _, p := range points {
		p := p.(map[string]any)
		draws := p["draws"].([]any)
		at[fmt.Sprint(p["method"], p["labels_per_class"])] = p["accuracy"].(float64)
		if mean := (draws[0].(float64) + draws[1].(float64)) / 2; len(draws) != 2 || mean != p["accuracy"] {
			t.Errorf("%v", p)
		}
		rates, _ := p["tried"].([]any)
		best := map[string]any{"validation": -1.0}
		for _, r := range rates {
			if r := r.(map[string]any); r["validation"].(float64) > best["validation"].(float64) {
				best = r
			}
		}
		if learns := p["method"] != "bag" && p["method"] != "probe"; learns != (len(rates) == 2) || learns && (p["lr"] != best["lr"] || p["accuracy"] != best["accuracy"]) {
			t.Errorf("the rate is not the best on the validation: %v", p)
		}
		trained := p["trained_params"]
		switch method := p["method"]; {
		case (method == "full" || method == "scratch") && trained != r["params"], method == "lora" && !(trained.(float64) < r["params"].(float64)/2):
			t.Errorf("%v trains %v of %v parameters", method, trained, r["params"])
		}
		if rate, _ := p["lr"].(float64); p["method"] == "lora" && rate != 1e-2 && rate != 5e-2 {
			t.Errorf("lora at rate %v", rate)
		}
	}
	if at["bag12"] < 0.9 || at["full12"] < 0.8 || at["lora12"] < 0.8 || at["probe12"] < 0.5 {
		t.Errorf("the words tell the label, but %v", at)
	}
	if text := read(t, "out/report.txt"); !strings.Contains(text, "from scratch") || !strings.Contains(text, "labels per class                                4           12") {
		t.Errorf("report.txt: %s", text)
	}
	if svg := read(t, "out/learning-curve.svg"); strings.Count(svg, "<circle") != 10 || !strings.Contains(svg, "pre-trained, LoRA") {
		t.Errorf("learning-curve.svg: %s", svg)
	}
	if text := ok(t, "classify", "--model", "out", "super, great"); !strings.HasPrefix(text, "good ") {
		t.Errorf("classify: %q", text)
	}
	for want, flags := range map[string]string{"--pool mean": "--head probe", "--validation is needed": "--validation 0 --curve 4", "beside the validation": "--curve 30",
		"--curve-rates": "--curve 4 --curve-rates 0", "1 at least": "--curve 0", "one label": "--multi ; --curve 4"} {
		fails(t, 2, want, args(run+"--out no "+flags)...)
	}
}
