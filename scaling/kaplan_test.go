package scaling

import (
	"context"
	"math"
	"strings"
	"testing"
)

func TestKaplanLaws(t *testing.T) {
	for _, c := range []struct {
		name      string
		got, want float64
		digits    float64
	}{
		{"L(N=1e8)", KaplanN.At(1e8), 2.830, 5e-4},
		{"L(N=1e9)", KaplanN.At(1e9), 2.376, 5e-4},
		{"L(N=1e10)", KaplanN.At(1e10), 1.994, 5e-4},
		{"GPT-3's L(C=1)", GPT3C.At(1), 2.57, 1e-9},
		{"GPT-3's L(C=3640)", GPT3C.At(3640), 2.57 * math.Pow(3640, -0.048), 1e-9},
		// L(N, D) tends to its own L(N) and L(D) with its own constants.
		{"L(N, inf)", KaplanLossND.Loss(1e9, math.Inf(1)), math.Pow(6.4e13/1e9, 0.076), 1e-9},
		{"L(inf, D)", KaplanLossND.Loss(math.Inf(1), 1e10), math.Pow(1.8e13/1e10, 0.103), 1e-9},
		{"L(N, S)", KaplanLossNS.Loss(1e9, 1e5), math.Pow(6.5e4, 0.077) + math.Pow(0.021, 0.76), 1e-9},
		{"B_crit(L)", KaplanBatch.Tokens(2), 2.1e8 * math.Pow(2, -1/0.21), 1},
		// At the critical batch steps and compute are twice the least.
		{"S_min", KaplanBatch.MinSteps(1000, KaplanBatch.Tokens(2.5), 2.5), 500, 1e-9},
		{"C_min", KaplanBatch.MinCompute(8, KaplanBatch.Tokens(2.5), 2.5), 4, 1e-9},
		{"optimal N", KaplanOptimum(1).N, 1.3e9, 1},
		{"no over-fitting", KaplanTokens(1e9), 5e3 * math.Pow(1e9, 0.74), 1},
	} {
		if !(math.Abs(c.got-c.want) <= c.digits) {
			t.Errorf("%s: %v, want %v", c.name, c.got, c.want)
		}
	}
	for _, C := range []float64{1e18, 1e24} {
		N, D := KaplanLossND.Optimum(C)
		if !near(6*N*D, C, 1e-12) || KaplanLossND.Loss(N*1.01, D/1.01) <= KaplanLossND.Loss(N, D) || KaplanLossND.Loss(N/1.01, D*1.01) <= KaplanLossND.Loss(N, D) {
			t.Errorf("C %g: N %g, D %g is no optimum of L(N, D)", C, N, D)
		}
	}
	// Table 6: B·S is C_min/6N, and at the critical batch twice the tokens.
	if k := KaplanOptimum(1); !near(k.B*k.S, PFDay/6/k.N, 0.03) || !near(k.D, 2*k.B*k.S, 0.1) {
		t.Errorf("one PF-day: %+v", k)
	}
}

func TestFitPower(t *testing.T) {
	for _, want := range []PowerLaw{{X: 8.8e13, Alpha: 0.076}, {X: 1e10, Alpha: 0.3, E: 1.7}} {
		var x, y []float64
		for i := range 8 {
			x = append(x, 1e6*math.Pow(4, float64(i)))
			y = append(y, want.At(x[i]))
		}
		f, err := FitPower(context.Background(), x, y, want.E > 0, FitOptions{Bootstrap: 20})
		if err != nil {
			t.Fatal(err)
		}
		if !near(f.Law.X, want.X, 1e-4) || !near(f.Law.Alpha, want.Alpha, 1e-5) || !near(f.Law.E, want.E, 1e-5) || f.Fit.R2 < 1-1e-9 || len(f.Draws) == 0 {
			t.Errorf("%+v, want %+v", f, want)
		}
	}
	x := []float64{1, 2, 3, 4}
	for _, c := range []struct {
		x, y []float64
		want string
	}{
		{x, []float64{1, 2, 3, 4}, "does not fall"},
		{x[:2], x[:2], "at 3 sizes"},
		{x, []float64{4, 3, math.NaN(), 2}, "point 3"},
	} {
		if _, err := FitPower(context.Background(), c.x, c.y, false, FitOptions{}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v, want %q", err, c.want)
		}
	}
}

func TestFitKaplan(t *testing.T) {
	var runs []Run
	for _, r := range ladder(truth, 0) {
		r.Loss = KaplanLossND.Loss(r.N, r.D)
		runs = append(runs, r)
	}
	f, err := FitKaplan(context.Background(), runs, FitOptions{Bootstrap: 20})
	if err != nil {
		t.Fatal(err)
	}
	k := KaplanLossND
	if !near(f.Law.NC, k.NC, 1e-3) || !near(f.Law.DC, k.DC, 1e-3) || !near(f.Law.AlphaN, k.AlphaN, 1e-4) || !near(f.Law.AlphaD, k.AlphaD, 1e-4) || len(f.Draws) == 0 {
		t.Errorf("%+v, want %+v", f.Law, k)
	}
	for i := range runs {
		runs[i].Loss = math.Pow(runs[i].D, 0.1)
	}
	if _, err := FitKaplan(context.Background(), runs, FitOptions{}); err == nil {
		t.Error("a rising loss has a law")
	}
	if _, err := FitKaplan(context.Background(), runs[:4], FitOptions{}); err == nil || !strings.Contains(err.Error(), "at least 5") {
		t.Errorf("four runs: %v", err)
	}
}
