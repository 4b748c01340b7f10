package optimize

import (
	"math"
	"testing"
)

// A quadratic of condition 1e6 and Rosenbrock's valley, whose minima are known.
func TestLBFGS(t *testing.T) {
	for _, c := range []struct {
		name        string
		start, want []float64
		f           func(p, g []float64) float64
	}{
		{"quadratic", []float64{3, -2, 1}, []float64{1, 2, 3}, func(p, g []float64) float64 {
			sum := 0.0
			for i, w := range []float64{1, 1e3, 1e6} {
				d := p[i] - float64(i+1)
				g[i] = 2 * w * d
				sum += w * d * d
			}
			return sum
		}},
		{"rosenbrock", []float64{-1.2, 1}, []float64{1, 1}, func(p, g []float64) float64 {
			a, b := 1-p[0], p[1]-p[0]*p[0]
			g[0], g[1] = -2*a-400*p[0]*b, 200*b
			return a*a + 100*b*b
		}},
	} {
		p := append([]float64(nil), c.start...)
		value := LBFGS(p, 1e-9, c.f)
		for i := range p {
			if math.Abs(p[i]-c.want[i]) > 1e-7 {
				t.Errorf("%s: minimum at %v, want %v", c.name, p, c.want)
				break
			}
		}
		if g := make([]float64, len(p)); value != c.f(p, g) || value > 1e-14 {
			t.Errorf("%s: returns the value %v, at the point it is %v", c.name, value, c.f(p, g))
		}
	}
}

func TestDotAxpy(t *testing.T) {
	for n := range 10 {
		a, b, want := make([]float64, n), make([]float64, n), 0.0
		for i := range a {
			a[i], b[i] = float64(i+1), float64(2*i-3)
			want += a[i] * b[i]
		}
		if got := Dot(a, b); got != want {
			t.Errorf("n %d: Dot %v, want %v", n, got, want)
		}
		Axpy(b, 2, a)
		for i := range b {
			if b[i] != float64(2*i-3)+2*a[i] {
				t.Errorf("n %d: Axpy gives %v at %d", n, b[i], i)
			}
		}
	}
}
