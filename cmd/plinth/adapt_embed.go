package main

import (
	"context"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/plinth-ml/plinth/adapt"
	"github.com/plinth-ml/plinth/data"
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
	pool model.Pool

	settings embed.Settings // of the folder that it starts from
}

// featureKind is PEFT's name for adapters of features.
const featureKind = "FEATURE_EXTRACTION"

// embedFlags say what a table of pairs has beside them.
type embedFlags struct {
	Negative string `help:"Of embed: column of a text that does not belong to that of --text, to be told apart from beside the others of the batch." placeholder:"COL" group:"Table"`
	Score    string `help:"Of embed: column of a number, the cosine that the pair's vectors shall have: squared error in place of telling apart." placeholder:"COL" group:"Table"`
}

// pairRow is two texts that belong together, or with a score more or less so; and with --negative a third that does not.
type pairRow struct {
	where string
	texts []string
	score float64
	made  []adapt.Example
}

func (p *embedTask) read(ctx context.Context, seed uint64) (err error) {
	switch {
	case p.Pair == "":
		return usagef("--task embed wants --pair, the column of the texts that belong to those of --text")
	case p.Multi != "" || p.Balance:
		return usagef("--multi and --balance are for --task classify")
	case p.Negative != "" && p.Score != "":
		return usagef("--negative and --score exclude each other")
	case p.Batch < 2:
		return usagef("--batch is %d: pairs are told apart from the others of their batch, which must be 2 at least", p.Batch)
	}
	p.sets, err = readSets(p.adaptCmd, seed, rowFacts[pairRow]{text: func(row *pairRow) string { return strings.Join(row.texts, "\n") }}, func(path string) ([]pairRow, error) {
		var list []pairRow
		columns := []data.Column{{For: "--text", Name: p.Text}, {For: "--pair", Name: p.Pair}}
		if p.Negative != "" {
			columns = append(columns, data.Column{For: "--negative", Name: p.Negative})
		} else if p.Score != "" {
			columns = append(columns, data.Column{For: "--score", Name: p.Score})
		}
		err := records(ctx, path, data.TableOptions{Format: p.Format, NoHeader: p.NoHeader}, func(*data.Table) []data.Column { return columns }, func(r data.Row) (err error) {
			if err := p.filled(r, 2); err != nil {
				return err
			}
			row := pairRow{where: r.Name, texts: slices.Clone(r.Fields)}
			if p.Score != "" {
				row.texts = row.texts[:2]
				if row.score, err = strconv.ParseFloat(strings.TrimSpace(r.Fields[2]), 64); err != nil || !(math.Abs(row.score) <= 1) {
					return fmt.Errorf("%s: column %s holds %q, which is no cosine from -1 to 1", r.Name, p.Score, r.Fields[2])
				}
			}
			list = append(list, row)
			return nil
		})
		if err == nil && len(list) < 2 {
			err = fmt.Errorf("%s holds %d pairs: 2 at least are wanted", path, len(list))
		}
		return list, err
	})
	if err == nil && p.finished == nil && len(p.sets.train.rows) < 2 {
		err = fmt.Errorf("%s: %d pairs are left to train on beside those of the validation: 2 at least are wanted", p.Data, len(p.sets.train.rows))
	}
	return err
}

func (p *embedTask) open(path string, tok *tokenizer.Tokenizer, _ uint64, o zoo.Options) (_ *subject, err error) {
	p.tok = tok
	settings, at, err := readEmbedding(path, p.beside)
	if err != nil {
		return nil, err
	}
	if len(settings.Pools) == 0 { // no folder of sentence-transformers
		settings.Pools, settings.Normalize = []embed.Pool{embed.Mean}, true
	}
	pool, ok := map[embed.Pool]model.Pool{embed.Mean: model.Mean, embed.CLS: model.First, embed.Last: model.Last}[settings.Pools[0]]
	if !ok || len(settings.Pools) > 1 {
		return nil, fmt.Errorf("%s pools %v: what is trained is one of mean, cls and lasttoken", path, settings.Pools)
	}
	p.settings, p.pool = settings, pool
	if p.m, err = zoo.OpenAny(at, o); err != nil {
		return nil, err
	}
	if err := p.attached(zoo.Bare(p.m)); err != nil {
		return nil, err
	}
	if p.e, err = embed.AsEncoder(p.m); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	x := &adapt.Texts{Tokenizer: tok, Limit: p.m.Sizes().Context, Virtual: p.virtual(p.m.Sizes())}
	if p.settings.Limit > 0 {
		x.Limit = min(x.Limit, p.settings.Limit+len(x.Virtual))
	}
	p.settings.Limit = x.Limit - len(x.Virtual)
	prompt := p.settings.Prompts[p.settings.Prompt] // of texts where nothing else is said
	if err := p.sets.each(func(row *pairRow) error {
		for _, text := range row.texts {
			if text = prompt + text; p.settings.Lower {
				text = strings.ToLower(text)
			}
			e, err := x.Example(text)
			if err != nil {
				return fmt.Errorf("%s: %w", row.where, err)
			}
			row.made = append(row.made, e)
		}
		return nil
	}); err != nil {
		return nil, err
	}
	beside := func(dir string) error { return embed.SaveSettings(dir, p.settings, p.m.Sizes().Width) }
	return p.sets.of(&subject{model: p.m, kind: featureKind, beside: beside}, x.Cut), nil
}

func (p *embedTask) objective(trained []nn.Named, batch int, seed uint64) (train.Objective, error) {
	o := &adapt.Contrast{Model: p.e, Pool: p.pool, Batch: batch, Trained: trained, Seed: seed}
	for i := range p.sets.train.rows {
		row := &p.sets.train.rows[i]
		o.Pairs = append(o.Pairs, [2]adapt.Example(row.made[:2]))
		switch {
		case p.Negative != "":
			o.Negatives = append(o.Negatives, row.made[2])
		case p.Score != "":
			o.Cosines = append(o.Cosines, row.score)
		}
	}
	return o, nil
}

// retrievalScores is how well the second texts of a set are found among all of them by the first.
type retrievalScores struct {
	Set      string  `json:"set"`
	Pairs    int     `json:"pairs"`
	Accuracy float64 `json:"accuracy"` // of the nearest text
	MRR      float64 `json:"mrr"`      // mean of 1/rank
	NDCG     float64 `json:"ndcg_10"`  // discounted gain of the ten nearest over the best possible
	Recall1  float64 `json:"recall_1"` // share of the right texts among so many nearest
	Recall5  float64 `json:"recall_5"`
	Recall10 float64 `json:"recall_10"`
	first    []int   // the nearest
}

func (s retrievalScores) measures() []measure {
	return []measure{{"nearest is right", s.Accuracy}, {"MRR", s.MRR}, {"nDCG@10", s.NDCG}, {"recall@1", s.Recall1}, {"recall@5", s.Recall5}, {"recall@10", s.Recall10}}
}

func (s retrievalScores) text(b *strings.Builder) {
	fmt.Fprintf(b, "\n%s: %d pairs, the right text is nearest in %.2f %%, mean reciprocal rank %.4f, nDCG@10 %.4f, recall@1 %.4f, @5 %.4f, @10 %.4f\n",
		s.Set, s.Pairs, 100*s.Accuracy, s.MRR, s.NDCG, s.Recall1, s.Recall5, s.Recall10)
}

// vectors are those of the first texts of a set, and of the second.
func (p *embedTask) vectors(ctx context.Context, t *tensor.Tape, set *exampleSet[pairRow]) (v [2][][]float32, err error) {
	for side := range v {
		examples := set.examples(func(row *pairRow) adapt.Example { return row.made[side] })
		if v[side], err = adapt.Features(ctx, t, p.e, examples, p.pool); err != nil {
			return v, err
		}
	}
	return v, nil
}

// cosines compares those of a set's pairs with their scores.
func (p *embedTask) cosines(ctx context.Context, t *tensor.Tape, set *exampleSet[pairRow]) (s numberScores, scored *exampleSet[scoredRow], err error) {
	v, err := p.vectors(ctx, t, set)
	if err != nil {
		return s, nil, err
	}
	scored = &exampleSet[scoredRow]{name: set.name}
	var predicted []float64
	for i, row := range set.rows {
		predicted = append(predicted, task.Cosine(v[0][i], v[1][i]))
		scored.rows = append(scored.rows, scoredRow{where: row.where, texts: row.texts, number: row.score})
	}
	s, err = scoreNumbers(scored, predicted)
	return s, scored, err
}

// score ranks the second texts of a set for each first one by the cosine. Of equal second texts each is right.
func (p *embedTask) score(ctx context.Context, t *tensor.Tape, set *exampleSet[pairRow]) (retrievalScores, error) {
	s := retrievalScores{Set: set.name, Pairs: len(set.rows)}
	vectors, err := p.vectors(ctx, t, set)
	if err != nil {
		return s, err
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
	for k, recall := range map[int]*float64{1: &s.Recall1, 5: &s.Recall5, 10: &s.Recall10} {
		r, err := task.Retrieval(gains, k)
		if err != nil {
			return s, err
		}
		if *recall = r.Recall; k == 10 {
			s.MRR, s.NDCG = r.MRR, r.NDCG
		}
	}
	return s, nil
}

func (p *embedTask) measure(ctx context.Context, t *tensor.Tape) (loss, score float64, err error) {
	if p.Score != "" {
		s, _, err := p.cosines(ctx, t, p.sets.validation)
		return s.MSE, s.Spearman, err
	}
	s, err := p.score(ctx, t, p.sets.validation)
	return 1 - s.MRR, s.MRR, err
}

func (p *embedTask) results(ctx context.Context, t *tensor.Tape, dir string) ([]taskScores, error) {
	return p.sets.tested(func(set *exampleSet[pairRow]) (taskScores, error) {
		if p.Score != "" {
			s, scored, err := p.cosines(ctx, t, set)
			if err != nil {
				return nil, err
			}
			if dir == "" {
				return s, nil
			}
			return s, writeNumbers(filepath.Join(dir, p.sets.predictions(set, ".csv")), scored, s)
		}
		s, err := p.score(ctx, t, set)
		if err != nil {
			return nil, err
		}
		if dir == "" {
			return s, nil
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
	return embed.SaveSettings(dir, p.settings, p.m.Sizes().Width)
}

func (*embedTask) next(model string) string {
	return fmt.Sprintf("plinth embed --model %s --search texts.csv \"a question\"", model)
}
