package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/plinth-ml/plinth/adapt"
	"github.com/plinth-ml/plinth/model"
	"github.com/plinth-ml/plinth/tensor"
)

// distilFlags ask for a teacher.
type distilFlags struct {
	Teacher            string  `help:"Of classify: a model with a head for the same labels, whose scores are learned beside the labels (Hinton et al. 2015)." placeholder:"DIR|NAME" group:"Distillation"`
	TeacherTemperature float64 `default:"2" help:"Scores of both are divided by it; ${default} where nothing else is said." placeholder:"F" group:"Distillation"`
	TeacherWeight      float64 `default:"0.5" help:"Share of the teacher in the loss; the rest is that of the labels; ${default} where nothing else is said." placeholder:"F" group:"Distillation"`
}

// checkTeacher refuses what a teacher cannot be for.
func (a *adaptCmd) checkTeacher() error {
	switch {
	case a.Teacher == "":
		return nil
	case a.Task != "classify" || a.Multi != "" || a.Balance:
		return usagef("--teacher is for --task classify with one label of each text, without --balance")
	case !(a.TeacherTemperature > 0):
		return usagef("--teacher-temperature is %v: want a number above 0", a.TeacherTemperature)
	case !(a.TeacherWeight >= 0 && a.TeacherWeight <= 1):
		return usagef("--teacher-weight is %v: want a share from 0 to 1", a.TeacherWeight)
	}
	return nil
}

// distillation is the loss with the teacher, nil without one.
func (f *distilFlags) distillation() *adapt.Distillation {
	if f.Teacher == "" {
		return nil
	}
	return &adapt.Distillation{Temperature: f.TeacherTemperature, Hard: 1 - f.TeacherWeight}
}

// askTeacher writes the teacher's scores into the examples that are trained on. It reads them with a tokenizer of its own, and its labels may have another order.
func (t *classifyTask) askTeacher(ctx context.Context, c *common) error {
	m, tok, l, err := adapterFlags{}.open(c, t.Teacher, model.SequenceTask)
	if err != nil {
		return fmt.Errorf("--teacher: %w", err)
	}
	order := make([]int, len(t.labels))
	for i, name := range t.labels {
		order[i] = slices.Index(l.Names, name)
	}
	if len(l.Names) != len(t.labels) || slices.Contains(order, -1) || l.Problem != "" && l.Problem != string(adapt.SingleLabel) {
		return fmt.Errorf("--teacher %s tells the labels %s apart, the examples have %s", t.Teacher, someOf(l.Names), someOf(t.labels))
	}
	x := textsFor(m, tok)
	rows := t.sets.train.rows
	examples := make([]adapt.Example, len(rows))
	for i := range rows {
		if examples[i], err = x.Example(rows[i].texts...); err != nil {
			return fmt.Errorf("--teacher: %s: %w", rows[i].where, err)
		}
	}
	scores, err := adapt.Scores(ctx, tensor.Evaluation(c.kernels()), m, examples)
	if err != nil {
		return fmt.Errorf("--teacher: %w", err)
	}
	for i, z := range scores {
		for _, at := range order {
			rows[i].example.Teacher = append(rows[i].example.Teacher, z[at])
		}
	}
	if x.Cut > 0 {
		c.say("note: %d texts are longer than the teacher's context of %d tokens and lose their ends", x.Cut, x.Limit)
	}
	return nil
}
