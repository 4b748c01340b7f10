package zoo_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/plinth-ml/plinth/adapt"
	"github.com/plinth-ml/plinth/checkpoint"
	"github.com/plinth-ml/plinth/internal/kernel/cpu"
	"github.com/plinth-ml/plinth/internal/testkit"
	"github.com/plinth-ml/plinth/model"
	"github.com/plinth-ml/plinth/model/bert"
	"github.com/plinth-ml/plinth/model/zoo"
	"github.com/plinth-ml/plinth/nn"
	"github.com/plinth-ml/plinth/tensor"
)

// taskFolder writes a tiny model of the kind, gives it a head and writes that beside it.
func taskFolder(t *testing.T, kind string, task model.Task) (dir string, m zoo.TaskModel, l zoo.Labels) {
	t.Helper()
	body := newTiny(t, kind)
	nn.Init(body.Params(), 1, false)
	dir = t.TempDir()
	pre := filepath.Join(dir, "pre")
	if err := zoo.Save(pre, body, nil); err != nil {
		t.Fatal(err)
	}
	l = zoo.Labels{Names: []string{"bad", "so so", "good"}}
	if task == model.SpanTask {
		l.Names = l.Names[:2]
	}
	m, err := zoo.NewTask(pre, task, len(l.Names), 5, zoo.Options{Train: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range m.HeadParams() { // a bias that shows
		for i := range p.T().F32() {
			p.T().F32()[i] += 0.1 * float32(i%5)
		}
	}
	if task == model.SequenceTask {
		l.Problem = string(adapt.SingleLabel)
	}
	dir = filepath.Join(dir, "task")
	if err := zoo.SaveTask(dir, m, nil, l); err != nil {
		t.Fatal(err)
	}
	return dir, m, l
}

func scores(t *testing.T, m model.Tasked, texts []adapt.Example) [][]float32 {
	t.Helper()
	s, err := adapt.Scores(context.Background(), tensor.Evaluation(cpu.New(cpu.Options{Threads: 1})), m, texts)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

var taskTexts = []adapt.Example{{IDs: []int32{5, 9, 200, 31}}, {IDs: []int32{7}}, {IDs: []int32{1, 2, 3, 4, 5, 6, 7, 8, 9}}}

// A model with a head comes back from its folder with the same scores and labels, is no decoder any more, and can take another head.
func TestTaskFolders(t *testing.T) {
	everyFamily(t, func(t *testing.T, kind string) {
		for _, task := range []model.Task{model.SequenceTask, model.TokenTask, model.SpanTask} {
			dir, m, l := taskFolder(t, kind, task)
			back, got, err := zoo.OpenTask(dir, zoo.Options{})
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(got.Names, l.Names) || got.Problem != l.Problem || back.Task() != task {
				t.Errorf("labels %v, task %v", got, back.Task())
			}
			want := scores(t, m, taskTexts)
			for i, s := range scores(t, back, taskTexts) {
				if !slices.Equal(s, want[i]) {
					t.Errorf("%s: scores %v, want %v", task, s, want[i])
				}
			}
			if _, err := zoo.Open(dir, zoo.Options{}); err == nil || !strings.Contains(err.Error(), "plinth classify") {
				t.Errorf("opened as a decoder: %v", err)
			}
			again, err := zoo.NewTask(dir, model.SequenceTask, 7, 1, zoo.Options{Train: true})
			if err != nil {
				t.Fatal(err)
			}
			if s := scores(t, again, taskTexts); len(s[0]) != 7 {
				t.Errorf("%d scores", len(s[0]))
			}
		}
		if _, err := zoo.NewTask(filepath.Join(t.TempDir(), "nowhere"), model.SequenceTask, 2, 1, zoo.Options{}); err == nil {
			t.Error("a missing folder is opened")
		}
	})
}

func TestOpenTaskRefuses(t *testing.T) {
	dir, _, _ := taskFolder(t, "gpt2", model.SequenceTask)
	config := filepath.Join(dir, zoo.ConfigFile)
	for _, c := range [][3]string{
		{`"1": "so so",`, "", "none for 1"}, {"ForSequenceClassification", "ForQuestionAnswering", "2 scores, not 3"}, {"ForSequenceClassification", "LMHeadModel", "score.weight"},
	} {
		b, err := os.ReadFile(config)
		if err != nil {
			t.Fatal(err)
		}
		if err := replace(config, c[0], c[1]); err != nil {
			t.Fatal(err)
		}
		if _, _, err := zoo.OpenTask(dir, zoo.Options{}); err == nil || !strings.Contains(err.Error(), c[2]) {
			t.Errorf("%s: %v", c[0], err)
		}
		if err := os.WriteFile(config, b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// transformers reads our folders and makes the same of texts.
func TestTransformersLoadsTasks(t *testing.T) {
	type job struct {
		Dir  string    `json:"dir"`
		Task string    `json:"task"`
		IDs  [][]int32 `json:"ids"`
	}
	var ids [][]int32
	for _, x := range taskTexts {
		ids = append(ids, x.IDs)
	}
	var jobs []job
	var names []string
	var models []zoo.TaskModel
	var labels [][]string
	for _, kind := range []string{"gpt2", "llama", "qwen2", "qwen3", "mistral", "mixtral", "gpt_neox", "gptj", "gemma2"} {
		for _, task := range []model.Task{model.SequenceTask, model.TokenTask, model.SpanTask} {
			if task == model.SpanTask && kind == "gemma2" || task == model.TokenTask && kind == "gptj" {
				continue // transformers has no such class
			}
			dir, m, l := taskFolder(t, kind, task)
			jobs, names, models, labels = append(jobs, job{dir, task.String(), ids}), append(names, fmt.Sprint(kind, " ", task)), append(models, m), append(labels, l.Names)
		}
	}
	var answers []struct {
		Scores [][]float32 `json:"scores"`
		Labels []string    `json:"labels"`
		Report string      `json:"report"`
	}
	testkit.Ask(t, "testdata/task.py", []string{"torch", "transformers"}, jobs, &answers)
	for n, answer := range answers {
		if answer.Report != "" {
			t.Errorf("%s: %s", names[n], answer.Report)
		}
		if !slices.Equal(answer.Labels, labels[n]) {
			t.Errorf("%s: labels %v", names[n], answer.Labels)
		}
		for i, s := range scores(t, models[n], taskTexts) {
			testkit.Close(t, fmt.Sprintf("%s: scores of text %d", names[n], i), s, answer.Scores[i], 1e-4, 0)
		}
	}
}

// A head may read the mean over the tokens: the folder says so, and gives the same scores.
func TestMeanPool(t *testing.T) {
	bodies := map[string]zoo.Stored{"gpt2": newTiny(t, "gpt2"), "llama": newTiny(t, "llama")}
	for _, kind := range []string{bert.TypeBERT, bert.TypeRoBERTa, bert.TypeDistilBERT} {
		c := bert.Shape(2, 64, 300, 40)
		c.ModelType, c.Head = kind, bert.MaskedLM
		if kind == bert.TypeDistilBERT {
			c.Segments = 0
		}
		m, err := bert.New(c)
		if err != nil {
			t.Fatal(err)
		}
		bodies[kind] = m
	}
	for kind, body := range bodies {
		nn.Init(body.Params(), 1, false)
		dir := t.TempDir()
		if err := zoo.Save(dir, body, nil); err != nil {
			t.Fatal(err)
		}
		m, err := zoo.NewTask(dir, model.SequenceTask, 3, 5, zoo.Options{Train: true, MeanPool: true})
		if err != nil {
			t.Fatal(err)
		}
		got := scores(t, m, taskTexts)
		if len(m.HeadParams()) == 2 { // one layer on the mean itself
			f, err := adapt.Features(context.Background(), tensor.Evaluation(cpu.New(cpu.Options{Threads: 1})), m, taskTexts, model.Mean)
			if err != nil {
				t.Fatal(err)
			}
			w := m.Scorer().Weight.F32()
			for i, row := range f {
				for k := range 3 {
					want := 0.0
					for c, v := range row {
						want += float64(v) * float64(w[k*len(row)+c])
					}
					if d := want - float64(got[i][k]); d > 1e-5 || d < -1e-5 {
						t.Errorf("%s, text %d: score %v, the mean gives %v", kind, i, got[i][k], want)
					}
				}
			}
		}
		if err := zoo.SaveTask(dir, m, nil, zoo.Labels{Names: []string{"a", "b", "c"}}); err != nil {
			t.Fatal(err)
		}
		if c, err := os.ReadFile(filepath.Join(dir, zoo.ConfigFile)); err != nil || !strings.Contains(string(c), `"classifier_pooling": "mean"`) {
			t.Errorf("%s: config.json is %s, %v", kind, c, err)
		}
		back, _, err := zoo.OpenTask(dir, zoo.Options{})
		if err != nil {
			t.Fatal(err)
		}
		for i, s := range scores(t, back, taskTexts) {
			if !slices.Equal(s, got[i]) {
				t.Errorf("%s: scores %v, want %v", kind, s, got[i])
			}
		}
		plain, err := zoo.NewTask(dir, model.SequenceTask, 3, 5, zoo.Options{Train: true})
		if err != nil {
			t.Fatal(err)
		}
		if s := scores(t, plain, taskTexts); slices.Equal(s[0], got[0]) {
			t.Errorf("%s: the published head reads the mean too", kind)
		}
	}
}

// Adapters go on every layer of an encoder's body under its published names, not on its head, and come back from their folder.
func TestLoRAOfEncoders(t *testing.T) {
	k := cpu.New(cpu.Options{Threads: 1})
	for kind, want := range map[string]struct {
		tensor string
		count  int // of modules
	}{
		bert.TypeBERT:       {"bert.encoder.layer.1.attention.self.query", 13}, // with the pooler
		bert.TypeRoBERTa:    {"roberta.encoder.layer.1.attention.self.query", 12},
		bert.TypeDistilBERT: {"distilbert.transformer.layer.1.attention.q_lin", 12},
	} {
		c := bert.Shape(2, 64, 300, 40)
		c.ModelType, c.Head = kind, bert.MaskedLM
		if kind == bert.TypeDistilBERT {
			c.Segments = 0
		}
		body, err := bert.New(c)
		if err != nil {
			t.Fatal(err)
		}
		nn.Init(body.Params(), 1, false)
		dir := t.TempDir()
		if err := zoo.Save(dir, body, nil); err != nil {
			t.Fatal(err)
		}
		open := func() (zoo.TaskModel, adapt.LoRA) {
			m, err := zoo.NewTask(dir, model.SequenceTask, 3, 5, zoo.Options{F32: true})
			if err != nil {
				t.Fatal(err)
			}
			o := adapt.LoRA{Rank: 2, Alpha: 4, Targets: adapt.ParseNames("all-linear")}
			for _, p := range m.HeadParams() {
				if name, ok := strings.CutSuffix(p.Name, ".weight"); ok {
					o.Save = append(o.Save, name)
				}
			}
			return m, o
		}
		m, o := open()
		a, err := adapt.AttachLoRA(k, m, nil, o, 1)
		if err != nil {
			t.Fatal(err)
		}
		for i, p := range a.Params() { // B starts at 0
			p.T().F32()[i%p.T().Len()] += 0.5
		}
		if err := a.Save(filepath.Join(dir, "adapter"), dir, "SEQ_CLS"); err != nil {
			t.Fatal(err)
		}
		src, err := checkpoint.Open(filepath.Join(dir, "adapter", adapt.AdapterWeights))
		if err != nil {
			t.Fatal(err)
		}
		defer src.Close()
		modules, found := 0, false
		for _, i := range src.Infos() {
			if strings.HasSuffix(i.Name, ".lora_A.weight") {
				modules++
				found = found || i.Name == "base_model.model."+want.tensor+".lora_A.weight"
			}
		}
		if modules != want.count || !found {
			t.Errorf("%s: %d modules, want %d with %s", kind, modules, want.count, want.tensor)
		}
		again, _ := open()
		if _, err := adapt.OpenLoRA(k, filepath.Join(dir, "adapter"), again, nil); err != nil {
			t.Fatal(err)
		}
		got, expect := scores(t, again, taskTexts), scores(t, m, taskTexts)
		plain, _ := open()
		without := scores(t, plain, taskTexts)
		for i := range got {
			if !slices.Equal(got[i], expect[i]) || slices.Equal(got[i], without[i]) {
				t.Errorf("%s: scores %v, want %v, without adapter %v", kind, got[i], expect[i], without[i])
			}
		}
	}
}
