package scaling

import (
	"context"
	"encoding/json"
	"math"
	"os"
	"testing"

	"github.com/plinth-ml/plinth/internal/testkit"
)

// The points of Hoffmann et al.'s figure 4 as Besiroglu et al. 2024 extracted them, without the five highest losses.
func epochRuns(t *testing.T) []Run {
	t.Helper()
	s, err := ReadCSVFile(testkit.Data(t, "scaling/chinchilla_epoch_svg_extracted.csv"), Columns{}, false)
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Runs) != 245 {
		t.Fatalf("%d runs, want 245", len(s.Runs))
	}
	return DropHighest(s.Runs, 5)
}

func TestEpochFit(t *testing.T) {
	runs := epochRuns(t)
	f, err := Fit(context.Background(), runs, FitOptions{Bootstrap: 1000, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	// Besiroglu et al.'s constants come from SciPy's L-BFGS-B at its own tolerance. The same objective brought to convergence by three of
	// SciPy's methods (BFGS, L-BFGS-B and Nelder-Mead at 1e-16) is 4e-11 lower, and its B lies 2e-4 away.
	close5(t, f.Law, Law{E: 1.81724, A: 477.84, B: 2143.86, Alpha: 0.347313, Beta: 0.367183}, 2.5e-4)
	close5(t, f.Law, Law{E: 1.817218, A: 477.82587, B: 2143.4174, Alpha: 0.34731049, Beta: 0.36717242}, 1e-6)
	if !near(f.Objective, 0.00101827402, 1e-8) {
		t.Errorf("objective %.14f", f.Objective)
	}
	if N, D := f.Law.Optimum(5.88e23); math.Abs(D/N-17.9) > 0.05 {
		t.Errorf("%.2f tokens per parameter at Chinchilla's compute, want 17.9", D/N)
	}
	// Their bootstrap of 4000 draws, table 1 (standard errors); a thousand draws of a long-tailed B are within a third of it.
	for _, c := range []struct {
		name     string
		of       func(Law) float64
		se, part float64
	}{
		{"E", func(l Law) float64 { return l.E }, 0.02566, 0.15},
		{"A", func(l Law) float64 { return l.A }, 124.58, 0.2},
		{"B", func(l Law) float64 { return l.B }, 1293.28, 0.33},
		{"alpha", func(l Law) float64 { return l.Alpha }, 0.01540, 0.15},
		{"beta", func(l Law) float64 { return l.Beta }, 0.02060, 0.15},
	} {
		i := Over(f.Draws, c.of)
		t.Logf("%s: %+v", c.name, i)
		if !near(i.SE, c.se, c.part) {
			t.Errorf("%s: standard error %v, published %v", c.name, i.SE, c.se)
		}
	}
	if f.Lost > 0 {
		t.Errorf("%d draws without a law", f.Lost)
	}
}

// The exponent of N under approaches 1 and 2: published .50 and .49 on all of Hoffmann et al.'s points (tables 2 and A3).
func TestEpochOtherApproaches(t *testing.T) {
	runs := epochRuns(t)
	e, err := FitEnvelope(runs, FitOptions{Bootstrap: 50})
	if err != nil {
		t.Fatal(err)
	}
	i, err := FitIsoFLOP(runs, FitOptions{Bootstrap: 500})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		f    Frontier
		want float64
	}{{"envelope", *e, 0.50}, {"isoflop", i.Frontier, 0.49}} {
		over := Over(c.f.Draws, func(a Allocation) float64 { return a.N.Exponent })
		if math.Abs(c.f.N.Exponent-c.want) > 0.04 || over.Low > c.want || c.want > over.High || c.f.Lost > 0 {
			t.Errorf("%s: exponent %v, %+v, published %v; %d resamples lost", c.name, c.f.N.Exponent, over, c.want, c.f.Lost)
		}
	}
}

// The profiles of Stanford's CS336 come from a law without noise, which the fit finds to all its digits; their valleys, eight sizes over three
// decades each, are no exact parabolas.
func TestCS336Profiles(t *testing.T) {
	b, err := os.ReadFile(testkit.Data(t, "scaling/cs336_isoflops_curves.json"))
	if err != nil {
		t.Fatal(err)
	}
	var rows []struct {
		N    float64 `json:"parameters"`
		C    float64 `json:"compute_budget"`
		Loss float64 `json:"final_loss"`
	}
	if err := json.Unmarshal(b, &rows); err != nil {
		t.Fatal(err)
	}
	var runs []Run
	for _, r := range rows {
		runs = append(runs, Run{N: r.N, D: r.C / 6 / r.N, C: r.C, Loss: r.Loss})
	}
	f, err := Fit(context.Background(), runs, FitOptions{})
	if err != nil {
		t.Fatal(err)
	}
	close5(t, f.Law, Law{E: 2.69, A: 1606.4, B: 3210.7, Alpha: 0.34, Beta: 0.36}, 1e-6)
	i, err := FitIsoFLOP(runs, FitOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if a, _ := f.Law.Exponents(); len(i.Valleys) != 9 || math.Abs(i.N.Exponent-a) > 1e-3 {
		t.Errorf("%d valleys, exponent %v; the law's is %v", len(i.Valleys), i.N.Exponent, a)
	}
	if _, err := FitEnvelope(runs, FitOptions{}); err == nil {
		t.Error("sizes that no two budgets share make an envelope")
	}
}
