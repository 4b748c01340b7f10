package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"time"

	"github.com/alecthomas/kong"

	"github.com/plinth-ml/plinth/data"
	"github.com/plinth-ml/plinth/generate"
	"github.com/plinth-ml/plinth/internal/file"
	"github.com/plinth-ml/plinth/internal/kernel"
	"github.com/plinth-ml/plinth/internal/kernel/cpu"
	"github.com/plinth-ml/plinth/model/bert"
	"github.com/plinth-ml/plinth/model/gpt"
	"github.com/plinth-ml/plinth/model/t5"
	"github.com/plinth-ml/plinth/model/zoo"
	"github.com/plinth-ml/plinth/nn"
	"github.com/plinth-ml/plinth/tokenizer"
	"github.com/plinth-ml/plinth/train"
)

type trainCmd struct {
	Data      []string        `required:"" help:"Folders of prepared data, or files and folders of text." placeholder:"PATH"`
	Mix       []float64       `help:"For several prepared folders: their shares of the sequences; without it as many as they have tokens." placeholder:"F,..."`
	Out       string          `required:"" help:"Run directory." placeholder:"DIR"`
	Tokenizer string          `help:"For text: folder or file of a tokenizer. Without it one is trained on the text." placeholder:"PATH"`
	Config    kong.ConfigFlag `help:"Recipe: YAML whose keys are flags; flags given here win. Each run saves its own as OUT/recipe.yaml." placeholder:"FILE"`
	Resume    bool            `help:"Go on from the newest whole checkpoint; start fresh where there is none; do nothing on a finished run."`

	Family string `enum:"gpt,llama,palm,bert,t5,clip" default:"gpt" help:"gpt, llama, palm, bert, t5 or clip." placeholder:"NAME" group:"Shape (one of --size, --depth, or --layers --width --heads)"`
	Size   string `help:"A named size of the family; plinth show lists them." placeholder:"NAME" group:"Shape (one of --size, --depth, or --layers --width --heads)"`
	Depth  int    `help:"The one dial: layers; width, heads, learning rate and batch follow." placeholder:"N" group:"Shape (one of --size, --depth, or --layers --width --heads)"`
	Layers int    `placeholder:"N" group:"Shape (one of --size, --depth, or --layers --width --heads)" help:"Layers."`
	Width  int    `placeholder:"N" group:"Shape (one of --size, --depth, or --layers --width --heads)" help:"Width of the residual stream."`
	Heads  int    `placeholder:"N" group:"Shape (one of --size, --depth, or --layers --width --heads)" help:"Attention heads."`
	Vocab  int    `placeholder:"N" group:"Shape (one of --size, --depth, or --layers --width --heads)" help:"Vocabulary; 0 means the tokenizer's, or for one trained here the size's."`
	Seq    int    `placeholder:"N" group:"Shape (one of --size, --depth, or --layers --width --heads)" help:"Tokens per sequence; 0 means the size's context, or what the data was prepared for."`

	Steps       int     `placeholder:"N" group:"Training" help:"Optimiser steps; 0 means 12 tokens per parameter."`
	Batch       int     `placeholder:"N" group:"Training" help:"Sequences per step; 0 means the size's."`
	Micro       int     `placeholder:"N" group:"Training" help:"Sequences computed at once; 0 means about 4096 tokens."`
	LR          float64 `placeholder:"F" group:"Training" name:"lr" help:"Peak learning rate; 0 means the size's."`
	MinLR       float64 `placeholder:"F" group:"Training" name:"min-lr" default:"0.1" help:"Final learning rate as a share of the peak."`
	Warmup      int     `placeholder:"N" group:"Training" help:"Steps of linear rise; 0 means a tenth of the steps, at most 200; --warmup=-1 none."`
	Schedule    string  `group:"Training" enum:"cosine,linear,wsd,constant" default:"cosine" help:"cosine, linear, wsd (stable, then decay over --decay-share) or constant."`
	DecayShare  float64 `placeholder:"F" group:"Training" default:"0.2" help:"Of wsd: share of the steps in which the rate falls."`
	Optimizer   string  `group:"Training" enum:"adamw,muon" default:"adamw" help:"adamw, or muon for the matrices of the blocks and adamw for the rest."`
	Beta1       float64 `placeholder:"F" group:"Training" name:"beta1" default:"0.9" help:"AdamW's first decay."`
	Beta2       float64 `placeholder:"F" group:"Training" name:"beta2" default:"0.95" help:"AdamW's second decay."`
	Decay       float64 `placeholder:"F" group:"Training" name:"weight-decay" default:"0.1" help:"Weight decay of matrices."`
	Clip        float64 `placeholder:"F" group:"Training" default:"1" help:"Largest norm of the gradient; 0 means no limit."`
	ZLoss       float64 `placeholder:"F" group:"Training" default:"0" name:"z-loss" help:"Weight of the squared log-sum-exp; PaLM used 1e-4."`
	Recompute   bool    `group:"Training" help:"Compute activations again in the backward pass: less memory, a third more time, the same bits."`
	Activations string  `group:"Training" name:"activations" enum:"f32,lean,bf16" default:"f32" help:"Activations kept for the backward pass: f32; lean, 0.7 of them, the same bits, some percent more time; or bf16, half of them."`
	EMA         float64 `placeholder:"F" group:"Training" name:"ema" default:"0" help:"Decay of a running mean of the weights, such as 0.999; the mean is what is validated and saved as the model. 0 means none."`
	Moments     string  `group:"Training" enum:"f32,bf16" default:"f32" help:"AdamW's moments: f32, or bf16 for half the memory."`

	WholeWords   bool    `group:"Training" help:"Of bert: the pieces of a word are masked together."`
	Mask         float64 `group:"Training" default:"0.15" placeholder:"F" help:"Of bert: share of the tokens that are predicted."`
	HiddenDrop   float64 `group:"Training" name:"dropout" default:"0.1" placeholder:"F" help:"Of bert: dropout behind the embeddings, attention and MLP and of attention's probabilities; config.json keeps it."`
	Neighbours   bool    `group:"Training" help:"Of bert: the first layer's heads start by looking at the tokens beside each token; small models learn far sooner."`
	NextSentence bool    `group:"Training" default:"true" negatable:"" help:"Of bert: pairs of texts, and whether the second follows; without it single texts and masked tokens alone."`

	OnSpike     string  `group:"Safety" enum:"rewind,stop,ignore" default:"rewind" help:"On a loss spike or NaN: rewind and skip batches, stop, or ignore."`
	SpikeFactor float64 `placeholder:"F" group:"Safety" default:"2" help:"A spike is a loss above this many times the recent median."`
	OnAlarm     string  `group:"Safety" enum:"warn,stop" default:"warn" help:"When clip's loss stays at that of a guess, or all pictures get the same features: warn or stop."`
	AlarmSteps  int     `placeholder:"N" group:"Safety" help:"Steps of that, behind the warm-up, before the alarm; 0 means a fifth of the run, 100 at most."`
	SaveEvery   int     `placeholder:"N" group:"Safety" help:"Steps between checkpoints; 0 means a tenth of the run."`
	Keep        int     `placeholder:"N" group:"Safety" default:"2" help:"Checkpoints kept."`
	ValEvery    int     `placeholder:"N" group:"Safety" help:"Steps between validations; 0 means a tenth of the run; --val-every=-1 only the last."`
	ValTokens   int     `placeholder:"N" group:"Safety" default:"65536" help:"Held-out tokens of a validation; 0 means all."`
	SampleEvery int     `placeholder:"N" group:"Safety" help:"Steps between samples of text; 0 means a fifth of the run; --sample-every=-1 none."`
	Validation  float64 `placeholder:"F" group:"Safety" default:"0.05" help:"For text: share of the documents held out, chosen by their hash."`
	Pack        string  `group:"Safety" default:"concat" enum:"concat,bestfit" help:"For text: how sequences are packed; see plinth data prepare."`
	readFlags
	clipFlags
}

func (*trainCmd) Help() string {
	return "Text is tokenised and packed into OUT/data first. Example: plinth train --data docs/ --size nano --out runs/docs"
}

func (t *trainCmd) Run(ctx context.Context, line *kong.Context, c *common) error {
	size, err := t.size()
	if err != nil {
		return err
	}
	if err := t.check(); err != nil {
		return err
	}
	for _, path := range t.Data {
		if a, err := os.Stat(path); err == nil {
			if b, err := os.Stat(t.Out); err == nil && os.SameFile(a, b) {
				return usagef("--out %s is also --data: a run directory of its own is needed", t.Out)
			}
		}
	}
	if err := checkRunDir(t.Out, t.Resume); err != nil {
		return err
	}
	if t.Family == "clip" {
		return t.clip(ctx, line, c, size)
	}
	if err := t.clipFlags.none(line); err != nil {
		return err
	}
	sets, tok, err := t.prepared(ctx, c, &size)
	if err != nil {
		return err
	}
	defer sets.Close()
	if size.Vocab < tok.VocabSize() {
		return usagef("--vocab %d is smaller than the tokenizer's %d", size.Vocab, tok.VocabSize())
	}
	end := -1
	if eos, ok := tok.EOS(); ok {
		end = int(eos)
	}
	shapes, err := size.New(size.Vocab, size.Context, end)
	if err != nil {
		return usageError{err}
	}
	t.familyDefaults(line)
	o, err := t.options(c, size, shapes)
	if err != nil {
		return err
	}
	k := c.kernels()
	var job trainJob
	switch m := shapes.(type) {
	case *bert.Model:
		job, err = t.bertJob(c, k, m, sets, tok, o)
	case *t5.Model:
		job, err = t.t5Job(c, k, m, sets, tok, o)
	default:
		job, err = t.decoderJob(c, k, shapes, sets, tok, o)
	}
	if err != nil {
		return err
	}
	job.hooks.Export = func(dir string) error { return zoo.Save(dir, shapes, tok) }
	if job.hooks.Validate == nil {
		c.say("note: no document is held out, so nothing measures how the model does on unseen text (--validation, more documents)")
	}
	t.Vocab = size.Vocab
	return t.do(ctx, line, c, job, o, fmt.Sprintf("%s: %s parameters, %d steps of %d x %d tokens (%s tokens), learning rate %.3g, %s", size.Name, count(nn.Count(shapes.Params())), o.Steps, o.Batch, o.Seq,
		count(o.Steps*o.Batch*o.Seq), o.LR, k.Name))
}

// do runs a job in the run directory.
func (t *trainCmd) do(ctx context.Context, line *kong.Context, c *common, job trainJob, o train.Options, title string) error {
	hooks := job.hooks
	hooks.Progress = newProgress(c.err).event
	if err := os.MkdirAll(t.Out, 0o755); err != nil {
		return err
	}
	unlock, err := file.Lock(filepath.Join(t.Out, "lock"))
	if err != nil {
		return fmt.Errorf("%s is in use: %w", t.Out, err)
	}
	defer unlock()
	loop, err := job.loop(hooks)
	if err != nil {
		recipe := filepath.Join(t.Out, recipeFile)
		if _, e := os.Stat(recipe); e == nil && t.Resume {
			err = fmt.Errorf("%w; the flags that the run began with: --config %s", err, recipe)
		}
		return err
	}
	finished := loop.Step() == o.Steps
	t.Steps, t.Batch, t.Micro, t.LR, t.Warmup = o.Steps, o.Batch, o.Micro, o.LR, o.Warmup
	if t.Model == "" { // a model has its context
		t.Seq = o.Seq
	}
	t.SaveEvery, t.ValEvery, t.SampleEvery, t.AlarmSteps = o.SaveEvery, o.ValEvery, o.SampleEvery, o.AlarmSteps
	if err := saveRecipe(line, t.Out, t.Family); err != nil {
		return err
	}
	c.say("%s", title)
	r, err := loop.Run(ctx)
	if errors.Is(err, train.ErrInterrupted) {
		c.say("%s holds all that was done; go on with: plinth train --config %s --resume", t.Out, filepath.Join(t.Out, recipeFile))
	}
	if err != nil {
		return err
	}
	out := struct { // val_loss and val_bits_per_byte are null where nothing was held out, the latter also of what has no bytes
		train.Result
		ValLoss        *float64 `json:"val_loss"`
		ValBitsPerByte *float64 `json:"val_bits_per_byte"`
	}{Result: r}
	validation := "nothing held out"
	if hooks.Validate != nil {
		out.ValLoss = &r.ValLoss
		if r.ValBitsPerByte != 0 {
			out.ValBitsPerByte = &r.ValBitsPerByte
		}
		validation = job.validation(r)
	}
	warning := ""
	if r.Alarm != "" {
		warning = "WARNING: nothing was learnt up to the last step: " + r.Alarm + "; try a smaller --lr, a longer --warmup or more --steps\n"
	}
	if finished {
		return c.finish(out, fmt.Sprintf("%s: finished already, %d steps; %s\n%s", r.RunDir, r.Steps, validation, warning))
	}
	text := fmt.Sprintf("%s: %d steps, %s tokens in %.1f s (%s tokens/s, %.0f %% of the live peak)\nloss %.4f, %s\ntry: %s\n%s",
		r.RunDir, r.Steps, count(r.Tokens), r.Seconds, count(r.TokensPerSecond), 100*r.PeakShare, r.Loss, validation, job.try, warning)
	return c.finish(out, text)
}

// trainJob is what a family's run is made of.
type trainJob struct {
	hooks      train.Hooks // but for what all runs share
	loop       func(train.Hooks) (*train.Loop, error)
	validation func(train.Result) string // what is said of the last one
	try        string                    // a command for the result
}

// decoderJob trains on the next token.
func (t *trainCmd) decoderJob(c *common, k *kernel.Set, shapes zoo.Stored, sets mixture, tok *tokenizer.Tokenizer, o train.Options) (trainJob, error) {
	m, err := zoo.AsDecoder(shapes)
	if err != nil {
		return trainJob{}, usageError{err}
	}
	if err := train.Fits(m, o); err != nil { // before the weights take memory
		return trainJob{}, err
	}
	nn.Init(m.Params(), c.Seed, true)
	source, err := sets.source(t.Mix, c.Seed, o.Seq, o.Batch)
	if err != nil {
		return trainJob{}, err
	}
	j := trainJob{
		hooks: train.Hooks{Sample: t.sampler(m, k, tok, c.Seed)},
		loop:  func(h train.Hooks) (*train.Loop, error) { return train.New(m, k, source, o, h) },
		validation: func(r train.Result) string {
			return fmt.Sprintf("validation %.4f nats per token, %.4f bits per byte", r.ValLoss, r.ValBitsPerByte)
		},
		try: "plinth generate --model " + t.Out,
	}
	j.hooks.Validate, err = sets.validator(m, k, o.Seq, o.Micro, t.ValTokens)
	return j, err
}

// check refuses negative numbers where none makes sense.
func (t *trainCmd) check() error {
	for _, f := range []struct {
		flag     string
		v, least float64
	}{{"steps", float64(t.Steps), 0}, {"batch", float64(t.Batch), 0}, {"micro", float64(t.Micro), 0}, {"lr", t.LR, 0}, {"min-lr", t.MinLR, 0},
		{"weight-decay", t.Decay, 0}, {"clip", t.Clip, 0}, {"mask", t.Mask, 0}, {"warmup", float64(t.Warmup), -1}, {"save-every", float64(t.SaveEvery), 0}, {"keep", float64(t.Keep), 1},
		{"val-every", float64(t.ValEvery), -1}, {"val-tokens", float64(t.ValTokens), 0}, {"sample-every", float64(t.SampleEvery), -1}, {"depth", float64(t.Depth), 0},
		{"vocab", float64(t.Vocab), 0}, {"seq", float64(t.Seq), 0}} {
		if !(f.v >= f.least) {
			return usagef("--%s %v is below %v", f.flag, f.v, f.least)
		}
	}
	if !(t.EMA >= 0 && t.EMA < 1) {
		return usagef("--ema %v is not within 0 to 1, or is 1, with which the mean never moves", t.EMA)
	}
	return nil
}

// size is the shape and its settings from exactly one of the three ways to say it.
func (t *trainCmd) size() (zoo.Size, error) {
	ways := 0
	for _, given := range []bool{t.Size != "", t.Depth != 0, t.Layers != 0 || t.Width != 0 || t.Heads != 0} {
		if given {
			ways++
		}
	}
	if t.Family != "bert" && (!t.NextSentence || t.WholeWords || t.Neighbours) {
		return zoo.Size{}, usagef("--no-next-sentence, --whole-words and --neighbours are for --family bert")
	}
	const context, smallVocab = 256, 4096 // where nothing says how long sequences are, and how many ids there are
	name := fmt.Sprintf("%dx%d", t.Layers, t.Width)
	var s zoo.Size
	var g gpt.Size
	var err error
	switch {
	case ways > 1:
		return s, usagef("--size, --depth and --layers/--width/--heads exclude each other")
	case ways == 0:
		smallest := map[string]string{"bert": "tiny", "t5": "efficient-tiny", "clip": "tiny"}
		s, err = zoo.SizeByName(t.Family, cmp.Or(smallest[t.Family], "nano"))
	case t.Size != "":
		s, err = zoo.SizeByName(t.Family, t.Size)
	case t.Depth != 0 && t.Family != "gpt":
		return s, usagef("--depth is for --family gpt; --size names a shape of %s", t.Family)
	case t.Family != "gpt" && t.Family != "bert" && t.Family != "t5":
		return s, usagef("--layers, --width and --heads are for --family gpt, bert and t5; --size names a shape of %s", t.Family)
	case t.Depth != 0:
		g, err = gpt.ByDepth(t.Depth, smallVocab, context)
		s = zoo.GPTSize(g)
	case t.Layers < 1 || t.Width < 1 || t.Heads < 1 || t.Width%t.Heads != 0:
		return s, usagef("--layers %d --width %d --heads %d: all three are needed, and the width must be a multiple of the heads", t.Layers, t.Width, t.Heads)
	case t.Family == "bert":
		shape := bert.Shape(t.Layers, t.Width, 8192, 512)
		shape.Heads = t.Heads
		s = zoo.BERTSize(bert.Size{Name: name, Config: shape, LR: 1e-3, Batch: 8192})
	case t.Family == "t5":
		s = zoo.T5Size(t5.Size{Name: name, Config: t5.Shape(t.Layers, t.Width, t.Heads, t.Width/t.Heads, 4*t.Width), LR: 2e-3, Batch: 8192})
		s.Vocab = smallVocab
	default:
		s = zoo.GPTSize(gpt.Size{Name: name, Config: gpt.Shape(t.Layers, t.Width, t.Heads, smallVocab, context), LR: 1e-3, Batch: 8192})
	}
	if err != nil {
		return s, usageError{err}
	}
	if t.Family == "bert" {
		s.New = t.bertShape(s.New)
	}
	if t.Vocab != 0 {
		s.Vocab = t.Vocab
	}
	if t.Family == "t5" {
		s.Context = data.Spans{}.TokensFor(s.Context) // sources as long as it says
	}
	if t.Seq != 0 {
		s.Context = t.Seq
	}
	if _, err := s.New(s.Vocab, s.Context, -1); err != nil {
		return s, usageError{err}
	}
	if s.LR == 0 && (t.LR == 0 || t.Batch == 0) {
		return s, usagef("size %s has no training settings: --lr and --batch are needed", s.Name)
	}
	return s, nil
}

// peakTime is how long a run measures the machine's peak before it begins; the program's tests, with their many short runs, make it short.
var peakTime = 200 * time.Millisecond

// options are the loop's, with the size's settings where no flag says otherwise.
func (t *trainCmd) options(c *common, s zoo.Size, m zoo.Stored) (train.Options, error) {
	orNone := func(v float64) float64 { // the loop takes 0 for its default
		if v == 0 {
			return -1
		}
		return v
	}
	o := train.Options{Steps: t.Steps, Batch: t.Batch, Micro: t.Micro, Seq: s.Context, LR: t.LR, MinLR: orNone(t.MinLR), Warmup: t.Warmup,
		Schedule: t.Schedule, DecayShare: t.DecayShare, Optimizer: t.Optimizer, Beta1: t.Beta1, Beta2: t.Beta2, WeightDecay: orNone(t.Decay), Clip: orNone(t.Clip), ZLoss: t.ZLoss,
		Recompute: t.Recompute, Activations: t.Activations, Moments: t.Moments, EMA: t.EMA, OnAlarm: t.OnAlarm, AlarmSteps: t.AlarmSteps, Seed: c.Seed, ValEvery: t.ValEvery, SampleEvery: t.SampleEvery, SaveEvery: t.SaveEvery, Keep: t.Keep,
		OnSpike: t.OnSpike, SpikeFactor: t.SpikeFactor, RunDir: t.Out, Resume: t.Resume}
	if o.Batch == 0 {
		o.Batch = max(1, s.Batch/o.Seq)
	}
	if o.LR == 0 {
		o.LR = s.LR
	}
	if o.Steps == 0 {
		o.Steps = max(1, int(12*nn.Count(m.Params())/int64(o.Batch*o.Seq)))
	}
	if o.SampleEvery == 0 {
		o.SampleEvery = max(1, o.Steps/5)
	}
	o.PeakFLOPs = cpu.PeakFLOPs(cpu.Options{Threads: c.Threads}, peakTime)
	o, err := o.Resolve(m.Sizes())
	if err != nil {
		return o, flagError(err)
	}
	return o, nil
}

// prepared opens the data, preparing it when --data is text, and sets the size's vocabulary and context to what the data has.
func (t *trainCmd) prepared(ctx context.Context, c *common, size *zoo.Size) (mixture, *tokenizer.Tokenizer, error) {
	dir := filepath.Join(t.Out, "data")
	dirs := []string{dir}
	ready := 0
	for _, path := range t.Data {
		if isPrepared(path) {
			ready++
		}
	}
	_, noRun := os.Stat(filepath.Join(t.Out, train.StateDir))
	switch {
	case ready == len(t.Data):
		if t.Tokenizer != "" {
			return nil, nil, usagef("--tokenizer is for text: %s is prepared and has its own", t.Data[0])
		}
		dir, dirs = t.Data[0], t.Data
	case ready > 0:
		return nil, nil, usagef("--data names prepared folders and text: prepare the text too, with the same tokenizer")
	case t.Mix != nil:
		return nil, nil, usagef("--mix is for prepared folders")
	case t.Resume && noRun == nil:
		if err := t.sameText(c); err != nil {
			return nil, nil, err
		}
		c.say("using %s, prepared when the run began", dir)
	default:
		if err := t.prepare(ctx, c, *size, dir); err != nil {
			return nil, nil, err
		}
	}
	sets, err := openMixture(dirs)
	if err != nil {
		return nil, nil, err
	}
	set := sets[0]
	tok, err := tokenizer.Open(dir)
	if err == nil && t.Seq != 0 && t.Seq != set.Info.Seq {
		err = usagef("--seq %d, but %s was prepared for sequences of %d tokens", t.Seq, dir, set.Info.Seq)
	}
	if err != nil {
		return nil, nil, errors.Join(err, sets.Close())
	}
	if t.Vocab == 0 {
		size.Vocab = tok.VocabSize()
	}
	size.Context = set.Info.Seq
	return sets, tok, nil
}

// isPrepared reports whether dir is one that data.Prepare made.
func isPrepared(dir string) bool {
	for _, name := range []string{"meta.json", file.ManifestName} {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			return false
		}
	}
	return true
}

// source is what OUT/data was made from; it stands beside it in textFile, so that a run goes on with the same text only.
type source struct {
	Data       []string `json:"data"`
	Tokenizer  string   `json:"tokenizer"`
	Vocab      int      `json:"vocab"`
	Seq        int      `json:"seq"`
	Validation float64  `json:"validation"`
	Pack       string   `json:"pack"`
	Field      string   `json:"field"`
	OnBad      string   `json:"on-bad"`
	Seed       uint64   `json:"seed"`
}

const textFile = "text.json"

// source is as the flags say.
func (t *trainCmd) source(c *common) source {
	return source{t.Data, t.Tokenizer, t.Vocab, t.Seq, t.Validation, t.Pack, t.Field, t.OnBad, c.Seed}
}

// sameText refuses to resume with flags that would have prepared other data.
func (t *trainCmd) sameText(c *common) error {
	path := filepath.Join(t.Out, textFile)
	b, err := file.Read(path, maxText)
	if err != nil {
		return fmt.Errorf("%s: what the run's text was is not known: %w", t.Out, err)
	}
	var was source
	if err := json.Unmarshal(b, &was); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	now := t.source(c)
	now.Vocab, now.Seq = cmp.Or(now.Vocab, was.Vocab), cmp.Or(now.Seq, was.Seq)
	v, w := reflect.ValueOf(was), reflect.ValueOf(now)
	for i := range v.NumField() {
		if a, b := v.Field(i).Interface(), w.Field(i).Interface(); !reflect.DeepEqual(a, b) {
			return usagef("--%s is %v, the run to resume was prepared with %v: go on with that, or start another --out", v.Type().Field(i).Tag.Get("json"), b, a)
		}
	}
	return nil
}

// prepare turns text into dir, with a tokenizer given or trained on the text.
func (t *trainCmd) prepare(ctx context.Context, c *common, size zoo.Size, dir string) error {
	if err := file.CleanTemps(t.Out); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	note := filepath.Join(t.Out, textFile)
	if _, err := os.Stat(dir); err == nil {
		if _, err := os.Stat(note); err != nil {
			return fmt.Errorf("%s exists and was not made by plinth train: pass it as --data, or choose another --out", dir)
		}
		if err := os.RemoveAll(dir); err != nil { // of an attempt that did not come to train
			return err
		}
	}
	var tok *tokenizer.Tokenizer
	var err error
	if t.Tokenizer != "" {
		tok, err = tokenizer.Open(t.Tokenizer)
	} else {
		c.say("training a tokenizer of %d ids ...", size.Vocab)
		tok, err = t.trainTokenizer(ctx, c, size.Vocab)
	}
	if err == nil && t.Family == "t5" {
		tok, err = withSentinels(tok)
	}
	if err != nil {
		return err
	}
	if err := os.MkdirAll(t.Out, 0o755); err != nil {
		return err
	}
	made := t.source(c)
	made.Vocab, made.Seq = cmp.Or(t.Vocab, tok.VocabSize()), size.Context // as recipe.yaml will have them
	text, err := json.MarshalIndent(made, "", "  ")
	if err != nil {
		return err
	}
	if err := file.WriteFile(note, append(text, '\n'), 0o644); err != nil {
		return err
	}
	p := dataPrepareCmd{Data: t.Data, Out: dir, Seq: size.Context, Pack: t.Pack, Validation: t.Validation, readFlags: t.readFlags}
	info, skips, err := p.prepare(ctx, c, tok)
	if err != nil {
		return err
	}
	fmt.Fprint(c.err, describe(dir, info)+describeSkips(skips))
	return nil
}

// trainTokenizer makes the family's kind of tokenizer of so many ids.
func (t *trainCmd) trainTokenizer(ctx context.Context, c *common, vocab int) (tok *tokenizer.Tokenizer, err error) {
	docs := t.texts(ctx, t.Data)
	switch t.Family {
	case "bert":
		tok, err = tokenizer.TrainWordPiece(ctx, docs.all(), tokenizer.WordOptions{VocabSize: vocab, Threads: c.Threads})
	case "t5":
		tok, err = tokenizer.TrainUnigram(ctx, docs.all(), tokenizer.WordOptions{VocabSize: vocab, Reserve: t5Sentinels, Threads: c.Threads})
	default:
		tok, err = tokenizer.Train(ctx, docs.all(), tokenizer.TrainOptions{VocabSize: vocab, Threads: c.Threads})
	}
	return tok, errors.Join(docs.err, err)
}

// sampler returns the hook that lets the model write the beginning of a document.
func (t *trainCmd) sampler(m zoo.Model, k *kernel.Set, tok *tokenizer.Tokenizer, seed uint64) func(context.Context, int) (string, error) {
	eos, ok := tok.EOS()
	if !ok {
		return nil
	}
	engine := generate.New(m, k, generate.EngineOptions{Slots: 1, Unpacked: true})
	return func(ctx context.Context, _ int) (string, error) {
		r, err := engine.Generate(ctx, []generate.Request{{Prompt: []int32{eos}, Options: generate.Options{MaxTokens: 64, Temperature: 0.8, TopK: 40, TopP: 0.95, Seed: seed, Stop: []int32{eos}}}}, nil)
		if err != nil {
			return "", err
		}
		return tok.Decode(r[0].IDs), nil
	}
}
