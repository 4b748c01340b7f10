package scaling

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"iter"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/plinth-ml/plinth/data"
	"github.com/plinth-ml/plinth/internal/random"
	"github.com/plinth-ml/plinth/tokenizer"
	"github.com/plinth-ml/plinth/train"
)

// prepared makes a folder of data from documents of arithmetic in words.
func prepared(t *testing.T) string {
	t.Helper()
	words := strings.Fields("one two three four five six seven eight nine ten")
	docs := func(yield func(data.Document, error) bool) {
		for i := range 60 {
			key := random.NewKey(uint64(i))
			var b strings.Builder
			for j := range uint64(30) {
				x, y := key.IntN(2*j, 10), key.IntN(2*j+1, 10)
				fmt.Fprintf(&b, "%s and %s make %d.\n", words[x], words[y], x+y+2)
			}
			if !yield(data.Document{Name: fmt.Sprint(i), Text: []byte(b.String())}, nil) {
				return
			}
		}
	}
	texts := func(yield func([]byte) bool) {
		for d := range iter.Seq2[data.Document, error](docs) {
			if !yield(d.Text) {
				return
			}
		}
	}
	tok, err := tokenizer.Train(context.Background(), texts, tokenizer.TrainOptions{VocabSize: 300})
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "data")
	if _, err := data.Prepare(context.Background(), docs, tok, dir, data.PrepareOptions{Seq: 16, Validation: 0.3}); err != nil {
		t.Fatal(err)
	}
	return dir
}

var text = Text{Vocab: 300, Seq: 16}

// small is a recipe for the data of prepared.
var small = Recipe{Batch: 64, BaseTokens: 4000, ValTokens: 1024, Seed: 3}

func trials(t *testing.T) []Trial {
	t.Helper()
	list, err := small.IsoFLOP([]Shape{{1, 16}, {1, 24}, {2, 16}}, []float64{2e8, 4e8}, 0.1, 10, text)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// files are the bytes of a sweep that must not depend on how it ran.
func files(t *testing.T, out string, trials []Trial) map[string]string {
	t.Helper()
	m := map[string]string{}
	names := []string{ResultsFile, SweepFile}
	for _, b := range trials {
		names = append(names, filepath.Join(runsDir, b.Name, outcomeFile), filepath.Join(runsDir, b.Name, "model.safetensors"))
	}
	for _, name := range names {
		b, err := os.ReadFile(filepath.Join(out, name))
		if err != nil {
			t.Fatal(err)
		}
		m[name] = string(b)
	}
	return m
}

func TestSweepSameBytes(t *testing.T) {
	dir, trials, ctx := prepared(t), trials(t), context.Background()
	want := map[string]string{}
	for i, o := range []SweepOptions{{Threads: 1}, {Threads: 3, Jobs: 3}, {Threads: 4, Jobs: 2}} {
		o.Data, o.Out = dir, filepath.Join(t.TempDir(), "sweep")
		list, err := Sweep(ctx, small, trials, o)
		if err != nil {
			t.Fatal(err)
		}
		if len(list) != len(trials) {
			t.Fatalf("%d outcomes of %d runs", len(list), len(trials))
		}
		for _, r := range list {
			if !(r.Loss > 0.5 && r.Loss < math.Log(300)) || r.Diverged || !(r.StdErr > 0) || !(r.BitsPerByte > 0) {
				t.Errorf("%+v", r)
			}
		}
		got := files(t, o.Out, trials)
		if i == 0 {
			want = got
		}
		for name, b := range want {
			if got[name] != b {
				t.Errorf("%+v: %s differs from that of one thread", o, name)
			}
		}
	}

	// Interrupted in the middle of runs, twice, then extended.
	out := filepath.Join(t.TempDir(), "sweep")
	for i, stop := range []float64{0.2, 0.6} {
		ctx, cancel := context.WithCancelCause(ctx)
		cause := errors.New("the test wants to go home")
		_, err := Sweep(ctx, small, trials[:4], SweepOptions{Data: dir, Out: out, Threads: 2, Resume: i > 0, Progress: func(p SweepProgress) {
			if p.FLOPs > stop*p.TotalFLOPs {
				cancel(cause)
			}
		}})
		if !errors.Is(err, train.ErrInterrupted) || !errors.Is(err, cause) {
			t.Fatalf("stopped at %v: %v", stop, err)
		}
	}
	if _, err := Sweep(ctx, small, trials[:4], SweepOptions{Data: dir, Out: out, Resume: true}); err != nil {
		t.Fatal(err)
	}
	finished := 0
	o := SweepOptions{Data: dir, Out: out, Resume: true, Progress: func(p SweepProgress) {
		if p.Finished != nil {
			finished++
		}
		if p.FLOPs > p.TotalFLOPs*1.0001 {
			t.Errorf("%g FLOPs of %g", p.FLOPs, p.TotalFLOPs)
		}
	}}
	if _, err := Sweep(ctx, small, trials, o); err != nil {
		t.Fatal(err)
	}
	if finished != len(trials)-4 {
		t.Errorf("%d runs were done again", finished-len(trials)+4)
	}
	for name, b := range files(t, out, trials) {
		if want[name] != b {
			t.Errorf("after interruptions %s differs", name)
		}
	}

	// Killed between the last step of a run and its outcome.
	name := filepath.Join(runsDir, trials[0].Name, outcomeFile)
	if err := os.Remove(filepath.Join(out, name)); err != nil {
		t.Fatal(err)
	}
	if _, err := Sweep(ctx, small, trials, o); err != nil {
		t.Fatal(err)
	}
	if files(t, out, trials)[name] != want[name] {
		t.Error("measured again, the outcome differs")
	}

	other := small
	other.LR = 0.01
	if _, err := Sweep(ctx, other, trials, o); !errors.Is(err, train.ErrMismatch) {
		t.Errorf("another recipe: %v", err)
	}
	o.Resume = false
	if _, err := Sweep(ctx, small, trials, o); err == nil || !strings.Contains(err.Error(), "holds a sweep") {
		t.Errorf("without resume: %v", err)
	}
}

func TestSweepMarksDivergence(t *testing.T) {
	r := small
	r.LR, r.LRPower, r.Optimizer, r.Schedule = 9, -1, "adamw", "constant"
	var trials []Trial
	for _, tokens := range []float64{1000, 20000} { // too short to notice a spike, and long enough
		b, err := r.Trial(Shape{2, 16}, tokens, text)
		if err != nil {
			t.Fatal(err)
		}
		trials = append(trials, b)
	}
	out := t.TempDir()
	list, err := Sweep(context.Background(), r, trials, SweepOptions{Data: prepared(t), Out: out})
	if err != nil {
		t.Fatal(err)
	}
	for i, reason := range []string{"a uniform guess", "loss spike"} {
		if o := list[i]; !o.Diverged || !math.IsNaN(o.Loss) || !strings.Contains(o.Reason, reason) || !o.Run().Diverged {
			t.Fatalf("%+v", o)
		}
	}
	raw, err := os.ReadFile(filepath.Join(out, ResultsFile))
	if err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(bytes.NewReader(raw)).ReadAll()
	if err != nil || len(rows) != 3 || rows[1][4] != "" || rows[1][5] != "true" {
		t.Errorf("%v, %v", rows, err)
	}
}

func TestRecipeRules(t *testing.T) {
	r := Recipe{LR: 0.02, BaseWidth: 64, LRPower: 1, Batch: 4096, BaseTokens: 4_000_000, BatchPower: 0.5}
	text := Text{Vocab: 1024, Seq: 128}
	b, err := r.Trial(Shape{2, 128}, 16e6, text)
	if err != nil {
		t.Fatal(err)
	}
	// Parameters: 2 layers of 12·128² + 13·128, the last norm, embeddings of 1024 ids and 128 positions.
	body := int64(2*(12*128*128+13*128) + 2*128)
	if b.LR != 0.01 || b.Batch != 64 || b.Heads != 8 || b.NonEmbedding != body || b.N != body+1152*128 || b.D != int64(b.Steps)*64*128 {
		t.Errorf("%+v", b)
	}
	if math.Abs(float64(b.D)-16e6) > 64*128/2 {
		t.Errorf("%d tokens planned of 16 M", b.D)
	}
	if want := 6 * float64(b.N-128*128) * float64(b.D); b.C < want || b.C > 1.2*want { // attention and nothing else is above 6ND
		t.Errorf("C is %g, 6ND %g", b.C, want)
	}
	list, err := r.IsoFLOP([]Shape{{1, 32}, {2, 64}, {3, 96}, {4, 128}}, []float64{1e12, 3e12}, 4, 100, text)
	if err != nil || len(list) < 3 {
		t.Fatalf("%d runs, %v", len(list), err)
	}
	for _, b := range list {
		if off := min(math.Abs(b.C/1e12-1), math.Abs(b.C/3e12-1)); off > 0.01 {
			t.Errorf("%s costs %g, %.1f %% from its budget", b.Name, b.C, 100*off)
		}
		if ratio := float64(b.D) / float64(b.N); ratio < 3.9 || ratio > 101 {
			t.Errorf("%s has %g tokens per parameter", b.Name, ratio)
		}
	}
	list, err = r.Ladder([]Shape{{1, 32}, {2, 64}}, []float64{10, 20}, text)
	if err != nil || len(list) != 4 || math.Abs(float64(list[3].D)/float64(list[3].N)-20) > 0.1 {
		t.Errorf("%+v, %v", list, err)
	}
	odd, err := r.Trial(Shape{1, 20}, 1e5, text)
	if err != nil || odd.Heads != 1 {
		t.Errorf("%+v, %v", odd, err)
	}

	for name, fail := range map[string]func() error{
		"the training text has 1000": func() error { _, err := r.Trial(Shape{1, 32}, 1e5, Text{1024, 128, 1000}); return err },
		"NaN tokens":                 func() error { _, err := r.Trial(Shape{1, 32}, math.NaN(), text); return err },
		"no size spends 1 FLOPs":     func() error { _, err := r.IsoFLOP([]Shape{{1, 32}}, []float64{1}, 4, 100, text); return err },
		"not layers x width":         func() error { _, err := ParseShape("3x96x2"); return err },
		"not layers x width, such":   func() error { _, err := ParseShape("0x96"); return err },
		"planned twice":              func() error { _, err := order([]Trial{b, b}); return err },
		"no run is planned":          func() error { _, err := order(nil); return err },
	} {
		if err := fail(); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("want %q: %v", name, err)
		}
	}
	r.Repeat = true
	if b, err := r.Trial(Shape{1, 32}, 1e5, Text{1024, 128, 1000}); err != nil || b.Epochs < 90 {
		t.Errorf("%+v, %v", b, err)
	}
}

// Noise sees only what a run does not share with the others.
func TestNoise(t *testing.T) {
	key := random.NewKey(1)
	list := make([]Outcome, 3)
	for i := range list {
		for p := range uint64(pieces) {
			list[i].Pieces = append(list[i].Pieces, float64(i+2)*math.Exp(key.Normal(p)))
		}
		list[i].Loss = float64(i + 2)
	}
	for i, e := range Noise(list) {
		if e > 1e-12 {
			t.Errorf("run %d: noise %g where all pieces scale alike", i, e)
		}
	}
	for p := range uint64(pieces) {
		list[1].Pieces[p] *= math.Exp(0.06 * key.Normal(1000+p))
	}
	// Of run 1's own deviation, 2/3 stands out from the mean of three.
	got, want := Noise(list)[1], 3*0.06*2/3/math.Sqrt(pieces)
	if got < 0.7*want || got > 1.4*want {
		t.Errorf("noise %g, want about %g", got, want)
	}
	list[1].Diverged, list[1].Pieces = true, nil
	if n := Noise(list); n[1] != 0 || n[0] > 1e-12 {
		t.Errorf("%v", n)
	}
}

// The worst loss is that of the whole run, in whichever process it was logged.
func TestWorstLoss(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, train.MetricsFile)
	if err := os.WriteFile(path, []byte("{\"step\":1,\"loss\":6.2}\n{\"step\":2,\"loss\":71}\n{\"step\":3,\"loss\":5.1}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if worst, err := worstLoss(dir); err != nil || worst != 71 {
		t.Errorf("%v, %v; want 71", worst, err)
	}
	if err := os.WriteFile(path, []byte("{\"step\":1}\n{\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := worstLoss(dir); err == nil || !strings.Contains(err.Error(), "line 2") {
		t.Errorf("a damaged line: %v", err)
	}
}
