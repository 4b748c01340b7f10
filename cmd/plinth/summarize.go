package main

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"github.com/plinth-ml/plinth/adapt"
	"github.com/plinth-ml/plinth/internal/file"
	"github.com/plinth-ml/plinth/model/zoo"
)

type summarizeCmd struct {
	Model  string `required:"" help:"Folder that plinth adapt or transformers wrote, .gguf file, or model of the store." placeholder:"DIR|NAME"`
	File   string `help:"Text to summarise; - or nothing, without --data, means standard input." placeholder:"FILE"`
	Data   string `help:"Table of texts: .csv, .tsv, .jsonl or .parquet, or - for standard input with --format." placeholder:"FILE"`
	Chunks bool   `help:"Summarise a text that is too long in parts, and then the parts' summaries."`

	LengthPenalty *float64 `help:"Of beam search: a summary's score is its log-probability / length^F; without it 1." placeholder:"F" group:"Summaries"`
	MinTokens     int      `help:"Fewest tokens of a summary." placeholder:"N" group:"Summaries"`
	NoRepeat      int      `help:"No run of so many tokens occurs twice in a summary; 0: off." placeholder:"N" group:"Summaries"`
	adapterFlags
	summaryFlags
	tableFlags
}

func (*summarizeCmd) Help() string {
	return `An encoder-decoder such as T5 summarises by beam search; a decoder is asked in its chat template, or goes on behind "TL;DR:". Tables with summaries are scored. Example: plinth summarize --model t5-small --file article.txt`
}

// summarized is the answer for one text.
type summarized struct {
	Where string `json:"where,omitempty"` // file:line of a table
	adapt.Summary
	References []string     `json:"references,omitempty"`
	Rouge      *rougeScores `json:"rouge,omitempty"`
}

func (v *summarizeCmd) Run(ctx context.Context, c *common) error {
	if v.File != "" && v.Data != "" {
		return usagef("give --file or --data, one of them")
	}
	path, err := modelPath(v.Model)
	if err != nil {
		return err
	}
	m, err := zoo.OpenAny(path, zoo.Options{})
	if err != nil {
		return err
	}
	tok, err := zoo.Tokenizer(path, m)
	if err != nil {
		return err
	}
	if err := v.attach(c, path, m); err != nil {
		return err
	}
	settings, adapted, err := v.settings(cmp.Or(v.Adapter, path), m)
	if err != nil {
		return err
	}
	w, err := v.summarizer(c.kernels(), m, tok, settings)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	w.Search.LengthPenalty, w.Search.MinTokens, w.Search.NoRepeat = v.LengthPenalty, v.MinTokens, v.NoRepeat
	s := &summarizing{v: v, c: c, w: w}
	if !adapted {
		if s.stops, err = asChat(ctx, path, tok, m.Sizes().Vocab, w); err != nil {
			return err
		}
	}
	if v.Data != "" {
		err = v.summaries(ctx, v.tableFlags, v.Data, v.Summary != nil, func(row summaryRow) error { return s.add(ctx, row) })
	} else {
		var row summaryRow
		if row, err = v.single(); err == nil {
			err = s.add(ctx, row)
		}
	}
	if err == nil {
		err = s.flush(ctx)
	}
	if err != nil {
		return err
	}
	return s.finish()
}

// single is the one text of --file or standard input.
func (v *summarizeCmd) single() (summaryRow, error) {
	row := summaryRow{where: v.File}
	if v.File == "" || v.File == "-" {
		text, err := textOrStdin("")
		row.where, row.text = "standard input", text
		if err != nil {
			return row, err
		}
	} else {
		b, err := file.Read(v.File, maxText)
		if err != nil {
			return row, err
		}
		row.text = string(b)
	}
	if strings.TrimSpace(row.text) == "" {
		return row, fmt.Errorf("%s: no text to summarise", row.where)
	}
	return row, nil
}

// summarizeBatch is how many texts are read before they are summarised.
const summarizeBatch = 16

// summarizing is the work of the verb.
type summarizing struct {
	v       *summarizeCmd
	c       *common
	w       *adapt.Summarizer
	stops   []string // texts that end a summary
	waiting []summaryRow
	done    []summarized
	rouge   []rougeScores
}

func (s *summarizing) add(ctx context.Context, row summaryRow) error {
	if s.waiting = append(s.waiting, row); len(s.waiting) < summarizeBatch {
		return nil
	}
	return s.flush(ctx)
}

// flush summarises what waits, and prints it unless all is to be one object.
func (s *summarizing) flush(ctx context.Context) error {
	list, err := s.write(ctx)
	if err != nil {
		return err
	}
	for i, row := range s.waiting {
		out := summarized{Where: row.where, Summary: list[i], References: row.references}
		for _, stop := range s.stops {
			out.Text, _, _ = strings.Cut(out.Text, stop)
		}
		if len(row.references) > 0 {
			r := rougeOf(row.references, out.Text)
			out.Rouge = &r
			s.rouge = append(s.rouge, r)
		}
		s.done = append(s.done, out)
		if s.c.JSON {
			continue
		}
		text := out.Text
		if s.v.Data != "" {
			text = strings.ReplaceAll(text, "\n", " ")
		}
		if _, err := fmt.Fprintln(s.c.out, text); err != nil {
			return err
		}
	}
	s.waiting = s.waiting[:0]
	return nil
}

func (s *summarizing) write(ctx context.Context) ([]adapt.Summary, error) {
	var texts []string
	var list []adapt.Summary
	for _, row := range s.waiting {
		texts = append(texts, row.text)
		if !s.v.Chunks {
			continue
		}
		one, err := s.w.SummarizeParts(ctx, row.text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", row.where, err)
		}
		list = append(list, one)
	}
	if s.v.Chunks {
		return list, nil
	}
	return s.w.Summarize(ctx, texts)
}

// finish tells what was not read, and prints scores or the object.
func (s *summarizing) finish() error {
	texts, cut, read := 0, 0, 0
	for _, d := range s.done {
		if read += d.Read; d.Cut > 0 {
			texts, cut = texts+1, cut+d.Cut
		}
	}
	if cut > 0 {
		s.c.say("note: %d of %d texts are longer than what is read at once: %d of %d tokens (%.1f %%) were not read; --chunks summarises in parts", texts, len(s.done), cut, cut+read,
			100*float64(cut)/float64(cut+read))
	}
	out := struct {
		Model     string       `json:"model"`
		Cut       int          `json:"cut"` // tokens that were not read
		Summaries []summarized `json:"summaries"`
		Rouge     *rougeScores `json:"rouge,omitempty"`
	}{s.v.Model, cut, s.done, nil}
	text := ""
	if s.done == nil {
		out.Summaries = []summarized{}
	}
	if len(s.rouge) > 0 {
		mean := meanRouge(s.rouge)
		out.Rouge = &mean
		text = fmt.Sprintf("%d texts: %v\n", len(s.rouge), mean)
	}
	return s.c.finish(out, text)
}
