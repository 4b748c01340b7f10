package suite

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/plinth-ml/plinth/internal/kernel"
	"github.com/plinth-ml/plinth/internal/kernel/ref"
)

// Options say what more than the values can be checked.
type Options struct {
	// Again returns another set of the same kind with so many workers; all of them must give the same bits as the
	// set under test. nil leaves that part out.
	Again func(threads int) *kernel.Set
}

// Tolerances, relative to the largest value of the result.
const (
	// exact binds float64 results to plain definitions in float64 that sum in another order.
	exact = 1e-11
	// pointwise: a few roundings of 2^-24 = 6e-8 in a row, among them a vector function good to some units in the last place.
	pointwise = 2e-6
	// summed: float32 sums of up to some thousand terms that cancel: 6e-8·sqrt(1000), times 10 for the spread.
	summed = 2e-5

	// small is the usual floor: results below it are taken for differences of unit-sized numbers.
	small = 0.05
)

// group is a family of ops; run computes them on many shapes with inputs from d.
type group struct {
	name  string
	tol   float64
	floor float64 // see within
	run   func(t *testing.T, s *kernel.Set, d *data)
}

// groups: where activations saturate, their slopes are 1 less numbers near 1; gradients of scores are sums of D products
// less such sums.
var groups = []group{
	{"elementwise", pointwise, small, elementwise},
	{"activations", pointwise, 0.5, activations},
	{"softmax", pointwise, small, softmax},
	{"norms", summed, small, norms},
	{"table", summed, small, table},
	{"sequences", pointwise, small, sequences},
	{"rope", pointwise, small, rope},
	{"matmul", summed, small, matMul},
	{"stored", summed, small, stored},
	{"int8", summed, small, int8Products},
	{"attention", summed, 0.25, attention},
	{"cache", summed, 0.25, caches},
	{"crossentropy", summed, small, crossEntropy},
	{"convolution", summed, small, convolutions},
	{"pools", pointwise, small, pools},
	{"batch norm", summed, small, batchNorms},
	{"optimizer", pointwise, small, optimizer},
}

// Run tests every function of s, which computes in float32.
func Run(t *testing.T, s *kernel.Set, o Options) {
	var others []*kernel.Set
	if o.Again != nil {
		for _, threads := range []int{1, 2, 3, 8} {
			others = append(others, o.Again(threads))
		}
	}
	for _, g := range groups {
		t.Run(g.name, func(t *testing.T) {
			got := g.compute(t, s, kernel.F32)
			want := g.compute(t, ref.New(), kernel.F64)
			if len(got) != len(want) {
				t.Fatalf("%d results, want %d", len(got), len(want))
			}
			for i, r := range got {
				within(t, r.name, floats(r.buf), floats(want[i].buf), g.tol, g.floor)
			}
			for _, other := range others {
				for i, r := range g.compute(t, other, kernel.F32) {
					same(t, fmt.Sprintf("%d threads: %s", other.Threads, r.name), floats(r.buf), floats(got[i].buf))
				}
			}
		})
	}
	t.Run("bf16", func(t *testing.T) { bf16(t, s, others) })
	t.Run("stored rows", func(t *testing.T) { storedRows(t, s, others) })
	t.Run("rows", func(t *testing.T) { rows(t, s) })
	t.Run("convolution rows", func(t *testing.T) { convRows(t, s) })
	t.Run("attention rows", func(t *testing.T) { attentionRows(t, s) })
	t.Run("cache rows", func(t *testing.T) { cacheRows(t, s) })
	t.Run("masks", func(t *testing.T) { masks(t, s) })
	t.Run("non-finite", func(t *testing.T) { nonFinite(t, s) })
	t.Run("hidden", func(t *testing.T) { hidden(t, s) })
	t.Run("golden", func(t *testing.T) { golden(t, s) })
}

func (g group) compute(t *testing.T, s *kernel.Set, dtype kernel.DType) []result {
	d := newData(dtype)
	g.run(t, s, d)
	return d.results
}

// data makes the inputs of a group, the same numbers in either dtype, and collects its outputs.
type data struct {
	r       *rand.Rand
	dtype   kernel.DType
	results []result
}

type result struct {
	name string
	buf  kernel.Buf
}

func newData(dtype kernel.DType) *data { return &data{r: rand.New(rand.NewPCG(1, 2)), dtype: dtype} }

// plain says whether results are to be compared with their plain definitions: they are in float64.
func (d *data) plain() bool { return d.dtype == kernel.F64 }

// in returns n random values of unit size, each a float32.
func (d *data) in(n int) kernel.Buf {
	s := make([]float64, n)
	for i := range s {
		s[i] = float64(float32(d.r.NormFloat64()))
	}
	return d.from(s)
}

// from returns the values, which must be float32 values.
func (d *data) from(s []float64) kernel.Buf {
	if d.dtype == kernel.F64 {
		return kernel.OfF64(s)
	}
	b := kernel.Alloc(kernel.F32, len(s))
	for i, v := range s {
		b.F32()[i] = float32(v)
	}
	return b
}

// ids returns n random integers of [from, to).
func (d *data) ids(n, from, to int) kernel.Buf {
	b := kernel.Alloc(kernel.I32, n)
	for i := range b.I32() {
		b.I32()[i] = int32(from + d.r.IntN(to-from))
	}
	return b
}

// out returns n random values that an op is to overwrite or add to.
func (d *data) out(n int, format string, a ...any) kernel.Buf {
	return d.keep(d.in(n), format, a...)
}

// keep notes b as an output.
func (d *data) keep(b kernel.Buf, format string, a ...any) kernel.Buf {
	d.results = append(d.results, result{fmt.Sprintf(format, a...), b})
	return b
}

// clone returns a copy of b.
func clone(b kernel.Buf) kernel.Buf {
	c := kernel.Alloc(b.DType(), b.Len())
	switch b.DType() {
	case kernel.F32:
		copy(c.F32(), b.F32())
	case kernel.F64:
		copy(c.F64(), b.F64())
	case kernel.I32:
		copy(c.I32(), b.I32())
	}
	return c
}

// floats returns a copy of the elements in float64; nil for none.
func floats(b kernel.Buf) []float64 {
	if b.None() {
		return nil
	}
	s := make([]float64, b.Len())
	for i := range s {
		switch b.DType() {
		case kernel.F32:
			s[i] = float64(b.F32()[i])
		case kernel.F64:
			s[i] = b.F64()[i]
		case kernel.I32:
			s[i] = float64(b.I32()[i])
		case kernel.BF16:
			s[i] = float64(math.Float32frombits(uint32(b.BF16()[i]) << 16))
		}
	}
	return s
}

// near is within with the usual floor.
func near(t *testing.T, name string, got, want []float64, tol float64) {
	t.Helper()
	within(t, name, got, want, tol, small)
}

// within fails unless |got-want| <= tol·max(largest |want|, floor). A NaN wants a NaN, an infinity the same infinity.
func within(t *testing.T, name string, got, want []float64, tol, floor float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d elements, want %d", name, len(got), len(want))
	}
	top := floor
	for _, w := range want {
		if v := math.Abs(w); !math.IsInf(v, 0) && v > top {
			top = v
		}
	}
	worst, at := 0.0, -1
	for i, w := range want {
		g := got[i]
		d := math.Abs(g - w)
		switch {
		case g == w || math.IsNaN(g) && math.IsNaN(w):
			d = 0
		case math.IsNaN(d):
			d = math.Inf(1)
		}
		if d > worst {
			worst, at = d, i
		}
	}
	if worst > tol*top {
		t.Errorf("%s[%d] = %v, want %v: off by %.3g of %.3g", name, at, got[at], want[at], worst, top)
	}
}

// same fails unless the values, which were float32, have the same bits.
func same(t *testing.T, name string, a, b []float64) {
	t.Helper()
	if len(a) != len(b) {
		t.Fatalf("%s: %d elements, want %d", name, len(a), len(b))
	}
	for i, v := range a {
		if math.Float64bits(v) != math.Float64bits(b[i]) {
			t.Errorf("%s[%d]: %v and %v differ", name, i, v, b[i])
			return
		}
	}
}
