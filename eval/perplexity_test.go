package eval

import (
	"math"
	"testing"

	"github.com/plinth-ml/plinth/internal/kernel/ref"
	"github.com/plinth-ml/plinth/model"
	"github.com/plinth-ml/plinth/model/gpt"
	"github.com/plinth-ml/plinth/nn"
	"github.com/plinth-ml/plinth/tensor"
)

func tiny(t *testing.T) *gpt.Model {
	t.Helper()
	c := gpt.Shape(2, 16, 2, 30, 12)
	c.InitStd = 0.5
	m, err := gpt.New(c)
	if err != nil {
		t.Fatal(err)
	}
	nn.Init(m.Params(), 1, false)
	return m
}

// naive sums the losses of targets by running the model once per window and reading the logits.
func naive(t *testing.T, m *gpt.Model, doc []int32, seq, stride int) (loss float64, tokens int) {
	t.Helper()
	done := map[int]bool{0: true}
	for start := 0; start < len(doc)-1; start += stride {
		end := min(start+seq, len(doc)-1)
		tape := tensor.Evaluation(ref.New())
		logits := m.Head().Logits(tape, model.Features(m, tape, tensor.IDs(doc[start:end]), nn.NewSeqs(end-start), nil)).F32()
		for i := start; i < end; i++ {
			if done[i+1] {
				continue
			}
			done[i+1] = true
			row, sum := logits[(i-start)*30:(i-start+1)*30], 0.0
			for _, l := range row {
				sum += math.Exp(float64(l))
			}
			loss += math.Log(sum) - float64(row[doc[i+1]])
			tokens++
		}
	}
	return loss, tokens
}

func TestPerplexity(t *testing.T) {
	m := tiny(t)
	var docs [][]int32
	for _, n := range []int{1, 2, 5, 12, 13, 14, 25, 40} {
		doc := make([]int32, n)
		for i := range doc {
			doc[i] = int32((i*i*7 + n) % 30)
		}
		docs = append(docs, doc)
	}
	for _, c := range [][2]int{{12, 12}, {12, 5}, {7, 1}, {2, 2}} {
		p, err := NewPerplexity(m, ref.New(), c[0], c[1])
		if err != nil {
			t.Fatal(err)
		}
		want, tokens := 0.0, 0
		for _, doc := range docs {
			if err := p.Add(t.Context(), doc, func(id int32) int { return int(id) }); err != nil {
				t.Fatal(err)
			}
			l, n := naive(t, m, doc, c[0], c[1])
			want, tokens = want+l, tokens+n
		}
		if err := p.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		if p.Tokens != tokens || math.Abs(p.Loss-want) > 1e-4*want {
			t.Errorf("window %d stride %d: loss %v over %d tokens, want %v over %d", c[0], c[1], p.Loss, p.Tokens, want, tokens)
		}
		if math.Abs(p.BitsPerByte()-p.Loss/math.Ln2/float64(p.Bytes)) > 1e-12 || p.Mean() != p.Loss/float64(p.Tokens) {
			t.Error("means do not follow from the sums")
		}
	}
	p, _ := NewPerplexity(m, ref.New(), 0, 0)
	if err := p.Add(t.Context(), []int32{1, 30}, nil); err == nil {
		t.Error("an id outside the vocabulary is accepted")
	}
	for _, c := range [][2]int{{13, 0}, {1, 0}, {8, 9}, {8, -1}} {
		if _, err := NewPerplexity(m, ref.New(), c[0], c[1]); err == nil {
			t.Errorf("window %d stride %d is accepted", c[0], c[1])
		}
	}
}
