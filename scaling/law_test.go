package scaling

import (
	"math"
	"testing"
)

// near reports a relative difference of at most tol.
func near(got, want, tol float64) bool { return math.Abs(got-want) <= tol*math.Abs(want) }

func TestLawOptimum(t *testing.T) {
	for _, p := range Published {
		if p.Name == "kaplan" { // its optimum is a fit of its own
			continue
		}
		for _, C := range []float64{1e18, 5.88e23, 1e27} {
			N, D := p.Optimum(C)
			if !near(6*N*D, C, 1e-12) {
				t.Errorf("%s: 6ND is %v of %v", p.Name, 6*N*D, C)
			}
			for _, shift := range []float64{0.99, 1.01} {
				if p.Loss(N*shift, D/shift) <= p.Loss(N, D) {
					t.Errorf("%s: at C %v the loss is lower at %v N", p.Name, C, shift)
				}
			}
		}
	}
}

// D/N at the compute of Chinchilla, 6 x 70e9 x 1.4e12 (Besiroglu et al. 2024 discuss these ratios).
func TestTokensPerParameter(t *testing.T) {
	for name, want := range map[string]float64{"hoffmann": 92.8, "hoffmann-unrounded": 59.0, "epoch": 18.3} {
		p, ok := ByName(name)
		if !ok {
			t.Fatalf("no published law %s", name)
		}
		if N, D := p.Optimum(5.88e23); math.Abs(D/N-want) > 0.05 {
			t.Errorf("%s: %.2f tokens per parameter, want %.1f", name, D/N, want)
		}
	}
	if _, ok := ByName("none"); ok {
		t.Error("a published law of no name")
	}
}

func TestLawInverse(t *testing.T) {
	l := Law{E: 1.8, A: 480, B: 2000, Alpha: 0.35, Beta: 0.37}
	N, D := l.Optimum(1e21)
	if d, C := l.TokensFor(N); !near(d, D, 1e-9) || !near(C, 1e21, 1e-9) {
		t.Errorf("TokensFor(%v) = %v, %v", N, d, C)
	}
	if n, C := l.ParamsFor(D); !near(n, N, 1e-9) || !near(C, 1e21, 1e-9) {
		t.Errorf("ParamsFor(%v) = %v, %v", D, n, C)
	}
}

// The reference values are those of Muennighoff et al.'s own function.
func TestRepeatedLoss(t *testing.T) {
	for _, c := range []struct{ N, D, U, want float64 }{
		{6.34e9, 242e9, 25e9, 2.2256440889984477},
		{8.67e9, 178e9, 25e9, 2.2269634075087867},
	} {
		if got := Muennighoff.RepeatedLoss(c.N, c.D, c.U); !near(got, c.want, 1e-14) {
			t.Errorf("N %g, D %g, U %g: %.16f, want %.16f", c.N, c.D, c.U, got, c.want)
		}
	}
	if a, b := Muennighoff.RepeatedLoss(1e9, 1e11, 1e12), Muennighoff.Loss(1e9, 1e11); !near(a, b, 1e-14) {
		t.Errorf("unique tokens: %v, the plain law says %v", a, b)
	}
	if a, b := Muennighoff.RepeatedLoss(1e9, 1e12, 1e10), Muennighoff.RepeatedLoss(1e9, 1e11, 1e10); a >= b {
		t.Errorf("more repeats raise the loss from %v to %v", b, a)
	}
}
