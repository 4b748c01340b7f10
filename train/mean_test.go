package train

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/plinth-ml/plinth/tensor"
)

// The running mean follows its recurrence; it is what validation and export see, and training goes on with the weights.
func TestRunningMean(t *testing.T) {
	const decay = 0.5
	o := Options{Steps: 12, Batch: 8, LR: 0.05, EMA: decay, OnSpike: "ignore", ValEvery: 4}
	obj := newTwoHeads()
	w := obj.Table.Weight.T()
	mean := append([]float32(nil), w.F32()...)
	var seen [][]float32
	var l *Loop
	h := Hooks{
		Validate: func(context.Context, int) (float64, float64, error) {
			seen = append(seen, append([]float32(nil), w.F32()...))
			return 1, 0, nil
		},
		Progress: func(e Event) {
			if e.Kind != "" {
				return
			}
			d := min(decay, float64(1+e.Step)/float64(10+e.Step))
			for i, v := range w.F32() {
				mean[i] = float32(d*float64(mean[i]) + (1-d)*float64(v))
			}
			if e.Step%4 == 0 && e.Step < 12 {
				near(t, seen[len(seen)-1], mean)
			}
		},
	}
	l, err := Minimize(obj, kernels(), o, h)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(seen) != 3 {
		t.Fatalf("%d validations", len(seen))
	}
	near(t, seen[2], mean)
	plain := newTwoHeads()
	o.EMA = 0
	if l, err = Minimize(plain, kernels(), o, Hooks{}); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	for i, v := range plain.Table.Weight.T().F32() {
		if w.F32()[i] != v {
			t.Fatal("the mean changes what is trained")
		}
	}
}

func near(t *testing.T, got, want []float32) {
	t.Helper()
	for i := range want {
		if math.Abs(float64(got[i]-want[i])) > 1e-5 {
			t.Fatalf("element %d of the mean is %v, want %v", i, got[i], want[i])
		}
	}
}

// A run with a running mean that was cut in two ends with the bits of one that was not, the mean's among them, and another decay is refused.
func TestRunningMeanResumes(t *testing.T) {
	run := func(dir string, stop int, o Options) (string, error) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		o.RunDir, o.Resume = dir, true
		l, err := Minimize(newTwoHeads(), kernels(), o, Hooks{Progress: func(e Event) {
			if e.Kind == "" && e.Step == stop {
				cancel()
			}
		}})
		if err != nil {
			return "", err
		}
		_, err = l.Run(ctx)
		return digest(l), err
	}
	o := Options{Steps: 20, Batch: 8, LR: 0.05, EMA: 0.9, OnSpike: "ignore"}
	whole, err := run(tempDir(t), 0, o)
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(tempDir(t), "run")
	if _, err := run(dir, 7, o); !errors.Is(err, ErrInterrupted) {
		t.Fatal(err)
	}
	other := o
	other.EMA = 0.8
	if _, err := run(dir, 0, other); !errors.Is(err, ErrMismatch) || !strings.Contains(err.Error(), "ema") {
		t.Errorf("another decay: %v", err)
	}
	parts, err := run(dir, 0, o)
	if err != nil {
		t.Fatal(err)
	}
	if parts != whole {
		t.Error("the resumed run has other bits")
	}
}

// guarded sees that nothing is learnt from a step to another one, has bounds, and tells its steps.
type guarded struct {
	*twoHeads
	from, to, at int
	joined       int // steps whose parts were all told before the first loss
	settled      int
}

func (g *guarded) Part(reuse Part, step, from, to int) (Part, error) {
	g.at = step + 1
	return g.twoHeads.Part(reuse, step, from, to)
}

func (g *guarded) Symptom(float64) string {
	if g.from <= g.at && g.at < g.to {
		return "it is stuck"
	}
	return ""
}

func (g *guarded) Settle() { g.settled++ }

func (g *guarded) Measures() map[string]float64 { return map[string]float64{"at": float64(g.at)} }

func (g *guarded) Join(tape *tensor.Tape, parts []Part) {
	if !tape.Recording() && len(parts) == 2 {
		g.joined++
	}
}

func TestAlarm(t *testing.T) {
	run := func(on string, from, to int) (alarms []Event, g *guarded, dir string, r Result, err error) {
		g, dir = &guarded{twoHeads: newTwoHeads(), from: from, to: to}, tempDir(t)
		o := Options{Steps: 20, Batch: 8, Micro: 4, Warmup: 2, AlarmSteps: 5, OnAlarm: on, OnSpike: "ignore", RunDir: dir}
		l, err := Minimize(g, kernels(), o, Hooks{Progress: func(e Event) {
			if e.Kind == "alarm" {
				alarms = append(alarms, e)
			}
			if e.Kind == "" && e.Measures["at"] != float64(e.Step) {
				t.Errorf("step %d has measures %v", e.Step, e.Measures)
			}
		}})
		if err != nil {
			t.Fatal(err)
		}
		r, err = l.Run(t.Context())
		return alarms, g, dir, r, err
	}
	alarms, g, dir, r, err := run("", 3, 16)
	if err != nil || len(alarms) != 2 || alarms[0].Step != 7 || alarms[1].Step != 12 || !strings.Contains(alarms[1].Message, "for 10 steps") || !strings.Contains(alarms[1].Message, "it is stuck") {
		t.Errorf("alarms %+v, %v", alarms, err)
	}
	if g.settled != 20 || g.joined != 20 {
		t.Errorf("settled %d times, joined %d times, of 20 steps", g.settled, g.joined)
	}
	if r.Alarm != "" {
		t.Errorf("a run that got better ends with %q", r.Alarm)
	}
	_, lines, err := readMetrics(filepath.Join(dir, MetricsFile), 20, 0)
	if err != nil || len(lines) != 22 || lines[7].Kind != "alarm" || lines[0].Measures["at"] != 1 {
		t.Errorf("%d lines of metrics, %v", len(lines), err)
	}
	// Steps of the warm-up do not count, and what holds to the end is in the result.
	alarms, _, dir, r, err = run("", 1, 99)
	if err != nil || len(alarms) != 3 || alarms[0].Step != 7 || !strings.Contains(r.Alarm, "for 15 steps") {
		t.Errorf("alarms %+v, result %q, %v", alarms, r.Alarm, err)
	}
	if b, err := os.ReadFile(filepath.Join(dir, ResultFile)); err != nil || !strings.Contains(string(b), "for 15 steps") {
		t.Errorf("%s: %s, %v", ResultFile, b, err)
	}
	alarms, g, dir, _, err = run("stop", 3, 16)
	if !errors.Is(err, ErrAlarm) || len(alarms) != 1 || g.settled != 7 {
		t.Errorf("stop: %+v after %d steps, %v", alarms, g.settled, err)
	}
	if list, err := listStates(dir); err != nil || len(list) == 0 || list[len(list)-1].step != 7 {
		t.Errorf("the stopped run is not saved: %v, %v", list, err)
	}
	for steps, want := range map[int]int{3: 1, 60: 12, 1000: 100} {
		if o, err := (Options{Steps: steps}).Resolve(g.Sizes()); err != nil || o.AlarmSteps != want {
			t.Errorf("of %d steps %d are waited for, %v", steps, o.AlarmSteps, err)
		}
	}
}
