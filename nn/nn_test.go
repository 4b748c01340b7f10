package nn

import (
	"slices"
	"testing"

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
