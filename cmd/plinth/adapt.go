package main

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/plinth-ml/plinth/adapt"
	"github.com/plinth-ml/plinth/internal/file"
	"github.com/plinth-ml/plinth/internal/kernel"
	"github.com/plinth-ml/plinth/model"
	"github.com/plinth-ml/plinth/model/zoo"
	"github.com/plinth-ml/plinth/nn"
	"github.com/plinth-ml/plinth/tensor"
	"github.com/plinth-ml/plinth/tokenizer"
	"github.com/plinth-ml/plinth/train"
)

type adaptCmd struct {
	Task       string  `required:"" enum:"classify" help:"classify: texts, or pairs of texts with --pair, get one label or with --multi several." placeholder:"NAME"`
	Model      string  `required:"" help:"Pre-trained model: folder or model of the store." placeholder:"DIR|NAME"`
	Data       string  `required:"" help:"Labelled examples: .csv, .tsv, .jsonl or .parquet, or - for standard input with --format." placeholder:"FILE"`
	Validation string  `help:"File of labelled examples for early stopping, or a share of --data such as 0.1; 0 for none." default:"0.1" placeholder:"FILE|F"`
	Test       string  `help:"File of labelled examples for the report; without it the report is of the validation." placeholder:"FILE"`
	Shifted    string  `help:"A second test file, from elsewhere: the report shows both." placeholder:"FILE"`
	Out        string  `required:"" help:"Folder of the adapted model, with the report." placeholder:"DIR"`
	Method     string  `enum:"full,lora,frozen" default:"full" help:"What is trained: all weights, adapters of low rank and the head, or the head alone."`
	Epochs     float64 `default:"3" help:"Passes over the examples." placeholder:"F"`
	Steps      int     `help:"Optimiser steps; 0 means what --epochs says." placeholder:"N"`
	Batch      int     `default:"16" help:"Examples per step." placeholder:"N"`
	LR         float64 `name:"lr" help:"Peak learning rate; 0 means 5e-5 · 768/width, and ten times that for lora and frozen." placeholder:"F"`
	Patience   int     `default:"0" help:"Validations without a better score after which training ends; 0: it goes on." placeholder:"N"`
	LayerDecay float64 `default:"1" help:"Of full: factor of the learning rate from each block to the one below." placeholder:"F"`
	Balance    bool    `help:"Weigh classes by the inverse of how often they occur."`
	Rank       int     `default:"8" help:"Of lora." placeholder:"N"`
	Alpha      float64 `default:"16" help:"Of lora." placeholder:"F"`
	Dropout    float64 `default:"0.05" help:"Of lora." placeholder:"F"`
	Targets    string  `default:"all-linear" help:"Of lora: layers by name, such as q_proj,v_proj." placeholder:"NAMES"`
	Resume     bool    `help:"Go on with an interrupted run; do nothing on a finished one."`
	columnFlags
}

func (*adaptCmd) Help() string {
	return "The result is a model folder that plinth classify and transformers read. Example: plinth adapt --task classify --model runs/base --data reviews.csv --text review --label stars --out runs/reviews"
}

// report is what adapt found; its JSON is OUT/report.json.
type adaptReport struct {
	Task      string           `json:"task"`
	Method    string           `json:"method"`
	Model     string           `json:"model"`
	Labels    []string         `json:"labels"`
	Examples  int              `json:"examples"`
	Cut       int              `json:"cut"` // texts that lost their ends
	Params    int64            `json:"params"`
	Trained   int64            `json:"trained_params"`
	Steps     int              `json:"steps"`
	Seconds   float64          `json:"seconds"`
	LR        float64          `json:"lr"`
	Validated []adapt.Measured `json:"validated,omitempty"`
	Results   []classScores    `json:"results"`
	Out       string           `json:"out"`
}

func (a *adaptCmd) Run(ctx context.Context, c *common) error {
	path, err := modelPath(a.Model)
	if err != nil {
		return err
	}
	if same, _ := filepath.Abs(a.Out); same != "" {
		if from, _ := filepath.Abs(path); from == same {
			return usagef("--out %s is also --model: a folder of its own is needed", a.Out)
		}
	}
	if _, err := os.Stat(filepath.Join(a.Out, train.StateDir)); err == nil && !a.Resume {
		return fmt.Errorf("%s holds a run already: add --resume to go on with it, or choose another --out", a.Out)
	}
	tok, err := zoo.Tokenizer(path, nil)
	if err != nil {
		return err
	}
	sets, err := a.read(ctx, c.Seed)
	if err != nil {
		return err
	}
	m, err := zoo.NewTask(path, model.SequenceTask, len(sets.labels), c.Seed, zoo.Options{Train: a.Method == "full", F32: true})
	if err != nil {
		return err
	}
	if v := m.Sizes().Vocab; tok.VocabSize() > v {
		return fmt.Errorf("%s: the tokenizer has %d ids, the model's vocabulary %d", path, tok.VocabSize(), v)
	}
	texts := &adapt.Texts{Tokenizer: tok, Limit: m.Sizes().Context}
	for _, s := range sets.all() {
		if err := s.encode(texts); err != nil {
			return err
		}
	}
	if texts.Cut > 0 {
		c.say("note: %d texts are longer than the model's context of %d tokens and lose their ends", texts.Cut, texts.Limit)
	}
	return a.tune(ctx, c, path, m, tok, sets, texts.Cut)
}

// tune trains, tests and writes the folder.
func (a *adaptCmd) tune(ctx context.Context, c *common, path string, m zoo.TaskModel, tok *tokenizer.Tokenizer, sets *classSets, cut int) error {
	k := c.kernels()
	f := &adapt.FineTuning{Model: m, Loss: adapt.SingleLabel, Examples: sets.train.examples, Batch: min(a.Batch, len(sets.train.examples)), Seed: c.Seed}
	if a.Multi != "" {
		f.Loss = adapt.MultiLabel
	}
	if a.Balance {
		if a.Multi != "" {
			return usagef("--balance is for one label per text, not for --multi")
		}
		f.ClassWeights = sets.weights()
	}
	adapter, err := a.choose(k, m, f, c.Seed)
	if err != nil {
		return err
	}
	rate := a.LR
	if rate == 0 {
		rate = 5e-5 * 768 / float64(m.Sizes().Width)
		if a.Method != "full" {
			rate *= 10
		}
	}
	if err := os.MkdirAll(a.Out, 0o755); err != nil {
		return err
	}
	unlock, err := file.Lock(filepath.Join(a.Out, "lock"))
	if err != nil {
		return err
	}
	defer unlock()
	o := f.Defaults(train.Options{Steps: a.Steps, LR: rate, RunDir: a.Out, Resume: a.Resume}, a.Epochs)
	var v *adapt.Validation
	if sets.validation != nil {
		v = &adapt.Validation{Patience: a.Patience, Measure: func(ctx context.Context, t *tensor.Tape) (loss, score float64, err error) {
			s, err := sets.score(ctx, t, m, sets.validation)
			return s.Loss, s.main(), err
		}}
	}
	r, err := f.Run(ctx, k, o, v, newProgress(c.err).event)
	if err != nil {
		return err
	}
	report := adaptReport{Task: a.Task, Method: a.Method, Model: a.Model, Labels: sets.labels, Examples: len(sets.train.examples), Cut: cut,
		Params: nn.Count(m.Params()), Trained: nn.Count(f.Params()), Steps: r.Steps, Seconds: r.Seconds, LR: rate, Out: a.Out}
	if v != nil {
		report.Validated = v.List()
	}
	for _, s := range sets.tests() {
		scores, err := sets.score(ctx, tensor.Evaluation(k), m, s)
		if err != nil {
			return err
		}
		report.Results = append(report.Results, scores)
		name := "predictions.csv"
		if s == sets.shifted {
			name = "predictions-shifted.csv"
		}
		if err := writePredictions(filepath.Join(a.Out, name), s, scores); err != nil {
			return err
		}
	}
	if adapter != nil {
		if err := adapter.Save(filepath.Join(a.Out, "adapter"), path, "SEQ_CLS"); err != nil {
			return err
		}
		if err := adapter.Merge(k); err != nil {
			return err
		}
	}
	if err := zoo.SaveTask(a.Out, m, tok, zoo.Labels{Names: sets.labels, Problem: string(f.Loss)}); err != nil {
		return err
	}
	if err := writeReport(a.Out, &report); err != nil {
		return err
	}
	return c.finish(report, report.String())
}

// choose sets what is trained. The adapter is nil but for lora.
func (a *adaptCmd) choose(k *kernel.Set, m zoo.TaskModel, f *adapt.FineTuning, seed uint64) (*adapt.Adapter, error) {
	head := m.HeadParams()
	if a.LayerDecay != 1 && a.Method != "full" {
		return nil, usagef("--layer-decay is for --method full")
	}
	switch a.Method {
	case "full":
		params, err := adapt.LayerDecay(m.Params(), a.LayerDecay)
		if err != nil {
			return nil, flagError(err)
		}
		f.Trained = params
	case "lora":
		body, beside := zoo.Parts(m)
		adapter, err := adapt.AttachLoRA(k, body, beside, adapt.LoRA{Rank: a.Rank, Alpha: a.Alpha, Dropout: a.Dropout, Targets: adapt.ParseNames(a.Targets), Save: headModules(m)}, seed)
		if err != nil {
			return nil, err
		}
		f.Trained = adapter.Params()
		return adapter, nil
	case "frozen":
		for _, p := range m.Params() {
			p.T().SetTrain(false)
		}
		for _, p := range head {
			p.T().SetTrain(true)
		}
		f.Trained = head
	}
	return nil, nil
}

// headModules are the modules of the head, as PEFT names what it stores whole.
func headModules(m model.Tasked) []string {
	var list []string
	for _, p := range m.HeadParams() {
		name := p.Name[:strings.LastIndexByte(p.Name, '.')]
		if !slices.Contains(list, name) {
			list = append(list, name)
		}
	}
	return list
}

// weights are those of the classes: the inverse of how often they occur, 1 on average over the examples.
func (s *classSets) weights() []float64 {
	count := make([]float64, len(s.labels))
	for i := range s.train.examples {
		count[s.train.examples[i].Label]++
	}
	for i, n := range count {
		count[i] = float64(len(s.train.examples)) / (math.Max(n, 1) * float64(len(count)))
	}
	return count
}
