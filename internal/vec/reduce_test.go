package vec

import (
	"math"
	"math/rand/v2"
	"testing"
)

// lengths are all small ones and a few long ones that are not multiples of anything.
func lengths() (ns []int) {
	for n := range maxLen + 1 {
		ns = append(ns, n)
	}
	return append(ns, 255, 768, 1023)
}

// A row is an operation over whole rows: outs are written (and read, if state), stats are what it returns.
type row struct {
	name     string
	outs     int
	state    int // so many of the last outs are added to
	ins      int
	empty    bool // also for length 0
	run      func(o, in [][]float32) []float64
	ref      func(o, in [][]float64) (out [][]float64, stats []float64)
	rel, abs float64 // of every output element: rel of the greatest one, plus abs
}

const (
	testMean, testRstd = 0.25, 1.5
	testEps            = 1e-5
)

var negInf = float32(math.Inf(-1))

func sum64(n int, f func(i int) float64) (s float64) {
	for i := range n {
		s += f(i)
	}
	return s
}

func map64(n int, f func(i int) float64) []float64 {
	y := make([]float64, n)
	for i := range y {
		y[i] = f(i)
	}
	return y
}

var rows = []row{
	{"Sum", 0, 0, 1, true, func(o, in [][]float32) []float64 { return []float64{float64(Sum(in[0]))} },
		func(o, in [][]float64) ([][]float64, []float64) {
			return nil, []float64{sum64(len(in[0]), func(i int) float64 { return in[0][i] })}
		}, 0, 0},
	{"Dot", 0, 0, 2, true, func(o, in [][]float32) []float64 { return []float64{float64(Dot(in[0], in[1]))} },
		func(o, in [][]float64) ([][]float64, []float64) {
			return nil, []float64{sum64(len(in[0]), func(i int) float64 { return in[0][i] * in[1][i] })}
		}, 0, 0},
	{"Max", 0, 0, 1, true, func(o, in [][]float32) []float64 { return []float64{float64(Max(in[0]))} },
		func(o, in [][]float64) ([][]float64, []float64) {
			m := math.Inf(-1)
			for _, v := range in[0] {
				m = max(m, v)
			}
			return nil, []float64{m}
		}, 0, 0},
	{"ExpSum", 1, 0, 1, true, func(o, in [][]float32) []float64 { return []float64{float64(ExpSum(o[0], in[0], 2))} },
		func(o, in [][]float64) ([][]float64, []float64) {
			y := map64(len(in[0]), func(i int) float64 { return math.Exp(in[0][i] - 2) })
			return [][]float64{y}, []float64{sum64(len(y), func(i int) float64 { return y[i] })}
		}, 1e-6, 0},
	{"Softmax", 1, 0, 1, true, func(o, in [][]float32) []float64 { Softmax(o[0], in[0]); return nil },
		func(o, in [][]float64) ([][]float64, []float64) {
			s := sum64(len(in[0]), func(i int) float64 { return math.Exp(in[0][i]) })
			return [][]float64{map64(len(in[0]), func(i int) float64 { return math.Exp(in[0][i]) / s })}, nil
		}, 1e-6, 0},
	{"SoftmaxGrad", 1, 0, 2, true, func(o, in [][]float32) []float64 { SoftmaxGrad(o[0], in[0], in[1]); return nil },
		func(o, in [][]float64) ([][]float64, []float64) {
			dy, y := in[0], in[1]
			s := sum64(len(y), func(i int) float64 { return dy[i] * y[i] })
			return [][]float64{map64(len(y), func(i int) float64 { return y[i] * (dy[i] - s) })}, nil
		}, 3e-6, 1e-5},
	{"LayerNorm", 1, 0, 3, false, func(o, in [][]float32) []float64 {
		mean, rstd := LayerNorm(o[0], in[0], in[1], in[2], testEps)
		return []float64{float64(mean), float64(rstd)}
	}, layerNorm64, 4e-6, 1e-6},
	{"LayerNorm without bias", 1, 0, 2, false, func(o, in [][]float32) []float64 {
		mean, rstd := LayerNorm(o[0], in[0], in[1], nil, testEps)
		return []float64{float64(mean), float64(rstd)}
	}, layerNorm64, 4e-6, 1e-6},
	{"LayerNormGrad", 3, 2, 3, false, func(o, in [][]float32) []float64 {
		LayerNormGrad(o[0], o[1], o[2], in[0], in[1], in[2], testMean, testRstd)
		return nil
	}, layerNormGrad64, 2e-6, 2e-6},
	{"LayerNormGrad without bias", 2, 1, 3, false, func(o, in [][]float32) []float64 {
		LayerNormGrad(o[0], o[1], nil, in[0], in[1], in[2], testMean, testRstd)
		return nil
	}, layerNormGrad64, 2e-6, 2e-6},
	{"RMSNorm", 1, 0, 2, false, func(o, in [][]float32) []float64 {
		return []float64{float64(RMSNorm(o[0], in[0], in[1], testEps))}
	}, func(o, in [][]float64) ([][]float64, []float64) {
		x, w := in[0], in[1]
		rstd := 1 / math.Sqrt(sum64(len(x), func(i int) float64 { return x[i] * x[i] })/float64(len(x))+testEps)
		return [][]float64{map64(len(x), func(i int) float64 { return x[i] * rstd * w[i] })}, []float64{rstd}
	}, 1e-6, 0},
	{"RMSNormGrad", 2, 1, 3, false, func(o, in [][]float32) []float64 {
		RMSNormGrad(o[0], o[1], in[0], in[1], in[2], testRstd)
		return nil
	}, func(o, in [][]float64) ([][]float64, []float64) {
		dy, x, w, n := in[0], in[1], in[2], len(in[0])
		mgx := sum64(n, func(i int) float64 { return dy[i] * w[i] * x[i] * testRstd }) / float64(n)
		dx := map64(n, func(i int) float64 { return testRstd * (dy[i]*w[i] - x[i]*testRstd*mgx) })
		return [][]float64{dx, map64(n, func(i int) float64 { return o[1][i] + dy[i]*x[i]*testRstd })}, nil
	}, 2e-6, 2e-6},
	{"RotateHalf", 1, 0, 3, true, rotateRun(RotateHalf), rotate64(false, 1), 2 * ulp, 0},
	{"RotateHalfInverse", 1, 0, 3, true, rotateRun(RotateHalfInverse), rotate64(false, -1), 2 * ulp, 0},
	{"RotatePairs", 1, 0, 3, true, rotateRun(RotatePairs), rotate64(true, 1), 2 * ulp, 0},
	{"RotatePairsInverse", 1, 0, 3, true, rotateRun(RotatePairsInverse), rotate64(true, -1), 2 * ulp, 0},
}

func layerNorm64(o, in [][]float64) ([][]float64, []float64) {
	x, w, n := in[0], in[1], float64(len(in[0]))
	mean := sum64(len(x), func(i int) float64 { return x[i] }) / n
	variance := sum64(len(x), func(i int) float64 { return (x[i] - mean) * (x[i] - mean) }) / n
	rstd := 1 / math.Sqrt(variance+testEps)
	y := map64(len(x), func(i int) float64 { return (x[i] - mean) * rstd * w[i] })
	if len(in) > 2 {
		for i := range y {
			y[i] += in[2][i]
		}
	}
	return [][]float64{y}, []float64{mean, rstd}
}

func layerNormGrad64(o, in [][]float64) ([][]float64, []float64) {
	dy, x, w, n := in[0], in[1], in[2], len(in[0])
	xh := map64(n, func(i int) float64 { return (x[i] - testMean) * testRstd })
	mg := sum64(n, func(i int) float64 { return dy[i] * w[i] }) / float64(n)
	mgx := sum64(n, func(i int) float64 { return dy[i] * w[i] * xh[i] }) / float64(n)
	out := [][]float64{
		map64(n, func(i int) float64 { return testRstd * (dy[i]*w[i] - mg - xh[i]*mgx) }),
		map64(n, func(i int) float64 { return o[1][i] + dy[i]*xh[i] }),
	}
	if len(o) > 2 {
		out = append(out, map64(n, func(i int) float64 { return o[2][i] + dy[i] }))
	}
	return out, nil
}

// Rows of odd length are rotated without their last element, which must then stay.
func rotateRun(f func(y, x, cos, sin []float32)) func(o, in [][]float32) []float64 {
	return func(o, in [][]float32) []float64 {
		n := len(o[0]) &^ 1
		copy(o[0][n:], in[0][n:])
		f(o[0][:n], in[0], in[1], in[2])
		return nil
	}
}

func rotate64(pairs bool, sign float64) func(o, in [][]float64) ([][]float64, []float64) {
	return func(o, in [][]float64) ([][]float64, []float64) {
		x, cos, sin := in[0], in[1], in[2]
		y := append([]float64{}, x...)
		h := len(x) / 2
		for i := range h {
			a, b := i, i+h
			if pairs {
				a, b = 2*i, 2*i+1
			}
			y[a] = x[a]*cos[i] - sign*x[b]*sin[i]
			y[b] = x[b]*cos[i] + sign*x[a]*sin[i]
		}
		return [][]float64{y}, nil
	}
}

func TestRows(t *testing.T) {
	eachVariant(t, func(t *testing.T) {
		for _, f := range rows {
			t.Run(f.name, func(t *testing.T) {
				for _, n := range lengths() {
					if n > 0 || f.empty {
						checkRow(t, f, n)
					}
				}
			})
		}
	})
}

// checkRow compares one length with the float64 definition at alignment 0, and every other alignment with that.
func checkRow(t *testing.T, f row, n int) {
	r := rand.New(rand.NewPCG(3, uint64(n)))
	var args [][]float32
	var o64, in64 [][]float64
	for j := range f.ins + f.outs {
		args = append(args, normals(r, n, 1))
		x := map64(n, func(i int) float64 { return float64(args[j][i]) })
		if j < f.ins {
			in64 = append(in64, x)
		} else {
			o64 = append(o64, x)
		}
	}
	refOut, refStats := f.ref(o64, in64)
	var first [][]float32
	var firstStats []float64
	for shift := range 8 {
		var in, out [][]float32
		var checks []func() bool
		for j := range args {
			x, intact := guarded(n, shift*(j+1)%8)
			copy(x, args[j])
			checks = append(checks, intact)
			if j < f.ins {
				in = append(in, x)
			} else {
				out = append(out, x)
			}
		}
		stats := f.run(out, in)
		for j, intact := range checks {
			if !intact() {
				t.Fatalf("n %d shift %d: wrote outside argument %d", n, shift, j)
			}
		}
		if shift > 0 {
			compare(t, "same row at another alignment", out, first)
			for k := range stats {
				if stats[k] != firstStats[k] {
					t.Fatalf("n %d shift %d: result %d = %v, at alignment 0 %v", n, shift, k, stats[k], firstStats[k])
				}
			}
			continue
		}
		first, firstStats = out, stats
		for j := range out {
			top := 0.0
			for _, v := range refOut[j] {
				top = max(top, math.Abs(v))
			}
			for i, v := range refOut[j] {
				if !(math.Abs(float64(out[j][i])-v) <= f.rel*top+f.abs) {
					t.Fatalf("n %d: output %d element %d = %v, want %v", n, j, i, out[j][i], v)
				}
			}
		}
		for k, v := range refStats { // sums of n numbers of size about 1, or 1/sqrt of a mean
			if stats[k] != v && !(math.Abs(stats[k]-v) <= 1e-6*(math.Abs(v)+math.Sqrt(float64(n)))) {
				t.Fatalf("n %d: result %d = %v, want %v", n, k, stats[k], v)
			}
		}
	}
	if f.outs == 0 { // else the first output may be the first input
		return
	}
	var in, out [][]float32
	for j := range args {
		x := append([]float32{}, args[j]...)
		if j < f.ins {
			in = append(in, x)
		} else {
			out = append(out, x)
		}
	}
	out[0] = in[0]
	f.run(out, in)
	compare(t, "in place", out, first)
}

func TestSumSquares(t *testing.T) {
	eachVariant(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(5, 6))
		for _, n := range lengths() {
			x := normals(r, n, 1e18) // squares overflow float32
			want := sum64(n, func(i int) float64 { return float64(x[i]) * float64(x[i]) })
			got := SumSquares(x)
			if !(math.Abs(got-want) <= float64(n+1)*0x1p-53*want) {
				t.Fatalf("n %d: %v, want %v", n, got, want)
			}
			for shift := range 8 {
				y, _ := guarded(n, shift)
				copy(y, x)
				if again := SumSquares(y); again != got {
					t.Fatalf("n %d shift %d: %v, elsewhere %v", n, shift, again, got)
				}
			}
		}
	})
}

// One special value at every place of rows of every length.
func TestSpecialValuesInReductions(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	eachVariant(t, func(t *testing.T) {
		for n := 1; n <= maxLen; n++ {
			x := make([]float32, n)
			if !AllFinite(x) {
				t.Fatalf("n %d: zeros are not finite", n)
			}
			for i := range x {
				Fill(x, -3)
				for _, v := range []float32{nan, inf, negInf} {
					x[i] = v
					if AllFinite(x) {
						t.Fatalf("AllFinite with %v at %d of %d", v, i, n)
					}
				}
				x[i] = -math.MaxFloat32
				if !AllFinite(x) {
					t.Fatalf("AllFinite is false with the largest float at %d of %d", i, n)
				}
				x[i] = -2
				if m := Max(x); m != -2 {
					t.Fatalf("Max with -2 at %d of %d = %v", i, n, m)
				}
				x[i] = nan
				if m := Max(x); m == m {
					t.Fatalf("Max with NaN at %d of %d = %v", i, n, m)
				}
				if s := Sum(x); s == s {
					t.Fatalf("Sum with NaN at %d of %d = %v", i, n, s)
				}
			}
		}
		if m := Max(nil); m != negInf {
			t.Fatalf("Max of nothing = %v", m)
		}
	})
}

func TestSoftmaxMasked(t *testing.T) {
	eachVariant(t, func(t *testing.T) {
		for n := 1; n <= maxLen; n++ {
			x, y := make([]float32, n), make([]float32, n)
			Fill(x, negInf)
			Fill(y, 7)
			Softmax(y, x)
			for i, v := range y {
				if v != 0 {
					t.Fatalf("n %d: all masked, element %d = %v", n, i, v)
				}
			}
			for i := range x {
				x[i] = 5
				Softmax(y, x)
				for j, v := range y {
					if want := float32(0); j == i && v != 1 || j != i && v != want {
						t.Fatalf("n %d: only %d open, element %d = %v", n, i, j, v)
					}
				}
				x[i] = negInf
			}
			x[n-1] = float32(math.NaN())
			Softmax(y, x)
			for i, v := range y {
				if v == v {
					t.Fatalf("n %d: NaN in the row, element %d = %v", n, i, v)
				}
			}
		}
	})
}

// A large mean costs LayerNorm no more than the rounding of its input does.
func TestLayerNormLargeMean(t *testing.T) {
	eachVariant(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(7, 8))
		x, w, y := normals(r, 768, 1), make([]float32, 768), make([]float32, 768)
		Fill(w, 1)
		for i := range x {
			x[i] += 1000
		}
		_, rstd := LayerNorm(y, x, w, nil, testEps)
		_, stats := layerNorm64(nil, [][]float64{map64(768, func(i int) float64 { return float64(x[i]) }), map64(768, func(int) float64 { return 1 })})
		if !(math.Abs(float64(rstd)-stats[1]) <= 1e-5*stats[1]) {
			t.Fatalf("rstd %v, want %v", rstd, stats[1])
		}
		if m := Sum(y) / 768; math.Abs(float64(m)) > 3e-4 {
			t.Fatalf("mean of the result %v", m)
		}
	})
}
