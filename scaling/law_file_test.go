package scaling

import (
	"context"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func TestLawFile(t *testing.T) {
	runs := ladder(truth, 0.003)
	f := &Fitted{Law: truth, Runs: len(runs), Fit: Assess(truth, runs), Draws: []Law{truth, {E: 1.8, A: 300, B: 800, Alpha: 0.33, Beta: 0.3}}}
	want := f.File(runs, NonEmbedding, []string{"a.csv"})
	path := filepath.Join(t.TempDir(), "law.json")
	if err := want.Write(path); err != nil {
		t.Fatal(err)
	}
	got, err := ReadLaw(path)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v comes back as %+v", want, got)
	}
	if want.N != (Span{1e6, 243e6}) || want.C.Max != runs[len(runs)-1].C {
		t.Errorf("spans %v, %v", want.N, want.C)
	}
	N, D := got.Optimum(1e20)
	i, j := got.OptimumInterval(1e20)
	if l := got.LossInterval(N, D); !(l.Low < l.High && i.Low < i.High && j.Low < j.High && i.Low <= N && D <= j.High) {
		t.Errorf("intervals %+v, %+v, %+v at N %g, D %g", l, i, j, N, D)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ old, new, want string }{
		{"plinth-law/1", "plinth-law/2", "format"},
		{`"non-embedding"`, `"some"`, "convention"},
		{`"alpha":0.34`, `"alpha":-1`, "law 0"},
		{`"alpha":0.33`, `"alpha":0`, "law 2"},
		{`"runs"`, `"extra"`, "extra"},
		{"}\n", "}{", "follows"},
	} {
		text := strings.Replace(string(whole), c.old, c.new, 1)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadLaw(path); err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s for %s: error %v", c.new, c.old, err)
		}
	}
}

// The law's own runs at larger compute are predicted exactly; the best smaller run is not.
func TestHoldout(t *testing.T) {
	runs := ladder(truth, 0)
	h, err := Holdout(context.Background(), runs, 2, FitOptions{Bootstrap: 10})
	if err != nil {
		t.Fatal(err)
	}
	if h.Runs != len(runs)-2 || len(h.HeldOut) != 2 || h.HeldOut[1].Run.C != runs[len(runs)-1].C {
		t.Fatalf("%+v", h)
	}
	for _, o := range h.HeldOut {
		if !near(o.Predicted, o.Run.Loss, 1e-6) || o.NaiveError < 0.001 || !near(o.BestSmall, o.Run.Loss*(1+o.NaiveError), 1e-12) || o.Ahead <= 1 || !(o.Interval.Low <= o.Interval.High) {
			t.Errorf("%+v", o)
		}
	}
	if _, err := Holdout(context.Background(), runs[:7], 2, FitOptions{}); err == nil || !strings.Contains(err.Error(), "without the 2 largest runs") {
		t.Errorf("too few: %v", err)
	}
	if _, err := Holdout(context.Background(), runs[:7], 7, FitOptions{}); err == nil || !strings.Contains(err.Error(), "7 of 7") {
		t.Errorf("all held out: %v", err)
	}
}
