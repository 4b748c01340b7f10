package main

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/plinth-ml/plinth/adapt"
	"github.com/plinth-ml/plinth/data"
	"github.com/plinth-ml/plinth/eval/task"
	"github.com/plinth-ml/plinth/internal/file"
	"github.com/plinth-ml/plinth/model"
	"github.com/plinth-ml/plinth/model/zoo"
	"github.com/plinth-ml/plinth/nn"
	"github.com/plinth-ml/plinth/tensor"
	"github.com/plinth-ml/plinth/tokenizer"
	"github.com/plinth-ml/plinth/train"
)

// tagFlags are those of adapt --task tag.
type tagFlags struct {
	Scheme string `enum:"iob2,any,plain" default:"iob2" help:"iob2: other tags are refused. any: tags of IOB1, IOE2, IOBES and BILOU are made IOB2. plain: a label for each word, such as its part of speech." group:"Task tag"`
}

// tagTask gives each word of a text a tag.
type tagTask struct {
	*adaptCmd
	sets   *exampleSets[tagRow]
	labels []string         // in the order of the scores
	ids    map[string]int32 // of the labels
	m      zoo.TaskModel
	tok    *tokenizer.Tokenizer
}

// tagRow is one sentence.
type tagRow struct {
	where   string
	words   []string
	tags    []string
	in      *adapt.Words
	classes []int32 // of the words
}

func (a *tagTask) read(ctx context.Context, seed uint64) (err error) {
	if a.sets, err = readSets(a.adaptCmd, seed, rowFacts[tagRow]{text: func(row *tagRow) string { return strings.Join(row.words, " ") }}, func(path string) ([]tagRow, error) { return a.table(ctx, path) }); err != nil {
		return err
	}
	if a.finished != nil {
		return nil // the model knows its tags
	}
	seen := map[string]bool{}
	for _, row := range a.sets.train.rows {
		for _, tag := range row.tags {
			seen[tag] = true
			if a.Scheme != "plain" && tag != "O" { // what one file has of a type, another may lack
				seen["B"+tag[1:]], seen["I"+tag[1:]] = true, true
			}
		}
	}
	if len(seen) < 2 {
		return fmt.Errorf("%s: all words of %d sentences have one tag: nothing can be told apart", a.Data, len(a.sets.train.rows))
	}
	if len(seen) > 10000 {
		return fmt.Errorf("%s: %d different tags: is the last column that of the tags?", a.Data, len(seen))
	}
	for tag := range seen {
		a.labels = append(a.labels, tag)
	}
	slices.SortFunc(a.labels, compareLabels)
	if a.Scheme != "plain" { // O, then the types, B before I
		slices.SortStableFunc(a.labels, func(x, y string) int { return strings.Compare(x[1:], y[1:]) })
	}
	return nil
}

// table reads one file.
func (a *tagTask) table(ctx context.Context, path string) ([]tagRow, error) {
	words, tags := a.Text, a.Label
	if words == "text" { // the default
		words = "words"
	}
	if tags == "label" {
		tags = "tags"
	}
	var list []tagRow
	err := readTagged(ctx, path, data.TableOptions{Format: a.Format, NoHeader: a.NoHeader}, words, tags, func(where, text string, s task.Sentence) error {
		if s.Tags == nil {
			return fmt.Errorf("%s: no tags", where)
		}
		switch a.Scheme {
		case "any":
			s.Tags = task.IOB2(task.ReadTags(s.Tags), len(s.Tags))
		case "iob2":
			if i, err := task.CheckIOB2(s.Tags); err != nil {
				if s.Line > 0 {
					where = fmt.Sprintf("%s:%d", path, s.Line+i)
				}
				return fmt.Errorf("%s: word %q: %w (--scheme any reads other schemes)", where, s.Words[i], err)
			}
		}
		if len(s.Words) > 0 {
			list = append(list, tagRow{where: where, words: s.Words, tags: s.Tags})
		}
		return nil
	})
	if err == nil && len(list) == 0 {
		err = fmt.Errorf("%s holds no sentences", path)
	}
	return list, err
}

func (a *tagTask) open(path string, tok *tokenizer.Tokenizer, seed uint64, o zoo.Options) (_ *subject, err error) {
	a.tok = tok
	var l zoo.Labels
	if a.m, l, err = a.headed(path, model.TokenTask, a.labelling(), seed, o); err != nil {
		return nil, err
	}
	a.labels, a.ids = l.Names, map[string]int32{}
	for i, tag := range a.labels {
		a.ids[tag] = int32(i)
	}
	x := &adapt.Texts{Tokenizer: tok, Limit: a.m.Sizes().Context, Virtual: a.virtual(a.m.Sizes())}
	if err := a.sets.each(func(row *tagRow) (err error) {
		if row.in, err = x.Words(row.words, tagStride(a.Stride, x.Limit-len(x.Virtual))); err != nil {
			return fmt.Errorf("%s: %w", row.where, err)
		}
		for _, tag := range row.tags {
			id, ok := a.ids[tag]
			if !ok {
				return fmt.Errorf("%s: tag %q does not occur in what is trained on: %s", row.where, tag, someOf(a.labels))
			}
			row.classes = append(row.classes, id)
		}
		return nil
	}); err != nil {
		return nil, err
	}
	s, err := withHead(path, a.m, a.labelling())
	if err != nil {
		return nil, err
	}
	s.labels = a.labels
	return a.sets.of(s, 0), nil
}

func (a *tagTask) objective(trained []nn.Named, batch int, seed uint64) (train.Objective, error) {
	f := &adapt.FineTuning{Model: a.m, Loss: adapt.Tagging, Batch: batch, Trained: trained, Seed: seed}
	count := make([]float64, len(a.labels))
	for _, row := range a.sets.train.rows {
		windows, err := row.in.Examples(row.classes)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", row.where, err)
		}
		f.Examples = append(f.Examples, windows...)
		for _, class := range row.classes {
			count[class]++
		}
	}
	if a.Balance {
		f.ClassWeights = balanced(count)
	}
	return f, f.Check()
}

func (a *tagTask) measure(ctx context.Context, t *tensor.Tape) (loss, score float64, err error) {
	s, _, err := a.score(ctx, t, a.sets.validation)
	return s.Loss, s.Averages.Micro.F1, err
}

// score tests the model on a set, and returns what it says of the words.
func (a *tagTask) score(ctx context.Context, t *tensor.Tape, set *exampleSet[tagRow]) (s tagScores, predicted [][]string, err error) {
	texts := make([]*adapt.Words, len(set.rows))
	for i, row := range set.rows {
		texts[i] = row.in
	}
	tags, err := adapt.Tags(ctx, t, a.m, texts)
	if err != nil {
		return s, nil, err
	}
	var gold [][]string
	loss, words := 0.0, 0
	for i, row := range set.rows {
		_, names := describeTags(row.in, tags[i], a.labels)
		gold, predicted = append(gold, row.tags), append(predicted, names)
		for j, tag := range tags[i] {
			if tag.Class >= 0 {
				loss += negLog(tag.Probabilities[row.classes[j]])
				words++
			}
		}
	}
	s, err = scoreTags(set.name, gold, predicted, a.Scheme != "plain")
	s.Loss = loss / float64(max(words, 1))
	return s, predicted, err
}

func (a *tagTask) results(ctx context.Context, t *tensor.Tape, dir string) ([]taskScores, error) {
	return a.sets.tested(func(set *exampleSet[tagRow]) (taskScores, error) {
		s, predicted, err := a.score(ctx, t, set)
		if err != nil {
			return nil, err
		}
		if dir == "" {
			return s, nil
		}
		var b strings.Builder
		for i, row := range set.rows {
			for j, word := range row.words {
				fmt.Fprintf(&b, "%s\t%s\t%s\n", oneLine(word), row.tags[j], predicted[i][j])
			}
			b.WriteByte('\n')
		}
		return s, file.WriteFile(filepath.Join(dir, a.sets.predictions(set, ".conll")), []byte(b.String()), 0o644)
	})
}

// labelling is what the scores mean.
func (a *tagTask) labelling() zoo.Labels {
	return zoo.Labels{Names: a.labels}
}

func (a *tagTask) save(dir string) error {
	return zoo.SaveTask(dir, a.m, a.tok, a.labelling())
}

func (*tagTask) next(model string) string {
	return fmt.Sprintf("plinth tag --model %s \"a text\"", model)
}
