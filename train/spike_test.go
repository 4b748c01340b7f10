package train

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/plinth-ml/plinth/tensor"
)

func spikeOptions(t *testing.T) Options {
	return Options{Steps: 150, Batch: 8, LR: 1e-2, SaveEvery: 10, RunDir: tempDir(t), SpikeWindow: 16, RewindSteps: 5, SkipBatches: 12}
}

// run trains and returns the held-out loss, and the events that are not steps.
func run(t *testing.T, src words, o Options, corrupt func(l *Loop)) (*Loop, Result, []Event, error) {
	t.Helper()
	var events []Event
	var l *Loop
	l = loop(t, src, o, Hooks{
		Validate: func(ctx context.Context, step int) (float64, float64, error) {
			s, err := Evaluate(ctx, tensor.Evaluation(l.k), decoder(l), tiny.source(), 4)
			return s.Loss, s.BitsPerByte, err
		},
		Progress: func(e Event) {
			if e.Kind == "rewind" {
				events = append(events, e)
			}
		},
	})
	l.corrupt = corrupt
	r, err := l.Run(t.Context())
	return l, r, events, err
}

func nanAt(batch int) func(l *Loop) {
	return func(l *Loop) {
		if l.pos.Step+l.pos.DataOffset == batch {
			l.params[3].T().Grad.F32()[1] = float32(math.NaN())
		}
	}
}

func TestRewind(t *testing.T) {
	_, clean, events, err := run(t, tiny.source(), spikeOptions(t), nil)
	if err != nil || len(events) > 0 {
		t.Fatal(events, err)
	}
	poisoned := tiny.source()
	poisoned.poison = func(step int) bool { return step >= 97 && step < 100 }
	stubborn := tiny.source()
	stubborn.poison = func(step int) bool { return step >= 97 && step < 115 }
	if _, r, events, err := run(t, stubborn, spikeOptions(t), nil); err != nil || len(events) < 2 || math.Abs(r.ValLoss-clean.ValLoss) > 0.05 {
		t.Errorf("bad data for longer than one skip: %+v, %+v, %v", r, events, err)
	}
	for _, c := range []struct {
		name    string
		src     words
		corrupt func(l *Loop)
		from    int
		message string
	}{
		{"gradient without number", tiny.source(), nanAt(97), 97, "gradient norm NaN"},
		{"loss spike", poisoned, nil, 97, "median of the last 16"},
		{"early", tiny.source(), nanAt(3), 3, "gradient norm NaN"},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := spikeOptions(t)
			l, r, events, err := run(t, c.src, o, c.corrupt)
			if err != nil {
				t.Fatal(err)
			}
			if len(events) != 1 || events[0].From != c.from || events[0].Step > max(0, c.from-5) || events[0].Skipped < 12 || !strings.Contains(events[0].Message, c.message) {
				t.Fatalf("rewinds: %+v", events)
			}
			if r.Steps != o.Steps || math.Abs(r.ValLoss-clean.ValLoss) > 0.05 {
				t.Errorf("held-out loss %.4f, of a clean run %.4f", r.ValLoss, clean.ValLoss)
			}
			lines := 0
			b, err := os.ReadFile(filepath.Join(o.RunDir, MetricsFile))
			if err != nil {
				t.Fatal(err)
			}
			for line := range strings.Lines(string(b)) {
				var e Event
				if err := json.Unmarshal([]byte(line), &e); err != nil {
					t.Fatal(err)
				}
				if e.Kind == "rewind" {
					lines++
				}
			}
			if lines != 1 {
				t.Errorf("%d rewinds in the metrics", lines)
			}

			// killed right after the rewind was saved: the same end
			whole := digest(l)
			o2 := spikeOptions(t)
			l2 := loop(t, c.src, o2, Hooks{Progress: func(e Event) {
				if e.Kind == "save" && strings.Contains(e.Message, "-r01") {
					panic("killed")
				}
			}})
			l2.corrupt = c.corrupt
			func() {
				defer func() {
					if recover() == nil {
						t.Error("not killed")
					}
				}()
				l2.Run(t.Context())
			}()
			o2.Resume = true
			l2, r2, _, err := run(t, c.src, o2, c.corrupt)
			if err != nil || digest(l2) != whole || r2.ValLoss != r.ValLoss {
				t.Errorf("killed after the rewind: %+v, %v", r2, err)
			}
		})
	}
}

func TestSpikeStops(t *testing.T) {
	for _, c := range []struct {
		name, want string
		change     func(o *Options)
		corrupt    func(l *Loop)
	}{
		{"stop", "on-spike is stop", func(o *Options) { o.OnSpike = "stop" }, nanAt(20)},
		{"ignore", "on-spike is ignore", func(o *Options) { o.OnSpike = "ignore" }, nanAt(20)},
		{"no directory", "without a directory", func(o *Options) { o.RunDir = "" }, nanAt(20)},
		{"always", "rewound 10 times", func(o *Options) {}, func(l *Loop) {
			if l.pos.Step == 20 {
				l.params[0].T().Grad.F32()[0] = float32(math.Inf(1))
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := spikeOptions(t)
			c.change(&o)
			l, r, _, err := run(t, tiny.source(), o, c.corrupt)
			if !errors.Is(err, ErrSpike) || !strings.Contains(err.Error(), c.want) || r.Steps > 20 {
				t.Fatalf("at %d: %v", r.Steps, err)
			}
			for _, p := range l.params {
				for _, x := range p.T().F32() {
					if x != x {
						t.Fatalf("%s has a NaN", p.Name)
					}
				}
			}
		})
	}
	poisoned := tiny.source()
	poisoned.poison = func(step int) bool { return step == 97 }
	o := spikeOptions(t)
	o.OnSpike = "ignore"
	if _, r, events, err := run(t, poisoned, o, nil); err != nil || len(events) > 0 || r.Steps != 150 {
		t.Errorf("a spike ignored: %v, %v", events, err)
	}
}

// Noise around a small loss is no spike.
func TestSpikeRule(t *testing.T) {
	l := &Loop{o: Options{SpikeWindow: 8, SpikeFactor: 2}}
	for _, c := range []struct {
		window []float64
		loss   float64
		spike  bool
	}{
		{[]float64{3, 3, 3}, 50, false}, {[]float64{3, 3.1, 2.9, 3}, 7, true}, {[]float64{3, 3.1, 2.9, 3}, 4, false},
		{[]float64{0.01, 0.05, 0.02, 0.04, 0.01}, 0.1, false}, {[]float64{0.01, 0.05, 0.02, 0.04, 0.01}, 1, true},
	} {
		l.pos.Losses = c.window
		if got, _ := l.spike(stepResult{loss: c.loss}); (got != "") != c.spike {
			t.Errorf("%v after %v: %q", c.loss, c.window, got)
		}
	}
}
