package adapt_test

import (
	"context"
	"math"
	"slices"
	"testing"

	"github.com/plinth-ml/plinth/adapt"
	"github.com/plinth-ml/plinth/internal/kernel/cpu"
	"github.com/plinth-ml/plinth/internal/random"
	"github.com/plinth-ml/plinth/model/gpt"
	"github.com/plinth-ml/plinth/nn"
	"github.com/plinth-ml/plinth/tensor"
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

func TestProbeSeparates(t *testing.T) {
	x, labels := blobs(80, 20, 4, 2)
	test, want := blobs(200, 20, 4, 3)
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
	for _, pool := range []adapt.Pool{adapt.Mean, adapt.Last} {
		var first []int
		for _, threads := range []int{1, 2} {
			k := cpu.New(cpu.Options{Threads: threads})
			c, err := adapt.FineTune(ctx, k, small(t), labelled, adapt.Options{Classes: 3, Pool: pool, Steps: 150, Batch: 16, LR: 3e-3, Seed: 1})
			if err != nil {
				t.Fatal(err)
			}
			got, err := c.Predict(ctx, tensor.Evaluation(k), test)
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

// A head started from a probe predicts what the probe predicts before any step changes it noticeably.
func TestHeadStartsFromProbe(t *testing.T) {
	ctx := context.Background()
	k := cpu.New(cpu.Options{Threads: 1})
	labelled, test := topics(48, 1), topics(90, 2)
	m := small(t)
	tape := tensor.Evaluation(k)
	p, err := adapt.ProbeDecoder(ctx, tape, m, labelled, 3, adapt.Mean, 1)
	if err != nil {
		t.Fatal(err)
	}
	f, err := adapt.Features(ctx, tape, m, test, adapt.Mean)
	if err != nil {
		t.Fatal(err)
	}
	want := p.Predict(f)
	c, err := adapt.FineTune(ctx, k, m, labelled, adapt.Options{Classes: 3, Steps: 1, LR: 1e-9, Probe: p})
	if err != nil {
		t.Fatal(err)
	}
	got, err := c.Predict(ctx, tape, test)
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
	for name, f := range map[string]func() error{
		"label out of range": func() error { _, err := adapt.Fit(x, []int{0, 2}, 2, 1); return err },
		"no penalty":         func() error { _, err := adapt.Fit(x, []int{0, 1}, 2, 0); return err },
		"label missing":      func() error { _, err := adapt.Fit(x, []int{0}, 2, 1); return err },
		"empty text": func() error {
			_, err := adapt.Features(ctx, tensor.Evaluation(k), small(t), []adapt.Example{{}}, adapt.Mean)
			return err
		},
		"text too long": func() error {
			_, err := adapt.Features(ctx, tensor.Evaluation(k), small(t), []adapt.Example{{IDs: make([]int32, 17)}}, adapt.Mean)
			return err
		},
		"id out of range": func() error {
			_, err := adapt.Features(ctx, tensor.Evaluation(k), small(t), []adapt.Example{{IDs: []int32{40}}}, adapt.Mean)
			return err
		},
		"one class": func() error {
			_, err := adapt.FineTune(ctx, k, small(t), topics(3, 1), adapt.Options{Classes: 1})
			return err
		},
		"interrupted": func() error {
			ctx, cancel := context.WithCancel(ctx)
			cancel()
			_, err := adapt.FineTune(ctx, k, small(t), topics(3, 1), adapt.Options{Classes: 3})
			return err
		},
	} {
		if f() == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}
