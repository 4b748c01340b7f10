package train

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/plinth-ml/plinth/data"
	"github.com/plinth-ml/plinth/internal/kernel/ref"
	"github.com/plinth-ml/plinth/tensor"
)

func TestRunLearns(t *testing.T) {
	for _, optimizer := range Optimizers {
		t.Run(optimizer, func(t *testing.T) {
			dir := tempDir(t)
			src := tiny.source()
			var exported, samples, steps int
			var l *Loop
			h := Hooks{
				Validate: func(ctx context.Context, step int) (float64, float64, error) {
					s, err := Evaluate(ctx, tensor.Evaluation(l.k), decoder(l), src, 4)
					return s.Loss, s.BitsPerByte, err
				},
				Sample: func(context.Context, int) (string, error) { samples++; return "text", nil },
				Export: func(string) error { exported++; return nil },
				Progress: func(e Event) {
					if e.Kind == "" {
						steps++
					}
				},
			}
			o := Options{Steps: 150, Batch: 8, LR: 1e-2, Optimizer: optimizer, SampleEvery: 50, RunDir: dir, PeakFLOPs: 1e12}
			l = loop(t, src, o, h)
			r, err := l.Run(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			// one token in eight is drawn from 19: the best loss there is is H(7/8+1/152) + 18/152·ln 18... about 0.71
			if r.ValLoss > 1.1 || r.ValLoss < 0.5 || r.Loss > 1.2 {
				t.Errorf("loss %.3f, held out %.3f", r.Loss, r.ValLoss)
			}
			if exported != 1 || samples != 3 || steps != 150 || r.Steps != 150 || r.Tokens != 150*8*12 || r.TokensPerSecond <= 0 || r.FLOPsPerSecond <= 0 || r.PeakShare <= 0 {
				t.Errorf("exported %d, samples %d, steps %d: %+v", exported, samples, steps, r)
			}
			for _, name := range []string{OptionsFile, MetricsFile, EventsFile, ResultFile} {
				if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
					t.Error(err)
				}
			}
			b, _ := os.ReadFile(filepath.Join(dir, MetricsFile))
			if n := strings.Count(string(b), "\n"); n != 151 { // and the last validation
				t.Errorf("%d lines of metrics", n)
			}

			before := digest(l)
			o.Resume = true
			again := loop(t, src, o, h)
			r2, err := again.Run(t.Context())
			if err != nil || digest(again) != before || r2.ValLoss != r.ValLoss || r2.Steps != 150 || r2.Seconds != 0 || exported != 1 {
				t.Errorf("finished run: %+v, %v", r2, err)
			}
			o.Resume = false
			if _, err := New(tiny.model(t), kernels(), src, o, h); err == nil || !strings.Contains(err.Error(), "holds a run") {
				t.Errorf("a second run in one directory: %v", err)
			}
		})
	}
}

func TestInterrupted(t *testing.T) {
	dir := tempDir(t)
	cause := errors.New("terminated")
	ctx, cancel := context.WithCancelCause(t.Context())
	o := Options{Steps: 40, Batch: 4, RunDir: dir}
	l := loop(t, tiny.source(), o, Hooks{Progress: func(e Event) {
		if e.Kind == "" && e.Step == 13 {
			cancel(cause)
		}
	}})
	r, err := l.Run(ctx)
	if !errors.Is(err, ErrInterrupted) || !errors.Is(err, cause) || r.Steps != 13 {
		t.Fatalf("%v after %d", err, r.Steps)
	}
	o.Resume = true
	resumed := loop(t, tiny.source(), o, Hooks{})
	if resumed.Step() != 13 {
		t.Errorf("resumed at %d", resumed.Step())
	}
	if _, err := resumed.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	o.RunDir, o.Resume = tempDir(t), false
	whole := loop(t, tiny.source(), o, Hooks{})
	if _, err := whole.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if digest(whole) != digest(resumed) {
		t.Error("the interrupted run ends with other bits")
	}
}

// Interrupted in the last validation, a run has done its steps but is not finished; resumed it validates and exports.
func TestInterruptedAtTheEnd(t *testing.T) {
	o := Options{Steps: 6, Batch: 2, RunDir: tempDir(t)}
	ctx, cancel := context.WithCancel(t.Context())
	exported := 0
	h := Hooks{
		Export: func(string) error { exported++; return nil },
		Validate: func(ctx context.Context, step int) (float64, float64, error) {
			if step == o.Steps {
				cancel()
			}
			return 1, 2, ctx.Err()
		},
	}
	if r, err := loop(t, tiny.source(), o, h).Run(ctx); !errors.Is(err, ErrInterrupted) || !errors.Is(err, context.Canceled) || r.Steps != 6 {
		t.Fatal(r, err)
	}
	o.Resume = true
	r, err := loop(t, tiny.source(), o, h).Run(t.Context())
	if err != nil || r.ValLoss != 1 || r.ValBitsPerByte != 2 || exported != 2 {
		t.Errorf("%+v, %v, exported %d times", r, err, exported)
	}
	if r, err := loop(t, tiny.source(), o, Hooks{}).Run(t.Context()); err != nil || r.ValLoss != 1 {
		t.Errorf("finished: %+v, %v", r, err)
	}
}

// Another kernel set is told of, and goes on.
func TestOtherKernels(t *testing.T) {
	o, _ := trained(t)
	said := ""
	if _, err := New(tiny.model(t), ref.New(), tiny.source(), o, Hooks{Progress: func(e Event) { said += e.Kind + " " + e.Message }}); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(said, "note") || !strings.Contains(said, "now they are ref") {
		t.Errorf("told %q", said)
	}
}

// A batch that the model cannot take is an error that names it, before anything is computed.
func TestBadBatches(t *testing.T) {
	for want, b := range map[string]data.Batch{
		"no target counts": {IDs: []int32{1}, Targets: []int32{-1}, Lengths: []int{1}}, "id 19": {IDs: []int32{19}, Targets: []int32{1}, Lengths: []int{1}},
		"target 20": {IDs: []int32{1}, Targets: []int32{20}, Lengths: []int{1}}, "id -1": {IDs: []int32{-1}, Targets: []int32{1}, Lengths: []int{1}},
		"a piece of 13": {IDs: make([]int32, 13), Targets: make([]int32, 13), Lengths: []int{13}}, "2 tokens and 1": {IDs: make([]int32, 2), Targets: make([]int32, 1)},
		"pieces of 1 tokens in all": {IDs: make([]int32, 2), Targets: make([]int32, 2), Lengths: []int{1}},
	} {
		_, err := loop(t, fixed{b}, Options{Steps: 2, Batch: 1}, Hooks{}).Run(t.Context())
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "batch 0 of step 1") {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// fixed gives one batch at every step.
type fixed struct{ b data.Batch }

func (f fixed) Fill(b *data.Batch, _, _, _ int) error { *b = f.b; return nil }
func (f fixed) Fingerprint() string                   { return "fixed" }
