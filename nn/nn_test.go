package nn

import (
	"math"
	"slices"
	"testing"

	"github.com/plinth-ml/plinth/internal/kernel/ref"
	"github.com/plinth-ml/plinth/internal/random"
	"github.com/plinth-ml/plinth/tensor"
)

type tied struct {
	In   *Embedding `name:"in"`
	List []*Linear  `name:"list"`
	Flat struct {
		Norm *LayerNorm `name:"norm"`
	} `name:""`
	Absent *Linear `name:"absent"`
	Out    *Param  `name:"out"`
	other  *Linear // not looked at
}

func TestParams(t *testing.T) {
	m := &tied{In: NewEmbedding(5, 4, 0.1), List: []*Linear{NewLinear(4, 3, 0.1, true), NewConv1D(4, 3, 0.1)}, other: NewLinear(1, 1, 1, false)}
	m.Flat.Norm = NewLayerNorm(4, 1e-5)
	m.Out = m.In.Weight
	var names []string
	for _, p := range Params(m) {
		names = append(names, p.Name)
	}
	want := []string{"in.weight", "list.0.weight", "list.0.bias", "list.1.weight", "list.1.bias", "norm.weight", "norm.bias"}
	if !slices.Equal(names, want) {
		t.Errorf("paths %v, want %v", names, want)
	}
	if n := Count(Params(m)); n != 20+12+3+12+3+4+4 {
		t.Errorf("%d elements", n)
	}
}

// The first values depend on seed, path and index alone.
func TestInit(t *testing.T) {
	values := func(seed uint64) []float32 {
		m := &tied{In: NewEmbedding(50, 40, 0.5), List: []*Linear{NewLinear(4, 3, 0.1, true)}}
		m.Flat.Norm = NewLayerNorm(4, 1e-5)
		Init(Params(m), seed, false)
		for _, v := range m.Flat.Norm.Weight.T().F32() {
			if v != 1 {
				t.Fatalf("norm weight starts at %v", v)
			}
		}
		return m.In.Weight.T().F32()
	}
	a, b, c := values(1), values(1), values(2)
	if !slices.Equal(a, b) || slices.Equal(a, c) {
		t.Error("the first values are no function of the seed")
	}
	sum := 0.0
	for _, v := range a {
		sum += float64(v) * float64(v)
	}
	if std := sum / float64(len(a)); std < 0.2 || std > 0.3 { // 0.5²
		t.Errorf("variance %v, want 0.25", std)
	}
}

func TestSeqs(t *testing.T) {
	s := NewSeqs(2, 3)
	if got := s.Positions.I32(); !slices.Equal(got, []int32{0, 1, 0, 1, 2}) || s.Rows() != 5 {
		t.Errorf("positions %v rows %d", got, s.Rows())
	}
	if want := []tensor.Span{{Start: 0, Len: 2}, {Start: 2, Len: 3}}; !slices.Equal(s.Spans, want) {
		t.Errorf("spans %v", s.Spans)
	}
}

// TestMoE compares the gradients of a mixture of experts, its router's among them, with central differences in float64, and its result with the
// paper's formula.
func TestMoE(t *testing.T) {
	const N, C, F, E, K = 5, 3, 4, 4, 2
	m := NewMoE(C, F, E, K, tensor.SiLU, 1, 1)
	m.ones = tensor.FromF64([]float64{1, 1, 1}, 1, C)
	leaf := func(i int, shape ...int) *tensor.Tensor {
		x := make([]float64, tensor.Shape(shape).Elements())
		for j := range x {
			x[j] = random.NewKey(7, uint64(i)).Normal(uint64(j))
		}
		y := tensor.FromF64(x, shape...)
		y.SetTrain(true)
		return y
	}
	x, residual := leaf(0, N, C), leaf(1, N, C)
	leaves := []*tensor.Tensor{x, residual}
	for i, p := range Params(m) {
		*p.T() = *leaf(2+i, p.T().Shape()...)
		leaves = append(leaves, p.T())
	}
	factor := leaf(99, N, C)
	factor.SetTrain(false)
	tape := tensor.Training(ref.New())
	var y []float64
	loss := func() (sum float64) {
		tape.Reset()
		out := m.Forward(tape, x, residual)
		y = slices.Clone(out.Data.F64())
		z := tape.Mul(out, factor)
		tape.Seed(z)
		for _, v := range z.Data.F64() {
			sum += v
		}
		return sum
	}
	loss()
	got := y
	tape.Backward()
	for i, l := range leaves {
		grad := slices.Clone(l.Grad.F64())
		for j := range grad {
			const h = 1e-6
			old := l.Data.F64()[j]
			l.Data.F64()[j] = old + h
			up := loss()
			l.Data.F64()[j] = old - h
			down := loss()
			l.Data.F64()[j] = old
			if want := (up - down) / (2 * h); math.Abs(want-grad[j]) > 1e-6*(1+math.Abs(want)) {
				t.Fatalf("leaf %d element %d: gradient %v, difference quotient %v", i, j, grad[j], want)
			}
		}
	}
	product := func(w *Param, x []float64) []float64 {
		out, in := w.T().Dims2()
		y := make([]float64, out)
		for o := range y {
			for i, v := range x {
				y[o] += v * w.T().Data.F64()[o*in+i]
			}
		}
		return y
	}
	for n := range N {
		in := x.Data.F64()[n*C : (n+1)*C]
		p, sum := product(m.Router.Weight, in), 0.0 // softmax over all, the K largest, divided by their sum
		for e := range p {
			p[e] = math.Exp(p[e])
		}
		least := slices.Sorted(slices.Values(p))[E-K]
		for _, v := range p {
			if v >= least {
				sum += v
			}
		}
		want := slices.Clone(residual.Data.F64()[n*C : (n+1)*C])
		for e, v := range p {
			if v < least {
				continue
			}
			gate, up := product(m.Experts[e].Gate.Weight, in), product(m.Experts[e].Up.Weight, in)
			for f, g := range gate {
				up[f] *= g / (1 + math.Exp(-g))
			}
			for c, d := range product(m.Experts[e].Down.Weight, up) {
				want[c] += v / sum * d
			}
		}
		for c, w := range want {
			if math.Abs(got[n*C+c]-w) > 1e-12 {
				t.Errorf("row %d: %v, want %v", n, got[n*C:(n+1)*C], want)
				break
			}
		}
	}
}
