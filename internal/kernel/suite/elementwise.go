package suite

import (
	"math"
	"testing"

	"github.com/plinth-ml/plinth/internal/kernel"
	"github.com/plinth-ml/plinth/internal/random"
)

// lengths are 0, all tails of the widest vectors, and some that make several tasks.
func lengths() []int {
	n := []int{100, 1000, 4097, 33000}
	for i := range 41 {
		n = append(n, i)
	}
	return n
}

// each is f on every element.
func each(f func(i int) float64, n int) []float64 {
	s := make([]float64, n)
	for i := range s {
		s[i] = f(i)
	}
	return s
}

func elementwise(t *testing.T, s *kernel.Set, d *data) {
	for _, n := range lengths() {
		a, b := d.in(n), d.in(n)
		A, B := floats(a), floats(b)
		for _, op := range []struct {
			name string
			run  func(y kernel.Buf)
			want func(y, a, b float64) float64
		}{
			{"Fill", func(y kernel.Buf) { s.Fill(y, 1.5) }, func(_, _, _ float64) float64 { return 1.5 }},
			{"Copy", func(y kernel.Buf) { s.Copy(y, a) }, func(_, a, _ float64) float64 { return a }},
			{"Add", func(y kernel.Buf) { s.Add(y, a, b) }, func(_, a, b float64) float64 { return a + b }},
			{"Add y=a", func(y kernel.Buf) { s.Add(y, y, b) }, func(y, _, b float64) float64 { return y + b }},
			{"Add y=b", func(y kernel.Buf) { s.Add(y, a, y) }, func(y, a, _ float64) float64 { return a + y }},
			{"Add y=a=b", func(y kernel.Buf) { s.Add(y, y, y) }, func(y, _, _ float64) float64 { return 2 * y }},
			{"Mul", func(y kernel.Buf) { s.Mul(y, a, b) }, func(_, a, b float64) float64 { return a * b }},
			{"Mul y=a", func(y kernel.Buf) { s.Mul(y, y, b) }, func(y, _, b float64) float64 { return y * b }},
			{"MulTo", func(y kernel.Buf) { s.MulTo(y, a, b) }, func(y, a, b float64) float64 { return y + a*b }},
			{"Axpy", func(y kernel.Buf) { s.Axpy(y, -0.75, a) }, func(y, a, _ float64) float64 { return y - 0.75*a }},
			{"Scale", func(y kernel.Buf) { s.Scale(y, 0.3, a) }, func(_, a, _ float64) float64 { return 0.3 * a }},
			{"Scale y=x", func(y kernel.Buf) { s.Scale(y, -2, y) }, func(y, _, _ float64) float64 { return -2 * y }},
			{"SwiGLU", func(y kernel.Buf) { s.SwiGLU(y, a, b) }, func(_, a, b float64) float64 { return a / (1 + math.Exp(-a)) * b }},
			{"SwiGLU y=gate", func(y kernel.Buf) { s.SwiGLU(y, y, b) }, func(y, _, b float64) float64 { return y / (1 + math.Exp(-y)) * b }},
			{"SwiGLU y=up", func(y kernel.Buf) { s.SwiGLU(y, a, y) }, func(y, a, _ float64) float64 { return a / (1 + math.Exp(-a)) * y }},
		} {
			y := d.out(n, "%s of %d", op.name, n)
			Y := floats(y)
			op.run(y)
			if d.plain() {
				near(t, op.name, floats(y), each(func(i int) float64 { return op.want(Y[i], A[i], B[i]) }, n), exact)
			}
		}
		for _, acc := range []bool{false, true} {
			dy := d.in(n)
			s.SwiGLUGrad(d.out(n, "SwiGLUGrad dgate of %d, acc %v", n, acc), d.out(n, "SwiGLUGrad dup of %d, acc %v", n, acc), dy, a, b, acc)
		}
		gate, up := d.keep(clone(a), "SwiGLUGrad dgate=gate of %d", n), d.keep(clone(b), "SwiGLUGrad dup=up of %d", n)
		s.SwiGLUGrad(gate, up, d.in(n), gate, up, false)
		drop := kernel.Dropout{P: 0.25, Key: random.NewKey(uint64(n))}
		for _, acc := range []bool{false, true} {
			y := d.out(n, "Dropout of %d, acc %v", n, acc)
			Y := floats(y)
			s.Dropout(drop, y, a, acc)
			if d.plain() {
				near(t, "Dropout", floats(y), each(func(i int) float64 {
					v := 0.0
					if acc {
						v = Y[i]
					}
					if words := drop.Bits(i / 8); uint16(words[i%8/2]>>(i%2*16)) >= 0.25*(1<<16) {
						v += A[i] / 0.75
					}
					return v
				}, n), exact)
			}
		}
		in := d.keep(clone(a), "Dropout of %d in place", n)
		s.Dropout(drop, in, in, false)
		ids, to := d.ids(n, 0, 1000), d.keep(d.ids(n, 0, 1000), "Copy of %d i32", n)
		s.Copy(to, ids)
		s.Fill(d.keep(d.ids(n, 0, 1000), "Fill of %d i32", n), -7)
		if d.plain() {
			near(t, "Copy i32", floats(to), floats(ids), 0)
		}
		sum := s.SumSquares(a)
		d.keep(d.from([]float64{sum}), "SumSquares of %d", n)
		if d.plain() {
			want := 0.0
			for _, v := range A {
				want += v * v
			}
			near(t, "SumSquares", []float64{sum}, []float64{want}, exact)
		}
	}
}

// plainAct is f(x) as its paper writes it.
func plainAct(f kernel.Act, x float64) float64 {
	switch f {
	case kernel.Identity:
		return x
	case kernel.GELU:
		return x / 2 * (1 + math.Erf(x/math.Sqrt2))
	case kernel.GELUTanh:
		return x / 2 * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(x+0.044715*math.Pow(x, 3))))
	case kernel.ReLU:
		return math.Max(0, x)
	case kernel.SiLU:
		return x / (1 + math.Exp(-x))
	case kernel.Tanh:
		return math.Tanh(x)
	case kernel.Sigmoid:
		return 1 / (1 + math.Exp(-x))
	case kernel.QuickGELU:
		return x / (1 + math.Exp(-1.702*x))
	}
	panic("suite: no such activation")
}

func activations(t *testing.T, s *kernel.Set, d *data) {
	for f := kernel.Identity; f <= kernel.QuickGELU; f++ {
		for _, n := range lengths() {
			x, dy := d.in(n), d.in(n)
			y := d.out(n, "%s of %d", f, n)
			s.Act(f, y, x)
			if d.plain() {
				X := floats(x)
				near(t, f.String(), floats(y), each(func(i int) float64 { return plainAct(f, X[i]) }, n), exact)
			}
			in := d.keep(clone(x), "%s of %d in place", f, n)
			s.Act(f, in, in)
			s.ActGrad(f, d.out(n, "%s grad of %d", f, n), dy, x, false)
			s.ActGrad(f, d.out(n, "%s grad of %d added", f, n), dy, x, true)
			s.ActGrad(f, d.keep(dy, "%s grad of %d, dx=dy", f, n), dy, x, false)
		}
		// Far from zero the slopes are 0 or 1 and nothing overflows.
		far := []float64{-1e30, -1000, -200, -100, -89, -20, -10, -1e-30, 0, 1e-30, 10, 20, 89, 100, 200, 1000}
		x := d.from(far)
		for i, v := range far {
			far[i] = float64(float32(v))
		}
		for i := range far { // one by one: each is its own scale
			s.Act(f, d.out(1, "%s(%v)", f, far[i]), x.Slice(i, i+1))
			s.ActGrad(f, d.out(1, "%s'(%v)", f, far[i]), d.from([]float64{1}), x.Slice(i, i+1), false)
		}
	}
}
