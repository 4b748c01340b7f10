package main

import (
	"context"
	"fmt"
	"math"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/plinth-ml/plinth/adapt"
	"github.com/plinth-ml/plinth/eval/task"
	"github.com/plinth-ml/plinth/model"
	"github.com/plinth-ml/plinth/model/zoo"
	"github.com/plinth-ml/plinth/nn"
	"github.com/plinth-ml/plinth/tensor"
	"github.com/plinth-ml/plinth/tokenizer"
	"github.com/plinth-ml/plinth/train"
)

// regressTask gives texts, or pairs of texts, a number.
type regressTask struct {
	*adaptCmd
	sets *exampleSets[scoredRow]
	m    zoo.TaskModel
	tok  *tokenizer.Tokenizer
}

// scoredRow is texts with the number that is said of them.
type scoredRow struct {
	where   string
	texts   []string
	number  float64
	example adapt.Example
}

func (row *scoredRow) made() adapt.Example { return row.example }

func (r *regressTask) read(ctx context.Context, seed uint64) (err error) {
	if r.Multi != "" || r.Balance {
		return usagef("--multi and --balance are for --task classify")
	}
	r.sets, err = readSets(r.adaptCmd, seed, rowFacts[scoredRow]{text: func(row *scoredRow) string { return strings.Join(row.texts, "\n") }}, func(path string) ([]scoredRow, error) { return r.scored(ctx, path, r.Label) })
	return err
}

// scored reads texts with the numbers of a column.
func (a *adaptCmd) scored(ctx context.Context, path, column string) ([]scoredRow, error) {
	var list []scoredRow
	err := a.rows(ctx, path, column, func(where string, texts, labels []string) error {
		x, err := strconv.ParseFloat(labels[0], 64)
		if err != nil || math.IsNaN(x) || math.Abs(x) > math.MaxFloat32 {
			return fmt.Errorf("%s: column %s holds %q, which is no number", where, column, labels[0])
		}
		list = append(list, scoredRow{where: where, texts: texts, number: x})
		return nil
	})
	return list, err
}

func (r *regressTask) open(path string, tok *tokenizer.Tokenizer, seed uint64, o zoo.Options) (_ *subject, err error) {
	r.tok = tok
	var l zoo.Labels
	if r.m, l, err = r.headed(path, model.SequenceTask, r.labelling(), seed, o); err != nil {
		return nil, err
	}
	if l.Problem != string(adapt.Regression) {
		return nil, usagef("%s tells labels apart, not numbers: --task classify", r.Model)
	}
	x := &adapt.Texts{Tokenizer: tok, Limit: r.m.Sizes().Context, Virtual: r.virtual(r.m.Sizes())}
	if err := r.sets.each(func(row *scoredRow) (err error) {
		if row.example, err = x.Example(row.texts...); err != nil {
			return fmt.Errorf("%s: %w", row.where, err)
		}
		row.example.Targets = []float32{float32(row.number)}
		return nil
	}); err != nil {
		return nil, err
	}
	s, err := withHead(path, r.m, r.labelling())
	if err != nil {
		return nil, err
	}
	return r.sets.of(s, x.Cut), nil
}

func (r *regressTask) objective(trained []nn.Named, batch int, seed uint64) (train.Objective, error) {
	f := &adapt.FineTuning{Model: r.m, Loss: adapt.Regression, Examples: r.sets.train.examples((*scoredRow).made), Batch: batch, Trained: trained, Seed: seed}
	return f, f.Check()
}

// numberScores is how predicted numbers agree with given ones on one set.
type numberScores struct {
	Set      string `json:"set"`
	Examples int    `json:"examples"`
	task.SimilarityScores
	predicted []float64
}

func (s numberScores) text(b *strings.Builder) {
	fmt.Fprintf(b, "\n%s: %d examples, Pearson %.4f, Spearman %.4f, mean squared error %.4f\n", s.Set, s.Examples, s.Pearson, s.Spearman, s.MSE)
}

func (s numberScores) measures() []measure {
	return []measure{{"Pearson", s.Pearson}, {"Spearman", s.Spearman}, {"mean squared error", s.MSE}, {"mean absolute error", s.MAE}}
}

// scoreNumbers compares what is predicted of a set with what is given. Where the correlations have no value, one side being constant, they are 0.
func scoreNumbers(set *exampleSet[scoredRow], predicted []float64) (numberScores, error) {
	gold := make([]float64, len(set.rows))
	for i, row := range set.rows {
		gold[i] = row.number
	}
	scores, err := task.Similarity(gold, predicted)
	for _, v := range []*float64{&scores.Pearson, &scores.Spearman, &scores.R2} {
		if math.IsNaN(*v) || math.IsInf(*v, 0) {
			*v = 0
		}
	}
	return numberScores{Set: set.name, Examples: len(gold), SimilarityScores: scores, predicted: predicted}, err
}

func (r *regressTask) score(ctx context.Context, t *tensor.Tape, set *exampleSet[scoredRow]) (numberScores, error) {
	all, err := adapt.Scores(ctx, t, r.m, set.examples((*scoredRow).made))
	if err != nil {
		return numberScores{}, err
	}
	predicted := make([]float64, len(all))
	for i, z := range all {
		predicted[i] = float64(z[0])
	}
	return scoreNumbers(set, predicted)
}

func (r *regressTask) measure(ctx context.Context, t *tensor.Tape) (loss, score float64, err error) {
	s, err := r.score(ctx, t, r.sets.validation)
	return s.MSE, s.Spearman, err
}

func (r *regressTask) results(ctx context.Context, t *tensor.Tape, dir string) ([]taskScores, error) {
	return r.sets.tested(func(set *exampleSet[scoredRow]) (taskScores, error) {
		s, err := r.score(ctx, t, set)
		if err != nil {
			return nil, err
		}
		if dir == "" {
			return s, nil
		}
		return s, writeNumbers(filepath.Join(dir, r.sets.predictions(set, ".csv")), set, s)
	})
}

func writeNumbers(path string, set *exampleSet[scoredRow], s numberScores) error {
	rows := [][]string{{"example", "text", "number", "predicted"}}
	for i, row := range set.rows {
		rows = append(rows, []string{row.where, strings.Join(row.texts, " | "), strconv.FormatFloat(row.number, 'g', -1, 64), strconv.FormatFloat(s.predicted[i], 'g', -1, 64)})
	}
	return writeCSV(path, rows)
}

// labelling is what the scores mean.
func (r *regressTask) labelling() zoo.Labels {
	return zoo.Labels{Names: []string{"number"}, Problem: string(adapt.Regression)}
}

func (r *regressTask) save(dir string) error {
	return zoo.SaveTask(dir, r.m, r.tok, r.labelling())
}

func (*regressTask) next(model string) string {
	return fmt.Sprintf("plinth classify --model %s \"a text\"", model)
}
