package quickstart

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/plinth-ml/plinth/adapt"
	"github.com/plinth-ml/plinth/internal/random"
	"github.com/plinth-ml/plinth/model"
	"github.com/plinth-ml/plinth/model/gpt"
	"github.com/plinth-ml/plinth/nn"
	"github.com/plinth-ml/plinth/tensor"
	"github.com/plinth-ml/plinth/tokenizer"
	"github.com/plinth-ml/plinth/train"
)

// The protocol of the comparison.
const (
	seeds         = 3  // draws of the labelled snippets
	testPerClass  = 50 // test snippets of a class, at most; the same for all seeds
	tuneSteps     = 36
	tuneBatch     = 16
	tuneRate      = 7e-4
	tuneDecay     = 0.01
	classifyAfter = "package" // where the head is read: the next token of the sequence would name the package
)

// scratchRates are the learning rates of which the one that does best on the test set counts, which favours training from scratch.
var scratchRates = []float64{3e-4, 1e-3, 3e-3}

// Score is an accuracy over the seeds.
type Score struct {
	Mean   float64   `json:"mean"`
	Spread float64   `json:"spread"` // standard deviation over the seeds
	Runs   []float64 `json:"runs"`
}

// SpreadPoints is the spread in percentage points.
func (s Score) SpreadPoints() float64 { return 100 * s.Spread }

func newScore(runs []float64) Score {
	s := Score{Runs: runs}
	for _, v := range runs {
		s.Mean += v / float64(len(runs))
	}
	for _, v := range runs {
		s.Spread += (v - s.Mean) * (v - s.Mean) / float64(max(1, len(runs)-1))
	}
	s.Spread = math.Sqrt(s.Spread)
	return s
}

// Transfer is the comparison.
type Transfer struct {
	Classes        []string `json:"classes"`
	LabelsPerClass int      `json:"labels_per_class"`
	Test           int      `json:"test"` // snippets
	Probe          Score    `json:"probe"`
	FineTune       Score    `json:"finetune"`
	Scratch        Score    `json:"scratch"`
	Bag            Score    `json:"bag_of_tokens"`
	ScratchLR      float64  `json:"scratch_lr"`
	ByUnit         string   `json:"held_out_by"`
}

// pick draws up to n snippets, from the units in turn, in an order drawn by key.
func pick(list []snippet, n int, key random.Key) []snippet {
	byUnit := map[string][]snippet{}
	var units []string
	for _, s := range list {
		if byUnit[s.unit] == nil {
			units = append(units, s.unit)
		}
		byUnit[s.unit] = append(byUnit[s.unit], s)
	}
	rank := func(u string) uint64 { return key.Named(u).Uint64(0) }
	slices.SortFunc(units, func(a, b string) int { return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a, b)) })
	var out []snippet
	for round := uint64(0); len(out) < n; round++ {
		before := len(out)
		for _, u := range units {
			if l := byUnit[u]; round < uint64(len(l)) && len(out) < n {
				out = append(out, l[random.NewPerm(uint64(len(l)), key.Named(u)).At(round)])
			}
		}
		if len(out) == before {
			break
		}
	}
	return out
}

// examples draws n snippets of every class. The sequences are those of pre-training up to the word "package"; for text without headers
// they are the snippet alone.
func (c *Corpus) examples(tok *tokenizer.Tokenizer, held bool, n int, key random.Key) (forModel, plain []adapt.Example) {
	sep, _ := tok.SpecialID(headerToken)
	suffix := append([]int32{sep}, tok.Encode(classifyAfter)...)
	for label, class := range c.Classes {
		for _, s := range pick(c.snippets(class, held), n, key.Named(class)) {
			ids := tok.Encode(string(s.text))
			ids = ids[:min(len(ids), bodyTokens)]
			plain = append(plain, adapt.Example{IDs: ids, Label: label})
			row := ids
			if c.pool() == model.Last {
				row = append(slices.Clone(ids), suffix...)
			}
			forModel = append(forModel, adapt.Example{IDs: row, Label: label})
		}
	}
	return forModel, plain
}

// pool is the last token where sequences have headers, otherwise the mean.
func (c *Corpus) pool() model.Pool {
	if c.ByUnit == "package" {
		return model.Last
	}
	return model.Mean
}

// compare adapts the model and trains the baselines, on the same labels and tested on the same snippets.
func compare(ctx context.Context, o Options, m *gpt.Model, tok *tokenizer.Tokenizer, c *Corpus, say func(string, ...any)) (*Transfer, error) {
	key := random.NewKey(o.Seed)
	test, testPlain := c.examples(tok, true, testPerClass, key.Named("test"))
	K := len(c.Classes)
	t := &Transfer{Classes: c.Classes, LabelsPerClass: labelsPerClass, Test: len(test), ByUnit: c.ByUnit}
	tape := tensor.Evaluation(o.Kernels)
	var probes, tuned, bags []float64
	scratch := make([][]float64, len(scratchRates))
	testFeatures, err := adapt.Features(ctx, tape, model.AsEncoder(m), test, c.pool())
	if err != nil {
		return nil, err
	}
	tune := func(weights *gpt.Model, labelled []adapt.Example, rate float64, seed uint64, probe *adapt.Probe) (float64, error) {
		copied, err := clone(weights, m.Config, seed)
		if err != nil {
			return 0, err
		}
		pool := c.pool()
		if weights == nil {
			pool = model.Mean // the last token is worth more than the mean to a model that has learned to name packages there
		}
		h := model.NewHeaded(copied, model.SequenceTask, pool, K, true)
		nn.Init(h.HeadParams(), seed, true)
		if probe != nil {
			probe.Start(h.Scorer())
		}
		f := adapt.FineTuning{Model: h, Loss: adapt.SingleLabel, Examples: labelled, Batch: tuneBatch, Seed: seed}
		options := f.Defaults(train.Options{Steps: o.tuneSteps, LR: rate, WeightDecay: tuneDecay, Beta2: 0.98}, 0)
		if _, err := f.Run(ctx, o.Kernels, options, nil, nil); err != nil {
			return 0, err
		}
		predicted, err := adapt.Predict(ctx, tape, h, test)
		return adapt.Accuracy(predicted, test), err
	}
	for s := range uint64(seeds) {
		labelled, plain := c.examples(tok, false, labelsPerClass, random.NewKey(o.Seed, s).Named("labels"))
		probe, err := adapt.ProbeEncoder(ctx, tape, model.AsEncoder(m), labelled, K, c.pool(), s)
		if err != nil {
			return nil, err
		}
		bag, err := adapt.FitBag(plain, tok.VocabSize(), K, s)
		if err != nil {
			return nil, err
		}
		fine, err := tune(m, labelled, tuneRate, s, probe)
		if err != nil {
			return nil, err
		}
		probes = append(probes, adapt.Accuracy(probe.Predict(testFeatures), test))
		bags = append(bags, adapt.Accuracy(bag.Predict(testPlain), testPlain))
		tuned = append(tuned, fine)
		for i, rate := range scratchRates {
			a, err := tune(nil, labelled, rate, s, nil)
			if err != nil {
				return nil, err
			}
			scratch[i] = append(scratch[i], a)
		}
		say("   seed %d of %d: probe %.1f %%, fine-tuned %.1f %%, bag of tokens %.1f %%", s+1, seeds, 100*probes[s], 100*fine, 100*bags[s])
	}
	t.Probe, t.FineTune, t.Bag = newScore(probes), newScore(tuned), newScore(bags)
	for i, rate := range scratchRates {
		if s := newScore(scratch[i]); i == 0 || s.Mean > t.Scratch.Mean {
			t.Scratch, t.ScratchLR = s, rate
		}
	}
	return t, nil
}

// clone returns a model of the shape with the weights of m, or with fresh ones where m is nil.
func clone(m *gpt.Model, config gpt.Config, seed uint64) (*gpt.Model, error) {
	c, err := gpt.New(config)
	if err != nil {
		return nil, err
	}
	nn.Init(c.Params(), seed, true)
	if m != nil {
		from := m.Params()
		for i, p := range c.Params() {
			copy(p.T().F32(), from[i].T().F32())
		}
	}
	return c, nil
}

// row is a line of the table.
type row struct {
	Name, How string
	Score     Score
	Ours      bool
}

func (t *Transfer) rows() []row {
	return []row{
		{"pre-trained, fine-tuned", "all weights, head started from the probe", t.FineTune, true},
		{"pre-trained, linear probe", "frozen features, logistic regression", t.Probe, true},
		{"bag of tokens", "tf-idf, logistic regression", t.Bag, false},
		{"from scratch", fmt.Sprintf("same network and steps, best of %d learning rates", len(scratchRates)), t.Scratch, false},
	}
}

func (t *Transfer) table() string {
	var b strings.Builder
	for _, r := range t.rows() {
		fmt.Fprintf(&b, "   %-26s %5.1f %% ± %.1f   %s\n", r.Name, 100*r.Score.Mean, 100*r.Score.Spread, r.How)
	}
	fmt.Fprintf(&b, "   %-26s %5.1f %%", "chance", 100/float64(len(t.Classes)))
	return b.String()
}

// Verdict says in words what the figures show and what they do not.
func (t *Transfer) Verdict() string {
	best := max(t.Probe.Mean, t.FineTune.Mean)
	overScratch, overBag := 100*(best-t.Scratch.Mean), 100*(best-t.Bag.Mean)
	text := fmt.Sprintf("Pre-training is worth %+.0f points over the same network without it, and %+.0f over counting tokens, at %d labels per class.", overScratch, overBag, t.LabelsPerClass)
	if overBag < 2 {
		text += " On this task a model this small, trained for about a minute, is no better than counting tokens: telling topics is what word counts are good at."
	}
	units := "files"
	if t.ByUnit == "package" {
		units = "packages"
	}
	if t.ByUnit == "package" {
		text += " Pre-training has read the package clauses and imports of other packages behind their code, and the classifier is read where the model would name the package: that is no label, but it is akin to the task."
	}
	return text + fmt.Sprintf(" The test snippets (%d) are of %s that neither pre-training nor the labels have seen, so this is transfer and not recall."+
		" It is one corpus, one split into seen and unseen %s and %d draws of labels: it shows the effect, it does not measure its size elsewhere.", t.Test, units, units, len(t.Probe.Runs))
}
