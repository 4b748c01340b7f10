package adapt_test

import (
	"context"
	"math"
	"path/filepath"
	"testing"

	"github.com/plinth-ml/plinth/adapt"
	"github.com/plinth-ml/plinth/internal/kernel/ref"
	"github.com/plinth-ml/plinth/internal/testkit"
	"github.com/plinth-ml/plinth/model"
	"github.com/plinth-ml/plinth/nn"
	"github.com/plinth-ml/plinth/tensor"
	"github.com/plinth-ml/plinth/train"
)

// table is an encoder whose features are the rows of its embedding.
type table struct {
	Rows *nn.Embedding `name:"rows"`
}

func newTable() *table {
	m := &table{nn.NewEmbedding(40, 3, 1)}
	nn.Init(m.Params(), 1, true)
	return m
}

func (m *table) Params() []nn.Named { return nn.Params(m) }
func (m *table) Encode(t *tensor.Tape, in model.Input) *tensor.Tensor {
	return t.Gather(m.Rows.Weight.T(), in.IDs)
}
func (m *table) Sizes() model.Sizes { return model.Sizes{Width: 3, Vocab: 40, Context: 8} }

func pairs(n int) (list [][2]adapt.Example) {
	for i := range int32(n) {
		list = append(list, [2]adapt.Example{{IDs: []int32{i}}, {IDs: []int32{i + 20, i + 20}}})
	}
	return list
}

// features are those of the pairs' first texts, then of the second.
func features(t *testing.T, m model.Encoder, pairs [][2]adapt.Example) [][]float32 {
	t.Helper()
	var texts []adapt.Example
	for side := range 2 {
		for _, p := range pairs {
			texts = append(texts, p[side])
		}
	}
	f, err := adapt.Features(context.Background(), tensor.Evaluation(ref.New()), m, texts, model.Mean)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// cosine is that of two rows of features.
func cosine(a, b []float32) float64 {
	ab, aa, bb := 0.0, 0.0, 0.0
	for i := range a {
		ab += float64(a[i]) * float64(b[i])
		aa += float64(a[i]) * float64(a[i])
		bb += float64(b[i]) * float64(b[i])
	}
	return ab / math.Sqrt(aa*bb)
}

func TestContrast(t *testing.T) {
	k := ref.New()
	m := newTable()
	o := &adapt.Contrast{Model: m, Pairs: pairs(5), Batch: 5, Scale: 7}
	loss := func() (sums [1]float64) {
		p, err := o.Part(nil, 3, 0, 5)
		if err != nil {
			t.Fatal(err)
		}
		tape := tensor.Training(k)
		p.Loss(tape, p.Terms(), sums[:])
		tape.Backward()
		return sums
	}
	got := loss()[0]
	f := features(t, m, o.Pairs)
	want := 0.0
	for i := range 5 {
		sum := 0.0
		for j := range 5 {
			sum += math.Exp(7 * cosine(f[i], f[5+j]))
		}
		want += math.Log(sum) - 7*cosine(f[i], f[5+i])
	}
	if math.Abs(got-want) > 1e-4 {
		t.Errorf("loss %v, want %v", got, want)
	}
	w, grad := m.Rows.Weight.T().F32(), append([]float32(nil), m.Rows.Weight.T().Grad.F32()...)
	for _, at := range []int{0, 1, 2, 7, 12, 60, 61, 65, 74} {
		const h = 1e-2
		was := w[at]
		w[at] = was + h
		up := loss()[0]
		w[at] = was - h
		down := loss()[0]
		w[at] = was
		if slope := (up - down) / (2 * h) / 5; math.Abs(slope-float64(grad[at])) > 1e-3 {
			t.Errorf("gradient %d is %v, want %v", at, grad[at], slope)
		}
	}
}

// Texts that belong together end up closest to each other.
func TestContrastLearns(t *testing.T) {
	ctx, k := context.Background(), ref.New()
	m := newTable()
	o := &adapt.Contrast{Model: m, Pairs: pairs(12), Batch: 4, Seed: 1}
	l, err := train.Minimize(o, k, train.Options{Steps: 300, Batch: 4, Micro: 4, LR: 0.03, OnSpike: "ignore"}, train.Hooks{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Run(ctx); err != nil {
		t.Fatal(err)
	}
	f := features(t, m, o.Pairs)
	for i := range 12 {
		for j := range 12 {
			if j != i && cosine(f[i], f[12+j]) >= cosine(f[i], f[12+i]) {
				t.Errorf("text %d is closer to %d than to its own", i, j)
			}
		}
	}
	if _, err := o.Part(nil, 0, 0, 2); err == nil {
		t.Error("a part of a batch is accepted")
	}
}

// The losses of pairs, of pairs with negatives and of scored pairs, and their gradients, are sentence-transformers' on the same batch.
func TestContrastPeer(t *testing.T) {
	modules := []string{"torch", "sentence_transformers"}
	testkit.Python(t, modules...)
	script := filepath.Join(testkit.Root(), "tools", "golden", "contrast.py")
	var list [][2]adapt.Example
	var negatives []adapt.Example
	scores := []float64{0.9, -0.5, 0.1, 0.4}
	for i := range int32(4) {
		list, negatives = append(list, [2]adapt.Example{{IDs: []int32{i}}, {IDs: []int32{i + 4}}}), append(negatives, adapt.Example{IDs: []int32{i + 8}})
	}
	for _, o := range []*adapt.Contrast{{}, {Negatives: negatives}, {Cosines: scores}} {
		m := newTable()
		o.Model, o.Pairs, o.Batch = m, list, 4
		p, err := o.Part(nil, 0, 0, 4)
		if err != nil {
			t.Fatal(err)
		}
		tape, sums := tensor.Training(ref.New()), [1]float64{}
		p.Loss(tape, p.Terms(), sums[:])
		tape.Backward()
		w := m.Rows.Weight.T()
		side := func(from int) (rows [][]float32) {
			for i := range 4 {
				rows = append(rows, w.F32()[3*(from+i):3*(from+i)+3])
			}
			return rows
		}
		job, n := map[string]any{"a": side(0), "b": side(4)}, 24
		if o.Negatives != nil {
			job["negatives"], n = side(8), 36
		}
		if o.Cosines != nil {
			job["scores"] = scores
		}
		var want struct {
			Loss float64
			Grad []float32
		}
		testkit.Ask(t, script, modules, job, &want)
		if got := sums[0] / 4; math.Abs(got-want.Loss) > 1e-5*max(1, want.Loss) {
			t.Errorf("loss %v, sentence-transformers' %v", got, want.Loss)
		}
		testkit.Close(t, "gradient", w.Grad.F32()[:n], want.Grad, 1e-4, 0)
	}
	if _, err := (&adapt.Contrast{Model: newTable(), Pairs: list, Negatives: negatives[:2], Batch: 4}).Part(nil, 0, 0, 4); err == nil {
		t.Error("fewer negatives than pairs are taken")
	}
}
