package main

import (
	"context"
	"fmt"
	"math"
	"strings"

	"github.com/plinth-ml/plinth/model"
	"github.com/plinth-ml/plinth/model/zoo"
	"github.com/plinth-ml/plinth/tensor"
)

// measure is one of the numbers that say how a task does; NaN where a set has none, as AUC without texts of a class.
type measure struct {
	name  string
	value float64
}

// shift is a score on the test set that matches the training, and on the one from elsewhere.
type shift struct {
	Score      string  `json:"score"`
	Matching   float64 `json:"matching"`
	Shifted    float64 `json:"shifted"`
	Difference float64 `json:"difference"` // shifted less matching
}

// shifts compares two sets of scores; nil where there is one.
func shifts(results []taskScores) []shift {
	if len(results) != 2 {
		return nil
	}
	var list []shift
	other := results[1].measures()
	for i, m := range results[0].measures() {
		if math.IsNaN(m.value + other[i].value) {
			continue
		}
		list = append(list, shift{m.name, m.value, other[i].value, other[i].value - m.value})
	}
	return list
}

// scoresText is the results as text, two of them beside each other too.
func scoresText(results []taskScores) string {
	var b strings.Builder
	for _, s := range results {
		s.text(&b)
	}
	for i, s := range shifts(results) {
		if i == 0 {
			fmt.Fprintf(&b, "\n  %-24s %9s %9s %10s\n", "", "matching", "shifted", "difference")
		}
		fmt.Fprintf(&b, "  %-24s %9.4f %9.4f %+10.4f\n", s.Score, s.Matching, s.Shifted, s.Difference)
	}
	return b.String()
}

// headed opens the model of path with a head of a kind: a fresh one for l, or the head that a finished model has, with what its scores mean.
func (a *adaptCmd) headed(path string, kind model.Task, l zoo.Labels, seed uint64, o zoo.Options) (zoo.TaskModel, zoo.Labels, error) {
	if a.finished != nil {
		return a.finished(kind)
	}
	m, err := zoo.NewTask(path, kind, len(l.Names), seed, o)
	return m, l, err
}

// runAdapted scores a finished model as adapt's report does.
func (e *evalCmd) runAdapted(ctx context.Context, c *common, path string) error {
	if len(e.Data) != 1 {
		return usagef("--task %s is about one file of --data, and one of --shifted", e.Task)
	}
	a := &adaptCmd{Task: e.Task, Model: e.Model, Validation: "0", Test: e.Data[0], Shifted: e.Shifted, Batch: 2,
		columnFlags: e.columnFlags, tagFlags: e.tagFlags, questionFlags: e.questionFlags, summaryFlags: e.summaryFlags, embedFlags: e.embedFlags}
	a.beside = e.Adapter
	a.attach = func(m zoo.Stored) error { return e.attach(c, path, m) }
	a.finished = func(kind model.Task) (zoo.TaskModel, zoo.Labels, error) { return e.openHead(c, path, kind) }
	tok, err := zoo.Tokenizer(path, nil)
	if err != nil {
		return err
	}
	task := a.task()
	if err := task.read(ctx, c.Seed); err != nil {
		return err
	}
	s, err := task.open(path, tok, c.Seed, zoo.Options{})
	if err != nil {
		return err
	}
	if s.cut > 0 {
		c.say("note: %d texts are longer than the model's context of %d tokens and lose their ends", s.cut, s.model.Sizes().Context)
	}
	results, err := task.results(ctx, tensor.Evaluation(c.kernels()), "")
	if err != nil {
		return err
	}
	out := struct {
		Task    string       `json:"task"`
		Model   string       `json:"model"`
		Cut     int          `json:"cut"`
		Results []taskScores `json:"results"`
		Shift   []shift      `json:"shift,omitempty"`
	}{e.Task, e.Model, s.cut, results, shifts(results)}
	return c.finish(out, strings.TrimPrefix(scoresText(results), "\n"))
}
