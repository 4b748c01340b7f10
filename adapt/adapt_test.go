package adapt_test

import (
	"context"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/plinth-ml/plinth/adapt"
	"github.com/plinth-ml/plinth/internal/kernel/cpu"
	"github.com/plinth-ml/plinth/internal/random"
	"github.com/plinth-ml/plinth/model"
	"github.com/plinth-ml/plinth/model/gpt"
	"github.com/plinth-ml/plinth/nn"
	"github.com/plinth-ml/plinth/tensor"
	"github.com/plinth-ml/plinth/train"
)

// blobs are points around one centre per class.
func blobs(n, dim, classes int, seed uint64) (x [][]float64, labels []int) {
	key := random.NewKey(seed)
	for i := range n {
		row := make([]float64, dim)
		for c := range row {
			row[c] = key.Normal(uint64(i*dim + c))
		}
		row[i%classes] += 4
		x, labels = append(x, row), append(labels, i%classes)
	}
	return x, labels
}

// The gradient of the objective, written out plainly here, vanishes at the solution, also when there are more columns than rows.
func TestFitIsStationary(t *testing.T) {
	for _, dim := range []int{5, 40} {
		const n, classes, l2 = 24, 4, 0.05
		x, labels := blobs(n, dim, classes, 1)
		l, err := adapt.Fit(x, labels, classes, l2)
		if err != nil {
			t.Fatal(err)
		}
		for c := range classes {
			grad := make([]float64, dim+1)
			for i, row := range x {
				scores, sum := make([]float64, classes), 0.0
				for k := range scores {
					s := l.Bias[k]
					for j, v := range row {
						s += l.Weight[k][j] * v
					}
					scores[k] = math.Exp(s)
					sum += scores[k]
				}
				p := scores[c] / sum
				if labels[i] == c {
					p--
				}
				for j, v := range row {
					grad[j] += p * v / n
				}
				grad[dim] += p / n
			}
			for j := range dim {
				grad[j] += l2 * l.Weight[c][j]
			}
			for j, g := range grad {
				if math.Abs(g) > 1e-6 {
					t.Errorf("dim %d class %d: gradient %d is %v", dim, c, j, g)
				}
			}
		}
	}
}

// Two classes at -1 and +1: w solves w·l2 = sigmoid(-2w) for the difference of the two weights halved; found by bisection.
func TestFitClosedForm(t *testing.T) {
	const l2 = 0.1
	l, err := adapt.Fit([][]float64{{-1}, {1}}, []int{0, 1}, 2, l2)
	if err != nil {
		t.Fatal(err)
	}
	lo, hi := 0.0, 100.0
	for range 200 {
		if w := (lo + hi) / 2; l2*w < 1/(1+math.Exp(2*w)) {
			lo = w
		} else {
			hi = w
		}
	}
	if got := l.Weight[1][0]; math.Abs(got-lo) > 1e-5 || math.Abs(got+l.Weight[0][0]) > 1e-5 {
		t.Errorf("weights %v, want ±%v", l.Weight, lo)
	}
}

func narrow(x [][]float64) [][]float32 {
	rows := make([][]float32, len(x))
	for i, row := range x {
		for _, v := range row {
			rows[i] = append(rows[i], float32(v))
		}
	}
	return rows
}

func TestProbeSeparates(t *testing.T) {
	x64, labels := blobs(80, 20, 4, 2)
	test64, want := blobs(200, 20, 4, 3)
	x, test := narrow(x64), narrow(test64)
	p, err := adapt.FitProbe(x, labels, 4, 1)
	if err != nil {
		t.Fatal(err)
	}
	right := 0
	for i, c := range p.Predict(test) {
		if c == want[i] {
			right++
		}
	}
	if right < 180 {
		t.Errorf("%d of 200 right", right)
	}
	again, err := adapt.FitProbe(x, labels, 4, 1)
	if err != nil {
		t.Fatal(err)
	}
	for c := range p.Logistic.Weight {
		if !slices.Equal(p.Logistic.Weight[c], again.Logistic.Weight[c]) {
			t.Fatal("two fits differ")
		}
	}
}

// topics are texts whose class shows in some of their tokens.
func topics(n int, seed uint64) []adapt.Example {
	key := random.NewKey(seed)
	var texts []adapt.Example
	for i := range n {
		e := adapt.Example{Label: i % 3}
		for j := range 12 {
			id := 20 + key.IntN(uint64(i*100+j), 20)
			if j%4 == 0 {
				id = 5*e.Label + key.IntN(uint64(i*100+50+j), 5)
			}
			e.IDs = append(e.IDs, int32(id))
		}
		texts = append(texts, e)
	}
	return texts
}

func small(t *testing.T) *gpt.Model {
	t.Helper()
	m, err := gpt.New(gpt.Shape(2, 32, 2, 40, 16))
	if err != nil {
		t.Fatal(err)
	}
	nn.Init(m.Params(), 1, true)
	return m
}

// headed is a small decoder with a fresh head.
func headed(t *testing.T, kind model.Task, pool model.Pool, k int) *model.Headed {
	h := model.NewHeaded(small(t), kind, pool, k, true)
	nn.Init(h.HeadParams(), 1, true)
	return h
}

func TestFineTuneAndBagLearn(t *testing.T) {
	ctx := context.Background()
	labelled, test := topics(48, 1), topics(90, 2)
	bag, err := adapt.FitBag(labelled, 40, 3, 1)
	if err != nil {
		t.Fatal(err)
	}
	if a := adapt.Accuracy(bag.Predict(test), test); a < 0.9 {
		t.Errorf("bag of tokens: accuracy %v", a)
	}
	for _, pool := range []model.Pool{model.Mean, model.Last} {
		var first []int
		for _, threads := range []int{1, 2} {
			k := cpu.New(cpu.Options{Threads: threads})
			f := adapt.FineTuning{Model: headed(t, model.SequenceTask, pool, 3), Loss: adapt.SingleLabel, Examples: labelled, Batch: 16, Seed: 1}
			if _, err := f.Run(ctx, k, f.Defaults(train.Options{Steps: 150, LR: 3e-3}, 0), nil, nil); err != nil {
				t.Fatal(err)
			}
			got, err := adapt.Predict(ctx, tensor.Evaluation(k), f.Model, test)
			if err != nil {
				t.Fatal(err)
			}
			if a := adapt.Accuracy(got, test); a < 0.8 {
				t.Errorf("pool %v: accuracy %v", pool, a)
			}
			if threads == 1 {
				first = got
			} else if !slices.Equal(first, got) {
				t.Errorf("pool %v: 1 and 2 threads differ", pool)
			}
		}
	}
}

// A head started from a probe predicts what the probe predicts.
func TestHeadStartsFromProbe(t *testing.T) {
	ctx := context.Background()
	k := cpu.New(cpu.Options{Threads: 1})
	labelled, test := topics(48, 1), topics(90, 2)
	h := headed(t, model.SequenceTask, model.Mean, 3)
	tape := tensor.Evaluation(k)
	p, err := adapt.ProbeEncoder(ctx, tape, h, labelled, 3, model.Mean, 1)
	if err != nil {
		t.Fatal(err)
	}
	f, err := adapt.Features(ctx, tape, h, test, model.Mean)
	if err != nil {
		t.Fatal(err)
	}
	want := p.Predict(f)
	p.Start(h.Scorer())
	got, err := adapt.Predict(ctx, tape, h, test)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got, want) {
		t.Errorf("head predicts %v, probe %v", got, want)
	}
}

func TestRefuses(t *testing.T) {
	ctx := context.Background()
	k := cpu.New(cpu.Options{Threads: 1})
	x := [][]float64{{1}, {2}}
	run := func(loss adapt.Loss, kind model.Task, weights []float64, examples ...adapt.Example) error {
		f := adapt.FineTuning{Model: headed(t, kind, model.Mean, 3), Loss: loss, Examples: examples, Batch: 2, ClassWeights: weights}
		_, err := f.Run(ctx, k, f.Defaults(train.Options{}, 1), nil, nil)
		return err
	}
	ids := []int32{1, 2}
	for name, f := range map[string]func() error{
		"label out of range": func() error { _, err := adapt.Fit(x, []int{0, 2}, 2, 1); return err },
		"no penalty":         func() error { _, err := adapt.Fit(x, []int{0, 1}, 2, 0); return err },
		"label missing":      func() error { _, err := adapt.Fit(x, []int{0}, 2, 1); return err },
		"empty text": func() error {
			_, err := adapt.Features(ctx, tensor.Evaluation(k), headed(t, 0, 0, 3), []adapt.Example{{}}, model.Mean)
			return err
		},
		"text too long": func() error {
			_, err := adapt.Scores(ctx, tensor.Evaluation(k), headed(t, 0, 0, 3), []adapt.Example{{IDs: make([]int32, 17)}})
			return err
		},
		"id out of range": func() error { return run(adapt.SingleLabel, model.SequenceTask, nil, adapt.Example{IDs: []int32{40}}) },
		"segments missing": func() error {
			return run(adapt.SingleLabel, model.SequenceTask, nil, adapt.Example{IDs: ids, Segments: ids[:1]})
		},
		"class beyond": func() error {
			return run(adapt.SingleLabel, model.SequenceTask, nil, adapt.Example{IDs: ids, Label: 3})
		},
		"targets missing": func() error { return run(adapt.MultiLabel, model.SequenceTask, nil, adapt.Example{IDs: ids}) },
		"tags missing":    func() error { return run(adapt.Tagging, model.TokenTask, nil, adapt.Example{IDs: ids, Tags: ids[:1]}) },
		"tag beyond": func() error {
			return run(adapt.Tagging, model.TokenTask, nil, adapt.Example{IDs: ids, Tags: []int32{0, 3}})
		},
		"answer outside":  func() error { return run(adapt.Answer, model.SpanTask, nil, adapt.Example{IDs: ids, Start: 1, End: 2}) },
		"wrong head":      func() error { return run(adapt.Tagging, model.SequenceTask, nil, adapt.Example{IDs: ids, Tags: ids}) },
		"weights missing": func() error { return run(adapt.SingleLabel, model.SequenceTask, []float64{1}, adapt.Example{IDs: ids}) },
		"no examples":     func() error { return run(adapt.SingleLabel, model.SequenceTask, nil) },
		"unknown loss":    func() error { return run("hinge", model.SequenceTask, nil, adapt.Example{IDs: ids}) },
		"interrupted": func() error {
			ctx, cancel := context.WithCancel(ctx)
			cancel()
			f := adapt.FineTuning{Model: headed(t, 0, 0, 3), Loss: adapt.SingleLabel, Examples: topics(3, 1), Batch: 2}
			_, err := f.Run(ctx, k, f.Defaults(train.Options{}, 1), nil, nil)
			return err
		},
	} {
		if f() == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}

// Draws have n of every class, the larger ones hold the smaller, and seeds differ.
func TestDrawPerClass(t *testing.T) {
	labels := make([]int, 90)
	for i := range labels {
		labels[i] = i * i % 3 // 0 and 1
	}
	few, err := adapt.DrawPerClass(labels, 2, 4, 1)
	if err != nil {
		t.Fatal(err)
	}
	more, err := adapt.DrawPerClass(labels, 2, 20, 1)
	if err != nil {
		t.Fatal(err)
	}
	other, err := adapt.DrawPerClass(labels, 2, 4, 2)
	if err != nil {
		t.Fatal(err)
	}
	count := map[int]int{}
	seen := map[int]bool{}
	for _, at := range few {
		count[labels[at]]++
		if seen[at] || !slices.Contains(more, at) {
			t.Errorf("%d of %v, the larger draw is %v", at, few, more)
		}
		seen[at] = true
	}
	if count[0] != 4 || count[1] != 4 || slices.Equal(few, other) {
		t.Errorf("%v and %v", few, other)
	}
	if _, err := adapt.DrawPerClass(labels, 2, 31, 1); err == nil || !strings.Contains(err.Error(), "30 examples of class 0") {
		t.Errorf("%v", err)
	}
	if mean, deviation := adapt.Spread([]float64{1, 2, 6}); mean != 3 || math.Abs(deviation-math.Sqrt(7)) > 1e-12 {
		t.Errorf("mean %v, deviation %v", mean, deviation)
	}
}
