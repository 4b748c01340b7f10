package eval

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/plinth-ml/plinth/eval/task"
	"github.com/plinth-ml/plinth/internal/kernel/ref"
	"github.com/plinth-ml/plinth/model"
	"github.com/plinth-ml/plinth/model/gpt"
	"github.com/plinth-ml/plinth/nn"
	"github.com/plinth-ml/plinth/tensor"
	"github.com/plinth-ml/plinth/tokenizer"
)

// plain computes one request alone, without a cache.
func plain(m *gpt.Model, ids []int32, from int) (a task.Likelihood) {
	tape := tensor.Evaluation(ref.New())
	V := m.Sizes().Vocab
	logits := m.Head().Logits(tape, model.Features(m, tape, tensor.IDs(ids[:len(ids)-1]), nn.NewSeqs(len(ids)-1), nil)).F32()
	a.Greedy = true
	for i := from; i < len(ids); i++ {
		row, sum, best := logits[(i-1)*V:i*V], 0.0, 0
		for j, v := range row {
			sum += math.Exp(float64(v))
			if v > row[best] {
				best = j
			}
		}
		a.LogProb += float64(row[ids[i]]) - math.Log(sum)
		a.Greedy = a.Greedy && best == int(ids[i])
	}
	return a
}

func TestGreedy(t *testing.T) {
	row := []float32{1, 3, 3, 2}
	for id, want := range []bool{false, true, false, false} {
		lp, greedy := logProb(row, int32(id))
		if sum := math.Exp(1) + 2*math.Exp(3) + math.Exp(2); greedy != want || math.Abs(lp-float64(row[id])+math.Log(sum)) > 1e-12 {
			t.Errorf("id %d: %v %v", id, lp, greedy)
		}
	}
}

func TestLikelihoods(t *testing.T) {
	docs := [][]byte{[]byte(strings.Repeat("questions with answers about astronomy. Question answer other context longer end ", 9))}
	tok, err := tokenizer.Train(t.Context(), slices.Values(docs), tokenizer.TrainOptions{VocabSize: 320})
	if err != nil {
		t.Fatal(err)
	}
	c := gpt.Shape(2, 16, 2, tok.VocabSize(), 300)
	c.InitStd = 0.5
	m, err := gpt.New(c)
	if err != nil {
		t.Fatal(err)
	}
	nn.Init(m.Params(), 1, false)
	head := strings.Repeat("questions with answers about astronomy. ", 40) // more than a page of the cache
	var requests []task.Request
	for i := range 12 {
		for _, letter := range []string{" A", " B", " a longer answer", " a longer one"} {
			requests = append(requests, task.Request{Context: fmt.Sprint(head, "Question ", i, "\nAnswer: "), Continuation: letter})
		}
		requests = append(requests, task.Request{Context: strings.Repeat("other ", i+1) + "context", Continuation: " end"})
	}
	requests = append(requests, task.Request{Context: strings.Repeat(head, 3), Continuation: " cut"})
	l := NewLikelihoods(m, tok, ref.New())
	answers, err := l.Answer(t.Context(), requests)
	if err != nil {
		t.Fatal(err)
	}
	if l.Cut != 1 {
		t.Errorf("%d requests cut", l.Cut)
	}
	again := NewLikelihoods(m, tok, ref.New())
	for i, r := range requests {
		a, err := l.encode(r)
		if err != nil {
			t.Fatal(err)
		}
		want := plain(m, a.ids, a.from)
		if math.Abs(answers[i].LogProb-want.LogProb) > 1e-4*math.Abs(want.LogProb) || answers[i].Greedy != want.Greedy {
			t.Errorf("request %d: %v, want %v", i, answers[i], want)
		}
		if i%7 == 0 {
			if alone, err := again.Answer(t.Context(), requests[i:i+1]); err != nil || alone[0] != answers[i] {
				t.Errorf("request %d alone: %v %v, with others %v", i, alone, err, answers[i])
			}
		}
	}
	for _, bad := range []task.Request{{Context: "", Continuation: " a"}, {Context: "a", Continuation: ""}, {Context: "a", Continuation: head + head + head}} {
		if _, err := l.Answer(t.Context(), []task.Request{bad}); err == nil {
			t.Errorf("%.20q, %.20q is accepted", bad.Context, bad.Continuation)
		}
	}
}
