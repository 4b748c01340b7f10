package vec

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// eachVariant runs the test once per usable variant.
func eachVariant(t *testing.T, f func(t *testing.T)) {
	before := Variant()
	t.Cleanup(func() {
		if err := Use(before); err != nil {
			t.Fatal(err)
		}
	})
	for _, name := range Variants() {
		t.Run(name, func(t *testing.T) {
			if err := Use(name); err != nil {
				t.Fatal(err)
			}
			f(t)
		})
	}
}

// An elementwise is a function of ins that writes outs; outputs are also read where they carry a state.
type elementwise struct {
	name      string
	outs, ins int
	state     bool // outs are read too and come after ins in the arguments of ref
	run       func(o, in [][]float32)
	ref       func(x []float64) []float64
	rel, abs  float64
	span      float64 // inputs are normal numbers times span
}

func one(f func(x float64) float64) func(x []float64) []float64 {
	return func(x []float64) []float64 { return []float64{f(x[0])} }
}

// grad is dy * slope(x) for the inputs dy, x.
func grad(f func(x float64) float64) func(x []float64) []float64 {
	return func(x []float64) []float64 { return []float64{x[0] * f(x[1])} }
}

func phi(x float64) float64       { return math.Erfc(-x/math.Sqrt2) / 2 }
func sigmoid64(x float64) float64 { return 1 / (1 + math.Exp(-x)) }
func gelu64(x float64) float64    { return x * phi(x) }
func geluSlope64(x float64) float64 {
	return phi(x) + x*math.Exp(-x*x/2)/math.Sqrt(2*math.Pi)
}
func geluTanh64(x float64) float64 {
	return x * sigmoid64(2*math.Sqrt(2/math.Pi)*(x+0.044715*x*x*x))
}
func geluTanhSlope64(x float64) float64 {
	s := sigmoid64(2 * math.Sqrt(2/math.Pi) * (x + 0.044715*x*x*x))
	return s + x*s*(1-s)*2*math.Sqrt(2/math.Pi)*(1+3*0.044715*x*x)
}
func silu64(x float64) float64      { return x * sigmoid64(x) }
func siluSlope64(x float64) float64 { s := sigmoid64(x); return s + x*s*(1-s) }
func step64(x float64) float64 {
	if x > 0 {
		return 1
	}
	return 0
}

const (
	ulp   = 0x1p-23 // largest relative size of one ulp
	coeff = float32(0.7315)
)

var testStep = AdamWStep{LR: 3e-3, Beta1: 0.9, Beta2: 0.95, Eps: 1e-8, WeightDecay: 0.1, Step: 7, GradScale: 0.5, ZeroGrad: true}

var elementwises = []elementwise{
	{"Exp", 1, 1, false, func(o, in [][]float32) { Exp(o[0], in[0]) }, one(math.Exp), 2 * ulp, 0, 20},
	{"Tanh", 1, 1, false, func(o, in [][]float32) { Tanh(o[0], in[0]) }, one(math.Tanh), 7 * ulp, 0, 2},
	{"Sigmoid", 1, 1, false, func(o, in [][]float32) { Sigmoid(o[0], in[0]) }, one(sigmoid64), 4 * ulp, 1e-38, 10},
	{"GELU", 1, 1, false, func(o, in [][]float32) { GELU(o[0], in[0]) }, one(gelu64), 1e-6, 1e-9, 2},
	{"GELUGrad", 1, 2, false, func(o, in [][]float32) { GELUGrad(o[0], in[0], in[1]) }, grad(geluSlope64), 0, 5e-6, 2},
	{"GELUTanh", 1, 1, false, func(o, in [][]float32) { GELUTanh(o[0], in[0]) }, one(geluTanh64), 1e-6, 1e-9, 2},
	{"GELUTanhGrad", 1, 2, false, func(o, in [][]float32) { GELUTanhGrad(o[0], in[0], in[1]) }, grad(geluTanhSlope64), 0, 5e-6, 2},
	{"ReLU", 1, 1, false, func(o, in [][]float32) { ReLU(o[0], in[0]) }, one(func(x float64) float64 { return max(x, 0) }), 0, 0, 1},
	{"ReLUGrad", 1, 2, false, func(o, in [][]float32) { ReLUGrad(o[0], in[0], in[1]) }, grad(step64), 0, 0, 1},
	{"SiLU", 1, 1, false, func(o, in [][]float32) { SiLU(o[0], in[0]) }, one(silu64), 1e-6, 1e-9, 4},
	{"SiLUGrad", 1, 2, false, func(o, in [][]float32) { SiLUGrad(o[0], in[0], in[1]) }, grad(siluSlope64), 0, 5e-6, 2},
	{"SwiGLU", 1, 2, false, func(o, in [][]float32) { SwiGLU(o[0], in[0], in[1]) },
		func(x []float64) []float64 { return []float64{silu64(x[0]) * x[1]} }, 1e-6, 1e-9, 2},
	{"SwiGLUGrad", 2, 3, false, func(o, in [][]float32) { SwiGLUGrad(o[0], o[1], in[0], in[1], in[2]) },
		func(x []float64) []float64 {
			return []float64{x[0] * x[2] * siluSlope64(x[1]), x[0] * silu64(x[1])}
		}, 0, 2e-5, 2},
	{"Add", 1, 2, false, func(o, in [][]float32) { Add(o[0], in[0], in[1]) }, func(x []float64) []float64 { return []float64{x[0] + x[1]} }, ulp / 2, 0, 1},
	{"AddTo", 1, 1, true, func(o, in [][]float32) { AddTo(o[0], in[0]) }, func(x []float64) []float64 { return []float64{x[0] + x[1]} }, ulp / 2, 0, 1},
	{"Sub", 1, 2, false, func(o, in [][]float32) { Sub(o[0], in[0], in[1]) }, func(x []float64) []float64 { return []float64{x[0] - x[1]} }, ulp / 2, 0, 1},
	{"Mul", 1, 2, false, func(o, in [][]float32) { Mul(o[0], in[0], in[1]) }, func(x []float64) []float64 { return []float64{x[0] * x[1]} }, ulp / 2, 0, 1},
	{"Scale", 1, 1, false, func(o, in [][]float32) { Scale(o[0], coeff, in[0]) }, one(func(x float64) float64 { return float64(coeff) * x }), ulp / 2, 0, 1},
	{"Axpy", 1, 1, true, func(o, in [][]float32) { Axpy(o[0], coeff, in[0]) }, func(x []float64) []float64 { return []float64{x[1] + float64(coeff)*x[0]} }, ulp, ulp, 1},
	{"Fill", 1, 0, false, func(o, in [][]float32) { Fill(o[0], coeff) }, func(x []float64) []float64 { return []float64{float64(coeff)} }, 0, 0, 1},
	{"ExpSum", 1, 1, false, func(o, in [][]float32) { ExpSum(o[0], in[0], coeff) }, one(func(x float64) float64 { return math.Exp(x - float64(coeff)) }), 1e-6, 0, 2},
	{"AdamW", 4, 0, true, func(o, in [][]float32) {
		for i := range o[3] { // v is a mean of squares
			o[3][i] = float32(math.Abs(float64(o[3][i])))
		}
		AdamW(o[0], o[1], o[2], o[3], testStep)
	}, adamW64, 4 * ulp, 4 * ulp, 1},
}

func adamW64(x []float64) []float64 {
	s, p, g, m, v := testStep, x[0], x[1]*testStep.GradScale, x[2], math.Abs(x[3])
	p *= 1 - s.LR*s.WeightDecay
	m = s.Beta1*m + (1-s.Beta1)*g
	v = s.Beta2*v + (1-s.Beta2)*g*g
	t := float64(s.Step)
	p -= s.LR / (1 - math.Pow(s.Beta1, t)) * m / (math.Sqrt(v)/math.Sqrt(1-math.Pow(s.Beta2, t)) + s.Eps)
	return []float64{p, 0, m, v}
}

const (
	maxLen = 67
	guard  = float32(-12345.678)
)

// guarded returns n floats at the given misalignment inside a buffer of guard values, and a check of the surroundings.
func guarded(n, shift int) (x []float32, intact func() bool) {
	buf := make([]float32, n+32)
	for i := range buf {
		buf[i] = guard
	}
	lo := 8 + shift
	return buf[lo : lo+n : lo+n], func() bool {
		for i, v := range buf {
			if (i < lo || i >= lo+n) && v != guard {
				return false
			}
		}
		return true
	}
}

func normals(r *rand.Rand, n int, span float64) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(r.NormFloat64() * span)
	}
	return x
}

// Every length and misalignment gives, element by element, the bits of a call on that element alone, which in turn is
// near the float64 definition; nothing around the outputs is touched.
func TestElementwise(t *testing.T) {
	eachVariant(t, func(t *testing.T) {
		for _, f := range elementwises {
			t.Run(f.name, func(t *testing.T) { checkElementwise(t, f) })
		}
	})
}

func checkElementwise(t *testing.T, f elementwise) {
	r := rand.New(rand.NewPCG(1, 2))
	args := make([][]float32, f.ins+f.outs)
	for i := range args {
		args[i] = normals(r, maxLen, f.span)
	}
	want := make([][]float32, f.outs)
	for i := range maxLen {
		var in, out [][]float32
		var x []float64
		for j := range args {
			x = append(x, float64(args[j][i]))
			if j < f.ins {
				in = append(in, []float32{args[j][i]})
			} else {
				out = append(out, []float32{args[j][i]})
			}
		}
		f.run(out, in)
		for j, ref := range f.ref(x) {
			got := float64(out[j][0])
			if !(math.Abs(got-ref) <= f.rel*math.Abs(ref)+f.abs) {
				t.Fatalf("output %d for %v = %v, want %v", j, x, got, ref)
			}
			want[j] = append(want[j], out[j][0])
		}
	}
	for n := range maxLen + 1 {
		for shift := range 8 {
			var in, out [][]float32
			var checks []func() bool
			for j := range args {
				x, intact := guarded(n, (shift+3*j)%8)
				copy(x, args[j])
				checks = append(checks, intact)
				if j < f.ins {
					in = append(in, x)
				} else {
					out = append(out, x)
				}
			}
			f.run(out, in)
			compare(t, fmt.Sprintf("n %d shift %d", n, shift), out, want)
			for j, intact := range checks {
				if !intact() {
					t.Fatalf("n %d shift %d: wrote outside argument %d", n, shift, j)
				}
			}
			if !f.state && f.ins > 0 { // the output may be any of the inputs
				for j := range in {
					alias := append([][]float32{}, in...)
					for k := range in {
						alias[k] = append([]float32{}, args[k][:n]...)
					}
					f.run(append([][]float32{alias[j]}, out[1:]...), alias)
					compare(t, fmt.Sprintf("n %d in place of %d", n, j), [][]float32{alias[j]}, want[:1])
				}
			}
		}
	}
}

func compare(t *testing.T, what string, got, want [][]float32) {
	t.Helper()
	for j := range got {
		for i := range got[j] {
			if math.Float32bits(got[j][i]) != math.Float32bits(want[j][i]) {
				t.Fatalf("%s: output %d element %d = %v, alone it is %v", what, j, i, got[j][i], want[j][i])
			}
		}
	}
}

func TestShortArgumentPanics(t *testing.T) {
	defer func() {
		if got, want := recover(), "vec: Add: b has 2 elements, want 3"; got != want {
			t.Fatalf("panic %v, want %v", got, want)
		}
	}()
	Add(make([]float32, 3), make([]float32, 3), make([]float32, 2))
}

func TestUseUnknown(t *testing.T) {
	before := Variant()
	if err := Use("no such"); err == nil || Variant() != before {
		t.Fatalf("Use of an unknown name: error %v, variant %s, was %s", err, Variant(), before)
	}
}
