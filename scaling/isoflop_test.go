package scaling

import (
	"math"
	"strings"
	"testing"
)

// profiles are runs of a law without noise at budgets, sizes a factor apart around the optimum.
func profiles(l Law, budgets, sizes int, factor float64) []Run {
	var runs []Run
	for i := range budgets {
		C := 1e18 * math.Pow(4, float64(i))
		best, _ := l.Optimum(C)
		for j := range sizes {
			N := best * math.Pow(factor, float64(j)-float64(sizes-1)/2)
			runs = append(runs, Run{N: N, D: C / 6 / N, C: C, Loss: l.Loss(N, C/6/N)})
		}
	}
	return runs
}

// Near its minimum the valley of a law is a parabola, so that narrow profiles find the law's optimum and exponents.
func TestIsoFLOP(t *testing.T) {
	runs := profiles(truth, 5, 5, 1.1)
	f, err := FitIsoFLOP(runs, FitOptions{Bootstrap: 100})
	if err != nil {
		t.Fatal(err)
	}
	a, b := truth.Exponents()
	if !near(f.N.Exponent, a, 1e-3) || !near(f.D.Exponent, b, 1e-3) || len(f.Valleys) != 5 || len(f.Dropped) != 0 {
		t.Errorf("exponents %v and %v of %d valleys, want %v and %v of 5; dropped %v", f.N.Exponent, f.D.Exponent, len(f.Valleys), a, b, f.Dropped)
	}
	N, D := f.Optimum(1e22)
	wantN, wantD := truth.Optimum(1e22)
	if !near(N, wantN, 0.02) || !near(D, wantD, 0.02) {
		t.Errorf("at 1e22: N %g, D %g, want %g, %g", N, D, wantN, wantD)
	}
	v := f.Valleys[2]
	if !near(6*v.N*v.D, v.C, 1e-9) || !near(v.Loss, truth.Loss(v.N, v.D), 1e-6) || !near(v.At(v.Runs[0].N), v.Runs[0].Loss, 1e-5) {
		t.Errorf("valley %+v", v)
	}
	if len(f.Draws)+f.Lost != 100 || len(f.Draws) < 50 {
		t.Errorf("%d draws, %d lost", len(f.Draws), f.Lost)
	}
	if i := Over(f.Draws, func(p Allocation) float64 { return p.N.Exponent }); !near(i.Low, a, 0.01) || !near(i.High, a, 0.01) {
		t.Errorf("interval of the exponent: %+v", i)
	}
}

func TestIsoFLOPErrors(t *testing.T) {
	edge := profiles(truth, 3, 5, 1.3)
	for i := range edge[:5] {
		edge[i].N *= 30 // all sizes far above the optimum
		edge[i].Loss = truth.Loss(edge[i].N, edge[i].C/6/edge[i].N)
	}
	f, err := FitIsoFLOP(edge, FitOptions{})
	if err != nil || len(f.Valleys) != 2 || len(f.Dropped) != 1 || !strings.Contains(f.Dropped[0], "outside the sizes") {
		t.Errorf("%v, %+v", err, f)
	}
	for _, c := range []struct {
		runs []Run
		want string
	}{
		{profiles(truth, 1, 4, 1.3), "4 runs"},
		{profiles(truth, 5, 3, 1.3), "0 budgets have runs of 4 sizes"},
		{edge[:10], "outside the sizes"},
	} {
		if _, err := FitIsoFLOP(c.runs, FitOptions{}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v, want %q", err, c.want)
		}
	}
}
