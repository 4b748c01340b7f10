package train

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/plinth-ml/plinth/nn"
)

// The state after n steps, loaded and taken one step further, is the state after n+1 steps to the bit, for every n: so a run resumed
// anywhere, any number of times, ends with the bits of an unbroken one.
func TestResumeAtEveryStep(t *testing.T) {
	for _, o := range []Options{{Optimizer: "adamw"}, {Optimizer: "muon"}, {Optimizer: "adamw", Moments: "bf16", Activations: "bf16"}} {
		t.Run(fmt.Sprintf("%s moments %s activations %s", o.Optimizer, o.Moments, o.Activations), func(t *testing.T) {
			const steps = 200
			o.Steps, o.Batch, o.Micro, o.SaveEvery, o.Keep, o.RunDir = steps, 2, 1, 1, steps+1, tempDir(t)
			o.OnSpike, o.SpikeFactor, o.Clip = "stop", 100, 0.5
			m, k := tiny.model(t), kernels()
			losses, digests := make([]float64, steps+1), make([]string, steps+1)
			var l *Loop
			h := Hooks{Progress: func(e Event) {
				if e.Kind == "" {
					losses[e.Step], digests[e.Step] = e.Loss, digest(l)
				}
			}}
			l, err := New(m, k, tiny.source(), o, h)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := l.Run(t.Context()); err != nil {
				t.Fatal(err)
			}
			stop := errors.New("one step")
			p := o
			p.Resume, p.RunDir = true, tempDir(t)
			if err := os.MkdirAll(filepath.Join(p.RunDir, StateDir), 0o755); err != nil {
				t.Fatal(err)
			}
			for n := 1; n < steps; n++ {
				from, to := savedState{step: n}.path(o.RunDir), savedState{step: n}.path(p.RunDir)
				if err := os.Rename(from, to); err != nil {
					t.Fatal(err)
				}
				nn.Init(m.Params(), 99, true) // nothing may be left of what is in memory
				ctx, cancel := context.WithCancelCause(t.Context())
				var loss float64
				again, err := New(m, k, tiny.source(), p, Hooks{Progress: func(e Event) {
					if e.Kind == "" {
						loss = e.Loss
						cancel(stop)
					}
				}})
				if err != nil {
					t.Fatal(err)
				}
				r, err := again.Run(ctx)
				if n+1 < steps && !errors.Is(err, stop) || n+1 == steps && err != nil {
					t.Fatalf("from step %d: %v", n, err)
				}
				if r.Steps != n+1 || loss != losses[n+1] || digest(again) != digests[n+1] {
					t.Fatalf("from step %d: at step %d with loss %v, want %v, or other bits", n, r.Steps, loss, losses[n+1])
				}
				if err := os.RemoveAll(savedState{step: n + 1}.path(p.RunDir)); err != nil {
					t.Fatal(err)
				}
				if err := os.RemoveAll(to); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// trained makes a run of 20 steps, saved every 5.
func trained(t *testing.T) (Options, *Loop) {
	t.Helper()
	o := Options{Steps: 20, Batch: 2, SaveEvery: 5, RunDir: tempDir(t)}
	l := loop(t, tiny.source(), o, Hooks{})
	if _, err := l.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	o.Resume = true
	return o, l
}

func TestResumeRefuses(t *testing.T) {
	o, _ := trained(t)
	other := tiny
	other.vocab = 23
	deeper := tiny
	deeper.layers = 3
	source := tiny.source()
	source.seed++
	for _, c := range []struct {
		want   string
		shape  shape
		source words
		change func(o *Options)
	}{
		{"transformer.wte.weight [19, 16] is transformer.wte.weight [23, 16]", other, tiny.source(), func(*Options) {}},
		{"transformer.h.2.ln_1.weight", deeper, tiny.source(), func(*Options) {}},
		{"fingerprint", tiny, source, func(*Options) {}},
		{"option lr is 0.001, now it is 0.002", tiny, tiny.source(), func(o *Options) { o.LR = 2e-3 }},
		{"option batch is 2, now it is 3", tiny, tiny.source(), func(o *Options) { o.Batch = 3 }},
		{"option steps is 20, now it is 30", tiny, tiny.source(), func(o *Options) { o.Steps = 30 }},
		{"option moments is \"f32\", now it is \"bf16\"", tiny, tiny.source(), func(o *Options) { o.Moments = "bf16" }},
		{"option activations is \"f32\", now it is \"bf16\"", tiny, tiny.source(), func(o *Options) { o.Activations = "bf16" }},
		{"option optimizer", tiny, tiny.source(), func(o *Options) { o.Optimizer = "muon" }},
	} {
		o := o
		c.change(&o)
		_, err := New(c.shape.model(t), kernels(), c.source, o, Hooks{})
		if !errors.Is(err, ErrMismatch) && c.want != "option optimizer" || err == nil || !strings.Contains(strings.ReplaceAll(err.Error(), "[19 16]", "[19, 16]"), strings.ReplaceAll(c.want, "[23, 16]", "[23 16]")) {
			t.Errorf("%v, want %q", err, c.want)
		}
	}
	o.ValEvery, o.SaveEvery, o.Recompute, o.Keep = 3, 7, true, 9 // do not change the bits
	if _, err := New(tiny.model(t), kernels(), tiny.source(), o, Hooks{}); err != nil {
		t.Error(err)
	}
	o.Recompute, o.Activations = false, "lean"
	if _, err := New(tiny.model(t), kernels(), tiny.source(), o, Hooks{}); err != nil {
		t.Error(err)
	}
}

// A run with a constant rate may be made longer, and has then the bits of one that was longer from the start.
func TestLonger(t *testing.T) {
	o := Options{Steps: 20, Batch: 2, Schedule: "constant", Warmup: 5, RunDir: tempDir(t)}
	if _, err := loop(t, tiny.source(), o, Hooks{}).Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	o.Steps, o.Resume = 30, true
	l := loop(t, tiny.source(), o, Hooks{})
	if r, err := l.Run(t.Context()); err != nil || r.Steps != 30 {
		t.Fatal(r, err)
	}
	o.RunDir, o.Resume = "", false
	whole := loop(t, tiny.source(), o, Hooks{})
	if _, err := whole.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if digest(l) != digest(whole) {
		t.Error("the longer run ends with other bits")
	}
}

// A run whose rate has not begun to fall may get another end, and has then the bits of one that had it from the start; later it may not.
func TestAnotherEnd(t *testing.T) {
	o := Options{Steps: 40, Batch: 2, Schedule: "wsd", Warmup: 5, DecayShare: 0.25, SaveEvery: 10, RunDir: tempDir(t)}
	stopped := func(at int, o Options) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		l := loop(t, tiny.source(), o, Hooks{Progress: func(e Event) {
			if e.Kind == "" && e.Step == at {
				cancel()
			}
		}})
		if _, err := l.Run(ctx); !errors.Is(err, ErrInterrupted) {
			t.Fatal(err)
		}
	}
	stopped(10, o)
	o.Resume = true
	other := o
	other.Steps, other.DecayShare = 20, 0.5
	l := loop(t, tiny.source(), other, Hooks{})
	if r, err := l.Run(t.Context()); err != nil || r.Steps != 20 {
		t.Fatal(r, err)
	}
	other.RunDir, other.Resume = "", false
	whole := loop(t, tiny.source(), other, Hooks{})
	if _, err := whole.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if digest(l) != digest(whole) {
		t.Error("the run ends with other bits")
	}
	o.RunDir, o.Resume = tempDir(t), false
	stopped(32, o) // two steps behind the first lower rate
	o.Steps, o.Resume = 50, true
	if _, err := New(tiny.model(t), kernels(), tiny.source(), o, Hooks{}); !errors.Is(err, ErrMismatch) || !strings.Contains(err.Error(), "steps") {
		t.Errorf("%v, want a refusal of other steps", err)
	}
}

func TestDamagedCheckpoint(t *testing.T) {
	for _, damage := range []struct {
		name string
		do   func(path string) error
	}{
		{"flipped", func(path string) error {
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			b[len(b)-1] ^= 1
			return os.WriteFile(path, b, 0o644)
		}},
		{"cut", func(path string) error { return os.Truncate(path, 100) }},
		{"gone", os.Remove},
	} {
		for _, name := range []string{weightsFile, momentsFile, stateFile, "manifest.json"} {
			o, l := trained(t)
			if err := damage.do(filepath.Join(savedState{step: 20}.path(o.RunDir), name)); err != nil {
				t.Fatal(err)
			}
			var said []string
			again := loop(t, tiny.source(), o, Hooks{Progress: func(e Event) { said = append(said, e.Kind+" "+e.Message) }})
			if again.Step() != 15 {
				t.Fatalf("%s %s: resumed at %d", name, damage.name, again.Step())
			}
			if !slices.ContainsFunc(said, func(s string) bool { return strings.HasPrefix(s, "damaged") && strings.Contains(s, name) }) {
				t.Errorf("%s %s: told only %q", name, damage.name, said)
			}
			if _, err := again.Run(t.Context()); err != nil {
				t.Fatal(err)
			}
			if digest(again) != digest(l) {
				t.Errorf("%s %s: other bits", name, damage.name)
			}
		}
	}
	o, _ := trained(t)
	list, err := listStates(o.RunDir)
	if err != nil || len(list) < 2 {
		t.Fatal(list, err)
	}
	for _, c := range list {
		if err := os.Truncate(filepath.Join(c.path(o.RunDir), weightsFile), 9); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := New(tiny.model(t), kernels(), tiny.source(), o, Hooks{}); !errors.Is(err, errNoState) {
		t.Errorf("with every checkpoint damaged: %v", err)
	}
	if left, err := listStates(o.RunDir); err != nil || len(left) != len(list) {
		t.Errorf("%d of %d damaged checkpoints left, %v", len(left), len(list), err)
	}
}

func TestMetricsAreCutBack(t *testing.T) {
	o, _ := trained(t)
	path := filepath.Join(o.RunDir, MetricsFile)
	if err := os.RemoveAll(savedState{step: 20}.path(o.RunDir)); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	f.WriteString(`{"step": 21, "lo`) // killed while it wrote
	f.Close()
	if _, err := loop(t, tiny.source(), o, Hooks{}).Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	for i, line := range lines {
		var e Event
		if err := json.Unmarshal([]byte(line), &e); err != nil || e.Step != i+1 {
			t.Errorf("line %d: %s, %v", i+1, line, err)
		}
	}
	if len(lines) != 20 {
		t.Errorf("%d lines", len(lines))
	}
}

func TestSuperfluous(t *testing.T) {
	step := func(list ...int) (out []savedState) {
		for _, s := range list {
			out = append(out, savedState{step: s})
		}
		return out
	}
	for _, c := range []struct {
		list             []savedState
		keep, back, base int
		want             []savedState
	}{
		{step(10), 1, 0, 0, nil}, {step(10, 20, 30), 1, 0, 0, step(10, 20)}, {step(10, 20, 30), 2, 0, 0, step(10)},
		{step(0, 10, 20, 30), 2, 100, 0, step(10)},
		{step(0, 90, 100, 110), 1, 100, 0, step(90)},
		{step(0, 100, 190, 200), 1, 100, 0, step(0, 190)},
		{step(100, 190, 200, 210), 1, 100, 200, step(100, 190)},
		{append(step(0, 10, 20, 30), savedState{10, 1}), 2, 10, 10, append(step(20, 30), savedState{10, 0})},
	} {
		o := Options{Keep: c.keep, RewindSteps: c.back, SaveEvery: 10, OnSpike: "rewind"}
		if c.back == 0 {
			o.OnSpike = "stop"
		}
		got := superfluous(c.list, o, c.base)
		slices.SortFunc(got, func(a, b savedState) int { return a.step - b.step })
		slices.SortFunc(c.want, func(a, b savedState) int { return a.step - b.step })
		if !slices.Equal(got, c.want) {
			t.Errorf("of %v with keep %d, back %d, base %d: removes %v, want %v", c.list, c.keep, c.back, c.base, got, c.want)
		}
	}
	// at every step of a run the checkpoint to rewind to is there, neither too near nor much too far, and they are few in all
	for _, every := range []int{1, 7, 10, 100, 250} {
		o := Options{Keep: 2, RewindSteps: 100, SaveEvery: every, OnSpike: "rewind"}
		var list []savedState
		for s := 0; s <= 2000; s++ {
			if s%every == 0 {
				list = append(list, savedState{step: s})
				gone := superfluous(list, o, 0)
				list = slices.DeleteFunc(list, func(c savedState) bool { return slices.Contains(gone, c) })
			}
			a := o.anchor(s, 0)
			if s >= 100 && s-a < 100 || s-a >= 100+o.grid() || !slices.Contains(list, savedState{step: a}) || len(list) > 5 {
				t.Fatalf("saved every %d, at %d: back to %d of %v", every, s, a, list)
			}
		}
	}
}

// What followed a rewind is newer than what went before it; other names are no checkpoints.
func TestListStates(t *testing.T) {
	dir := tempDir(t)
	want := []savedState{{90, 0}, {100, 0}, {80, 1}, {90, 1}, {70, 12}, {123456789, 12}}
	for _, i := range []int{3, 0, 5, 2, 4, 1} {
		if err := os.MkdirAll(want[i].path(dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"step-00000200.tmp-1", "step-1", "step-00000300-r1x", "other"} {
		if err := os.Mkdir(filepath.Join(dir, StateDir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := listStates(dir); err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, %v; want %v", got, err, want)
	}
	if got, err := listStates(tempDir(t)); err != nil || len(got) != 0 {
		t.Errorf("of a new directory: %v, %v", got, err)
	}
}
