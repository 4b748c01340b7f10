package quickstart

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/plinth-ml/plinth/generate"
	"github.com/plinth-ml/plinth/internal/file"
	"github.com/plinth-ml/plinth/internal/kernel"
	"github.com/plinth-ml/plinth/model/gpt"
	"github.com/plinth-ml/plinth/model/zoo"
	"github.com/plinth-ml/plinth/nn"
	"github.com/plinth-ml/plinth/tensor"
	"github.com/plinth-ml/plinth/tokenizer"
	"github.com/plinth-ml/plinth/train"
)

// Options of Run. The zero value of a field means the default given with it, if any.
type Options struct {
	Data      []string            // files and folders of text; none: Go's own source, or what is embedded
	Out       string              // run directory, which must not hold a run; required
	Seed      uint64              // of everything random
	Kernels   *kernel.Set         // required
	PeakFLOPs float64             // this machine's live peak in FLOP/s; 0: unknown
	Steps     int                 // of pre-training; 700
	Say       func(string)        // told what happens, a line at a time; nil: nobody
	Event     func(e train.Event) // told how pre-training goes; nil: nobody

	tuneSteps int // of fine-tuning and training from scratch; tests take fewer
}

// Result is what Run found. Accuracies are means over the seeds, from 0 to 1, and null where the text has no classes.
type Result struct {
	Params           int64    `json:"params"`
	TrainTokens      int64    `json:"train_tokens"`
	TokensPerSecond  float64  `json:"tokens_per_second"`
	PeakShare        float64  `json:"peak_share"`
	ValBitsPerByte   float64  `json:"val_bits_per_byte"`
	GzipBitsPerByte  float64  `json:"gzip_bits_per_byte"`
	LabelsPerClass   int      `json:"labels_per_class"`
	Classes          int      `json:"classes"`
	ProbeAccuracy    *float64 `json:"probe_accuracy"`
	FinetuneAccuracy *float64 `json:"finetune_accuracy"`
	ScratchAccuracy  *float64 `json:"scratch_accuracy"`
	Seconds          float64  `json:"seconds"`
	RunDir           string   `json:"run_dir"`
	Report           string   `json:"report"`

	Transfer *Transfer `json:"-"` // nil where the text has no classes
}

// The model and its training: what about 75 seconds of a 2-core machine with AVX2 can do.
const (
	layers, width, heads = 4, 128, 4
	vocab                = 4096
	batch                = 16
	steps                = 700
	learningRate         = 4e-3 // with Muon for the matrices of the blocks
	reportFile           = "report.html"
)

// story is what the report tells.
type story struct {
	Result
	Corpus  *Corpus
	Kernels string
	Config  gpt.Config
	Events  []train.Event // logged steps, validations and samples
	Samples []sample
	Loss    float64
	ValLoss float64
	Vocab   int
}

// sample is text that the model wrote.
type sample struct {
	Step int
	Text string
}

// Run does the whole life cycle and writes the model folder with report.html.
func Run(ctx context.Context, o Options) (Result, error) {
	start := time.Now()
	say := func(format string, args ...any) {
		if o.Say != nil {
			o.Say(fmt.Sprintf(format, args...))
		}
	}
	if o.Steps == 0 {
		o.Steps = steps
	}
	if o.tuneSteps == 0 {
		o.tuneSteps = tuneSteps
	}
	if o.Out == "" || o.Kernels == nil || o.Steps < 10 {
		return Result{}, fmt.Errorf("quickstart: out %q, %d steps: want a folder and at least 10", o.Out, o.Steps)
	}
	if _, err := os.Stat(filepath.Join(o.Out, train.StateDir)); err == nil {
		return Result{}, fmt.Errorf("quickstart: %s holds a run already: choose another --out", o.Out)
	}
	if err := os.MkdirAll(o.Out, 0o755); err != nil {
		return Result{}, err
	}

	say("1. Corpus and tokenizer")
	c, err := open(ctx, o.Data, o.Seed)
	if err != nil {
		return Result{}, err
	}
	say("   %s: %d files, %.1f MB; %d files (%.1f MB) held out by %s", c.Name, c.Files, float64(c.Bytes)/1e6, c.HeldFiles, float64(c.HeldBytes)/1e6, c.ByUnit)
	tok, err := tokenizer.Train(ctx, c.texts(), tokenizer.TrainOptions{VocabSize: vocab, Special: []string{tokenizer.EndOfText, headerToken}, Threads: o.Kernels.Threads})
	if err != nil {
		return Result{}, err
	}
	source, val, files, err := c.encode(tok, batch, o.Seed)
	if err != nil {
		return Result{}, err
	}
	s := &story{Corpus: c, Kernels: o.Kernels.Name, Vocab: tok.VocabSize()}
	s.RunDir, s.Report = o.Out, filepath.Join(o.Out, reportFile)
	if s.GzipBitsPerByte, err = gzipBits(files); err != nil {
		return Result{}, err
	}
	say("   tokenizer of %d tokens; %d training sequences; gzip -9 needs %.3f bits per byte of the held-out text", s.Vocab, len(source.rows), s.GzipBitsPerByte)

	m, err := pretrain(ctx, o, s, tok, source, val, say)
	if err != nil {
		return s.Result, err
	}
	if len(c.Classes) == 0 {
		say("3. Adaptation: %s", c.NoClasses)
	} else {
		say("3. Adaptation: which of %d parts does a snippet come from? %d labels per class, %d seeds", len(c.Classes), labelsPerClass, seeds)
		if s.Transfer, err = compare(ctx, o, m, tok, c, say); err != nil {
			return s.Result, err
		}
		t := s.Transfer
		s.LabelsPerClass, s.Classes = t.LabelsPerClass, len(t.Classes)
		s.ProbeAccuracy, s.FinetuneAccuracy, s.ScratchAccuracy = &t.Probe.Mean, &t.FineTune.Mean, &t.Scratch.Mean
		say("%s", t.table())
		say("   %s", t.Verdict())
	}
	s.Seconds = time.Since(start).Seconds()
	report, err := s.html()
	if err != nil {
		return s.Result, err
	}
	return s.Result, file.WriteFile(s.Report, report, 0o644)
}

// texts yields what the tokenizer is trained on: nothing of the held-out files.
func (c *Corpus) texts() iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for _, d := range c.docs {
			if !d.held && (!yield(d.head) || !yield(d.body)) {
				return
			}
		}
	}
}

// pretrain trains the model and writes the run directory.
func pretrain(ctx context.Context, o Options, s *story, tok *tokenizer.Tokenizer, source *windows, val *held, say func(string, ...any)) (*gpt.Model, error) {
	eos, _ := tok.EOS()
	id := int(eos)
	s.Config = gpt.Shape(layers, width, heads, tok.VocabSize(), contextTokens)
	s.Config.BOS, s.Config.EOS = &id, &id
	m, err := gpt.New(s.Config)
	if err != nil {
		return nil, err
	}
	nn.Init(m.Params(), o.Seed, true)
	tape := tensor.Evaluation(o.Kernels)
	hooks := train.Hooks{
		Validate: func(ctx context.Context, _ int) (float64, float64, error) {
			score, err := train.Evaluate(ctx, tape, m, val, 32)
			return score.Loss, score.BitsPerByte, err
		},
		Sample: func(ctx context.Context, step int) (string, error) {
			text, err := write(ctx, m, o.Kernels, tok, eos, o.Seed, "")
			s.Samples = append(s.Samples, sample{step, text})
			return text, err
		},
		Progress: func(e train.Event) {
			s.Events = append(s.Events, e)
			if o.Event != nil {
				o.Event(e)
			}
		},
		Export: func(dir string) error { return zoo.Save(dir, m, tok) },
	}
	loop, err := train.New(m, o.Kernels, source, train.Options{Steps: o.Steps, Batch: batch, Micro: batch, Seq: contextTokens, LR: learningRate, MinLR: 0.05,
		Warmup: max(1, o.Steps/20), Optimizer: "muon", Seed: o.Seed, ValEvery: max(1, o.Steps/4), SampleEvery: max(1, o.Steps/3), SaveEvery: max(1, o.Steps/3),
		RunDir: o.Out, PeakFLOPs: o.PeakFLOPs}, hooks)
	if err != nil {
		return nil, err
	}
	s.Params = nn.Count(m.Params())
	say("2. Pre-training a GPT of %.2f M parameters (%d layers, width %d) on %s", float64(s.Params)/1e6, layers, width, o.Kernels.Name)
	r, err := loop.Run(ctx)
	s.TrainTokens, s.TokensPerSecond, s.PeakShare, s.ValBitsPerByte = r.Tokens, r.TokensPerSecond, r.PeakShare, r.ValBitsPerByte
	s.Loss, s.ValLoss = r.Loss, r.ValLoss
	if err != nil {
		return nil, err
	}
	say("   %.2f M tokens, %.0f tokens/s; %.3f bits per byte of the held-out text (gzip -9: %.3f)", float64(r.Tokens)/1e6, r.TokensPerSecond, r.ValBitsPerByte, s.GzipBitsPerByte)
	for i, prompt := range []string{"", "func (r *Reader) Read(", "// String returns"} {
		if prompt != "" && s.Corpus.ByUnit != "package" {
			continue
		}
		text, err := write(ctx, m, o.Kernels, tok, eos, o.Seed+uint64(i), prompt)
		if err != nil {
			return nil, err
		}
		s.Samples = append(s.Samples, sample{o.Steps, prompt + text})
	}
	return m, nil
}

// write lets the model continue a prompt at the beginning of a document.
func write(ctx context.Context, m *gpt.Model, k *kernel.Set, tok *tokenizer.Tokenizer, eos int32, seed uint64, prompt string) (string, error) {
	sep, _ := tok.SpecialID(headerToken)
	ids := append([]int32{eos}, tok.Encode(prompt)...)
	r, err := generate.New(m, k, generate.EngineOptions{Slots: 1}).Generate(ctx, []generate.Request{{Prompt: ids,
		Options: generate.Options{MaxTokens: bodyTokens, Temperature: 0.7, TopK: 40, TopP: 0.95, Seed: seed, Stop: []int32{eos, sep}}}}, nil)
	if err != nil {
		return "", err
	}
	out := r[0].IDs
	if n := len(out); n > 0 && tok.IsSpecial(out[n-1]) {
		out = out[:n-1]
	}
	return strings.TrimRight(tok.Decode(out), " \n\t"), nil
}

// Next are commands to try on the result.
func (r Result) Next() string {
	return strings.Join([]string{
		fmt.Sprintf("plinth generate --model %s \"func (r *Reader) Read(\"", r.RunDir),
		fmt.Sprintf("plinth eval --model %s --data PATH", r.RunDir),
		"plinth train --data PATH --size micro --out runs/mine",
	}, "\n")
}

// FreeDir returns base, or base-2, base-3, ... : the first that does not exist.
func FreeDir(base string) (string, error) {
	for n := 1; n < 10_000; n++ {
		dir := base
		if n > 1 {
			dir = fmt.Sprintf("%s-%d", base, n)
		}
		if _, err := os.Lstat(dir); errors.Is(err, os.ErrNotExist) {
			return dir, nil
		}
	}
	return "", fmt.Errorf("quickstart: %s and 10000 numbered folders exist", base)
}

// machine describes where the run took place.
func (s *story) machine() string {
	return fmt.Sprintf("%s/%s, %d CPUs, kernels %s, %s", runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), s.Kernels, runtime.Version())
}

// curve returns the logged losses and the validations.
func (s *story) curve() (steps []int, loss []float64, vals []train.Event) {
	for _, e := range s.Events {
		if e.ValLoss != 0 {
			vals = append(vals, e)
		}
		if e.Loss != 0 && (e.Kind == "" || e.Kind == "step") {
			steps, loss = append(steps, e.Step), append(loss, e.Loss)
		}
	}
	slices.SortStableFunc(vals, func(a, b train.Event) int { return a.Step - b.Step })
	return steps, loss, vals
}
