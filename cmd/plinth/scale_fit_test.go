package main

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/plinth-ml/plinth/scaling"
)

// madeUp writes a CSV of isoFLOP profiles under a law: three budgets of five sizes, and a run that diverged.
func madeUp(t *testing.T, path string, l scaling.Law) {
	t.Helper()
	var b strings.Builder
	b.WriteString("name,Model Size,Training FLOP,loss,diverged\n")
	for i := range 3 {
		C := 1e18 * math.Pow(10, float64(i))
		best, _ := l.Optimum(C)
		for j := range 5 {
			N := best * math.Pow(1.8, float64(j-2))
			fmt.Fprintf(&b, "r%d-%d,%.17g,%.17g,%.17g,false\n", i, j, N, C, l.Loss(N, C/6/N))
		}
	}
	b.WriteString("bad,1e9,1e20,NaN,true\n")
	write(t, path, b.String())
}

func TestScaleFit(t *testing.T) {
	dir := t.TempDir()
	path, law := filepath.Join(dir, "runs.csv"), filepath.Join(dir, "law.json")
	truth := scaling.Law{E: 1.7, A: 400, B: 900, Alpha: 0.34, Beta: 0.31}
	madeUp(t, path, truth)
	o := object(t, "scale", "fit", path, "--bootstrap", "20", "--holdout", "5", "--budget", "1e21,1e22", "--out", law)
	keys(t, o, "runs diverged dropped convention notes parametric isoflop kaplan held_out law_file")
	b, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	var r fitResult
	if err := json.Unmarshal(b, &r); err != nil {
		t.Fatal(err)
	}
	if r.Runs != 15 || r.Diverged != 1 || r.Dropped != 0 || r.Convention != "all" || !strings.Contains(r.Notes[0], "D is C/6N") || !strings.Contains(r.Notes[1], "no envelope: ") {
		t.Errorf("%+v", r)
	}
	N, D := truth.Optimum(1e22)
	p := r.Parametric
	if p == nil || math.Abs(p.Alpha.Value-truth.Alpha) > 1e-4 || p.Alpha.Interval == nil || len(p.Optima) != 2 || math.Abs(p.Optima[1].N.Value/N-1) > 1e-3 ||
		math.Abs(p.Optima[1].D.Value/D-1) > 1e-3 || math.Abs(p.Optima[1].Loss.Value-truth.Loss(N, D)) > 1e-3 {
		t.Errorf("parametric %+v", p)
	}
	if r.IsoFLOP == nil || len(r.IsoFLOP.Valleys) != 3 || math.Abs(r.IsoFLOP.Optima[1].N.Value/N-1) > 0.1 {
		t.Errorf("isoflop %+v", r.IsoFLOP)
	}
	if len(r.HeldOut) != 5 || math.Abs(r.HeldOut[0].Error) > 1e-4 || math.Abs(r.HeldOut[0].Ahead-10) > 1e-9 {
		t.Errorf("held out %+v", r.HeldOut)
	}
	f, err := scaling.ReadLaw(law)
	if err != nil || f.Runs != 15 || len(f.Draws)+p.Lost != 20 || f.Source[0] != path {
		t.Errorf("law file: %v, %+v", err, f)
	}
	text := ok(t, "scale", "fit", path, "--bootstrap", "0", "--approach", "parametric", "--drop-highest", "2", "--holdout", "0")
	for _, want := range []string{"13 runs fitted, 1 diverged and left out, the 2 of highest loss left out; N counts all parameters", "alpha   0.34 ", "C 1e+21: N "} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}

func TestScaleFitErrors(t *testing.T) {
	dir := t.TempDir()
	path, few := filepath.Join(dir, "runs.csv"), filepath.Join(dir, "few.csv")
	write(t, few, "n,d,loss\n1e6,1e8,4\n2e6,1e8,3.9\n1e6,2e8,3.8\n")
	fit := func(file string, more ...string) []string { return append([]string{"scale", "fit", file}, more...) }
	fails(t, 1, "3 runs that did not diverge; 5 constants need at least 6", fit(few)...)
	fails(t, 1, "two isoFLOP valleys need at least 8", fit(few, "--approach", "isoflop")...)
	fails(t, 1, "missing.csv", fit(filepath.Join(dir, "missing.csv"))...)
	fails(t, 1, `no column "ppl" for loss`, fit(few, "--loss", "ppl")...)
	fails(t, 2, "--budget 0 is not a positive number", fit(few, "--budget", "0")...)
	fails(t, 2, "--budget +Inf", fit(few, "--budget", "inf")...)
	fails(t, 2, "--holdout -1", fit(few, "--holdout=-1")...)
	fails(t, 2, "--out needs the parametric law", fit(few, "--approach", "kaplan", "--out", "x")...)
	fails(t, 2, "--approach", fit(few, "--approach", "x")...)
	write(t, path, "n,d,loss\n1e6,1e8,4\n2e6,1e8,NaN\n")
	fails(t, 1, "runs.csv: line 3: column loss: NaN is not positive and finite", fit(path)...)
	fails(t, 1, "1 runs", fit(path, "--on-bad", "skip")...)
	world(t)
	fails(t, 1, "1 runs that did not diverge", fit(shared.model)...) // a run directory as train writes it
	fails(t, 1, "holds neither runs.csv", fit(t.TempDir())...)
	if _, err := os.Stat("x"); err == nil {
		t.Error("a law file was written")
	}
}
