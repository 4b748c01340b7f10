package main

import (
	"encoding/csv"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/plinth-ml/plinth/adapt"
	"github.com/plinth-ml/plinth/embed"
	"github.com/plinth-ml/plinth/internal/kernel"
	"github.com/plinth-ml/plinth/internal/kernel/cpu"
	"github.com/plinth-ml/plinth/internal/testkit"
	"github.com/plinth-ml/plinth/model"
	"github.com/plinth-ml/plinth/model/zoo"
	"github.com/plinth-ml/plinth/nn"
	"github.com/plinth-ml/plinth/tensor"
)

// twoBases changes to an empty folder with a BERT as "bert" and a GPT as "base".
func twoBases(t *testing.T) {
	t.Helper()
	world(t)
	freshBERT(t, readerText(t)+" fine great super poor dull awful weird queer eerie, 0 1 2 3 4 5 6", 2, 48)
	if err := os.CopyFS("base", os.DirFS(shared.model)); err != nil {
		t.Fatal(err)
	}
}

// Virtual tokens beside a base say what the report counted: classes of a decoder and of an encoder, summaries of a decoder and of an encoder-decoder.
func TestAdaptPrompt(t *testing.T) {
	twoBases(t)
	smallT5(t)
	reviews(t, "train.csv", 90, "good", "bad", "odd")
	reviews(t, "test.csv", 30, "odd", "good", "bad")
	for _, c := range []struct{ model, flags string }{{"base", "--prompt-tokens 4"}, {"bert", "--prompt-tokens 3 --prompt-init random --pool mean"}, {"base", "--prompt-text super --prompt-tokens 5 --keep-types"}} {
		r := object(t, args("adapt --task classify --method prompt --data train.csv --test test.csv --epochs 10 --out out --model "+c.model+" "+c.flags)...)
		if trained, all := r["trained_params"].(float64), r["params"].(float64); trained > all/20 {
			t.Errorf("%s: %v of %v parameters trained", c.flags, trained, all)
		}
		if a := r["results"].([]any)[0].(map[string]any)["accuracy"].(float64); c.model == "base" && a < 0.4 {
			t.Errorf("%s %s: accuracy %v", c.model, c.flags, a)
		}
		if answers, wrong := said(t, "out", "--model", c.model, "--adapter", "out/adapter"); wrong > 0 || len(answers) != 60 {
			t.Errorf("%s %s: %d of %d answers are not the report's", c.model, c.flags, wrong, len(answers)/2)
		}
		if text := read(t, "out/report.txt"); !strings.Contains(text, fmt.Sprintf("classify --model %s --adapter %s", c.model, filepath.Join("out", "adapter"))) {
			t.Errorf("report.txt: %s", text)
		}
		if err := os.RemoveAll("out"); err != nil {
			t.Fatal(err)
		}
	}
	stories(t, "stories.csv", 60, "text,summary")
	for _, model := range []string{"base", "t5"} {
		out := "out-" + model
		object(t, args("adapt --task summarize --method prompt --prompt-tokens 3 --data stories.csv --test stories.csv --max-tokens 8 --epochs 1 --model "+model+" --out "+out)...)
		rows, err := csv.NewReader(strings.NewReader(read(t, filepath.Join(out, "predictions.csv")))).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		_, said := summaries(t, args("--data stories.csv --model "+model+" --adapter "+out+"/adapter")...)
		for i, s := range said {
			if s["text"] != rows[i+1][3] {
				t.Errorf("%s, text %d: summarize says %q, the report %q", model, i, s["text"], rows[i+1][3])
			}
		}
	}
	// generate goes on behind the same tokens as summarize.
	write(t, "a.txt", "one and")
	want := ok(t, args("summarize --model base --adapter out-base/adapter --file a.txt --max-tokens 6")...)
	if got := ok(t, args("generate --model base --adapter out-base/adapter --temperature 0 --max-tokens 6", "one and\nTL;DR:")...); strings.TrimSpace(got) != strings.TrimSpace(want) {
		t.Errorf("generate %q, summarize %q", got, want)
	}
	write(t, "plain.jinja", "{{ messages[0].content }}") // chat too
	if got := ok(t, args("chat --model base --adapter out-base/adapter --template plain.jinja --temperature 0 --max-tokens 6", "one and\nTL;DR:")...); strings.TrimSpace(got) != strings.TrimSpace(want) {
		t.Errorf("chat %q, summarize %q", got, want)
	}
	fails(t, 1, "virtual", args("generate --model base --adapter out-base/adapter --echo --json a")...)
	const run = "adapt --model base --data train.csv --out no "
	for want, flags := range map[string]string{
		"are for --method prompt": "--task classify --prompt-text a", "1 at least": "--task classify --method prompt --prompt-tokens 0",
		"exclude each other": "--task classify --method prompt --prompt-text a --prompt-init random", "--merge is for --method lora": "--task classify --method prompt --keep-types --merge",
		"--head probe": "--task classify --method prompt --pool mean --head probe",
	} {
		fails(t, 2, want, args(run+flags)...)
	}
	fails(t, 1, "num_virtual_tokens", args(run+"--task classify --method prompt --prompt-tokens 999")...)
}

// Of tags, answers and vectors too, eval finds behind the virtual tokens beside a base what the report says, and the verbs that use them say the same.
func TestAdaptPromptTasks(t *testing.T) {
	twoBases(t)
	named(t, "train.conll", 60, 1)
	named(t, "test.conll", 12, 2)
	named(t, "far.conll", 12, 3)
	holdings(t, "train.json", 60, 1, true)
	holdings(t, "test.json", 12, 2, true)
	holdings(t, "far.json", 12, 3, false)
	for name, n := range map[string]int{"train.csv": 40, "test.csv": 12, "far.csv": 7} {
		var b strings.Builder
		b.WriteString("text,pair,near\n")
		for i := range n {
			fmt.Fprintf(&b, "red %d,green %d,0.%d\n", i, i%9, i%9)
		}
		write(t, name, b.String())
	}
	for _, model := range []string{"base", "bert"} {
		for _, c := range [][3]string{{"tag", "conll", ""}, {"qa", "json", ""}, {"embed", "csv", "--pair pair --score near"}} {
			out := model + "-" + c[0]
			task := "--task " + c[0] + " --model " + model + " " + c[2]
			r := object(t, args(fmt.Sprintf("adapt %s --method prompt --prompt-tokens 5 --data train.%[2]s --validation test.%[2]s --test test.%[2]s --shifted far.%[2]s --epochs 4 --lr 0.03 --out %[3]s", task, c[1], out))...)
			if trained, all := r["trained_params"].(float64), r["params"].(float64); trained > all/20 {
				t.Errorf("%s: %v of %v parameters trained", out, trained, all)
			}
			v := r["validated"].([]any)
			if first, last := v[0].(map[string]any)["loss"].(float64), v[len(v)-1].(map[string]any)["loss"].(float64); last >= first {
				t.Errorf("%s: validation loss from %v to %v", out, first, last)
			}
			evaluated(t, r, fmt.Sprintf("%s --adapter %s/adapter --data test.%[3]s --shifted far.%[3]s", task, out, c[1]))
		}
		last := func(text string) (tags []string) { // the last fields of its lines
			for line := range strings.Lines(text) {
				if f := strings.Fields(line); len(f) > 0 {
					tags = append(tags, f[len(f)-1])
				}
			}
			return tags
		}
		got := last(ok(t, args(fmt.Sprintf("tag --model %s --adapter %[1]s-tag/adapter --words --data test.conll", model))...))
		if want := last(read(t, model+"-tag/predictions.conll")); len(got) == 0 || !slices.Equal(got, want) {
			t.Errorf("%s: tag says %v, the report %v", model, got, want)
		}
		ok(t, args(fmt.Sprintf("ask --model %s --adapter %[1]s-qa/adapter --no-answer --data test.json --out said", model))...)
		if read(t, "said/predictions.json") != read(t, model+"-qa/predictions.json") {
			t.Errorf("%s: the predictions of ask and of adapt differ", model)
		}
		rows, err := csv.NewReader(strings.NewReader(read(t, model+"-embed/predictions.csv"))).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		vectors := func(column string) []any {
			return object(t, args(fmt.Sprintf("embed --model %s --adapter %[1]s-embed/adapter --data test.csv --text %s", model, column))...)["embeddings"].([]any)
		}
		pairs := vectors("pair")
		for i, a := range vectors("text") {
			dot := 0.0 // of unit vectors
			for j, x := range a.([]any) {
				dot += x.(float64) * pairs[i].([]any)[j].(float64)
			}
			if at := slices.Index(rows[0], "predicted"); fmt.Sprintf("%.4f", dot) != fmt.Sprintf("%.4f", parsed(t, rows[i+1][at])) {
				t.Errorf("%s, row %d: embed's cosine is %v, the report's %s", model, i, dot, rows[i+1][at])
			}
		}
	}
}

func parsed(t *testing.T, s string) float64 {
	t.Helper()
	v, err := strconv.ParseFloat(s, 64)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// openAdapted opens a model with what stands beside it: score is what the head makes of an example, or without a head the features of its tokens.
func openAdapted(t *testing.T, k *kernel.Set, path, dir string) (sized zoo.Sized, labels int, score func(adapt.Example) []float32) {
	t.Helper()
	if _, err := os.Stat(filepath.Join(dir, zoo.ConfigFile)); err != nil {
		m, err := zoo.OpenAny(path, zoo.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := adapt.Open(k, dir, zoo.Bare(m), nil); err != nil {
			t.Fatal(err)
		}
		encoder, err := embed.AsEncoder(m)
		if err != nil {
			t.Fatal(err)
		}
		return m, 0, func(e adapt.Example) []float32 {
			in := model.Input{IDs: tensor.IDs(e.IDs), Seqs: nn.NewSeqs(len(e.IDs))}
			if e.Segments != nil {
				in.Segments = tensor.IDs(e.Segments)
			}
			return slices.Clone(encoder.Encode(tensor.Evaluation(k), in).F32())
		}
	}
	m, l, err := zoo.NewTaskLike(path, dir, zoo.Options{})
	if err != nil {
		t.Fatal(err)
	}
	body, head := zoo.Parts(m)
	if _, err := adapt.Open(k, dir, body, head); err != nil {
		t.Fatal(err)
	}
	return m, len(l.Names), func(e adapt.Example) []float32 {
		s, err := adapt.Scores(t.Context(), tensor.Evaluation(k), m, []adapt.Example{e})
		if err != nil {
			t.Fatal(err)
		}
		return s[0]
	}
}

// PEFT computes with the verb's adapters and their heads what is computed here, on the base that they were trained on.
func TestPEFTLoadsHeads(t *testing.T) {
	modules := []string{"torch", "transformers", "peft"}
	testkit.Python(t, modules...)
	script := filepath.Join(testkit.Root(), "cmd", "plinth", "testdata", "peft_heads.py")
	twoBases(t)
	reviews(t, "train.csv", 60, "good", "bad", "odd")
	named(t, "train.conll", 40, 1)
	holdings(t, "train.json", 40, 1, true)
	root, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	type text struct {
		IDs      []int32 `json:"ids"`
		Segments []int32 `json:"segments"`
	}
	type job struct {
		Model   string `json:"model"`
		Adapter string `json:"adapter"`
		Labels  int    `json:"labels"`
		Texts   []text `json:"texts"`
	}
	var jobs []job
	var want [][][]float32
	k := cpu.New(cpu.Options{Threads: 2})
	for i, c := range []struct{ model, flags string }{
		{"base", "--task classify --data train.csv --method lora"}, {"bert", "--task classify --data train.csv --method lora --targets query,value"},
		{"base", "--task classify --data train.csv --method prompt --prompt-tokens 3"}, {"bert", "--task classify --data train.csv --method prompt"},
		{"base", "--task tag --data train.conll --method lora"}, {"bert", "--task tag --data train.conll --method lora"}, {"bert", "--task qa --data train.json --method lora"},
		{"base", "--task qa --data train.json --method lora"}, {"base", "--task qa --data train.json --method prompt --prompt-tokens 3"},
		{"base", "--task tag --data train.conll --method prompt --prompt-tokens 3"}, {"bert", "--task tag --data train.conll --method prompt"},
		{"base", "--task embed --data train.csv --pair label --method lora"}, {"bert", "--task embed --data train.csv --pair label --method lora"},
	} {
		out := fmt.Sprint("out", i)
		ok(t, args("adapt --lr 1e-2 --steps 8 --model "+c.model+" --out "+out+" "+c.flags)...)
		dir := filepath.Join(out, "adapter")
		m, labels, score := openAdapted(t, k, c.model, dir)
		tok, err := zoo.Tokenizer(c.model, nil)
		if err != nil {
			t.Fatal(err)
		}
		x := textsFor(m, tok)
		var scores [][]float32
		one := job{Model: filepath.Join(root, c.model), Adapter: filepath.Join(root, dir), Labels: labels}
		for _, words := range [][]string{{"super red 3"}, {"what has red ?", "red has eggs ."}} {
			e, err := x.Example(words...)
			if err != nil {
				t.Fatal(err)
			}
			scores = append(scores, score(e))
			n := len(x.Virtual)
			s := text{IDs: e.IDs[n:]}
			if e.Segments != nil && c.model == "bert" { // a decoder does not look at them; GPT-2 in transformers adds tokens of their numbers
				s.Segments = e.Segments[n:]
			}
			one.Texts = append(one.Texts, s)
		}
		jobs, want = append(jobs, one), append(want, scores)
	}
	var got [][][]float32
	testkit.Ask(t, script, modules, jobs, &got)
	for i, j := range jobs {
		for n := range j.Texts {
			testkit.Close(t, fmt.Sprintf("%s, text %d", j.Adapter, n), want[i][n], got[i][n], 1e-4, 0)
		}
	}
}
