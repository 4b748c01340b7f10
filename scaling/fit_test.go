package scaling

import (
	"context"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/plinth-ml/plinth/internal/random"
)

// ladder is a made-up set of runs under a law, with normal noise of ln L.
func ladder(l Law, noise float64) []Run {
	key := random.NewKey(7)
	var runs []Run
	for i := range 6 {
		for j := range 4 {
			N := 1e6 * math.Pow(3, float64(i))
			D := N * 5 * math.Pow(2.5, float64(j))
			runs = append(runs, Run{N: N, D: D, C: 6 * N * D, Loss: l.Loss(N, D) * math.Exp(noise*key.Normal(uint64(len(runs))))})
		}
	}
	return runs
}

var truth = Law{E: 1.7, A: 400, B: 900, Alpha: 0.34, Beta: 0.31}

func close5(t *testing.T, got, want Law, tol float64) {
	t.Helper()
	for _, c := range []struct {
		name      string
		got, want float64
	}{{"E", got.E, want.E}, {"A", got.A, want.A}, {"B", got.B, want.B}, {"alpha", got.Alpha, want.Alpha}, {"beta", got.Beta, want.Beta}} {
		if !near(c.got, c.want, tol) {
			t.Errorf("%s is %v, want %v", c.name, c.got, c.want)
		}
	}
}

func TestFitRecoversALaw(t *testing.T) {
	runs := ladder(truth, 0)
	runs = append(runs, Run{N: 1e6, D: 1e6, C: 6e12, Loss: math.NaN(), Diverged: true})
	f, err := Fit(context.Background(), runs, FitOptions{})
	if err != nil {
		t.Fatal(err)
	}
	close5(t, f.Law, truth, 1e-5)
	if f.Runs != 24 || f.Objective > 1e-14 || f.Fit.R2 < 1-1e-9 || f.Fit.RMS > 1e-6 {
		t.Errorf("%+v", f)
	}
}

// With noise of 0.3 % the truth lies inside every interval of this draw, and neither the threads nor the call change a bit.
func TestFitBootstrap(t *testing.T) {
	runs := ladder(truth, 0.003)
	var first *Fitted
	for _, threads := range []int{1, 3} {
		f, err := Fit(context.Background(), runs, FitOptions{Bootstrap: 80, Threads: threads, Seed: 5})
		if err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = f
		}
		if f.Law != first.Law || !slices.Equal(f.Draws, first.Draws) {
			t.Errorf("%d threads: another result", threads)
		}
	}
	if len(first.Draws)+first.Lost != 80 {
		t.Errorf("%d draws and %d lost", len(first.Draws), first.Lost)
	}
	for _, c := range []struct {
		name string
		of   func(Law) float64
	}{
		{"E", func(l Law) float64 { return l.E }},
		{"A", func(l Law) float64 { return l.A }},
		{"B", func(l Law) float64 { return l.B }},
		{"alpha", func(l Law) float64 { return l.Alpha }},
		{"beta", func(l Law) float64 { return l.Beta }},
		{"loss at ten times the budget", func(l Law) float64 { return l.Loss(1e10, 5e11) }},
	} {
		if i := Over(first.Draws, c.of); !(i.Low < c.of(truth) && c.of(truth) < i.High && i.SE > 0 && i.SE < i.High-i.Low) {
			t.Errorf("%s: interval %+v, truth %v", c.name, i, c.of(truth))
		}
	}
	if slices.Equal(resampled(24, 5, 0), resampled(24, 6, 0)) || slices.Equal(resampled(24, 5, 0), resampled(24, 5, 1)) {
		t.Error("seed or draw do not change the resample")
	}
}

func TestFitErrors(t *testing.T) {
	runs := ladder(truth, 0)
	oneN := slices.Clone(runs[:4])
	oneN = append(oneN, runs[:4]...)
	rising := slices.Clone(runs[:12])
	for i := range rising {
		rising[i].Loss = math.Pow(rising[i].N, 0.1)
	}
	bad := slices.Clone(runs)
	bad[3].Loss = math.Inf(1)
	zero := slices.Clone(runs)
	zero[2].D, zero[2].Name = 0, "third"
	for _, c := range []struct {
		runs []Run
		want string
	}{
		{nil, "0 runs"},
		{runs[:4], "4 runs that did not diverge; 5 constants need at least 6"},
		{oneN, "N takes 1 values"},
		{rising, "does not fall"},
		{bad, "run 4 (): loss is +Inf"},
		{zero, "run 3 (third): D is 0"},
	} {
		if _, err := Fit(context.Background(), c.runs, FitOptions{}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v, want %q", err, c.want)
		}
	}
	ctx, stop := context.WithCancel(context.Background())
	stop()
	if _, err := Fit(ctx, runs, FitOptions{}); err != context.Canceled {
		t.Errorf("stopped: %v", err)
	}
}

// The gradient against central differences, in both branches of Huber's loss.
func TestObjectiveGradient(t *testing.T) {
	runs := ladder(truth, 0.01)
	f := newPowers(column(runs, loss), true, 1e-3, column(runs, params), column(runs, tokens))
	p := f.centred([]float64{6, 0.34, 6.8, 0.31, 0.53})
	times := make([]float64, len(runs))
	for _, i := range resampled(len(runs), 1, 0) {
		times[i]++
	}
	g, scratch := make([]float64, 5), make([]float64, 5)
	f.value(p, g, times)
	for i := range p {
		const h = 1e-7
		up, down := slices.Clone(p), slices.Clone(p)
		up[i] += h
		down[i] -= h
		if d := (f.value(up, scratch, times) - f.value(down, scratch, times)) / (2 * h); math.Abs(d-g[i]) > 1e-6 {
			t.Errorf("parameter %d: gradient %v, differences say %v", i, g[i], d)
		}
	}
}
