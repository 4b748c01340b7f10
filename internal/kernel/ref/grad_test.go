package ref_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/plinth-ml/plinth/internal/kernel"
	"github.com/plinth-ml/plinth/internal/kernel/ref"
	counter "github.com/plinth-ml/plinth/internal/random"
)

// random returns n float64 values of unit size.
func random(r *rand.Rand, n int) kernel.Buf {
	b := kernel.Alloc(kernel.F64, n)
	for i := range b.F64() {
		b.F64()[i] = r.NormFloat64()
	}
	return b
}

func zeros(n int) kernel.Buf { return kernel.Alloc(kernel.F64, n) }

// operand is an input of a function with the gradient that the backward call left.
type operand struct {
	name    string
	x, dx   kernel.Buf
	written bool // dx was written, not added to what it held
}

// central compares each operand's gradient of Σ dy·f with central differences. The gradients must start as start.
func central(t *testing.T, name string, dy kernel.Buf, f func() []float64, start []float64, operands ...operand) {
	t.Helper()
	const h = 1e-5
	loss := func() float64 {
		sum := 0.0
		for i, v := range f() {
			sum += v * dy.F64()[i]
		}
		return sum
	}
	for _, o := range operands {
		worst, top := 0.0, 0.1
		x := o.x.F64()
		for i, was := range x {
			x[i] = was + h
			up := loss()
			x[i] = was - h
			down := loss()
			x[i] = was
			want, got := (up-down)/(2*h), o.dx.F64()[i]
			if !o.written {
				got -= start[i]
			}
			top = math.Max(top, math.Abs(want))
			if d := math.Abs(got - want); !(d <= worst) {
				worst = d
			}
		}
		if !(worst <= 1e-6*top) {
			t.Errorf("%s: d%s is off by %.3g of %.3g", name, o.name, worst, top)
		}
	}
}

// begin returns a gradient buffer of n elements that starts as start.
func begin(start []float64, n int) kernel.Buf {
	b := zeros(n)
	copy(b.F64(), start)
	return b
}

func TestGradients(t *testing.T) {
	s, r := ref.New(), rand.New(rand.NewPCG(3, 4))
	start := random(r, 1000).F64()
	for _, acc := range []bool{false, true} {
		written := !acc
		name := func(op string) string { return fmt.Sprintf("%s acc=%v", op, acc) }
		for f := kernel.Identity; f <= kernel.Sigmoid; f++ {
			x, dy, dx := random(r, 30), random(r, 30), begin(start, 30)
			s.ActGrad(f, dx, dy, x, acc)
			central(t, name(f.String()), dy, func() []float64 { y := zeros(30); s.Act(f, y, x); return y.F64() }, start, operand{"x", x, dx, written})
		}
		gate, up, dy := random(r, 30), random(r, 30), random(r, 30)
		dgate, dup := begin(start, 30), begin(start, 30)
		s.SwiGLUGrad(dgate, dup, dy, gate, up, acc)
		central(t, name("SwiGLU"), dy, func() []float64 { y := zeros(30); s.SwiGLU(y, gate, up); return y.F64() }, start,
			operand{"gate", gate, dgate, written}, operand{"up", up, dup, written})

		const N, C = 4, 7
		x, w, b, dy, y := random(r, N*C), random(r, C), random(r, C), random(r, N*C), zeros(N*C)
		mean, rstd := zeros(N), zeros(N)
		soft := func() []float64 { s.Softmax(y, x, C); return y.F64() }
		layer := func() []float64 { s.LayerNorm(y, mean, rstd, x, w, b, 1e-2); return y.F64() }
		rms := func() []float64 { s.RMSNorm(y, rstd, x, w, 1e-2); return y.F64() }
		soft()
		dx := begin(start, N*C)
		s.SoftmaxGrad(dx, dy, y, C, acc)
		central(t, name("Softmax"), dy, soft, start, operand{"x", x, dx, written})
		layer()
		dx, dw, db := begin(start, N*C), begin(start, C), begin(start, C)
		s.LayerNormGrad(dx, dw, db, dy, x, w, mean, rstd, acc)
		central(t, name("LayerNorm"), dy, layer, start, operand{"x", x, dx, written}, operand{"w", w, dw, false}, operand{"b", b, db, false})
		rms()
		dx, dw = begin(start, N*C), begin(start, C)
		s.RMSNormGrad(dx, dw, dy, x, w, rstd, acc)
		central(t, name("RMSNorm"), dy, rms, start, operand{"x", x, dx, written}, operand{"w", w, dw, false})

		spans := []kernel.Span{{Start: 1, Len: 2}, {Start: 3, Len: 0}, {Start: 3, Len: 1}}
		dpool, dx := random(r, len(spans)*C), begin(start, N*C)
		s.SeqMeanGrad(dx, dpool, spans, C, acc)
		central(t, name("SeqMean"), dpool, func() []float64 { y := zeros(len(spans) * C); s.SeqMean(y, x, spans, C); return y.F64() }, start,
			operand{"x", x, dx, written})
	}
}

func TestGradientsOfPictures(t *testing.T) {
	s, r := ref.New(), rand.New(rand.NewPCG(5, 6))
	start := random(r, 1000).F64()
	for _, acc := range []bool{false, true} {
		written := !acc
		for _, c := range []kernel.Conv{
			{B: 2, H: 4, W: 3, C: 2, O: 3, KH: 3, KW: 3, Stride: 1, Pad: 1},
			{B: 1, H: 5, W: 6, C: 2, O: 3, KH: 3, KW: 2, Stride: 2, Pad: 1},
			{B: 1, H: 5, W: 5, C: 2, O: 3, KH: 1, KW: 1, Stride: 3},
		} {
			h, w := c.Out()
			c.X, c.Weight, c.Y = random(r, c.B*c.H*c.W*c.C), random(r, c.O*c.C*c.KH*c.KW), zeros(c.B*h*w*c.O)
			g := kernel.ConvGrad{DY: random(r, c.Y.Len()), DX: begin(start, c.X.Len()), DW: begin(start, c.Weight.Len()), Acc: acc}
			s.ConvGrad(&c, &g)
			central(t, fmt.Sprintf("Conv %d,%d stride %d acc=%v", c.KH, c.KW, c.Stride, acc), g.DY, func() []float64 { s.Conv(&c); return c.Y.F64() }, start,
				operand{"x", c.X, g.DX, written}, operand{"w", c.Weight, g.DW, false})
		}
		p := kernel.Pool{B: 2, H: 5, W: 4, C: 2, Size: 2}
		x, y, dy, dx := random(r, 80), zeros(16), random(r, 16), begin(start, 80)
		s.AvgPoolGrad(p, dx, dy, acc)
		central(t, "AvgPool", dy, func() []float64 { s.AvgPool(p, y, x); return y.F64() }, start, operand{"x", x, dx, written})
		for _, f := range []kernel.Act{kernel.Identity, kernel.ReLU, kernel.SiLU} {
			const N, C = 5, 3
			n := kernel.BatchNorm{X: random(r, N*C), Y: zeros(N * C), Mean: random(r, C), Var: random(r, C), Weight: random(r, C), Bias: random(r, C),
				Residual: random(r, N*C), Act: f, Eps: 1e-2}
			for i, v := range n.Var.F64() {
				n.Var.F64()[i] = v * v
			}
			for _, fixed := range []bool{true, false} {
				forward := func() []float64 {
					if !fixed {
						s.BatchStats(n.Mean, n.Var, n.X)
					}
					s.BatchNorm(&n)
					return n.Y.F64()
				}
				forward()
				dy := random(r, N*C)
				g := kernel.BatchNormGrad{DY: clone(dy), DX: begin(start, N*C), DW: begin(start, C), DB: begin(start, C), Fixed: fixed, Acc: acc}
				s.BatchNormGrad(&n, &g)
				central(t, fmt.Sprintf("BatchNorm %s fixed=%v acc=%v", f, fixed, acc), dy, forward, start, operand{"x", n.X, g.DX, written},
					operand{"w", n.Weight, g.DW, false}, operand{"b", n.Bias, g.DB, false}, operand{"residual", n.Residual, g.DY, true})
			}
		}
	}
}

// clone returns a copy of b.
func clone(b kernel.Buf) kernel.Buf { return begin(b.F64(), b.Len()) }

// Gather and the sum that a bias takes part in are linear: their gradients are ScatterAdd and SumRows.
func TestGradientsOfRows(t *testing.T) {
	const N, V, C = 9, 4, 3
	s, r := ref.New(), rand.New(rand.NewPCG(5, 6))
	start := random(r, V*C).F64()
	w, dy, dw, ids := random(r, V*C), random(r, N*C), begin(start, V*C), kernel.OfI32([]int32{3, 0, 0, 2, 3, 3, 0, 2, 2})
	s.ScatterAdd(dw, dy, ids, C)
	central(t, "Gather", dy, func() []float64 { y := zeros(N * C); s.Gather(y, w, ids, C, false); return y.F64() }, start, operand{"w", w, dw, false})

	b, db, one := random(r, C), begin(start, C), zeros(N)
	s.Fill(one, 1)
	s.SumRows(db, dy)
	central(t, "bias", dy, func() []float64 {
		y := zeros(N * C)
		s.MatMul(&kernel.MatMul{M: N, N: C, K: 1, A: one, B: zeros(C), C: y, Bias: b})
		return y.F64()
	}, start, operand{"b", b, db, false})
}

// The gradient of a rotation is the rotation back.
func TestGradientOfRope(t *testing.T) {
	const N, H, D = 3, 2, 6
	s, r := ref.New(), rand.New(rand.NewPCG(7, 8))
	for _, pairs := range []bool{false, true} {
		o := kernel.Rope{Heads: H, HeadDim: D, Pairs: pairs, Pos: kernel.OfI32([]int32{2, 0, 1}), Cos: zeros(3 * D / 2), Sin: zeros(3 * D / 2)}
		for i := range 3 * D / 2 {
			o.Sin.F64()[i], o.Cos.F64()[i] = math.Sincos(float64(i))
		}
		x, dy, dx := random(r, N*H*D), random(r, N*H*D), zeros(N*H*D)
		back := o
		back.Inverse = true
		s.Rope(dx, dy, &back)
		central(t, "Rope", dy, func() []float64 { y := zeros(N * H * D); s.Rope(y, x, &o); return y.F64() }, nil, operand{"x", x, dx, true})
	}
}

func TestGradientsOfAttention(t *testing.T) {
	const H, KV, D = 4, 2, 3
	s, r := ref.New(), rand.New(rand.NewPCG(9, 10))
	queries := []kernel.Span{{Start: 0, Len: 4}, {Start: 4, Len: 1}, {Start: 5, Len: 0}, {Start: 5, Len: 2}}
	keys := []kernel.Span{{Start: 0, Len: 4}, {Start: 4, Len: 5}, {Start: 9, Len: 0}, {Start: 9, Len: 3}}
	const NQ, NK, B = 7, 12, 5
	for mode := range 16 {
		a := &kernel.Attention{Heads: H, KVHeads: KV, HeadDim: D, Q: random(r, NQ*H*D), K: random(r, NK*KV*D), V: random(r, NK*KV*D),
			O: zeros(NQ * H * D), LSE: zeros(NQ * H), Queries: queries, Keys: keys, Causal: mode&1 != 0}
		if mode&2 != 0 {
			a.Window, a.Scale = 2, 0.9
		}
		if mode&8 != 0 {
			a.Drop = kernel.Dropout{P: 0.3, Key: counter.NewKey(uint64(mode))}
		}
		start := random(r, H*B*B).F64()
		g := &kernel.AttentionGrad{DO: random(r, NQ*H*D), DQ: random(r, NQ*H*D), DK: random(r, NK*KV*D), DV: random(r, NK*KV*D)}
		operands := []operand{{"q", a.Q, g.DQ, true}, {"k", a.K, g.DK, true}, {"v", a.V, g.DV, true}}
		if mode&4 != 0 {
			a.Bias, a.BiasQ, a.BiasK = random(r, H*B*B), B, B
			g.DBias = begin(start, H*B*B)
			operands = append(operands, operand{"bias", a.Bias, g.DBias, false})
		}
		f := func() []float64 { s.Attention(a); return a.O.F64() }
		f()
		s.AttentionGrad(a, g)
		central(t, fmt.Sprintf("Attention causal=%v window=%d bias=%v drop=%v", a.Causal, a.Window, mode&4 != 0, a.Drop.P), g.DO, f, start, operands...)
	}
}

func TestGradientsOfCrossEntropy(t *testing.T) {
	const N, V, C = 5, 7, 3
	s, r := ref.New(), rand.New(rand.NewPCG(11, 12))
	start := random(r, V*C).F64()
	weights := random(r, N)
	for _, z := range []float64{0, 0.05} {
		c := &kernel.CrossEntropy{X: random(r, N*C), W: random(r, V*C), Bias: random(r, V), Weights: weights, Targets: kernel.OfI32([]int32{3, -1, 0, 6, 3}),
			V: V, C: C, ZLoss: z, Scale: 0.3, Loss: zeros(N), LSE: zeros(N), DX: random(r, N*C), DW: begin(start, V*C), DB: begin(start, V)}
		s.CrossEntropy(c)
		only := *c
		only.DX, only.DW, only.DB = kernel.Buf{}, kernel.Buf{}, kernel.Buf{}
		f := func() []float64 {
			s.CrossEntropy(&only)
			y := make([]float64, N)
			for i, l := range only.Loss.F64() {
				lse := only.LSE.F64()[i]
				y[i] = c.Scale * (l + z*lse*lse)
			}
			return y
		}
		central(t, fmt.Sprintf("CrossEntropy z=%v", z), weights, f, start,
			operand{"x", c.X, c.DX, true}, operand{"w", c.W, c.DW, false}, operand{"bias", c.Bias, c.DB, false})
	}
}

// Sizes that disagree panic with the op and the operand.
func TestPanics(t *testing.T) {
	s := ref.New()
	x, ids := zeros(6), kernel.OfI32([]int32{0, 5})
	for name, f := range map[string]func(){
		"Add":            func() { s.Add(x, x, zeros(5)) },
		"i32":            func() { s.Add(ids, ids, ids) },
		"Softmax":        func() { s.Softmax(x, x, 4) },
		"Gather":         func() { s.Gather(zeros(4), x, ids, 2, false) },
		"SeqMean":        func() { s.SeqMean(zeros(2), x, []kernel.Span{{Start: 1, Len: 3}}, 2) },
		"Rope":           func() { s.Rope(x, x, &kernel.Rope{Heads: 1, HeadDim: 3}) },
		"MatMul: A":      func() { s.MatMul(&kernel.MatMul{M: 4, N: 1, K: 2, A: x, B: zeros(2), C: zeros(4)}) },
		"Accumulate":     func() { s.MatMul(&kernel.MatMul{M: 1, N: 1, K: 1, A: x, B: x, C: x, Accumulate: true, Pre: x}) },
		"Attention":      func() { s.Attention(&kernel.Attention{HeadDim: 2, KVHeads: 1, Q: x, K: x, V: x, O: x}) },
		"AdamW: step 0":  func() { s.AdamW(&kernel.AdamW{}, kernel.AdamWParam{P: x, G: x, M: x, V: x}) },
		"CrossEntropy":   func() { s.CrossEntropy(&kernel.CrossEntropy{X: x, W: x, V: 2, C: 3, Targets: ids, Loss: zeros(2)}) },
		"LayerNorm: y":   func() { s.LayerNorm(zeros(5), zeros(2), zeros(2), x, zeros(3), kernel.Buf{}, 1) },
		"RMSNormGrad: d": func() { s.RMSNormGrad(zeros(5), zeros(3), x, x, zeros(3), zeros(2), false) },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if msg := fmt.Sprint(recover()); len(msg) < 10 || !strings.Contains(msg, name) {
					t.Errorf("panic %q does not name %q", msg, name)
				}
			}()
			f()
		})
	}
}
