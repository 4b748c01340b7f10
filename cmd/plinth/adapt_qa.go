package main

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/plinth-ml/plinth/adapt"
	"github.com/plinth-ml/plinth/model"
	"github.com/plinth-ml/plinth/model/zoo"
	"github.com/plinth-ml/plinth/nn"
	"github.com/plinth-ml/plinth/tensor"
	"github.com/plinth-ml/plinth/tokenizer"
	"github.com/plinth-ml/plinth/train"
)

// qaTask finds the answers to questions in texts.
type qaTask struct {
	*adaptCmd
	sets *exampleSets[qaRow]
	reader
	tok *tokenizer.Tokenizer
}

// qaRow is one question.
type qaRow struct {
	question
	in *adapt.Asked
}

func (q *qaTask) read(ctx context.Context, seed uint64) (err error) {
	if q.Balance {
		return usagef("--balance is for classes, and --task qa has none")
	}
	q.flags = q.questionFlags
	if err := q.flags.check(); err != nil {
		return err
	}
	f := readingFlags{Format: q.Format, NoHeader: q.NoHeader, questionFlags: q.questionFlags}
	q.sets, err = readSets(q.adaptCmd, seed, rowFacts[qaRow]{text: func(row *qaRow) string { return row.Question.Question + "\n" + row.Context }}, func(path string) ([]qaRow, error) {
		list, err := f.readQuestions(ctx, path)
		if err != nil {
			return nil, err
		}
		if !anyAnswer(list) {
			return nil, fmt.Errorf("%s: no question has an answer: is --answer-column %s the right one?", path, f.AnswerColumn)
		}
		rows := make([]qaRow, len(list))
		for i := range list {
			rows[i].question = list[i]
		}
		return rows, nil
	})
	if err != nil {
		return err
	}
	known := q.sets.train
	if q.finished != nil {
		known = q.sets.test
	}
	for i := range known.rows {
		q.noAnswer = q.noAnswer || len(known.rows[i].Answers) == 0
	}
	return nil
}

func (q *qaTask) open(path string, tok *tokenizer.Tokenizer, seed uint64, o zoo.Options) (_ *subject, err error) {
	q.tok = tok
	if q.m, _, err = q.headed(path, model.SpanTask, q.labelling(), seed, o); err != nil {
		return nil, err
	}
	x := &adapt.Texts{Tokenizer: tok, Limit: q.m.Sizes().Context, Virtual: q.virtual(q.m.Sizes())}
	if err := q.sets.each(func(row *qaRow) (err error) {
		if row.in, err = q.flags.prepare(x, &row.Question); err != nil {
			return fmt.Errorf("%s: %w", row.where, err)
		}
		return nil
	}); err != nil {
		return nil, err
	}
	s, err := withHead(path, q.m, q.labelling())
	if err != nil {
		return nil, err
	}
	return q.sets.of(s, 0), nil
}

func (q *qaTask) objective(trained []nn.Named, batch int, seed uint64) (train.Objective, error) {
	f := &adapt.FineTuning{Model: q.m, Loss: adapt.Answer, Batch: batch, Trained: trained, Seed: seed}
	for i := range q.sets.train.rows {
		row := &q.sets.train.rows[i]
		f.Examples = append(f.Examples, row.in.Examples(row.first())...)
	}
	return f, f.Check()
}

func (q *qaTask) measure(ctx context.Context, t *tensor.Tape) (loss, score float64, err error) {
	s, _, _, err := q.test(ctx, t, q.sets.validation)
	return s.Loss, s.F1 / 100, err
}

// test scores the model on a set.
func (q *qaTask) test(ctx context.Context, t *tensor.Tape, set *exampleSet[qaRow]) (s answerScores, list []question, found []adapt.Found, err error) {
	asked := make([]*adapt.Asked, len(set.rows))
	for i, row := range set.rows {
		asked[i], list = row.in, append(list, row.question)
	}
	if found, err = q.answers(ctx, t, asked); err != nil {
		return s, nil, nil, err
	}
	if s, err = q.score(set.name, list, found); err != nil {
		return s, nil, nil, err
	}
	windows := 0
	for i := range found {
		s.Loss += found[i].Loss(asked[i], list[i].first())
		windows += len(asked[i].Windows)
	}
	s.Loss /= float64(windows)
	return s, list, found, nil
}

func (q *qaTask) results(ctx context.Context, t *tensor.Tape, dir string) ([]taskScores, error) {
	return q.sets.tested(func(set *exampleSet[qaRow]) (taskScores, error) {
		s, list, found, err := q.test(ctx, t, set)
		if err != nil {
			return nil, err
		}
		if dir == "" {
			return s, nil
		}
		return s, writeAnswers(filepath.Join(dir, q.sets.predictions(set, ".json")), filepath.Join(dir, q.sets.predictions(set, "-null-odds.json")), list, found)
	})
}

// labelling is what the scores mean.
func (q *qaTask) labelling() zoo.Labels {
	return zoo.Labels{Names: []string{"LABEL_0", "LABEL_1"}} // transformers counts the scores by the labels
}

func (q *qaTask) save(dir string) error {
	return zoo.SaveTask(dir, q.m, q.tok, q.labelling())
}

func (q *qaTask) next(model string) string {
	more := ""
	if q.noAnswer {
		more = " --no-answer"
	}
	return fmt.Sprintf("plinth ask --model %s%s --context \"a text\" \"a question?\"", model, more)
}
