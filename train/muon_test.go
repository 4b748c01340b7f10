package train

import (
	"fmt"
	"math"
	"strconv"
	"testing"

	"github.com/plinth-ml/plinth/internal/kernel"
	"github.com/plinth-ml/plinth/internal/kernel/cpu"
	"github.com/plinth-ml/plinth/internal/kernel/ref"
	"github.com/plinth-ml/plinth/internal/random"
	"github.com/plinth-ml/plinth/internal/testkit"
)

var shapes = [][2]int{{1, 1}, {8, 8}, {12, 20}, {20, 12}, {64, 192}, {192, 64}, {1, 30}, {33, 5}}

func drawn(n int) []float32 {
	x, key := make([]float32, n), random.NewKey(3, uint64(n))
	for i := range x {
		x[i] = float32(key.Normal(uint64(i)))
	}
	return x
}

func TestNewtonSchulz(t *testing.T) {
	for _, k := range []*kernel.Set{ref.New(), cpu.New(cpu.Options{Threads: 2})} {
		n := newtonSchulz{k: k} // shared, so that scratch of another size is met
		for _, s := range shapes {
			rows, cols := s[0], s[1]
			t.Run(fmt.Sprintf("%s %dx%d", k.Name, rows, cols), func(t *testing.T) {
				x := drawn(rows * cols)
				want := plainNewtonSchulz(x, rows, cols)
				got := n.orthogonal(kernel.OfF32(append([]float32(nil), x...)), rows, cols).F32()
				for i := range got {
					if math.Abs(float64(got[i])-want[i]) > 2e-4 { // five steps amplify rounding a little
						t.Fatalf("element %d: %v, plain float64 gives %v", i, got[i], want[i])
					}
				}
				for i, s := range singularValues(got, rows, cols) {
					if s < 0.6 || s > 1.3 {
						t.Errorf("singular value %d is %.3f", i, s)
					}
				}
			})
		}
	}
}

func TestNewtonSchulzGolden(t *testing.T) {
	for _, name := range []string{"wide", "tall"} {
		c := testkit.Golden(t, "ops/newton_schulz_"+name)
		s := c.Shape("m")
		n := newtonSchulz{k: ref.New()}
		testkit.Close(t, name, n.orthogonal(kernel.OfF32(c.F32("m")), s[0], s[1]).F32(), c.F32("y"), 1e-4, 0)
	}
}

// plainNewtonSchulz is the iteration from the left as published, in float64.
func plainNewtonSchulz(x []float32, rows, cols int) []float64 {
	X := make([]float64, len(x))
	norm := 0.0
	for i, v := range x {
		X[i] = float64(v)
		norm += X[i] * X[i]
	}
	for i := range X {
		X[i] /= math.Sqrt(norm)
	}
	product := func(a, b []float64, m, k, n int) []float64 {
		c := make([]float64, m*n)
		for i := range m {
			for p := range k {
				for j := range n {
					c[i*n+j] += a[i*k+p] * b[p*n+j]
				}
			}
		}
		return c
	}
	for range 5 {
		T := make([]float64, len(X))
		for i := range rows {
			for j := range cols {
				T[j*rows+i] = X[i*cols+j]
			}
		}
		A := product(X, T, rows, cols, rows)
		B := product(A, A, rows, rows, rows)
		for i := range B {
			B[i] = -4.7750*A[i] + 2.0315*B[i]
		}
		Y := product(B, X, rows, rows, cols)
		for i := range X {
			X[i] = 3.4445*X[i] + Y[i]
		}
	}
	return X
}

// singularValues by one-sided Jacobi rotations of the shorter side.
func singularValues(x []float32, rows, cols int) []float64 {
	small, long := min(rows, cols), max(rows, cols)
	v := make([][]float64, small)
	for i := range v {
		v[i] = make([]float64, long)
		for j := range v[i] {
			if rows <= cols {
				v[i][j] = float64(x[i*cols+j])
			} else {
				v[i][j] = float64(x[j*cols+i])
			}
		}
	}
	dot := func(a, b []float64) (s float64) {
		for i := range a {
			s += a[i] * b[i]
		}
		return s
	}
	for range 12 {
		for p := range small {
			for q := p + 1; q < small; q++ {
				a, b, c := dot(v[p], v[p]), dot(v[q], v[q]), dot(v[p], v[q])
				if math.Abs(c) < 1e-15 {
					continue
				}
				sin, cos := math.Sincos(math.Atan2(2*c, a-b) / 2)
				for i := range v[p] {
					v[p][i], v[q][i] = cos*v[p][i]+sin*v[q][i], cos*v[q][i]-sin*v[p][i]
				}
			}
		}
	}
	var out []float64
	for i := range v {
		out = append(out, math.Sqrt(dot(v[i], v[i])))
	}
	return out
}

// Muon takes the matrices of blocks, AdamW the rest, and together they hold every parameter once.
func TestGroups(t *testing.T) {
	m := tiny.model(t)
	p, err := newOptimizer(ref.New(), Options{Optimizer: "muon"}, m.Params())
	if err != nil {
		t.Fatal(err)
	}
	if len(p.muon) != 4*tiny.layers || len(p.adam)+len(p.muon) != len(m.Params()) {
		t.Errorf("%d in muon, %d in adamw of %d", len(p.muon), len(p.adam), len(m.Params()))
	}
	for _, s := range p.muon {
		if s.Name[:14] != "transformer.h." {
			t.Errorf("muon has %s", s.Name)
		}
	}
	if _, err := newOptimizer(ref.New(), Options{}, append(m.Params(), m.Params()[0])); err == nil {
		t.Error("a parameter twice in the list is taken")
	}
}

// One step against the update written out: the first momentum is the gradient, look-ahead only scales it.
func TestMuonStep(t *testing.T) {
	m := tiny.model(t)
	k := ref.New()
	p, err := newOptimizer(k, Options{Optimizer: "muon", Momentum: 0.95, Beta1: 0.9, Beta2: 0.95, Eps: 1e-8, WeightDecay: 0.1}, m.Params())
	if err != nil {
		t.Fatal(err)
	}
	s := p.muon[1]
	rows, cols := s.T().Dims2()
	g := drawn(rows * cols)
	copy(s.T().Grad.F32(), g)
	before := append([]float32(nil), s.T().F32()...)
	p.step(1, 0.01, 0.5)
	o := plainNewtonSchulz(g, rows, cols)
	for i, w := range s.T().F32() {
		want := float64(before[i])*(1-0.01*0.1) - 0.01*0.2*math.Sqrt(float64(max(rows, cols)))*o[i]
		if math.Abs(float64(w)-want) > 1e-5 {
			t.Fatalf("element %d: %v, want %v", i, w, want)
		}
		if s.T().Grad.F32()[i] != 0 || s.momentum.F32()[i] != g[i]/2 {
			t.Fatal("gradient not zeroed, or momentum not the scaled gradient: " + strconv.Itoa(i))
		}
	}
}
