package main

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/plinth-ml/plinth/adapt"
	"github.com/plinth-ml/plinth/internal/kernel"
	"github.com/plinth-ml/plinth/model"
	"github.com/plinth-ml/plinth/model/zoo"
	"github.com/plinth-ml/plinth/nn"
	"github.com/plinth-ml/plinth/tensor"
	"github.com/plinth-ml/plinth/tokenizer"
	"github.com/plinth-ml/plinth/train"
)

// classifyTask gives texts, or pairs of texts, one label or several.
type classifyTask struct {
	*adaptCmd
	sets   *exampleSets[classRow]
	labels []string       // in the order of the scores
	ids    map[string]int // of the labels
	loss   adapt.Loss
	m      zoo.TaskModel
	tok    *tokenizer.Tokenizer
}

// classRow is one example.
type classRow struct {
	where   string
	texts   []string
	labels  []string // one, or with --multi any number
	example adapt.Example
}

func (row *classRow) made() adapt.Example { return row.example }

func (c *classifyTask) read(ctx context.Context, seed uint64) (err error) {
	c.loss = adapt.SingleLabel
	if c.Multi != "" {
		c.loss = adapt.MultiLabel
		if c.Balance {
			return usagef("--balance is for one label per text, not for --multi")
		}
	}
	facts := rowFacts[classRow]{text: func(row *classRow) string { return strings.Join(row.texts, "\n") }}
	if c.Multi == "" {
		facts.class = func(row *classRow) string { return row.labels[0] }
	}
	if c.sets, err = readSets(c.adaptCmd, seed, facts, func(path string) ([]classRow, error) { return c.table(ctx, path) }); err != nil {
		return err
	}
	if c.finished != nil {
		return nil // the model knows its labels
	}
	c.ids = map[string]int{}
	for _, set := range those(c.sets.train, c.sets.validation) {
		if set != c.sets.train && !set.heldOut {
			continue // a file of its own may not bring labels
		}
		for _, row := range set.rows {
			for _, l := range row.labels {
				if _, ok := c.ids[l]; !ok {
					c.ids[l] = 0
					c.labels = append(c.labels, l)
				}
			}
		}
	}
	if len(c.labels) < 2 && c.Multi == "" || len(c.labels) == 0 {
		return fmt.Errorf("%s: all %d examples have the label %q: nothing can be told apart", c.Data, len(c.sets.train.rows), strings.Join(c.labels, ""))
	}
	if len(c.labels) > 10000 {
		return fmt.Errorf("%s: %d different labels: is --label %s the right column?", c.Data, len(c.labels), c.Label)
	}
	slices.SortFunc(c.labels, compareLabels)
	c.number()
	c.noteLabels()
	return c.enoughForCurve()
}

// number gives the labels their ids.
func (c *classifyTask) number() {
	c.ids = map[string]int{}
	for i, l := range c.labels {
		c.ids[l] = i
	}
}

// learnt takes over what the scores of a finished model mean.
func (c *classifyTask) learnt(l zoo.Labels) error {
	switch {
	case l.Problem == string(adapt.Regression):
		return usagef("%s tells numbers, not labels: --task regress", c.Model)
	case multiple(l) != (c.Multi != ""):
		return usagef("--multi SEP is for a model that gives texts several labels, and needed for it; %s tells %d labels apart", c.Model, len(l.Names))
	}
	c.labels = l.Names
	c.number()
	return nil
}

// noteLabels tells of labels that cannot be learned, or that are perhaps none.
func (c *classifyTask) noteLabels() {
	count := map[string]int{}
	for _, row := range c.sets.train.rows {
		for _, l := range row.labels {
			count[l]++
		}
	}
	for _, l := range c.labels {
		switch strings.ToLower(l) {
		case "nan", "na", "n/a", "null", "none":
			c.note("%d examples have the label %q, as tables say that there is none: it is learned as any other", count[l], l)
		}
		if count[l] == 0 {
			c.note("label %q has no example beside the validation: it cannot be learned", l)
		}
	}
}

// compareLabels orders numbers by their value and other labels by their letters.
func compareLabels(a, b string) int {
	x, errX := strconv.ParseFloat(a, 64)
	y, errY := strconv.ParseFloat(b, 64)
	switch {
	case errX == nil && errY == nil && x != y:
		if x < y {
			return -1
		}
		return 1
	case (errX == nil) != (errY == nil):
		if errX == nil {
			return -1
		}
		return 1
	}
	return strings.Compare(a, b)
}

// table reads one file.
func (c *classifyTask) table(ctx context.Context, path string) ([]classRow, error) {
	var list []classRow
	err := c.rows(ctx, path, c.Label, func(where string, texts, labels []string) error {
		if slices.Contains(labels, "") {
			return fmt.Errorf("%s: the label is empty", where)
		}
		list = append(list, classRow{where: where, texts: texts, labels: labels})
		return nil
	})
	return list, err
}

func (c *classifyTask) open(path string, tok *tokenizer.Tokenizer, seed uint64, o zoo.Options) (_ *subject, err error) {
	c.tok = tok
	var l zoo.Labels
	if c.m, l, err = c.headed(path, model.SequenceTask, c.labelling(), seed, o); err != nil {
		return nil, err
	}
	if c.finished != nil {
		if err := c.learnt(l); err != nil {
			return nil, err
		}
	}
	x := &adapt.Texts{Tokenizer: tok, Limit: c.m.Sizes().Context, Virtual: c.virtual(c.m.Sizes())}
	if err := c.sets.each(func(row *classRow) error { return c.encode(x, row) }); err != nil {
		return nil, err
	}
	s, err := withHead(path, c.m, c.labelling())
	if err != nil {
		return nil, err
	}
	s.labels = c.labels
	return c.sets.of(s, x.Cut), nil
}

// encode makes the example of a row.
func (c *classifyTask) encode(x *adapt.Texts, row *classRow) error {
	e, err := x.Example(row.texts...)
	if err != nil {
		return fmt.Errorf("%s: %w", row.where, err)
	}
	if c.Multi != "" {
		e.Targets = make([]float32, len(c.labels))
	}
	for _, l := range row.labels {
		id, ok := c.ids[l]
		if !ok {
			return fmt.Errorf("%s: label %q does not occur in what is trained on: %s", row.where, l, someOf(c.labels))
		}
		if c.Multi != "" {
			e.Targets[id] = 1
		} else {
			e.Label = id
		}
	}
	row.example = e
	return nil
}

// startFromProbe sets the head of m, which reads the mean, to logistic regression on the features of the examples.
func startFromProbe(ctx context.Context, k *kernel.Set, m zoo.TaskModel, examples []adapt.Example, classes int, seed uint64) error {
	if len(m.HeadParams()) != 2 {
		return usagef("--head probe is for a head of one layer: RoBERTa and DistilBERT have two")
	}
	const most = 1024 // more make logistic regression slow and its direction little better
	if n := len(examples); n > most {
		some := make([]adapt.Example, most)
		for i := range some {
			some[i] = examples[i*n/most]
		}
		examples = some
	}
	probe, err := adapt.ProbeEncoder(ctx, tensor.Evaluation(k), m, examples, classes, model.Mean, seed)
	if err != nil {
		return err
	}
	probe.Start(m.Scorer())
	return nil
}

func (c *classifyTask) objective(trained []nn.Named, batch int, seed uint64) (train.Objective, error) {
	f := &adapt.FineTuning{Model: c.m, Loss: c.loss, Examples: c.sets.train.examples((*classRow).made), Batch: batch, Trained: trained, Seed: seed, Distil: c.distillation()}
	if c.Balance {
		count := make([]float64, len(c.labels))
		for _, row := range c.sets.train.rows {
			count[row.example.Label]++
		}
		f.ClassWeights = balanced(count)
	}
	return f, f.Check()
}

func (c *classifyTask) measure(ctx context.Context, t *tensor.Tape) (loss, score float64, err error) {
	s, err := c.score(ctx, t, c.sets.validation)
	if err != nil {
		return 0, 0, err
	}
	return s.Loss, s.main(), nil
}

func (c *classifyTask) results(ctx context.Context, t *tensor.Tape, dir string) ([]taskScores, error) {
	return c.sets.tested(func(set *exampleSet[classRow]) (taskScores, error) {
		s, err := c.score(ctx, t, set)
		if err != nil {
			return nil, err
		}
		if dir == "" {
			return s, nil
		}
		rows := [][]string{{"example", "text", "label", "predicted", "confidence"}}
		for _, l := range c.labels {
			rows[0] = append(rows[0], "p("+l+")")
		}
		for i, row := range set.rows {
			fields := []string{row.where, strings.Join(row.texts, " | "), strings.Join(row.labels, "; "), s.predictions[i], fmt.Sprintf("%.4f", s.confidence[i])}
			for _, p := range s.probabilities[i] {
				fields = append(fields, strconv.FormatFloat(p, 'g', -1, 64))
			}
			rows = append(rows, fields)
		}
		return s, writeCSV(filepath.Join(dir, c.sets.predictions(set, ".csv")), rows)
	})
}

// labelling is what the scores mean.
func (c *classifyTask) labelling() zoo.Labels {
	return zoo.Labels{Names: c.labels, Problem: string(c.loss)}
}

func (c *classifyTask) save(dir string) error {
	return zoo.SaveTask(dir, c.m, c.tok, c.labelling())
}

func (*classifyTask) next(model string) string {
	return fmt.Sprintf("plinth classify --model %s \"a text\"", model)
}
