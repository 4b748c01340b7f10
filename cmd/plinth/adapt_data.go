package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/plinth-ml/plinth/adapt"
	"github.com/plinth-ml/plinth/data"
	"github.com/plinth-ml/plinth/internal/random"
)

// tableFlags say where in a table the texts stand.
type tableFlags struct {
	Text     string `default:"text" help:"Column of the text: its name, or its number from 1." placeholder:"COL" group:"Table"`
	Pair     string `help:"Column of a second text: pairs are classified." placeholder:"COL" group:"Table"`
	Format   string `enum:",csv,tsv,jsonl,parquet" default:"" help:"Format of the tables; without it their names tell it." placeholder:"NAME" group:"Table"`
	NoHeader bool   `help:"The first record is data: columns go by their numbers." group:"Table"`
}

// columnFlags say where the labels stand too.
type columnFlags struct {
	tableFlags
	Label string `default:"label" help:"Column of the label." placeholder:"COL" group:"Table"`
	Multi string `help:"A text has several labels, which stand in the column with this between them." placeholder:"SEP" group:"Table"`
}

// rows calls f with the texts and, where label is not "", the label of each record of a table.
func (t *columnFlags) rows(ctx context.Context, path string, label string, f func(where string, texts []string, label string) error) error {
	table, err := data.OpenTable(path, data.TableOptions{Format: t.Format, NoHeader: t.NoHeader})
	if err != nil {
		return err
	}
	defer table.Close()
	columns := []data.Column{{For: "--text", Name: t.Text}}
	if t.Pair != "" {
		columns = append(columns, data.Column{For: "--pair", Name: t.Pair})
	}
	texts := len(columns)
	if label != "" {
		columns = append(columns, data.Column{For: "--label", Name: label, Optional: t.Multi != ""})
	}
	rows, err := table.Select(ctx, columns...)
	if err != nil {
		return err
	}
	for row, err := range rows {
		if err != nil {
			return err
		}
		if err := f(row.Name, row.Fields[:texts], strings.Join(row.Fields[texts:], "")); err != nil {
			return err
		}
	}
	return nil
}

// classSet is labelled texts of one file.
type classSet struct {
	name     string
	where    []string
	texts    [][]string
	labels   [][]string // one of each text, or with --multi any number
	examples []adapt.Example
	ids      map[string]int // of the labels
	multi    bool
}

// classSets are what a run is trained, validated and tested on.
type classSets struct {
	labels                           []string
	train, validation, test, shifted *classSet
	multi                            bool
}

func (s *classSets) all() []*classSet {
	return slices.DeleteFunc([]*classSet{s.train, s.validation, s.test, s.shifted}, func(c *classSet) bool { return c == nil })
}

// tests are what the report is about.
func (s *classSets) tests() []*classSet {
	if s.test == nil && s.shifted == nil {
		return slices.DeleteFunc([]*classSet{s.validation}, func(c *classSet) bool { return c == nil })
	}
	return slices.DeleteFunc([]*classSet{s.test, s.shifted}, func(c *classSet) bool { return c == nil })
}

// read reads all files, and holds examples out for the validation where it is a share.
func (a *adaptCmd) read(ctx context.Context, seed uint64) (*classSets, error) {
	s := &classSets{multi: a.Multi != ""}
	var err error
	if s.train, err = a.table(ctx, a.Data); err != nil {
		return nil, err
	}
	share, isShare := 0.0, false
	if v, err := strconv.ParseFloat(a.Validation, 64); err == nil {
		share, isShare = v, true
		if !(share >= 0 && share < 1) {
			return nil, usagef("--validation %s is no share of the examples: want a number from 0 to below 1, or a file", a.Validation)
		}
	}
	for _, f := range []struct {
		path string
		set  **classSet
	}{{a.Validation, &s.validation}, {a.Test, &s.test}, {a.Shifted, &s.shifted}} {
		if f.path == "" || f.set == &s.validation && isShare {
			continue
		}
		if *f.set, err = a.table(ctx, f.path); err != nil {
			return nil, err
		}
	}
	ids := map[string]int{}
	for _, labels := range s.train.labels {
		for _, l := range labels {
			if _, ok := ids[l]; !ok {
				ids[l] = 0
				s.labels = append(s.labels, l)
			}
		}
	}
	if len(s.labels) < 2 && !s.multi || len(s.labels) == 0 {
		return nil, fmt.Errorf("%s: all %d examples have the label %q: nothing can be told apart", a.Data, len(s.train.texts), strings.Join(s.labels, ""))
	}
	if len(s.labels) > 10000 {
		return nil, fmt.Errorf("%s: %d different labels: is --label %s the right column?", a.Data, len(s.labels), a.Label)
	}
	slices.SortFunc(s.labels, compareLabels)
	for i, l := range s.labels {
		ids[l] = i
	}
	if n := int(share*float64(len(s.train.texts)) + 0.5); n > 0 && n < len(s.train.texts) {
		s.train, s.validation = s.train.split(n, seed)
		s.validation.name = "validation"
	}
	for _, set := range s.all() {
		set.ids = ids
	}
	return s, nil
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

func (a *adaptCmd) table(ctx context.Context, path string) (*classSet, error) {
	s := &classSet{name: path, multi: a.Multi != ""}
	err := a.rows(ctx, path, a.Label, func(where string, texts []string, label string) error {
		labels := []string{label}
		if s.multi {
			labels = slices.DeleteFunc(strings.Split(label, a.Multi), func(l string) bool { return strings.TrimSpace(l) == "" })
		}
		for i := range labels {
			if labels[i] = strings.TrimSpace(labels[i]); labels[i] == "" {
				return fmt.Errorf("%s: the label is empty", where)
			}
		}
		s.where, s.texts, s.labels = append(s.where, where), append(s.texts, texts), append(s.labels, labels)
		return nil
	})
	if err == nil && len(s.texts) == 0 {
		err = fmt.Errorf("%s holds no examples", path)
	}
	return s, err
}

// split takes n examples out, drawn with seed.
func (s *classSet) split(n int, seed uint64) (rest, taken *classSet) {
	rest, taken = &classSet{name: s.name, multi: s.multi}, &classSet{name: s.name, multi: s.multi}
	perm := random.NewPerm(uint64(len(s.texts)), random.NewKey(seed).Named("validation"))
	out := make([]bool, len(s.texts))
	for i := range n {
		out[perm.At(uint64(i))] = true
	}
	for i := range s.texts {
		to := rest
		if out[i] {
			to = taken
		}
		to.where, to.texts, to.labels = append(to.where, s.where[i]), append(to.texts, s.texts[i]), append(to.labels, s.labels[i])
	}
	return rest, taken
}

// encode makes the examples.
func (s *classSet) encode(x *adapt.Texts) error {
	for i, texts := range s.texts {
		e, err := x.Example(texts...)
		if err != nil {
			return fmt.Errorf("%s: %w", s.where[i], err)
		}
		if s.multi {
			e.Targets = make([]float32, len(s.ids))
		}
		for _, l := range s.labels[i] {
			id, ok := s.ids[l]
			if !ok {
				return fmt.Errorf("%s: label %q does not occur in the examples that are trained on", s.where[i], l)
			}
			if s.multi {
				e.Targets[id] = 1
			} else {
				e.Label = id
			}
		}
		s.examples = append(s.examples, e)
	}
	return nil
}
