package cpu

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/plinth-ml/plinth/internal/kernel"
	"github.com/plinth-ml/plinth/internal/kernel/ref"
)

// random returns n values of about unit size.
func random(seed uint64, n int) kernel.Buf {
	r := rand.New(rand.NewPCG(seed, 1))
	s := make([]float32, n)
	for i := range s {
		s[i] = float32(r.NormFloat64())
	}
	return kernel.OfF32(s)
}

func zeros(n int) kernel.Buf { return kernel.Alloc(kernel.F32, n) }

// near fails unless |a-b| <= tol*max|b| for all elements. Some gradients are zero in theory: they may be off by a few
// rounding errors of the unit-sized inputs.
func near(t *testing.T, name string, got kernel.Buf, want []float64, tol float64) {
	t.Helper()
	top, worst, at := 0.0, 0.0, 0
	for i, w := range want {
		top = max(top, math.Abs(w))
		if d := math.Abs(float64(got.F32()[i]) - w); !(d <= worst) {
			worst, at = d, i
		}
	}
	if !(worst <= tol*top+1e-6) {
		t.Errorf("%s[%d] = %v, want %v; the largest is %v", name, at, got.F32()[at], want[at], top)
	}
}

// same fails unless a and b have the same bits.
func same(t *testing.T, name string, a, b kernel.Buf) {
	t.Helper()
	if a.Len() != b.Len() {
		t.Fatalf("%s: %d and %d elements", name, a.Len(), b.Len())
	}
	for i, v := range a.F32() {
		if math.Float32bits(v) != math.Float32bits(b.F32()[i]) {
			t.Fatalf("%s[%d]: %v and %v differ", name, i, v, b.F32()[i])
		}
	}
}

// each runs f on a set of every variant, and restores the best.
func each(t *testing.T, f func(t *testing.T, s *kernel.Set)) {
	for _, v := range Variants() {
		t.Run(v, func(t *testing.T) { f(t, New(Options{Threads: 2, Variant: v})) })
	}
	New(Options{Threads: 1})
}

func TestFloat64Panics(t *testing.T) {
	defer func() {
		if r := fmt.Sprint(recover()); !strings.Contains(r, "Add") || !strings.Contains(r, "f64") {
			t.Fatalf("panic %q does not name the op and the type", r)
		}
	}()
	x := kernel.Alloc(kernel.F64, 3)
	New(Options{}).Add(x, x, x)
}

func TestUnknownVariantPanics(t *testing.T) {
	defer func() {
		if r := fmt.Sprint(recover()); !strings.Contains(r, "mmx") {
			t.Fatalf("panic %q does not name the variant", r)
		}
	}()
	New(Options{Variant: "mmx"})
}

// The workers of a set that is no longer used end.
func TestWorkersEnd(t *testing.T) {
	before := runtime.NumGoroutine()
	for range 5 {
		s := New(Options{Threads: 4})
		s.SumSquares(random(1, 10*light))
	}
	for range 200 {
		runtime.GC()
		if runtime.NumGoroutine() <= before {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("%d goroutines before, %d after", before, runtime.NumGoroutine())
}

// allOps runs every op on inputs large enough for several tasks and returns all results by name. The sizes are scaled
// by size.
func allOps(s *kernel.Set, size int) (names []string, results []kernel.Buf) {
	seed := uint64(0)
	in := func(n int) kernel.Buf { seed++; return random(seed, n) }
	out := func(name string, b kernel.Buf) kernel.Buf {
		names, results = append(names, name), append(results, b)
		return b
	}
	N, C, V := 40*size, 96, 130
	x, y := in(N*C), in(N*C)
	w, b := in(C), in(C)
	table := in(V * C)
	ids := make([]int32, N)
	targets := make([]int32, N)
	for i := range ids {
		ids[i] = int32(i * i * 7 % V)
		targets[i] = int32(i*31%(V+9)) - 9
	}

	s.MatMul(&kernel.MatMul{M: N, N: V, K: C, A: x, B: table, TransB: true, C: out("matmul", zeros(N*V)), Act: kernel.GELU})
	var p kernel.Packed
	s.Pack(&p, table, true, C, V)
	s.MatMul(&kernel.MatMul{M: N, N: V, K: C, A: x, Packed: &p, C: out("matmul packed", zeros(N*V)), Pre: out("pre", zeros(N*V)), Act: kernel.Tanh})
	s.Add(out("add", zeros(N*C)), x, y)
	s.MulTo(out("mulTo", in(N*C)), x, y)
	s.Axpy(out("axpy", in(N*C)), 0.3, x)
	for f := kernel.Identity; f <= kernel.Sigmoid; f++ {
		s.Act(f, out(f.String(), zeros(N*C)), x)
		s.ActGrad(f, out(f.String()+" grad", in(N*C)), y, x, true)
	}
	s.SwiGLUGrad(out("dgate", in(N*C)), out("dup", in(N*C)), in(N*C), x, y, true)
	soft := out("softmax", zeros(N*C))
	s.Softmax(soft, x, C)
	s.SoftmaxGrad(out("softmax grad", in(N*C)), y, soft, C, true)
	mean, rstd := zeros(N), zeros(N)
	s.LayerNorm(out("layernorm", zeros(N*C)), mean, rstd, x, w, b, 1e-5)
	s.LayerNormGrad(out("ln dx", in(N*C)), out("ln dw", in(C)), out("ln db", in(C)), y, x, w, mean, rstd, true)
	s.RMSNorm(out("rmsnorm", zeros(N*C)), rstd, x, w, 1e-5)
	s.RMSNormGrad(out("rms dx", zeros(N*C)), out("rms dw", in(C)), y, x, w, rstd, false)
	s.Gather(out("gather", in(N*C)), table, kernel.OfI32(ids), C, true)
	s.ScatterAdd(out("scatter", in(V*C)), x, kernel.OfI32(ids), C)
	s.SumRows(out("sumrows", in(C)), x)
	spans := []kernel.Span{{Start: 1, Len: N / 2}, {Start: N/2 + 1, Len: 0}, {Start: N/2 + 1, Len: N/2 - 1}}
	s.SeqMean(out("seqmean", zeros(3*C)), x, spans, C)
	s.SeqMeanGrad(out("seqmean grad", zeros(N*C)), in(3*C), spans, C, false)
	for _, bias := range []bool{false, true} {
		a := &kernel.Attention{Heads: 3, KVHeads: 1, HeadDim: 32, Q: x, K: in(N * 32), V: in(N * 32), O: out("o", zeros(N*C)),
			LSE: out("lse", zeros(3*N)), Queries: []kernel.Span{{Start: 0, Len: N/2 + 3}, {Start: N/2 + 3, Len: N/2 - 3}}, Causal: true}
		a.Keys = a.Queries
		g := &kernel.AttentionGrad{DO: y, DQ: out("dq", zeros(N*C)), DK: out("dk", zeros(N*32)), DV: out("dv", zeros(N*32))}
		if bias {
			a.Bias, a.BiasQ, a.BiasK = in(3*N*N), N, N
			g.DBias = out("dbias", in(3*N*N))
		}
		s.Attention(a)
		s.AttentionGrad(a, g)
	}
	s.CrossEntropy(&kernel.CrossEntropy{X: x, W: table, Bias: in(V), Targets: kernel.OfI32(targets), V: V, C: C, ZLoss: 1e-3,
		Scale: 0.1, Loss: out("loss", zeros(N)), DX: out("ce dx", zeros(N*C)), DW: out("ce dw", in(V*C)), DB: out("ce db", in(V))})
	m, v := out("m", in(N*C)), out("v", zeros(N*C))
	s.AdamW(&kernel.AdamW{LR: 1e-3, Beta1: 0.9, Beta2: 0.95, Eps: 1e-8, WeightDecay: 0.1, Step: 2}, kernel.AdamWParam{P: out("p", in(N*C)), G: in(N * C), M: m, V: v})
	out("sum of squares", kernel.OfF32([]float32{float32(s.SumSquares(x))}))
	return names, results
}

func TestThreadsGiveTheSameBits(t *testing.T) {
	for _, size := range []int{1, 20} {
		names, want := allOps(New(Options{Threads: 1}), size)
		for _, threads := range []int{2, 3, 8} {
			_, got := allOps(New(Options{Threads: threads}), size)
			for i, name := range names {
				same(t, fmt.Sprintf("%d threads, size %d: %s", threads, size, name), got[i], want[i])
			}
		}
	}
}

func TestAgreesWithReference(t *testing.T) {
	each(t, func(t *testing.T, s *kernel.Set) {
		for _, size := range []int{1, 6} {
			names, want := allOps(ref.New(), size)
			_, got := allOps(s, size)
			for i, name := range names {
				near(t, fmt.Sprintf("size %d: %s", size, name), got[i], wide(want[i]), 2e-5)
			}
		}
	})
}

func TestSteadyStateAllocatesNothing(t *testing.T) {
	const N, C, V, T = 512, 64, 300, 128
	s := New(Options{Threads: 2})
	x, y, dy, dx := random(1, N*C), zeros(N*C), random(2, N*C), zeros(N*C)
	w, b, dw, db := random(3, C), random(4, C), zeros(C), zeros(C)
	table, dtable := random(5, V*C), zeros(V*C)
	mean, rstd, lse, loss := zeros(N), zeros(N), zeros(N*2), zeros(N)
	ids := make([]int32, N)
	for i := range ids {
		ids[i] = int32(i % V)
	}
	gaps := slices.Clone(ids)
	for i := 0; i < N; i += 3 {
		gaps[i] = -1
	}
	var spans []kernel.Span
	for at := 0; at < N; at += T {
		spans = append(spans, kernel.Span{Start: at, Len: T})
	}
	mm := &kernel.MatMul{M: N, N: V, K: C, A: x, B: table, TransB: true, C: zeros(N * V), Act: kernel.GELU}
	var packed kernel.Packed
	s.Pack(&packed, table, true, C, V)
	mp := &kernel.MatMul{M: N, N: V, K: C, A: x, Packed: &packed, C: zeros(N * V)}
	at := &kernel.Attention{Heads: 2, KVHeads: 2, HeadDim: C / 2, Q: x, K: dy, V: dy, O: y, LSE: lse, Queries: spans, Keys: spans, Causal: true}
	ag := &kernel.AttentionGrad{DO: dy, DQ: dx, DK: zeros(N * C), DV: zeros(N * C)}
	ce := &kernel.CrossEntropy{X: x, W: table, Targets: kernel.OfI32(ids), V: V, C: C, Scale: 1, Loss: loss, DX: dx, DW: dtable}
	masked := *ce
	masked.Targets = kernel.OfI32(gaps)
	adam := &kernel.AdamW{LR: 1e-3, Beta1: 0.9, Beta2: 0.95, Eps: 1e-8, Step: 1}
	am, av := zeros(N*C), zeros(N*C)
	hm, hv := kernel.Alloc(kernel.BF16, N*C), kernel.Alloc(kernel.BF16, N*C)
	list := []kernel.AdamWParam{{P: y, G: dy, M: am, V: av}, {P: y, G: dy, M: hm, V: hv}}
	bufs := []kernel.Buf{dtable, y}
	pooled := zeros(len(spans) * C)
	step := func() {
		s.Gather(y, table, kernel.OfI32(ids), C, false)
		s.LayerNorm(y, mean, rstd, x, w, b, 1e-5)
		s.MatMul(mm)
		s.Pack(&packed, table, true, C, V)
		s.MatMul(mp)
		s.Attention(at)
		s.CrossEntropy(ce)
		s.CrossEntropy(&masked)
		s.AttentionGrad(at, ag)
		s.LayerNormGrad(dx, dw, db, dy, x, w, mean, rstd, true)
		s.ActGrad(kernel.GELU, dx, dy, x, true)
		s.ScatterAdd(dtable, dy, kernel.OfI32(ids), C)
		s.SumRows(db, dy)
		s.SeqMean(pooled, x, spans, C)
		s.AdamW(adam, list...)
		s.SumSquares(bufs...)
		s.Copy(hm, y)
		s.Copy(y, hm)
	}
	step()
	if n := testing.AllocsPerRun(20, step); n != 0 {
		t.Fatalf("a step allocates %v times", n)
	}
}

// Every type that products take as stored is the format of its name, with the same blocks.
func TestFormats(t *testing.T) {
	for d := range kernel.DTypes {
		f, ok := formats[d]
		if ok != d.Stored() {
			t.Errorf("%s: a format %v, stored %v", d, ok, d.Stored())
		}
		if !ok {
			continue
		}
		elements, bytes := d.Block()
		if n, size := f.Block(); f.String() != d.String() || n != elements || size != bytes {
			t.Errorf("%s in blocks of %d in %d bytes is read as %s in blocks of %d in %d", d, elements, bytes, f, n, size)
		}
	}
}
