package pretrain

import (
	"context"
	"errors"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/plinth-ml/plinth/data"
	"github.com/plinth-ml/plinth/internal/kernel/cpu"
	"github.com/plinth-ml/plinth/internal/random"
	"github.com/plinth-ml/plinth/model/bert"
	"github.com/plinth-ml/plinth/nn"
	"github.com/plinth-ml/plinth/tensor"
	"github.com/plinth-ml/plinth/tokenizer"
	"github.com/plinth-ml/plinth/train"
)

// text is documents that a small model can learn: each is about a topic of its own words, and every word but the first of a sentence follows from the
// one before.
func text(topics int) [][]byte {
	var docs [][]byte
	for d := range 60 {
		key := random.NewKey(9, uint64(d))
		var b strings.Builder
		for s := range 16 {
			a := key.IntN(uint64(s), 6)
			for w := range 5 {
				b.WriteString(string(rune('a'+d%topics)) + string(rune('p'+(a+w)%6)) + " ")
			}
			b.WriteString(". ")
		}
		docs = append(docs, []byte(b.String()))
	}
	return docs
}

// objective is a small model with pairs of the text.
func objective(t testing.TB, seed uint64) *BERT {
	t.Helper()
	pairs := pairsOf(t, seed, false)
	c := bert.Shape(2, 64, pairsVocab, 32)
	c.Heads = 2
	m, err := bert.New(c)
	if err != nil {
		t.Fatal(err)
	}
	nn.Init(m.Params(), 1, true)
	return &BERT{m, pairs}
}

const pairsVocab = 80

// pairsOf are examples of the text.
func pairsOf(t testing.TB, seed uint64, single bool) *data.Pairs {
	t.Helper()
	docs := text(6)
	tok, err := tokenizer.TrainWordPiece(context.Background(), slices.Values(docs), tokenizer.WordOptions{VocabSize: pairsVocab})
	if err != nil {
		t.Fatal(err)
	}
	marks, err := data.MarksOf(tok)
	if err != nil {
		t.Fatal(err)
	}
	var ids [][]int32
	for _, d := range docs {
		ids = append(ids, append(tok.Encode(string(d)), marks.SEP))
	}
	split, err := data.FromTokens(ids, tok.VocabSize(), 32, 1)
	if err != nil {
		t.Fatal(err)
	}
	pairs, err := data.NewPairs(split, marks, data.PairOptions{Seq: 32, Batch: 16, Single: single, Seed: seed})
	if err != nil {
		t.Fatal(err)
	}
	return pairs
}

func options(dir string, steps int) train.Options {
	return train.Options{Steps: steps, Batch: 16, Seq: 32, LR: 2e-3, MinLR: -1, Schedule: "linear", WeightDecay: 0.01, Beta2: 0.999, Seed: 3, RunDir: dir}
}

// A small model learns both tasks.
func TestBERTLearns(t *testing.T) {
	k := cpu.New(cpu.Options{Threads: 2})
	o := objective(t, 3)
	loop, err := train.Minimize(o, k, options(t.TempDir(), 400), train.Hooks{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := loop.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	heldOut := objective(t, 77)
	heldOut.Model = o.Model
	s, err := heldOut.Evaluate(context.Background(), tensor.Evaluation(k), 16, 8000)
	if err != nil {
		t.Fatal(err)
	}
	// What is a matter of the topic: which words may stand there (the six of a topic: 1.79 nats; all: 3.6), and whether two texts are of one document.
	if s.Masked > 2.1 || s.MaskedAccuracy < 0.2 || s.Next > 0.4 || s.NextAccuracy < 0.85 {
		t.Errorf("after 400 steps %+v", s)
	}
}

// A model of masked tokens alone learns them from single texts.
func TestMaskedOnlyLearns(t *testing.T) {
	k := cpu.New(cpu.Options{Threads: 2})
	o := objective(t, 3)
	c := o.Model.Config
	c.Head, c.Dropout = bert.MaskedLM, 0
	var err error
	if o.Model, err = bert.New(c); err != nil {
		t.Fatal(err)
	}
	o.Pairs = pairsOf(t, 3, true)
	nn.Init(o.Model.Params(), 1, true)
	if names := o.TermNames(); !slices.Equal(names, []string{"masked"}) {
		t.Errorf("terms %v", names)
	}
	loop, err := train.Minimize(o, k, options(t.TempDir(), 300), train.Hooks{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := loop.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	o.Pairs = pairsOf(t, 77, true)
	s, err := o.Evaluate(context.Background(), tensor.Evaluation(k), 16, 8000)
	if err != nil {
		t.Fatal(err)
	}
	if s.Masked > 2.1 || s.MaskedAccuracy < 0.2 || s.Next != 0 || s.NextAccuracy != 0 { // the words of a topic: 1.79 nats
		t.Errorf("after 300 steps %+v", s)
	}
}

// A run that is interrupted ends as one that is not.
func TestBERTResumes(t *testing.T) {
	k := cpu.New(cpu.Options{Threads: 2})
	run := func(dir string, stop int, resume bool) *BERT {
		o := objective(t, 3)
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		opt := options(dir, 12)
		opt.Resume = resume
		loop, err := train.Minimize(o, k, opt, train.Hooks{Progress: func(e train.Event) {
			if e.Step == stop {
				cancel()
			}
		}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := loop.Run(ctx); err != nil && !errors.Is(err, train.ErrInterrupted) {
			t.Fatal(err)
		}
		return o
	}
	whole := run(t.TempDir(), -1, false)
	dir := filepath.Join(t.TempDir(), "run")
	run(dir, 5, false)
	again := run(dir, -1, true)
	for i, p := range whole.Model.Params() {
		if !slices.Equal(p.T().F32(), again.Model.Params()[i].T().F32()) {
			t.Errorf("%s differs after a resumed run", p.Name)
		}
	}
}

// A batch in parts has the loss and the gradient of the whole, and a steady part takes nothing from the heap.
func TestBERTParts(t *testing.T) {
	k := cpu.New(cpu.Options{Threads: 2})
	o := objective(t, 3)
	o.Model.Config.Dropout, o.Model.Config.AttnDropout = 0, 0
	m, err := bert.New(o.Model.Config)
	if err != nil {
		t.Fatal(err)
	}
	nn.Init(m.Params(), 1, true)
	o.Model = m
	tape := tensor.Training(k)
	var reuse train.Part
	step := func(cuts ...int) (sums [2]float64) {
		of := []float64{0, 0}
		for i := range cuts[1:] {
			p, err := o.Part(nil, 4, cuts[i], cuts[i+1])
			if err != nil {
				t.Fatal(err)
			}
			of[0], of[1] = of[0]+p.Terms()[0], of[1]+p.Terms()[1]
		}
		for i := range cuts[1:] {
			if reuse, err = o.Part(reuse, 4, cuts[i], cuts[i+1]); err != nil {
				t.Fatal(err)
			}
			reuse.Loss(tape, of, sums[:])
			tape.Backward()
			tape.Reset()
		}
		return sums
	}
	gradients := func() (all []float32) {
		for _, p := range m.Params() {
			all = append(all, p.T().Grad.F32()...)
			clear(p.T().Grad.F32())
		}
		return all
	}
	whole := step(0, 16)
	want := gradients()
	parts := step(0, 3, 4, 16)
	for i, w := range whole {
		if math.Abs(parts[i]-w) > 1e-5*w {
			t.Errorf("term %d is %v in parts, %v whole", i, parts[i], w)
		}
	}
	for i, g := range gradients() {
		if math.Abs(float64(g-want[i])) > 1e-5 {
			t.Fatalf("element %d of the gradient is %v in parts, %v whole", i, g, want[i])
		}
	}
	p, err := o.Part(nil, 1, 0, 16)
	if err != nil {
		t.Fatal(err)
	}
	sums := make([]float64, 2)
	steady := func() {
		if p, err = o.Part(p, 1, 0, 16); err != nil {
			t.Fatal(err)
		}
		p.Loss(tape, p.Terms(), sums)
		tape.Backward()
		tape.Reset()
	}
	for range 20 {
		steady()
	}
	if n := testing.AllocsPerRun(20, steady); n > 0 {
		t.Errorf("%v allocations of a part", n)
	}
}

// A model that is too small for the pairs is refused.
func TestBERTRefuses(t *testing.T) {
	o := objective(t, 3)
	for _, change := range []func(c *bert.Config){func(c *bert.Config) { c.Context = 8 }, func(c *bert.Config) { c.Vocab = 9 }} {
		c := o.Model.Config
		change(&c)
		m, err := bert.New(c)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := (&BERT{m, o.Pairs}).Part(nil, 0, 0, 16); err == nil || !strings.Contains(err.Error(), "the model's") {
			t.Errorf("%+v: %v", c, err)
		}
	}
}
