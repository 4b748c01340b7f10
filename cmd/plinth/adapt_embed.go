package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/plinth-ml/plinth/adapt"
	"github.com/plinth-ml/plinth/embed"
	"github.com/plinth-ml/plinth/eval/task"
	"github.com/plinth-ml/plinth/model"
	"github.com/plinth-ml/plinth/model/zoo"
	"github.com/plinth-ml/plinth/nn"
	"github.com/plinth-ml/plinth/tensor"
	"github.com/plinth-ml/plinth/tokenizer"
	"github.com/plinth-ml/plinth/train"
)

// embedTask trains vectors of texts on pairs that belong together: each pair's second text among those of its batch.
type embedTask struct {
	*adaptCmd
	sets *exampleSets[pairRow]
	m    zoo.Stored
	e    model.Encoder
	tok  *tokenizer.Tokenizer
	pool model.Pool // the mean
}

// pairRow is two texts that belong together.
type pairRow struct {
	where string
	texts []string
	pair  [2]adapt.Example
}

func (p *embedTask) read(ctx context.Context, seed uint64) (err error) {
	switch {
	case p.Pair == "":
		return usagef("--task embed wants --pair, the column of the texts that belong to those of --text")
	case p.Multi != "" || p.Balance:
		return usagef("--multi and --balance are for --task classify")
	case p.Batch < 2:
		return usagef("--batch is %d: pairs are told apart from the others of their batch, which must be 2 at least", p.Batch)
	}
	p.sets, err = readSets(p.adaptCmd, seed, func(path string) ([]pairRow, error) {
		var list []pairRow
		err := p.rows(ctx, path, "", func(where string, texts []string, _ string) error {
			list = append(list, pairRow{where: where, texts: texts})
			return nil
		})
		if err == nil && len(list) < 2 {
			err = fmt.Errorf("%s holds %d pairs: 2 at least are wanted", path, len(list))
		}
		return list, err
	})
	if err == nil && len(p.sets.train.rows) < 2 {
		err = fmt.Errorf("%s: %d pairs are left to train on beside those of the validation: 2 at least are wanted", p.Data, len(p.sets.train.rows))
	}
	return err
}

func (p *embedTask) open(path string, tok *tokenizer.Tokenizer, _ uint64, o zoo.Options) (_ *subject, err error) {
	p.tok = tok
	if p.m, err = zoo.OpenAny(path, o); err != nil {
		return nil, err
	}
	if p.e, err = embed.AsEncoder(p.m); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	x := &adapt.Texts{Tokenizer: tok, Limit: p.m.Sizes().Context}
	if err := p.sets.each(func(row *pairRow) (err error) {
		for side, text := range row.texts {
			if row.pair[side], err = x.Example(text); err != nil {
				return fmt.Errorf("%s: %w", row.where, err)
			}
		}
		return nil
	}); err != nil {
		return nil, err
	}
	return p.sets.of(&subject{model: p.m, kind: "FEATURE_EXTRACTION"}, x.Cut), nil
}

func (p *embedTask) objective(trained []nn.Named, batch int, seed uint64) (train.Objective, error) {
	o := &adapt.Contrast{Model: p.e, Pool: p.pool, Batch: batch, Trained: trained, Seed: seed}
	for i := range p.sets.train.rows {
		o.Pairs = append(o.Pairs, p.sets.train.rows[i].pair)
	}
	return o, nil
}

// retrievalScores is how well the second texts of a set are found among all of them by the first.
type retrievalScores struct {
	Set      string  `json:"set"`
	Pairs    int     `json:"pairs"`
	Accuracy float64 `json:"accuracy"` // of the nearest text
	MRR      float64 `json:"mrr"`      // mean of 1/rank
	first    []int   // the nearest
}

func (s retrievalScores) text(b *strings.Builder) {
	fmt.Fprintf(b, "\n%s: %d pairs, the right text is nearest in %.2f %%, mean reciprocal rank %.4f\n", s.Set, s.Pairs, 100*s.Accuracy, s.MRR)
}

// score ranks the second texts of a set for each first one by the cosine. Of equal second texts each is right.
func (p *embedTask) score(ctx context.Context, t *tensor.Tape, set *exampleSet[pairRow]) (retrievalScores, error) {
	s := retrievalScores{Set: set.name, Pairs: len(set.rows)}
	var vectors [2][][]float32
	for side := range vectors {
		examples := set.examples(func(row *pairRow) adapt.Example { return row.pair[side] })
		var err error
		if vectors[side], err = adapt.Features(ctx, t, p.e, examples, p.pool); err != nil {
			return s, err
		}
	}
	gains := make([][]float64, len(set.rows))
	for i, q := range vectors[0] {
		scores := make([]float64, len(set.rows))
		for j, d := range vectors[1] {
			scores[j] = task.Cosine(q, d)
		}
		order := task.Rank(scores)
		s.first = append(s.first, order[0])
		for _, j := range order {
			gain := 0.0
			if set.rows[j].texts[1] == set.rows[i].texts[1] {
				gain = 1
			}
			gains[i] = append(gains[i], gain)
		}
		s.Accuracy += gains[i][0] / float64(len(set.rows))
	}
	r, err := task.Retrieval(gains, 10)
	s.MRR = r.MRR
	return s, err
}

func (p *embedTask) measure(ctx context.Context, t *tensor.Tape) (loss, score float64, err error) {
	s, err := p.score(ctx, t, p.sets.validation)
	return 1 - s.MRR, s.MRR, err
}

func (p *embedTask) results(ctx context.Context, t *tensor.Tape, dir string) ([]taskScores, error) {
	return p.sets.tested(func(set *exampleSet[pairRow]) (taskScores, error) {
		s, err := p.score(ctx, t, set)
		if err != nil {
			return nil, err
		}
		rows := [][]string{{"example", "text", "pair", "nearest"}}
		for i, row := range set.rows {
			rows = append(rows, []string{row.where, row.texts[0], row.texts[1], set.rows[s.first[i]].texts[1]})
		}
		return s, writeCSV(filepath.Join(dir, p.sets.predictions(set, ".csv")), rows)
	})
}

func (p *embedTask) save(dir string) error {
	if err := zoo.Save(dir, p.m, p.tok); err != nil {
		return err
	}
	return embed.SaveSettings(dir, embed.Settings{Normalize: true, Limit: p.m.Sizes().Context}, p.m.Sizes().Width)
}

func (*embedTask) next(model string) string {
	return fmt.Sprintf("plinth embed --model %s --search texts.csv \"a question\"", model)
}
