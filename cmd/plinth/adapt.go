package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/plinth-ml/plinth/adapt"
	"github.com/plinth-ml/plinth/checkpoint"
	"github.com/plinth-ml/plinth/internal/file"
	"github.com/plinth-ml/plinth/internal/kernel"
	"github.com/plinth-ml/plinth/model"
	"github.com/plinth-ml/plinth/model/zoo"
	"github.com/plinth-ml/plinth/nn"
	"github.com/plinth-ml/plinth/tensor"
	"github.com/plinth-ml/plinth/train"
)

type adaptCmd struct {
	Task       string      `required:"" enum:"${adapt_tasks}" help:"${adapt_help}" placeholder:"NAME"`
	Model      string      `required:"" help:"Pre-trained model: folder or model of the store." placeholder:"DIR|NAME"`
	Data       string      `required:"" help:"Labelled examples: .csv, .tsv, .jsonl or .parquet, of tag also CoNLL, of qa also .json as SQuAD has it, or - for standard input with --format." placeholder:"FILE"`
	Validation string      `help:"File of labelled examples for early stopping, or a share of --data such as 0.1; 0 for none; default ${default}." default:"0.1" placeholder:"FILE|F"`
	Test       string      `help:"File of labelled examples for the report; without it the report is of the validation." placeholder:"FILE"`
	Shifted    string      `help:"A second test file, from elsewhere: the report shows both." placeholder:"FILE"`
	Out        string      `required:"" help:"Folder of the adapted model, with the report." placeholder:"DIR"`
	Method     string      `enum:"full,lora,prompt,frozen" default:"full" help:"What is trained, full, lora, prompt or frozen; default ${default}: all weights; adapters of low rank and the head; virtual tokens in front of each text and the head; or the head alone." placeholder:"NAME"`
	Pool       string      `enum:"published,mean" default:"published" help:"Of classify, published or mean; default ${default}: the head reads what the family's published classifiers read (the first token, of a decoder the last), or the mean over the tokens, which is better with few labels and which transformers does not know." placeholder:"NAME"`
	Head       string      `enum:"fresh,probe" default:"fresh" help:"Of classify, fresh or probe; default ${default}: the head starts from small random weights, or, with --pool mean, as logistic regression on the frozen features, so that training begins where the probe ends." placeholder:"NAME"`
	Epochs     float64     `default:"3" help:"Passes over the examples, of tag and qa over their windows; default ${default}." placeholder:"F"`
	Steps      int         `help:"Optimiser steps; 0 means what --epochs says." placeholder:"N"`
	Batch      int         `default:"16" help:"Examples per step, of tag and qa windows; default ${default}." placeholder:"N"`
	LR         float64     `name:"lr" help:"Peak learning rate; 0 means 5e-5 · 768/width, ten times that for lora and frozen, and a hundred times for prompt." placeholder:"F"`
	Patience   int         `default:"0" help:"Validations without a better score after which training ends; 0: it goes on; default ${default}." placeholder:"N"`
	LayerDecay float64     `default:"1" help:"Of full: factor of the learning rate from each block to the one below; default ${default}." placeholder:"F"`
	Balance    bool        `help:"Weigh classes by the inverse of how often they occur."`
	Rank       int         `default:"8" help:"Of lora: rank of the adapters; default ${default}." placeholder:"N"`
	Alpha      float64     `default:"16" help:"Of lora: their scale is this by the rank; default ${default}." placeholder:"F"`
	Dropout    float64     `default:"0.05" help:"Of lora: share of the adapters' inputs that training leaves out; default ${default}." placeholder:"F"`
	DoRA       bool        `name:"dora" help:"Of lora: the lengths of the matrices' rows are trained by themselves (Liu et al. 2024)."`
	RSLoRA     bool        `name:"rslora" help:"Of lora: the scale is alpha/√rank, not alpha/rank (Kalajdzievski 2023)."`
	Targets    string      `default:"all-linear" help:"Of lora: layers by name, such as q_proj,v_proj; default ${default}." placeholder:"NAMES"`
	Prompt     promptFlags `embed:"" prefix:"prompt-"`
	KeepTypes  bool        `help:"Of lora and prompt: the matrices of --model stay in memory as its file has them (BF16, F16, bitsandbytes' 4 bits, or the block types of a GGUF file), and OUT/adapter is the result, for --adapter of plinth classify, tag, ask, summarize, embed and generate."`
	BaseType   string      `enum:",nf4,fp4,q8_0,q4_0,q4_k,q5_k,q6_k,bf16,f16" default:"" help:"Of lora and prompt: as --keep-types, with the matrices of linear layers rounded to this type when they are read: nf4 (QLoRA), fp4, q8_0, q4_0, q4_k, q5_k, q6_k, bf16 or f16." placeholder:"TYPE"`
	Merge      bool        `help:"Of lora with --keep-types: write the merged model too, its matrices as float32."`
	Resume     bool        `help:"Go on with an interrupted run; do nothing on a finished one."`
	curveFlags
	distilFlags
	columnFlags
	tagFlags
	questionFlags
	summaryFlags
	embedFlags
	pictureDataFlags

	notes    []string                                                 // about the examples
	finished func(kind model.Task) (zoo.TaskModel, zoo.Labels, error) // opens a finished model, which is not trained but scored; nil: a.Model is to be trained
	attach   func(m zoo.Stored) error                                 // puts --adapter, where there is one, beside a finished model without a head
	beside   string                                                   // --adapter of a finished model
}

// note keeps what is to be told about the examples.
func (a *adaptCmd) note(format string, args ...any) {
	a.notes = append(a.notes, fmt.Sprintf("note: "+format, args...))
}

func (*adaptCmd) Help() string {
	return "The result is a model folder that plinth classify (tag, ask, summarize, embed) and transformers read, but for --pool mean, where transformers would read other features under the head. Example: plinth adapt --task classify --model runs/base --data reviews.csv --text review --label stars --out runs/reviews"
}

func (a *adaptCmd) Run(ctx context.Context, line *kong.Context, c *common) error {
	if a.Task == imagesTask {
		return a.runImages(ctx, given(line), c)
	}
	if err := errors.Join(a.checkLength(), a.checkTypes(), a.checkPrompt(), a.checkClassify(), a.checkTeacher(), a.checkGiven(given(line))); err != nil {
		return err
	}
	path, err := modelPath(a.Model)
	if err != nil {
		return err
	}
	if same, _ := filepath.Abs(a.Out); same != "" {
		if from, _ := filepath.Abs(path); from == same {
			return usagef("--out %s is also --model: a folder of its own is needed", a.Out)
		}
	}
	if err := checkRunDir(a.Out, a.Resume); err != nil {
		return err
	}
	tok, err := zoo.Tokenizer(path, nil)
	if err != nil {
		return err
	}
	task := a.task()
	if err := task.read(ctx, c.Seed); err != nil {
		return err
	}
	for _, n := range a.notes {
		c.say("%s", n)
	}
	s, err := task.open(path, tok, c.Seed, zoo.Options{Train: a.Method == "full", F32: !a.KeepTypes, MeanPool: a.Pool == "mean"})
	if err != nil {
		return err
	}
	if v := s.model.Sizes().Vocab; tok.VocabSize() > v {
		return fmt.Errorf("%s: the tokenizer has %d ids, the model's vocabulary %d", path, tok.VocabSize(), v)
	}
	if s.cut > 0 {
		c.say("note: %d texts are longer than the model's context of %d tokens and lose their ends", s.cut, s.model.Sizes().Context)
	}
	s.tok = tok
	return a.tune(ctx, c, path, task, s)
}

// apart says that the result is OUT/adapter alone, to be used beside --model.
func (a *adaptCmd) apart() bool { return a.Method == "prompt" || a.KeepTypes && !a.Merge }

// checkTypes refuses flags of adapters that are no numbers for them, and --keep-types and --merge where they do not fit.
func (a *adaptCmd) checkTypes() error {
	a.KeepTypes = a.KeepTypes || a.BaseType != ""
	switch {
	case a.Rank < 1:
		return usagef("--rank is %d: want 1 at least", a.Rank)
	case !(a.Alpha > 0):
		return usagef("--alpha is %v: want a number above 0", a.Alpha)
	case !(a.Dropout >= 0 && a.Dropout < 0.999):
		return usagef("--dropout is %v: want a share from 0 to below 1", a.Dropout)
	case (a.DoRA || a.RSLoRA) && a.Method != "lora":
		return usagef("--dora and --rslora are for --method lora")
	case a.KeepTypes && a.Method != "lora" && a.Method != "prompt":
		return usagef("--keep-types and --base-type are for --method lora and prompt: other methods train or write the matrices")
	case a.Merge && a.Method == "prompt":
		return usagef("--merge is for --method lora: virtual tokens stay beside the model")
	case a.Merge && !a.KeepTypes:
		return usagef("--merge is for --keep-types: without it the adapter is merged into the model anyway")
	}
	return nil
}

// tune trains, tests and writes the folder.
func (a *adaptCmd) tune(ctx context.Context, c *common, path string, task adaptTask, s *subject) error {
	k := c.kernels()
	if t, ok := task.(*classifyTask); ok && a.Head == "probe" {
		if err := startFromProbe(ctx, k, t.m, t.sets.train.examples((*classRow).made), len(t.labels), c.Seed); err != nil {
			return err
		}
	}
	if t, ok := task.(*classifyTask); ok && a.Teacher != "" {
		if err := t.askTeacher(ctx, c); err != nil {
			return err
		}
	}
	if err := a.roundBase(c, s); err != nil {
		return err
	}
	trained, adapter, err := a.choose(k, s, c.Seed)
	if err != nil {
		return err
	}
	batch := min(a.Batch, s.examples)
	objective, err := task.objective(trained, batch, c.Seed)
	if err != nil {
		return err
	}
	rate := a.LR
	if rate == 0 {
		rate = 5e-5 * 768 / float64(s.model.Sizes().Width)
		if a.Method != "full" {
			rate *= 10
		}
		if a.Method == "prompt" {
			rate *= 10
		}
	}
	if err := os.MkdirAll(a.Out, 0o755); err != nil {
		return fmt.Errorf("--out %s: %w", a.Out, err)
	}
	unlock, err := file.Lock(filepath.Join(a.Out, "lock"))
	if err != nil {
		return err
	}
	defer unlock()
	pass := s.examples
	if f, ok := objective.(*adapt.FineTuning); ok {
		pass = len(f.Examples) // windows, of tag and qa
	}
	o := adapt.Defaults(train.Options{Steps: a.Steps, LR: rate, RunDir: a.Out, Resume: a.Resume, Seed: c.Seed}, pass, batch, a.Epochs)
	var v *adapt.Validation
	if s.validated {
		v = &adapt.Validation{Patience: a.Patience, Measure: task.measure}
	}
	r, err := adapt.Tune(ctx, objective, k, o, v, newProgress(c.err).event)
	if errors.Is(err, train.ErrInterrupted) {
		c.say("%s holds all that was done; go on with the same command and --resume", a.Out)
	}
	if err != nil {
		return err
	}
	report := adaptReport{Task: a.Task, Method: a.Method, Model: a.Model, Teacher: a.Teacher, Labels: s.labels, Examples: s.examples, Cut: s.cut,
		Params: nn.Count(s.model.Params()), Trained: nn.Count(trained), Steps: r.Steps, Seconds: r.Seconds, LR: rate, Out: a.Out}
	if pass != s.examples {
		report.Windows = pass
	}
	if v != nil {
		report.Validated = v.List()
	}
	if report.Results, err = task.results(ctx, tensor.Evaluation(k), a.Out); err != nil {
		return err
	}
	report.Shift = shifts(report.Results)
	if a.Curve != nil {
		if report.Curve, err = task.(*classifyTask).curve(ctx, c, k, path); err != nil {
			return err
		}
		if err := report.Curve.write(a.Out); err != nil {
			return err
		}
	}
	if adapter != nil {
		if err := s.saveAdapter(filepath.Join(a.Out, adapterFolder), path, adapter); err != nil {
			return err
		}
	}
	next := a.Out
	if a.apart() {
		next = fmt.Sprintf("%s --adapter %s", a.Model, filepath.Join(a.Out, adapterFolder))
	} else {
		if err := merge(k, s.model, adapter, a.KeepTypes); err != nil {
			return err
		}
		if err := task.save(a.Out); err != nil {
			return err
		}
	}
	text := report.String() + "Try next: " + task.next(next) + "\n"
	if err := report.write(a.Out, text); err != nil {
		return err
	}
	return c.finish(report, text)
}

// roundBase makes the base's matrices what --base-type says.
func (a *adaptCmd) roundBase(c *common, s *subject) error {
	if a.BaseType == "" {
		return nil
	}
	d, _ := adapt.StorageType(a.BaseType)
	body := s.model
	if t, ok := body.(zoo.TaskModel); ok {
		body, _ = zoo.Parts(t)
	}
	n, all, err := adapt.StoreBase(body, s.head, d)
	if err != nil {
		return fmt.Errorf("--base-type %s: %w", a.BaseType, err)
	}
	if n < all {
		elements, _ := d.Block()
		c.say("note: %d of the base's %d matrices are %s, the others stay as they are: their rows are not whole blocks of %d, or they have few bits already", n, all, d, elements)
	}
	return nil
}

// merge puts the adapter, where there is one, into the model's matrices, which become float32. Those that are float32 may be memory of a mapped file,
// which cannot be written, and are copied then.
func merge(k *kernel.Set, m zoo.Stored, tuned adapt.Tuned, mapped bool) error {
	adapter, ok := tuned.(*adapt.Adapter)
	if !ok {
		return nil
	}
	t := tensor.Evaluation(k)
	for _, p := range m.Params() {
		w := p.T()
		if mapped && w.Data.DType() == tensor.F32 {
			w.Bind(tensor.FromF32(slices.Clone(w.F32()), w.Shape()...).Data)
		}
		t.Widen(w)
		t.Reset()
	}
	return adapter.Merge(k)
}

// saveAdapter writes the adapter as PEFT does and beside it, where there is a head, config.json, which says what the head is for.
func (s *subject) saveAdapter(dir, base string, adapter adapt.Tuned) error {
	if err := adapter.Save(dir, base, s.kind); err != nil {
		return err
	}
	if t, ok := s.model.(zoo.TaskModel); ok {
		return zoo.SaveTaskConfig(dir, t, s.tok, s.labelling)
	}
	if s.beside != nil {
		return s.beside(dir)
	}
	return nil
}

// choose sets what is trained. There is something beside the model with lora and prompt only.
func (a *adaptCmd) choose(k *kernel.Set, s *subject, seed uint64) ([]nn.Named, adapt.Tuned, error) {
	if a.LayerDecay != 1 && a.Method != "full" {
		return nil, nil, usagef("--layer-decay is for --method full")
	}
	body, beside := s.model, []nn.Named(nil)
	var exclude adapt.Names
	if t, ok := s.model.(zoo.TaskModel); ok {
		body, beside = zoo.Parts(t)
	} else if s.kind == featureKind {
		body, exclude = zoo.Bare(s.model), adapt.ParseNames(`(cls|lm_head|vocab_transform)(\..*)?`) // layers of heads for masked tokens
	}
	switch a.Method {
	case "prompt":
		prompt, err := adapt.AttachPrompt(k, body, beside, a.Prompt.options(s.tok, s.modules()), seed)
		if err != nil {
			return nil, nil, err
		}
		return prompt.Params(), prompt, nil
	case "lora":
		adapter, err := adapt.AttachLoRA(k, body, beside, adapt.LoRA{Rank: a.Rank, Alpha: a.Alpha, Dropout: a.Dropout, Targets: adapt.ParseNames(a.Targets),
			Exclude: exclude, DoRA: a.DoRA, RankStabilised: a.RSLoRA, Save: s.modules()}, seed)
		if err != nil {
			return nil, nil, err
		}
		return adapter.Params(), adapter, nil
	case "frozen":
		if s.head == nil {
			return nil, nil, usagef("--method frozen trains a head, and --task %s has none", a.Task)
		}
		for _, p := range s.model.Params() {
			p.T().SetTrain(false)
		}
		for _, p := range s.head {
			p.T().SetTrain(true)
		}
		return s.head, nil, nil
	}
	params, err := adapt.LayerDecay(s.model.Params(), a.LayerDecay)
	if err != nil {
		return nil, nil, flagError(err)
	}
	return params, nil, nil
}

// modules are those of the head, as PEFT names what it stores whole.
func (s *subject) modules() []string {
	var list []string
	for _, p := range s.head {
		name := s.model.Places(checkpoint.HuggingFace, p.Name)[0].Name
		name = name[:strings.LastIndexByte(name, '.')]
		if first, _, _ := strings.Cut(name, "."); first == "classifier" {
			name = first // RoBERTa's, of two layers
		}
		if !slices.Contains(list, name) {
			list = append(list, name)
		}
	}
	return list
}
