package scaling

import (
	"context"
	"math"
	"strings"
	"testing"
)

// Curves of many sizes: the envelope of the law's own curves has the law's exponents.
func TestEnvelope(t *testing.T) {
	var points []Run
	for i := range 25 {
		N := 1e7 * math.Pow(1.3, float64(i))
		for j := range 40 {
			D := N * math.Pow(1.2, float64(j))
			points = append(points, Run{N: N, D: D, C: 6 * N * D, Loss: truth.Loss(N, D)})
		}
	}
	f, err := FitEnvelope(points, FitOptions{Bootstrap: 20})
	if err != nil {
		t.Fatal(err)
	}
	a, b := truth.Exponents()
	if !near(f.N.Exponent, a, 0.02) || !near(f.D.Exponent, b, 0.02) {
		t.Errorf("exponents %v and %v, want %v and %v", f.N.Exponent, f.D.Exponent, a, b)
	}
	N, D := f.Optimum(1e20)
	wantN, wantD := truth.Optimum(1e20)
	if !near(N, wantN, 0.1) || !near(D, wantD, 0.1) {
		t.Errorf("at 1e20: N %g, D %g, want %g, %g", N, D, wantN, wantD)
	}
	l, err := f.FitLoss(context.Background(), FitOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if !near(l.Law.At(1e20), truth.Loss(wantN, wantD), 0.005) || !near(l.Law.E, truth.E, 0.05) {
		t.Errorf("loss along the frontier: %+v, at 1e20 %v, want %v", l.Law, l.Law.At(1e20), truth.Loss(wantN, wantD))
	}
	if len(f.Draws)+f.Lost != 20 {
		t.Errorf("%d draws, %d lost", len(f.Draws), f.Lost)
	}
	if _, err := FitEnvelope(points[:80], FitOptions{}); err == nil || !strings.Contains(err.Error(), "2 sizes") {
		t.Errorf("two curves: %v", err)
	}
}

func TestCurves(t *testing.T) {
	curves := curvesOf([]Run{{N: 2, C: 8, Loss: 3}, {N: 2, C: 9, Loss: 2}, {N: 1, C: 4, Loss: 2}, {N: 1.001, C: 1, Loss: 4}, {N: 1, C: 2, Loss: 5}, {N: 1, C: 1, Loss: 6},
		{N: 1, C: 16, Loss: 1}})
	if len(curves) != 1 || len(curves[0]) != 3 || curves[0][1].Loss != 2 {
		t.Fatalf("curves %v", curves)
	}
	for _, c := range []struct {
		C, want float64
		ok      bool
	}{{1, 4, true}, {2, math.Sqrt(8), true}, {4, 2, true}, {8, math.Sqrt(2), true}, {0.9, 0, false}, {16.1, 0, false}} {
		if o, ok := readCurve(curves[0], c.C); ok != c.ok || ok && !near(o.Loss, c.want, 1e-12) {
			t.Errorf("at %v: %v, %v", c.C, o, ok)
		}
	}
}
