package suite

import (
	"math"
	"testing"

	"github.com/plinth-ml/plinth/internal/kernel"
)

// shapes [N, C]: every tail of C with few rows, every small N, and some that make several tasks.
func shapes() [][2]int {
	s := [][2]int{{0, 5}, {3, 257}, {2, 1000}, {300, 96}, {2100, 16}, {1, 5000}}
	for c := 1; c <= 40; c++ {
		s = append(s, [2]int{c % 4, c}, [2]int{c, 7})
	}
	return s
}

func softmax(t *testing.T, s *kernel.Set, d *data) {
	for _, sh := range shapes() {
		N, C := sh[0], sh[1]
		x, dy := d.in(N*C), d.in(N*C)
		y := d.out(N*C, "softmax %v", sh)
		s.Softmax(y, x, C)
		if d.plain() {
			X := floats(x)
			near(t, "softmax", floats(y), each(func(i int) float64 {
				sum := 0.0
				for _, v := range X[i/C*C : i/C*C+C] {
					sum += math.Exp(v)
				}
				return math.Exp(X[i]) / sum
			}, N*C), exact)
		}
		s.Softmax(d.keep(x, "softmax %v in place", sh), x, C)
		s.SoftmaxGrad(d.out(N*C, "softmax grad %v", sh), dy, y, C, false)
		s.SoftmaxGrad(d.out(N*C, "softmax grad %v added", sh), dy, y, C, true)
		s.SoftmaxGrad(d.keep(dy, "softmax grad %v, dx=dy", sh), dy, y, C, false)
	}
}

func norms(t *testing.T, s *kernel.Set, d *data) {
	const eps = 1e-5
	for i, sh := range shapes() {
		N, C := sh[0], sh[1]
		x, w, b, dy := d.in(N*C), d.in(C), d.in(C), d.in(N*C)
		X := floats(x)
		x = d.from(each(func(j int) float64 { return float64(float32(X[j] + float64(i%3*4))) }, N*C)) // some means are not zero
		y, mean, rstd := d.out(N*C, "LayerNorm %v", sh), d.out(N, "LayerNorm %v mean", sh), d.out(N, "LayerNorm %v rstd", sh)
		s.LayerNorm(y, mean, rstd, x, w, b, eps)
		z, zstd := d.out(N*C, "RMSNorm %v", sh), d.out(N, "RMSNorm %v rstd", sh)
		s.RMSNorm(z, zstd, x, w, eps)
		if d.plain() {
			layer, rms := plainNorms(floats(x), floats(w), floats(b), eps)
			near(t, "LayerNorm", floats(y), layer, exact)
			near(t, "RMSNorm", floats(z), rms, exact)
		}
		none := kernel.Buf{}
		s.LayerNorm(d.out(N*C, "LayerNorm %v without b", sh), mean, rstd, x, w, none, eps)
		for _, acc := range []bool{false, true} {
			s.LayerNormGrad(d.out(N*C, "LayerNorm %v dx, acc %v", sh, acc), d.out(C, "LayerNorm %v dw", sh), d.out(C, "LayerNorm %v db", sh), dy, x, w, mean, rstd, acc)
			s.RMSNormGrad(d.out(N*C, "RMSNorm %v dx, acc %v", sh, acc), d.out(C, "RMSNorm %v dw", sh), dy, x, w, zstd, acc)
		}
		// Any gradient may be left out.
		s.LayerNormGrad(d.out(N*C, "LayerNorm %v only dx", sh), none, none, dy, x, w, mean, rstd, false)
		s.LayerNormGrad(none, d.out(C, "LayerNorm %v only dw", sh), none, dy, x, w, mean, rstd, false)
		s.LayerNormGrad(none, none, d.out(C, "LayerNorm %v only db", sh), dy, x, w, mean, rstd, false)
		s.RMSNormGrad(d.out(N*C, "RMSNorm %v only dx", sh), none, dy, x, w, zstd, false)
		s.RMSNormGrad(none, d.out(C, "RMSNorm %v only dw", sh), dy, x, w, zstd, false)
	}
}

// plainNorms returns the layer norm and the root-mean-square norm of the rows of x [N, C].
func plainNorms(x, w, b []float64, eps float64) (layer, rms []float64) {
	C := len(w)
	for i := 0; i < len(x); i += C {
		row := x[i : i+C]
		mean, square, variance := 0.0, 0.0, 0.0
		for _, v := range row {
			mean += v / float64(C)
			square += v * v / float64(C)
		}
		for _, v := range row {
			variance += (v - mean) * (v - mean) / float64(C)
		}
		for j, v := range row {
			layer = append(layer, (v-mean)/math.Sqrt(variance+eps)*w[j]+b[j])
			rms = append(rms, v/math.Sqrt(square+eps)*w[j])
		}
	}
	return layer, rms
}
