package vec

import (
	"math"
	"testing"
)

const smallestNormal = 0x1p-126

// Moments of parameters whose gradient stays 0 decay to exactly 0 and are never subnormal; the parameter is as without it.
func TestAdamWFlushesMoments(t *testing.T) {
	eachVariant(t, func(t *testing.T) {
		const n = 19
		p, g, m, v := make([]float32, n), make([]float32, n), make([]float32, n), make([]float32, n)
		Fill(p, 1)
		Fill(m, -1e-28)
		Fill(v, 1e-36)
		s := AdamWStep{LR: 1e-3, Beta1: 0.9, Beta2: 0.95, Eps: 1e-8, Step: 1000, GradScale: 1}
		for range 100 {
			AdamW(p, g, m, v, s)
			for i := range m {
				if a := math.Abs(float64(m[i])); a != 0 && a < smallestNormal || v[i] != 0 && v[i] < smallestNormal {
					t.Fatalf("moments %d are subnormal: %g, %g", i, m[i], v[i])
				}
			}
		}
		for i := range m {
			if m[i] != 0 || v[i] != 0 || p[i] != 1 {
				t.Fatalf("element %d: p %v, m %g, v %g, want 1, 0, 0", i, p[i], m[i], v[i])
			}
		}
		nan := float32(math.NaN())
		m[0], v[17] = nan, nan
		AdamW(p, g, m, v, s)
		if m[0] == m[0] || v[17] == v[17] {
			t.Fatal("NaN moments are lost")
		}
	})
}

func TestAdamWZeroGradScaleIsOne(t *testing.T) {
	eachVariant(t, func(t *testing.T) {
		a, b, s := adamWState(19), adamWState(19), testStep
		s.GradScale = 1
		AdamW(a[0], a[1], a[2], a[3], s)
		s.GradScale = 0
		AdamW(b[0], b[1], b[2], b[3], s)
		compare(t, "GradScale 0", b, a)
	})
}

// No subnormal leaves ExpSum or Softmax.
func TestSoftmaxHasNoSubnormals(t *testing.T) {
	eachVariant(t, func(t *testing.T) {
		x, y := make([]float32, 4099), make([]float32, 4099)
		for i := range x {
			if i%2 == 1 {
				x[i] = -float32(i) / 32 // 0 to -128
			}
		}
		check := func(op string) {
			for i, e := range y {
				if (e == 0) != (x[i] < -64) || e != 0 && e < smallestNormal {
					t.Fatalf("%s(%v) is %g", op, x[i], e)
				}
			}
		}
		ExpSum(y, x, 0)
		check("ExpSum")
		Softmax(y, x)
		check("Softmax")
	})
}

func TestLimitsOfActivations(t *testing.T) {
	inf := float32(math.Inf(1))
	eachVariant(t, func(t *testing.T) {
		x, y, one := make([]float32, 19), make([]float32, 19), make([]float32, 19)
		Fill(one, 1)
		each := func(name string, f func(), in, want, abs float32) {
			t.Helper()
			Fill(x, in)
			f()
			for i, e := range y {
				if !(e == want || math.Abs(float64(e-want)) <= float64(abs)) {
					t.Fatalf("%s(%v), element %d: %v, want %v", name, in, i, e, want)
				}
			}
		}
		for _, a := range []float32{7.90531110763549805, 8, 9.1, 20, 1e30, inf} {
			each("Tanh", func() { Tanh(y, x) }, a, 1, 0)
			each("Tanh", func() { Tanh(y, x) }, -a, -1, 0)
		}
		for a := float32(7.8); a < 7.9054; a = math.Nextafter32(a, inf) {
			each("Tanh", func() { Tanh(y[:1], x[:1]); Fill(y, y[0]) }, a, 1, 6e-7)
			if y[0] > 1 {
				t.Fatalf("Tanh(%v) is %v", a, y[0])
			}
		}
		up := make([]float32, 19)
		Fill(up, 1)
		for name, f := range map[string]func(){
			"GELU": func() { GELU(y, x) }, "GELUTanh": func() { GELUTanh(y, x) },
			"SiLU": func() { SiLU(y, x) }, "SwiGLU": func() { SwiGLU(y, x, up) },
		} {
			each(name, f, -inf, 0, 0)
			each(name, f, inf, inf, 0)
		}
		for name, f := range map[string]func(){
			"GELUGrad": func() { GELUGrad(y, one, x) }, "GELUTanhGrad": func() { GELUTanhGrad(y, one, x) },
			"SiLUGrad": func() { SiLUGrad(y, one, x) },
		} {
			each(name, f, -inf, 0, 1e-30)
			each(name, f, inf, 1, 0)
		}
	})
}
