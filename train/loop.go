package train

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/plinth-ml/plinth/data"
	"github.com/plinth-ml/plinth/internal/file"
	"github.com/plinth-ml/plinth/internal/kernel"
	"github.com/plinth-ml/plinth/model"
	"github.com/plinth-ml/plinth/nn"
	"github.com/plinth-ml/plinth/tensor"
)

// Files of a run directory.
const (
	OptionsFile = "train.json"
	MetricsFile = "metrics.jsonl"
	EventsFile  = "events.out.tfevents.plinth"
	ResultFile  = "result.json"
	StateDir    = "state"
)

// Hooks are what the loop calls and does not know; each may be nil.
type Hooks struct {
	// Validate returns the loss in nats per token and in bits per byte (0 where bytes are not known) on held-out data.
	Validate func(ctx context.Context, step int) (loss, bitsPerByte float64, err error)
	// Sample returns text that the model makes now.
	Sample func(ctx context.Context, step int) (string, error)
	// Found returns what else the last validation found, for the metrics.
	Found func() map[string]float64
	// Progress is told of every logged step and of what else happens.
	Progress func(Event)
	// Stop is asked after every validation but the last; true ends the run there as if it were its last step.
	Stop func() bool
	// Export writes the model's files into the run directory; called when the run ends or is interrupted.
	Export func(dir string) error
}

// Loop is a run. It is used by one goroutine.
type Loop struct {
	obj    Objective
	k      *kernel.Set
	o      Options
	h      Hooks
	params []nn.Named
	opt    *optimizer
	tape   *tensor.Tape
	apart  *tensor.Tape // of what a Joint objective computes beforehand
	names  []string     // of the loss's terms, where there are several
	flops  float64      // of training on one token; 0 unknown

	pos     position
	loaded  bool // pos comes from a checkpoint
	log     *metrics
	seconds float64 // spent in steps
	trained int64   // tokens of this process

	measures map[string]float64 // of the last validation

	parts    []Part    // of one step, reused
	of, sums []float64 // of the terms of its loss
	sorted   []float64
	grads    []tensor.Buf

	corrupt func(l *Loop) // for tests: called when the gradients of a step are there
}

// New is a run of next-token prediction: the decoder on batches of o.Batch sequences of o.Seq tokens. It checks the options, the model and the
// memory, and with Resume loads the newest whole checkpoint. The parameters must have values and gradients (nn.Init with train).
func New(m model.Decoder, k *kernel.Set, src data.Source, o Options, h Hooks) (*Loop, error) {
	o, err := o.Resolve(m.Sizes())
	if err != nil {
		return nil, err
	}
	if err := checkParams(m.Params()); err != nil {
		return nil, err
	}
	if err := Fits(m, o); err != nil {
		return nil, err
	}
	obj := &nextToken{m: m, src: src, zloss: o.ZLoss, layers: newLayers(m, m.Sizes().Layers, o.Recompute)}
	return newLoop(obj, m, k, o, h)
}

// Minimize is a run of any other objective, as New is of next-token prediction. Options.Recompute and ZLoss are not for it, and it does not
// estimate the memory that the run will take.
func Minimize(obj Objective, k *kernel.Set, o Options, h Hooks) (*Loop, error) {
	o, err := o.Resolve(obj.Sizes())
	if err != nil {
		return nil, err
	}
	if o.Recompute || o.ZLoss != 0 {
		return nil, fmt.Errorf("train: recompute and z-loss are for next-token prediction only")
	}
	if err := checkParams(obj.Params()); err != nil {
		return nil, err
	}
	return newLoop(obj, obj, k, o, h)
}

// newLoop returns a run; costs may be a Costed.
func newLoop(obj Objective, costs any, k *kernel.Set, o Options, h Hooks) (l *Loop, err error) {
	l = &Loop{obj: obj, k: k, o: o, h: h, params: obj.Params(), tape: o.tape(k), apart: tensor.Rehearsal(k)}
	if l.opt, err = newOptimizer(k, o, l.params); err != nil {
		return nil, err
	}
	if c, ok := costs.(Costed); ok {
		l.flops = c.Cost(o.Seq).Train()
	}
	if n, ok := obj.(Termed); ok {
		l.names = n.TermNames()
	}
	if o.RunDir == "" {
		return l, nil
	}
	if err := l.openState(); err != nil {
		return nil, err
	}
	return l, nil
}

func checkParams(params []nn.Named) error {
	for _, p := range params {
		if p.T().Data.None() || !p.Statistic && !p.T().Trains() {
			return fmt.Errorf("train: parameter %s has no gradient", p.Name)
		}
	}
	return nil
}

// tape returns a training tape that keeps activations as the options say.
func (o Options) tape(k *kernel.Set) *tensor.Tape {
	t := tensor.Training(k)
	switch o.Activations {
	case "lean":
		t.Keep(tensor.KeepLean)
	case "bf16":
		t.Keep(tensor.KeepBF16)
	}
	return t
}

// Step is the number of optimiser steps done.
func (l *Loop) Step() int { return l.pos.Step }

// Options are the resolved options.
func (l *Loop) Options() Options { return l.o }

// Tokens is the number of tokens trained on.
func (l *Loop) Tokens() int64 { return l.pos.Tokens }

// Run trains up to the last step, or returns at once when a resumed run was finished. When ctx ends it finishes the step, saves, exports,
// and returns an error that is both ErrInterrupted and the cause. The Result is valid with every error.
func (l *Loop) Run(ctx context.Context) (Result, error) {
	done, err := l.finished()
	if err != nil || done {
		return l.result(), err
	}
	if err := l.start(); err != nil {
		return l.result(), err
	}
	err = l.train(ctx)
	if l.log != nil {
		err = errors.Join(err, l.log.close())
	}
	return l.result(), err
}

// start writes what a run directory holds from the beginning.
func (l *Loop) start() error {
	if l.o.RunDir == "" {
		return nil
	}
	b, err := json.MarshalIndent(l.o, "", "  ")
	if err != nil {
		return err
	}
	if err := file.WriteFile(filepath.Join(l.o.RunDir, OptionsFile), append(b, '\n'), 0o644); err != nil {
		return fmt.Errorf("train: %w", err)
	}
	if err := os.Remove(filepath.Join(l.o.RunDir, ResultFile)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("train: %w", err) // it would say that this run is finished
	}
	if l.log, err = openMetrics(l.o.RunDir, l.pos.Step, l.pos.Rewinds); err != nil {
		return err
	}
	if !l.loaded && l.o.OnSpike == "rewind" {
		return l.save() // the way back from a spike in the first steps
	}
	return nil
}

func (l *Loop) train(ctx context.Context) error {
	for l.pos.Step < l.o.Steps && !l.pos.Stopped {
		if ctx.Err() != nil {
			return l.interrupted(ctx)
		}
		began := time.Now()
		s, err := l.compute()
		if err != nil {
			return err
		}
		if reason, fatal := l.spike(s); reason != "" && (fatal || l.o.OnSpike != "ignore") {
			if err := l.rewind(reason); err != nil {
				return err
			}
			continue
		}
		l.apply(&s)
		s.seconds = time.Since(began).Seconds()
		l.seconds += s.seconds
		l.trained += int64(s.tokens)
		if err := l.after(ctx, s); err != nil {
			return err
		}
	}
	return l.finish(ctx)
}

// after validates, samples, logs and saves where the options say so.
func (l *Loop) after(ctx context.Context, s stepResult) error {
	step, last := l.pos.Step, l.pos.Step == l.o.Steps
	due := func(every int) bool { return every > 0 && step%every == 0 }
	e := l.event(s)
	if due(l.o.ValEvery) && !last {
		ok, err := l.validate(ctx)
		if err != nil {
			return err
		}
		if ok {
			e.ValLoss, e.ValBitsPerByte = l.pos.ValLoss, l.pos.ValBitsPerByte
			e.found(l.measures)
			l.pos.Stopped = l.h.Stop != nil && l.h.Stop()
		}
	}
	if due(l.o.SampleEvery) && l.h.Sample != nil && ctx.Err() == nil {
		l.opt.exchange()
		text, err := l.h.Sample(ctx, step)
		l.opt.exchange()
		if err != nil && ctx.Err() == nil {
			return fmt.Errorf("train: sample after step %d: %w", step, err)
		}
		e.Sample = text
	}
	if due(l.o.LogEvery) || last || e.ValLoss != 0 || e.Sample != "" {
		if err := l.report(e); err != nil {
			return err
		}
	}
	stuck, err := l.alarm(s)
	if err != nil {
		return err
	}
	if due(l.o.SaveEvery) || last || l.pos.Stopped || stuck != nil {
		return errors.Join(stuck, l.save())
	}
	return nil
}

// validate returns false where the context ended instead.
func (l *Loop) validate(ctx context.Context) (bool, error) {
	if l.h.Validate == nil || ctx.Err() != nil {
		return false, nil
	}
	l.opt.exchange()
	loss, bpb, err := l.h.Validate(ctx, l.pos.Step)
	l.opt.exchange()
	switch {
	case err != nil && ctx.Err() != nil:
		return false, nil
	case err != nil:
		return false, fmt.Errorf("train: validation after step %d: %w", l.pos.Step, err)
	case !finite(loss) || !finite(bpb):
		return false, fmt.Errorf("train: validation after step %d: loss %v, %v bits per byte: %w", l.pos.Step, loss, bpb, ErrSpike)
	}
	l.pos.ValLoss, l.pos.ValBitsPerByte = loss, bpb
	if l.h.Found != nil {
		l.measures = l.h.Found()
	}
	return true, nil
}

// finish validates and exports after the last step, whose state is saved, and marks the run as done.
func (l *Loop) finish(ctx context.Context) error {
	ok, err := !l.pos.Stopped, error(nil)
	if ok {
		ok, err = l.validate(ctx)
	}
	if err != nil {
		return err
	}
	if ok {
		e := Event{Kind: "validation", Step: l.pos.Step, ValLoss: l.pos.ValLoss, ValBitsPerByte: l.pos.ValBitsPerByte}
		e.found(l.measures)
		if err := l.report(e); err != nil {
			return err
		}
	} else if l.h.Validate != nil && ctx.Err() != nil && !l.pos.Stopped {
		return l.interrupted(ctx)
	}
	if err := l.export(); err != nil {
		return err
	}
	if l.o.RunDir == "" {
		return nil
	}
	b, err := json.MarshalIndent(ended{l.pos.Step, l.pos.Tokens, l.pos.Loss, l.pos.ValLoss, l.pos.ValBitsPerByte, l.measures, l.pos.Alarm}, "", "  ")
	if err != nil {
		return err
	}
	return file.WriteFile(filepath.Join(l.o.RunDir, ResultFile), append(b, '\n'), 0o644)
}

// ended is result.json, which says that a run is finished.
type ended struct {
	Steps          int     `json:"steps"`
	Tokens         int64   `json:"tokens"`
	Loss           float64 `json:"loss"`
	ValLoss        float64 `json:"val_loss"`
	ValBitsPerByte float64 `json:"val_bits_per_byte,omitempty"` // masked tokens and pairs have none

	Measures map[string]float64 `json:"measures,omitempty"` // of the last validation
	Alarm    string             `json:"alarm,omitempty"`
}

// finished reports whether the loaded run was done, and takes over its last validation.
func (l *Loop) finished() (bool, error) {
	if !l.loaded || l.pos.Step < l.o.Steps && !l.pos.Stopped {
		return false, nil
	}
	path := filepath.Join(l.o.RunDir, ResultFile)
	b, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("train: %w", err)
	}
	var r ended
	if err := json.Unmarshal(b, &r); err != nil {
		return false, fmt.Errorf("train: %s: %w", path, err)
	}
	l.pos.ValLoss, l.pos.ValBitsPerByte, l.measures = r.ValLoss, r.ValBitsPerByte, r.Measures
	return r.Steps == l.pos.Step, nil
}

func (l *Loop) export() error {
	if l.h.Export == nil || l.o.RunDir == "" {
		return nil
	}
	l.opt.exchange()
	defer l.opt.exchange()
	if err := l.h.Export(l.o.RunDir); err != nil {
		return fmt.Errorf("train: export after step %d: %w", l.pos.Step, err)
	}
	return nil
}

func (l *Loop) interrupted(ctx context.Context) error {
	err := fmt.Errorf("train: %w after step %d of %d: %w", ErrInterrupted, l.pos.Step, l.o.Steps, context.Cause(ctx))
	return errors.Join(err, l.save(), l.export())
}

// report writes the event into the metrics and tells Progress.
func (l *Loop) report(e Event) error {
	e.Steps, e.Rewinds = l.o.Steps, l.pos.Rewinds
	if l.log != nil {
		if err := l.log.write(e); err != nil {
			return err
		}
	}
	l.tell(e)
	return nil
}

func (l *Loop) tell(e Event) {
	e.Steps = l.o.Steps
	if l.h.Progress != nil {
		l.h.Progress(e)
	}
}
