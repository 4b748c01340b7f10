package vec

import (
	"math"
	"strings"
	"testing"
)

// Infinities, NaN and the ends of the range at every lane, by definition of the function.
func TestSpecialValues(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	payload := math.Float32frombits(0x7fffffff)
	table := []struct {
		name    string
		f       func(y, x []float32)
		x, want []float32
	}{
		{"Exp", Exp,
			[]float32{nan, payload, inf, negInf, 0, 88.72284, 88.72283, 88.722, -87.5, -103.97, -103.98, -200, 200, math.MaxFloat32},
			[]float32{nan, nan, inf, 0, 1, inf, 3.4027972e38, 3.4e38, 9.98e-39, 1e-45, 0, 0, inf, inf}},
		{"Tanh", Tanh, []float32{nan, inf, negInf, 0, 50, -50, 1e-42, 1e-20}, []float32{nan, 1, -1, 0, 1, -1, 1e-42, 1e-20}},
		{"Sigmoid", Sigmoid, []float32{nan, inf, negInf, 0, 100, -200}, []float32{nan, 1, 0, 0.5, 1, 0}},
		{"GELU", GELU, []float32{nan, inf, negInf, 0, 1e30, -1e30, 20, -20}, []float32{nan, inf, 0, 0, 1e30, 0, 20, 0}},
		{"GELUTanh", GELUTanh, []float32{nan, inf, negInf, 0, 1e30, -1e30, 20, -20}, []float32{nan, inf, 0, 0, 1e30, 0, 20, 0}},
		{"ReLU", ReLU, []float32{nan, inf, negInf, 0, -1, 1}, []float32{nan, inf, 0, 0, 0, 1}},
		{"SiLU", SiLU, []float32{nan, inf, negInf, 0, 1e30, -1e30}, []float32{nan, inf, 0, 0, 1e30, 0}},
		{"GELUGrad", slope(GELUGrad), []float32{nan, inf, negInf, 0, 1e30, -1e30}, []float32{nan, 1, 0, 0.5, 1, 0}},
		{"GELUTanhGrad", slope(GELUTanhGrad), []float32{nan, inf, negInf, 0, 1e30, -1e30}, []float32{nan, 1, 0, 0.5, 1, 0}},
		{"SiLUGrad", slope(SiLUGrad), []float32{nan, inf, negInf, 0, 1e30, -1e30}, []float32{nan, 1, 0, 0.5, 1, 0}},
		{"ReLUGrad", slope(ReLUGrad), []float32{nan, inf, negInf, 0, -1, 1}, []float32{0, 1, 0, 0, 0, 1}},
		{"ExpSum", func(y, x []float32) { ExpSum(y, x, 3) }, []float32{nan, inf, negInf, 3, -300}, []float32{nan, inf, 0, 1, 0}},
	}
	eachVariant(t, func(t *testing.T) {
		for _, c := range table {
			for i, v := range c.x {
				for lane := range 17 {
					x, y := make([]float32, 17), make([]float32, 17)
					x[lane] = v
					c.f(y, x)
					got, want := float64(y[lane]), float64(c.want[i])
					if math.IsNaN(got) && math.IsNaN(want) || got == want {
						continue
					}
					if !(math.Abs(got-want) <= 2e-3*math.Abs(want)+1e-30) || math.IsInf(want, 0) || want == 0 && c.name == "Exp" {
						t.Fatalf("%s(%v) at lane %d = %v, want %v", c.name, v, lane, got, want)
					}
				}
			}
		}
	})
}

// slope makes the derivative out of a gradient function, with dy = 1.
func slope(f func(dx, dy, x []float32)) func(y, x []float32) {
	return func(y, x []float32) {
		dy := make([]float32, len(y))
		Fill(dy, 1)
		f(y, dy, x)
	}
}

// Dense sampling of all bit patterns against float64, with the errors that the comments state.
func TestStatedErrors(t *testing.T) {
	eachVariant(t, func(t *testing.T) { checkErrors(t, "", 4099) })
}

// checkErrors takes every step-th bit pattern; an empty name means all functions.
func checkErrors(t *testing.T, name string, step uint64) {
	table := []struct {
		name  string
		f     func(y, x []float32)
		ref   func(float64) float64
		ulps  float64 // of the result; 0 for an error in units
		rel   float64
		abs   float64
		least float64 // inputs below are only checked to give less than abs
	}{
		{"Exp", Exp, math.Exp, 2, 0, 0, math.Inf(-1)},
		{"Tanh", Tanh, math.Tanh, 7, 0, 0, math.Inf(-1)},
		{"Sigmoid", Sigmoid, sigmoid64, 4, 0, 1e-38, -87},
		{"GELU", GELU, gelu64, 0, 1e-6, 1e-9, math.Inf(-1)},
		{"GELUTanh", GELUTanh, geluTanh64, 0, 1e-6, 1e-9, math.Inf(-1)},
		{"SiLU", SiLU, silu64, 0, 1e-6, 1e-9, math.Inf(-1)},
		{"GELUGrad", slope(GELUGrad), geluSlope64, 0, 0, 1e-6, math.Inf(-1)},
		{"GELUTanhGrad", slope(GELUTanhGrad), geluTanhSlope64, 0, 0, 1e-6, math.Inf(-1)},
		{"SiLUGrad", slope(SiLUGrad), siluSlope64, 0, 0, 1e-6, math.Inf(-1)},
	}
	for _, c := range table {
		if name != "" && name != c.name {
			continue
		}
		worst, at := 0.0, float32(0)
		x, y := make([]float32, 0, 1024), make([]float32, 1024)
		for b := uint64(0); b < 1<<32; b += step {
			v := math.Float32frombits(uint32(b))
			if v == v && !math.IsInf(float64(v), 0) {
				x = append(x, v)
			}
			if len(x) < cap(x) && b+step < 1<<32 {
				continue
			}
			c.f(y[:len(x)], x)
			for i, v := range x {
				want, got := c.ref(float64(v)), float64(y[i])
				if math.IsNaN(want) { // the float64 formula overflows where its limit is 0 or 1
					continue
				}
				var e float64 // 1 is the stated error
				switch {
				case c.ulps > 0 && float64(v) < c.least:
					e = math.Abs(got-want) / c.abs
				case c.ulps > 0:
					e = ulps(got, want) / c.ulps
				default:
					e = math.Abs(got-want) / (c.rel*math.Abs(want) + c.abs)
				}
				if !(e <= worst) {
					worst, at = e, v
				}
			}
			x = x[:0]
		}
		t.Logf("%s: worst error %.3f of the stated one, at %v", c.name, worst, at)
		if !(worst <= 1) {
			t.Errorf("%s(%v) is %.3g times the stated error off", c.name, at, worst)
		}
	}
}

// ulps is the distance in units in the last place of the float32 nearest to want; an overflow must be one.
func ulps(got, want float64) float64 {
	w := float32(want)
	if got == float64(w) {
		return 0
	}
	up := math.Nextafter32(float32(math.Abs(float64(w))), float32(math.Inf(1)))
	unit := float64(up) - math.Abs(float64(w))
	if math.IsInf(float64(up), 1) {
		unit = 0x1p104
	}
	if math.IsInf(got, 0) {
		got = 0x1p128
	}
	return math.Abs(got-want) / unit
}

// Parts of an AdamW step give the bits of the whole.
func TestAdamWParts(t *testing.T) {
	eachVariant(t, func(t *testing.T) {
		s := testStep
		for _, s.ZeroGrad = range []bool{false, true} {
			whole, parts := adamWState(100), adamWState(100)
			AdamW(whole[0], whole[1], whole[2], whole[3], s)
			for lo, hi := 0, 0; lo < 100; lo = hi {
				hi = min(100, lo+1+lo/3)
				AdamW(parts[0][lo:hi], parts[1][lo:hi], parts[2][lo:hi], parts[3][lo:hi], s)
			}
			compare(t, "in parts", parts, whole)
			for i, g := range whole[1] {
				if want := adamWState(100)[1][i]; s.ZeroGrad && g != 0 || !s.ZeroGrad && g != want {
					t.Fatalf("zero %v: gradient %d is %v, was %v", s.ZeroGrad, i, g, want)
				}
			}
		}
	})
}

func adamWState(n int) [][]float32 {
	state := make([][]float32, 4)
	for j := range state {
		state[j] = make([]float32, n)
		for i := range state[j] {
			state[j][i] = float32(1+(i*7+j*3)%11) / 11
		}
	}
	return state
}

// A variant with one wrong function is refused, and the error names it.
func TestSelfCheckFindsWrongFunction(t *testing.T) {
	if r := Rejected(); len(r) != 0 {
		t.Fatal(r)
	}
	broken := goVariant
	broken.tanh = broken.exp
	if err := selfCheck(&broken); err == nil || !strings.Contains(err.Error(), "tanh") {
		t.Fatalf("a wrong tanh: error %v", err)
	}
	broken = goVariant
	broken.allFinite = func([]float32) bool { return true }
	if err := selfCheck(&broken); err == nil || !strings.Contains(err.Error(), "allFinite") {
		t.Fatalf("a wrong allFinite: error %v", err)
	}
}

func TestNoAllocation(t *testing.T) {
	s := adamWState(64)
	eachVariant(t, func(t *testing.T) {
		if n := testing.AllocsPerRun(10, func() {
			AdamW(s[0], s[1], s[2], s[3], testStep)
			LayerNorm(s[0], s[1], s[2], s[3], testEps)
			RotateHalf(s[0], s[1], s[2], s[3])
			Softmax(s[0], s[1])
		}); n != 0 {
			t.Fatalf("%v allocations", n)
		}
	})
}
