package suite

import (
	"math"
	"strconv"
	"strings"
	"testing"

	"github.com/plinth-ml/plinth/internal/kernel"
	"github.com/plinth-ml/plinth/internal/testkit"
)

// golden compares with what PyTorch computed in float64.
func golden(t *testing.T, s *kernel.Set) {
	for _, c := range []struct {
		name string
		run  func(g *goldenCase)
	}{
		{"layer_norm", goldenNorm}, {"rms_norm", goldenNorm},
		{"gelu_tanh", goldenAct(kernel.GELUTanh)}, {"gelu_exact", goldenAct(kernel.GELU)}, {"silu", goldenAct(kernel.SiLU)},
		{"swiglu", goldenSwiGLU},
		{"attention_full", goldenAttention}, {"attention_causal", goldenAttention}, {"attention_gqa", goldenAttention},
		{"attention_mqa", goldenAttention}, {"attention_window", goldenAttention}, {"attention_window_gqa", goldenAttention},
		{"attention_documents", goldenAttention}, {"attention_bias", goldenAttention},
		{"cross_entropy", goldenEntropy}, {"cross_entropy_z", goldenEntropy}, {"linear_cross_entropy", goldenEntropy},
		{"rope_half", goldenRope}, {"rope_pairs", goldenRope},
		{"newton_schulz_wide", goldenNewtonSchulz}, {"newton_schulz_tall", goldenNewtonSchulz},
		{"adamw", goldenAdamW},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(&goldenCase{testkit.Golden(t, "ops/"+c.name), t, s}) })
	}
}

type goldenCase struct {
	*testkit.Case
	t *testing.T
	s *kernel.Set
}

// in returns the tensor as an operand of its own.
func (g *goldenCase) in(name string) kernel.Buf { return kernel.OfF32(g.F32(name)) }

// like returns zeros of the size of the tensor.
func (g *goldenCase) like(name string) kernel.Buf {
	return kernel.Alloc(kernel.F32, len(g.F32(name)))
}

func (g *goldenCase) compare(name string, got kernel.Buf) {
	g.t.Helper()
	testkit.Close(g.t, name, got.F32(), g.F32(name), 1e-4, 1e-6)
}

// number returns the setting; 0 when it is not there.
func (g *goldenCase) number(key string) float64 {
	text, ok := g.Meta[key]
	if !ok {
		return 0
	}
	v, err := strconv.ParseFloat(text, 64)
	if err != nil {
		g.t.Fatalf("setting %s: %v", key, err)
	}
	return v
}

func goldenNorm(g *goldenCase) {
	N := g.Shape("x")[0]
	y, dx, dw := g.like("y"), g.like("x"), g.like("w")
	mean, rstd := kernel.Alloc(kernel.F32, N), kernel.Alloc(kernel.F32, N)
	if g.Has("b") {
		db := g.like("b")
		g.s.LayerNorm(y, mean, rstd, g.in("x"), g.in("w"), g.in("b"), g.number("eps"))
		g.s.LayerNormGrad(dx, dw, db, g.in("dy"), g.in("x"), g.in("w"), mean, rstd, false)
		g.compare("db", db)
	} else {
		g.s.RMSNorm(y, rstd, g.in("x"), g.in("w"), g.number("eps"))
		g.s.RMSNormGrad(dx, dw, g.in("dy"), g.in("x"), g.in("w"), rstd, false)
	}
	g.compare("y", y)
	g.compare("dx", dx)
	g.compare("dw", dw)
}

func goldenAct(f kernel.Act) func(g *goldenCase) {
	return func(g *goldenCase) {
		y, dx := g.like("x"), g.like("x")
		g.s.Act(f, y, g.in("x"))
		g.s.ActGrad(f, dx, g.in("dy"), g.in("x"), false)
		g.compare("y", y)
		g.compare("dx", dx)
	}
}

func goldenSwiGLU(g *goldenCase) {
	y, dgate, dup := g.like("y"), g.like("gate"), g.like("up")
	g.s.SwiGLU(y, g.in("gate"), g.in("up"))
	g.s.SwiGLUGrad(dgate, dup, g.in("dy"), g.in("gate"), g.in("up"), false)
	g.compare("y", y)
	g.compare("dgate", dgate)
	g.compare("dup", dup)
}

func goldenAttention(g *goldenCase) {
	q, k := g.Shape("q"), g.Shape("k") // [T, H, D]
	T := q[0]
	spans := []kernel.Span{{Start: 0, Len: T}}
	if starts := g.Meta["starts"]; starts != "" {
		spans = nil
		for _, text := range strings.Split(starts, ",") {
			at, err := strconv.Atoi(text)
			if err != nil {
				g.t.Fatal(err)
			}
			if n := len(spans); n > 0 {
				spans[n-1].Len = at - spans[n-1].Start
			}
			spans = append(spans, kernel.Span{Start: at, Len: T - at})
		}
	}
	a := &kernel.Attention{Heads: q[1], KVHeads: k[1], HeadDim: q[2], Q: g.in("q"), K: g.in("k"), V: g.in("v"), O: g.like("y"),
		LSE: kernel.Alloc(kernel.F32, T*q[1]), Queries: spans, Keys: spans, Causal: g.number("causal") == 1, Window: int(g.number("window"))}
	grad := &kernel.AttentionGrad{DO: g.in("dy"), DQ: g.like("q"), DK: g.like("k"), DV: g.like("v")}
	if g.Has("bias") {
		a.Bias, a.BiasQ, a.BiasK = g.in("bias"), T, T
		grad.DBias = g.like("bias")
	}
	g.s.Attention(a)
	g.s.AttentionGrad(a, grad)
	g.compare("y", a.O)
	g.compare("dq", grad.DQ)
	g.compare("dk", grad.DK)
	g.compare("dv", grad.DV)
	if g.Has("bias") {
		g.compare("dbias", grad.DBias)
	}
}

// goldenEntropy takes logits as x with the identity for w.
func goldenEntropy(g *goldenCase) {
	targets := g.I32("targets")
	c := &kernel.CrossEntropy{Targets: kernel.OfI32(targets), ZLoss: g.number("z_loss"), Loss: kernel.Alloc(kernel.F32, len(targets)), LSE: kernel.Alloc(kernel.F32, len(targets))}
	if g.Has("logits") {
		V := g.Shape("logits")[1]
		c.V, c.C, c.X, c.W, c.DX = V, V, g.in("logits"), kernel.Alloc(kernel.F32, V*V), g.like("logits")
		for i := range V {
			c.W.F32()[i*V+i] = 1
		}
	} else {
		c.V, c.C, c.X, c.W, c.DX, c.DW = g.Shape("w")[0], g.Shape("w")[1], g.in("x"), g.in("w"), g.like("x"), g.like("w")
	}
	counted := 0.0
	for _, target := range targets {
		if target >= 0 {
			counted++
		}
	}
	c.Scale = 1 / counted
	g.s.CrossEntropy(c)
	loss := 0.0
	for i, l := range floats(c.Loss) {
		lse := float64(c.LSE.F32()[i])
		loss += (l + c.ZLoss*lse*lse) / counted
	}
	g.compare("loss", kernel.OfF32([]float32{float32(loss)}))
	if g.Has("logits") {
		g.compare("dlogits", c.DX)
		return
	}
	g.compare("dx", c.DX)
	g.compare("dw", c.DW)
}

func goldenRope(g *goldenCase) {
	x := g.Shape("x") // [T, H, D]
	pos := g.I32("positions")
	most := int32(0)
	for _, p := range pos {
		most = max(most, p)
	}
	cos, sin := angles(int(most)+1, x[2], g.number("base"))
	d := newData(kernel.F32)
	r := &kernel.Rope{Heads: x[1], HeadDim: x[2], Pairs: strings.HasPrefix(g.Meta["pairs"], "2i"), Pos: kernel.OfI32(pos), Cos: d.from(cos), Sin: d.from(sin)}
	y, dx := g.like("x"), g.like("x")
	g.s.Rope(y, g.in("x"), r)
	r.Inverse = true
	g.s.Rope(dx, g.in("dy"), r)
	g.compare("y", y)
	g.compare("dx", dx)
}

// goldenNewtonSchulz composes x = a x + (b s + c s s) x, s = x xᵀ, from products; a tall matrix is transposed.
func goldenNewtonSchulz(g *goldenCase) {
	rows, cols := g.Shape("m")[0], g.Shape("m")[1]
	tall := rows > cols
	R, C := min(rows, cols), max(rows, cols)
	x := kernel.Alloc(kernel.F32, R*C)
	m := g.in("m")
	eye := kernel.Alloc(kernel.F32, R*R)
	for i := range R {
		eye.F32()[i*R+i] = 1
	}
	g.s.MatMul(&kernel.MatMul{M: R, N: C, K: R, A: eye, B: m, TransB: tall, C: x}) // x is m or its transpose
	g.s.Scale(x, 1/(math.Sqrt(g.s.SumSquares(x))+g.number("eps")), x)
	var k [3]float64
	for i, text := range strings.Split(g.Meta["coefficients"], ",") {
		v, err := strconv.ParseFloat(text, 64)
		if err != nil {
			g.t.Fatal(err)
		}
		k[i] = v
	}
	for range int(g.number("steps")) {
		s, ss, next := kernel.Alloc(kernel.F32, R*R), kernel.Alloc(kernel.F32, R*R), kernel.Alloc(kernel.F32, R*C)
		g.s.MatMul(&kernel.MatMul{M: R, N: R, K: C, A: x, B: x, TransB: true, C: s})
		g.s.MatMul(&kernel.MatMul{M: R, N: R, K: R, A: s, B: s, C: ss, Alpha: k[2]})
		g.s.Axpy(ss, k[1], s)
		g.s.Scale(next, k[0], x)
		g.s.MatMul(&kernel.MatMul{M: R, N: C, K: R, A: ss, B: x, C: next, Accumulate: true})
		x = next
	}
	y := g.like("y")
	if tall { // y [C, R] = xᵀ
		g.s.MatMul(&kernel.MatMul{M: C, N: R, K: R, A: x, TransA: true, B: eye, C: y})
	} else {
		g.s.Copy(y, x)
	}
	g.compare("y", y)
}

func goldenAdamW(g *goldenCase) {
	n := g.Shape("w")[0]
	w, m, v := g.in("w"), g.like("m"), g.like("v")
	var y []float32
	for i := range int(g.number("steps")) {
		g.s.AdamW(&kernel.AdamW{LR: g.number("lr"), Beta1: g.number("beta1"), Beta2: g.number("beta2"), Eps: g.number("eps"),
			WeightDecay: g.number("weight_decay"), Step: i + 1}, kernel.AdamWParam{P: w, G: g.in("g").Slice(i*n, (i+1)*n), M: m, V: v})
		y = append(y, w.F32()...)
	}
	g.compare("y", kernel.OfF32(y))
	g.compare("m", m)
	g.compare("v", v)
}
