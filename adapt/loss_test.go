package adapt_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"testing"

	"github.com/plinth-ml/plinth/adapt"
	"github.com/plinth-ml/plinth/internal/kernel/ref"
	"github.com/plinth-ml/plinth/model"
	"github.com/plinth-ml/plinth/tensor"
	"github.com/plinth-ml/plinth/train"
)

// lossCase is a loss with examples for a head of three scores, or two for answers.
type lossCase struct {
	loss     adapt.Loss
	kind     model.Task
	scores   int
	weights  []float64
	examples []adapt.Example
}

func lossCases() []lossCase {
	a, b := []int32{1, 2, 3, 4}, []int32{5, 6}
	return []lossCase{
		{adapt.SingleLabel, model.SequenceTask, 3, nil, []adapt.Example{{IDs: a, Label: 2}, {IDs: b, Label: 0}}},
		{adapt.SingleLabel, model.SequenceTask, 3, []float64{0.5, 1, 3}, []adapt.Example{{IDs: a, Label: 2}, {IDs: b, Label: 0}}},
		{adapt.MultiLabel, model.SequenceTask, 3, nil, []adapt.Example{{IDs: a, Targets: []float32{1, 0, 1}}, {IDs: b, Targets: []float32{0, 0, 0}}}},
		{adapt.Regression, model.SequenceTask, 3, nil, []adapt.Example{{IDs: a, Targets: []float32{1, -2, 0.5}}, {IDs: b, Targets: []float32{0, 3, 0}}}},
		{adapt.Tagging, model.TokenTask, 3, []float64{0.5, 1, 3}, []adapt.Example{{IDs: a, Tags: []int32{-1, 2, 0, -1}}, {IDs: b, Tags: []int32{1, 1}}}},
		{adapt.Answer, model.SpanTask, 2, nil, []adapt.Example{{IDs: a, Start: 1, End: 2}, {IDs: b, Start: 0, End: 0}}},
	}
}

// plainLoss is the mean loss for the scores of each example, in float64 and as the definitions have it.
func (c lossCase) plainLoss(scores [][]float32) float64 {
	logSoftmax := func(z []float64, at int) float64 {
		sum := 0.0
		for _, v := range z {
			sum += math.Exp(v)
		}
		return z[at] - math.Log(sum)
	}
	total, count := 0.0, 0.0
	for i, x := range c.examples {
		z := make([]float64, len(scores[i]))
		for j, v := range scores[i] {
			z[j] = float64(v)
		}
		class := func(row []float64, label int) {
			w := 1.0
			if c.weights != nil {
				w = c.weights[label]
			}
			total -= w * logSoftmax(row, label)
			count += w
		}
		switch c.loss {
		case adapt.SingleLabel:
			class(z, x.Label)
		case adapt.Tagging:
			for j, tag := range x.Tags {
				if tag >= 0 {
					class(z[3*j:3*j+3], int(tag))
				}
			}
		case adapt.Answer:
			var starts, ends []float64
			for j := range x.IDs {
				starts, ends = append(starts, z[2*j]), append(ends, z[2*j+1])
			}
			total -= (logSoftmax(starts, x.Start) + logSoftmax(ends, x.End)) / 2
			count++
		default:
			for j, y := range x.Targets {
				p := 1 / (1 + math.Exp(-z[j]))
				if c.loss == adapt.MultiLabel {
					total -= (float64(y)*math.Log(p) + (1-float64(y))*math.Log(1-p)) / 3
				} else {
					total += (z[j] - float64(y)) * (z[j] - float64(y)) / 3
				}
			}
			count++
		}
	}
	return total / count
}

// The loss is that of the definitions, and its gradient in the head is their difference quotient.
func TestLosses(t *testing.T) {
	k := ref.New()
	for i, c := range lossCases() {
		t.Run(fmt.Sprint(c.loss, i), func(t *testing.T) {
			m := headed(t, c.kind, model.Mean, c.scores)
			f := adapt.FineTuning{Model: m, Loss: c.loss, Examples: c.examples, Batch: 2, ClassWeights: c.weights}
			plain := func() float64 {
				s, err := adapt.Scores(context.Background(), tensor.Evaluation(k), m, c.examples)
				if err != nil {
					t.Fatal(err)
				}
				return c.plainLoss(s)
			}
			p, err := f.Part(nil, 0, 0, 2)
			if err != nil {
				t.Fatal(err)
			}
			var sums [1]float64
			tape := tensor.Training(k)
			p.Loss(tape, p.Terms(), sums[:])
			tape.Backward()
			if got, want := sums[0]/p.Terms()[0], plain(); math.Abs(got-want) > 1e-5 {
				t.Errorf("loss %v, want %v", got, want)
			}
			for _, q := range m.HeadParams() {
				for j := range q.T().F32() {
					v := &q.T().F32()[j]
					was := *v
					const h = 1e-2
					*v = was + h
					up := plain()
					*v = was - h
					down := plain()
					*v = was
					if got, want := float64(q.T().Grad.F32()[j]), (up-down)/(2*h); math.Abs(got-want) > 2e-4 {
						t.Errorf("%s[%d]: gradient %v, want %v", q.Name, j, got, want)
					}
				}
			}
		})
	}
}

// Every loss goes down in training, whatever the batch's parts.
func TestLossesLearn(t *testing.T) {
	for i, c := range lossCases() {
		var last [2]float64
		for j, micro := range []int{1, 2} {
			f := adapt.FineTuning{Model: headed(t, c.kind, model.Mean, c.scores), Loss: c.loss, Examples: c.examples, Batch: 2, ClassWeights: c.weights}
			o := f.Defaults(train.Options{Steps: 60, LR: 1e-2, Micro: micro}, 0)
			var first float64
			r, err := f.Run(context.Background(), ref.New(), o, nil, func(e train.Event) {
				if e.Step == 1 {
					first = e.Loss
				}
			})
			if err != nil {
				t.Fatal(err)
			}
			if last[j] = r.Loss; r.Loss > 0.3*first {
				t.Errorf("%s %d: loss from %v to %v", c.loss, i, first, r.Loss)
			}
		}
		if math.Abs(last[0]-last[1]) > 1e-3 {
			t.Errorf("%s %d: loss %v and %v in one and two parts", c.loss, i, last[0], last[1])
		}
	}
}

// A run keeps the weights that did best, ends when they get no better, and an interrupted one comes to the same end.
func TestValidationKeepsTheBest(t *testing.T) {
	scores := []float64{0.1, 0.5, 0.9, 0.3, 0.9, 0.2, 1} // the run ends before the last
	run := func(dir string, interrupt int) (weights, atBest []float32, v *adapt.Validation, err error) {
		m := headed(t, model.SequenceTask, model.Mean, 3)
		f := adapt.FineTuning{Model: m, Loss: adapt.SingleLabel, Examples: topics(24, 1), Batch: 8, Seed: 1}
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		v = &adapt.Validation{Patience: 3}
		v.Measure = func(context.Context, *tensor.Tape) (loss, score float64, err error) {
			n := len(v.List())
			if n == 2 {
				atBest = slices.Clone(m.Score.Weight.T().F32())
			}
			return 1, scores[n], nil
		}
		o := f.Defaults(train.Options{Steps: 60, LR: 1e-2, ValEvery: 4, SaveEvery: 3, RunDir: dir, Resume: true}, 0)
		_, err = f.Run(ctx, ref.New(), o, v, func(e train.Event) {
			if e.Kind == "" && e.Step == interrupt {
				cancel()
			}
		})
		return slices.Clone(m.Score.Weight.T().F32()), atBest, v, err
	}
	want, atBest, v, err := run("", 0)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(want, atBest) {
		t.Error("the weights are not those of the best measurement")
	}
	if got := v.List(); len(got) != 6 || v.Best().Step != 12 {
		t.Errorf("measured %v", got)
	}
	for interrupt := 1; interrupt < 24; interrupt += 5 {
		dir := filepath.Join(t.TempDir(), "run")
		if _, _, _, err := run(dir, interrupt); !errors.Is(err, train.ErrInterrupted) {
			t.Fatal(err)
		}
		got, _, v, err := run(dir, 0)
		if err != nil || !slices.Equal(got, want) || len(v.List()) != 6 {
			t.Errorf("interrupted after step %d: %v, measured %v, same weights: %v", interrupt, err, v.List(), slices.Equal(got, want))
		}
	}
}
