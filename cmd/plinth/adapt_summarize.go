package main

import (
	"cmp"
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/plinth-ml/plinth/adapt"
	"github.com/plinth-ml/plinth/eval/task"
	"github.com/plinth-ml/plinth/model"
	"github.com/plinth-ml/plinth/model/t5"
	"github.com/plinth-ml/plinth/model/zoo"
	"github.com/plinth-ml/plinth/nn"
	"github.com/plinth-ml/plinth/tensor"
	"github.com/plinth-ml/plinth/tokenizer"
	"github.com/plinth-ml/plinth/train"
)

// summarizeTask teaches an encoder-decoder, or a decoder behind a prompt, to write summaries.
type summarizeTask struct {
	*adaptCmd
	sets     *exampleSets[summaryRow]
	m        zoo.Stored
	tok      *tokenizer.Tokenizer
	settings summarySettings
	lessons  map[*exampleSet[summaryRow]]*lessons
}

// lessons are the examples of a set: one for each of a text's summaries.
type lessons struct {
	pairs          []adapt.Pair          // of an encoder-decoder
	demonstrations []adapt.Demonstration // of a decoder
}

func (s *summarizeTask) read(ctx context.Context, seed uint64) (err error) {
	s.sets, err = readSets(s.adaptCmd, seed, rowFacts[summaryRow]{text: func(row *summaryRow) string { return row.text }}, func(path string) (list []summaryRow, err error) {
		err = s.summaries(ctx, s.tableFlags, path, true, func(row summaryRow) error {
			list = append(list, row)
			return nil
		})
		if err == nil && len(list) == 0 {
			err = fmt.Errorf("%s holds no examples", path)
		}
		return list, err
	})
	return err
}

func (s *summarizeTask) open(path string, tok *tokenizer.Tokenizer, _ uint64, o zoo.Options) (_ *subject, err error) {
	s.tok = tok
	if s.m, err = zoo.OpenAny(path, o); err != nil {
		return nil, err
	}
	if err := s.attached(s.m); err != nil {
		return nil, err
	}
	if s.settings, _, err = s.summaryFlags.settings(cmp.Or(s.beside, path), s.m); err != nil {
		return nil, err
	}
	w, err := s.summarizer(nil, s.m, tok, s.settings) // it makes examples and does not search
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	w.Virtual = s.virtual(s.m.Sizes())
	of := &subject{model: s.m, kind: "CAUSAL_LM", validated: s.sets.validation != nil, beside: s.settings.write}
	if _, ok := s.m.(model.Seq2Seq); ok {
		of.kind = "SEQ_2_SEQ_LM"
	}
	if m, ok := s.m.(*t5.Model); ok {
		m.Dropout = m.Config.Dropout
	}
	s.lessons = map[*exampleSet[summaryRow]]*lessons{}
	for _, set := range s.sets.all() {
		l := &lessons{}
		for _, row := range set.rows {
			cut, err := l.add(w, row, of.kind == "CAUSAL_LM", s.settings.MaxTokens)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", row.where, err)
			}
			if cut > 0 {
				of.cut++
			}
		}
		s.lessons[set] = l
	}
	if s.sets.train != nil {
		of.examples = s.lessons[s.sets.train].len()
	}
	return of, nil
}

func (l *lessons) len() int { return len(l.pairs) + len(l.demonstrations) }

// add makes the examples of a row; it returns how many tokens of the text were cut off.
func (l *lessons) add(w *adapt.Summarizer, row summaryRow, decoder bool, most int) (cut int, err error) {
	source, cut, err := w.Source(row.text)
	if err != nil {
		return 0, err
	}
	for _, r := range row.references {
		target, err := w.Target(r, most)
		if err != nil {
			return 0, err
		}
		if decoder {
			l.demonstrations = append(l.demonstrations, adapt.Answered(source, target))
		} else {
			l.pairs = append(l.pairs, adapt.Pair{Source: source, Target: target})
		}
	}
	return cut, nil
}

// loss is the mean over the tokens of summaries.
func (s *summarizeTask) loss(ctx context.Context, t *tensor.Tape, l *lessons) (float64, error) {
	if m, ok := s.m.(model.Seq2Seq); ok {
		return adapt.WritingLoss(ctx, t, m, l.pairs)
	}
	m, err := zoo.AsDecoder(s.m)
	if err != nil {
		return 0, err
	}
	return adapt.DemonstrationLoss(ctx, t, m, l.demonstrations)
}

func (s *summarizeTask) objective(trained []nn.Named, batch int, seed uint64) (train.Objective, error) {
	l := s.lessons[s.sets.train]
	if m, ok := s.m.(model.Seq2Seq); ok {
		o, err := adapt.NewWriting(m, l.pairs, batch, seed)
		if err == nil {
			o.Trained = trained
		}
		return o, err
	}
	m, err := zoo.AsDecoder(s.m)
	if err != nil {
		return nil, err
	}
	o, err := adapt.NewSupervised(m, l.demonstrations, batch, seed)
	if err == nil {
		o.Trained = trained
	}
	return o, err
}

// measure is the loss, and ROUGE-L of what is written by taking the most probable token each time.
func (s *summarizeTask) measure(ctx context.Context, t *tensor.Tape) (loss, score float64, err error) {
	scores, _, err := s.score(ctx, t, s.sets.validation, 1)
	return scores.Loss, scores.Rouge.L, err
}

// summaryScores is how a model does on one set.
type summaryScores struct {
	Set      string      `json:"set"`
	Examples int         `json:"examples"`
	Loss     float64     `json:"loss"` // mean over the tokens of summaries, nats
	Rouge    rougeScores `json:"rouge"`
	Lead3    rougeScores `json:"lead3"` // of the texts' first three sentences
}

func (s summaryScores) text(b *strings.Builder) {
	fmt.Fprintf(b, "\n%s: %d texts, loss %.4f\n  %-18s %v\n  %-18s %v\n", s.Set, s.Examples, s.Loss, "model", s.Rouge, "first 3 sentences", s.Lead3)
}

func (s summaryScores) measures() []measure {
	return []measure{{"ROUGE-1", s.Rouge.R1}, {"ROUGE-2", s.Rouge.R2}, {"ROUGE-L", s.Rouge.L}, {"ROUGE-Lsum", s.Rouge.LSum}, {"loss", s.Loss}}
}

// score tests the model on a set; it returns what it wrote too.
func (s *summarizeTask) score(ctx context.Context, t *tensor.Tape, set *exampleSet[summaryRow], beams int) (r summaryScores, written []adapt.Summary, err error) {
	r = summaryScores{Set: set.name, Examples: len(set.rows)}
	if r.Loss, err = s.loss(ctx, t, s.lessons[set]); err != nil {
		return r, nil, err
	}
	w, err := s.summarizer(t.Kernels(), s.m, s.tok, s.settings)
	if err != nil {
		return r, nil, err
	}
	if beams > 0 {
		w.Search.Beams = beams
	}
	var texts []string
	for _, row := range set.rows {
		texts = append(texts, row.text)
	}
	if written, err = w.Summarize(ctx, texts); err != nil {
		return r, nil, err
	}
	var model, lead []rougeScores
	for i, row := range set.rows {
		model, lead = append(model, rougeOf(row.references, written[i].Text)), append(lead, rougeOf(row.references, task.Lead(row.text, 3)))
	}
	r.Rouge, r.Lead3 = meanRouge(model), meanRouge(lead)
	return r, written, nil
}

func (s *summarizeTask) results(ctx context.Context, t *tensor.Tape, dir string) ([]taskScores, error) {
	return s.sets.tested(func(set *exampleSet[summaryRow]) (taskScores, error) {
		r, written, err := s.score(ctx, t, set, 0)
		if err != nil {
			return nil, err
		}
		if dir == "" {
			return r, nil
		}
		rows := [][]string{{"example", "text", "summary", "predicted"}}
		for i, row := range set.rows {
			rows = append(rows, []string{row.where, row.text, strings.Join(row.references, " | "), written[i].Text})
		}
		return r, writeCSV(filepath.Join(dir, s.sets.predictions(set, ".csv")), rows)
	})
}

func (s *summarizeTask) save(dir string) error {
	if err := zoo.Save(dir, s.m, s.tok); err != nil {
		return err
	}
	return s.settings.write(dir)
}

func (*summarizeTask) next(model string) string {
	return fmt.Sprintf("plinth summarize --model %s --file TEXT", model)
}
