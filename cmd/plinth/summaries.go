package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/plinth-ml/plinth/adapt"
	"github.com/plinth-ml/plinth/chat"
	"github.com/plinth-ml/plinth/data"
	"github.com/plinth-ml/plinth/eval/task"
	"github.com/plinth-ml/plinth/internal/file"
	"github.com/plinth-ml/plinth/model"
	"github.com/plinth-ml/plinth/model/zoo"
	"github.com/plinth-ml/plinth/tensor"
	"github.com/plinth-ml/plinth/tokenizer"
)

// summaryFlags say how summaries are written, for the verb and for adapt.
type summaryFlags struct {
	Summary   []string `help:"Columns of summaries, default summary; a table needs one of them, and where it has several they are references of equal rank." placeholder:"COL,..." group:"Summaries"`
	Prefix    *string  `help:"Text before each text; without it the one that the model was adapted with, or \"summarize: \" for an encoder-decoder." placeholder:"TEXT" group:"Summaries"`
	MaxSource int      `help:"Most tokens that are read at once; 0 means what the model was adapted with, or its context." placeholder:"N" group:"Summaries"`
	MaxTokens int      `name:"max-tokens" help:"Most tokens of a summary; 0 means what the model was adapted with, or 128." placeholder:"N" group:"Summaries"`
	Beams     int      `help:"Sequences that are followed at once; 0 means 4, and 1 for a decoder." placeholder:"N" group:"Summaries"`
}

// summarySettings are what a model was adapted with; they stand beside it in summaryFile.
type summarySettings struct {
	Prefix    string `json:"prefix"`
	Suffix    string `json:"suffix"`
	MaxSource int    `json:"max_source"`
	MaxTokens int    `json:"max_tokens"`
}

const summaryFile = "summarize.json"

// settings are those of the model's folder, or those that published models of its kind go with; flags win. adapted tells that the folder has its own.
func (f *summaryFlags) settings(path string, m zoo.Stored) (s summarySettings, adapted bool, err error) {
	b, err := file.Read(filepath.Join(path, summaryFile), maxText)
	switch {
	case err == nil:
		adapted = true
		if err := json.Unmarshal(b, &s); err != nil {
			return s, false, fmt.Errorf("%s: %w", filepath.Join(path, summaryFile), err)
		}
	case !zoo.IsGGUF(path) && !errors.Is(err, fs.ErrNotExist):
		return s, false, err
	}
	_, pairs := m.(model.Seq2Seq)
	if !pairs {
		if _, err := zoo.AsDecoder(m); err != nil {
			return s, false, fmt.Errorf("%s: %w", path, err)
		}
	}
	if !adapted && pairs {
		s.Prefix = "summarize: "
	} else if !adapted {
		s.Suffix = "\nTL;DR:"
	}
	if f.Prefix != nil {
		s.Prefix = *f.Prefix
	}
	s.MaxTokens = cmp.Or(f.MaxTokens, s.MaxTokens, 128)
	if s.MaxSource = cmp.Or(f.MaxSource, s.MaxSource); s.MaxSource == 0 {
		if s.MaxSource = m.Sizes().Context; !pairs {
			s.MaxSource -= s.MaxTokens
		}
	}
	for flag, v := range map[string]int{"max-source": s.MaxSource, "max-tokens": s.MaxTokens, "beams": f.Beams} {
		if v < 0 || v == 0 && flag != "beams" {
			return s, false, usagef("--%s is %d; the model's context is %d", flag, v, m.Sizes().Context)
		}
	}
	return s, adapted, nil
}

// write saves the settings in a model's folder.
func (s summarySettings) write(dir string) error {
	b, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	return file.WriteFile(filepath.Join(dir, summaryFile), append(b, '\n'), 0o644)
}

// summarizer returns one of the settings for a model.
func (f *summaryFlags) summarizer(k *tensor.Kernels, m zoo.Stored, tok *tokenizer.Tokenizer, s summarySettings) (*adapt.Summarizer, error) {
	var w *adapt.Summarizer
	beams := 4
	if pairs, ok := m.(model.Seq2Seq); ok {
		w = adapt.NewSummarizer(pairs, tok, k)
	} else {
		d, err := zoo.AsDecoder(m)
		if err != nil {
			return nil, err
		}
		w, beams = adapt.NewPromptedSummarizer(d, tok, k), 1
	}
	w.Prefix, w.Suffix, w.MaxSource, w.Virtual = s.Prefix, s.Suffix, s.MaxSource, m.Sizes().VirtualIDs()
	w.Search.MaxTokens, w.Search.Beams = s.MaxTokens, cmp.Or(f.Beams, beams)
	return w, nil
}

// asChat makes w ask in a chat where the model's files have a template; it returns the texts that end an answer beside the tokens.
func asChat(ctx context.Context, path string, tok *tokenizer.Tokenizer, vocab int, w *adapt.Summarizer) (stops []string, err error) {
	source, err := chatSource(path, tok, vocab)
	if err != nil {
		return nil, err
	}
	template, err := source.Open(false)
	if errors.Is(err, chat.ErrNoTemplate) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	d := chat.NewDialogue(ctx, source, template, tok)
	w.Search.Stop = d.Stops
	order := cmp.Or(w.Prefix, "Summarize the following text in a few sentences.\n\n")
	w.Prompt = func(text string) ([]int32, error) {
		return d.Encode(ctx, []chat.Message{userMessage(order + text)}, nil, chat.Options{AddGenerationPrompt: true})
	}
	return d.StopTexts, nil
}

// summaryRow is a text with its summaries.
type summaryRow struct {
	where      string
	text       string
	references []string
}

// summaries calls each with every record of a table. Its summaries are those columns of --summary that it has; where they are needed, a record without is an error.
func (f *summaryFlags) summaries(ctx context.Context, t tableFlags, path string, need bool, each func(summaryRow) error) error {
	names := f.Summary
	if names == nil {
		names = []string{"summary"}
	}
	summaries := 0 // columns
	choose := func(table *data.Table) []data.Column {
		columns := []data.Column{{For: "--text", Name: t.Text}}
		for _, name := range names {
			if table.Has(name) {
				columns = append(columns, data.Column{For: "--summary", Name: name, Optional: true})
			}
		}
		if len(columns) == 1 && need {
			columns = append(columns, data.Column{For: "--summary", Name: names[0]})
		}
		summaries = len(columns) - 1
		return columns
	}
	return records(ctx, path, data.TableOptions{Format: t.Format, NoHeader: t.NoHeader}, choose, func(row data.Row) error {
		r := summaryRow{where: row.Name, text: row.Fields[0]}
		for _, s := range row.Fields[1:] {
			if s = strings.TrimSpace(s); s != "" {
				r.references = append(r.references, s)
			}
		}
		if strings.TrimSpace(r.text) == "" {
			return fmt.Errorf("%s: column %q is empty: no text to summarise", r.where, t.Text)
		}
		if len(r.references) == 0 && summaries > 0 {
			return fmt.Errorf("%s: column %q is empty: no summary", r.where, strings.Join(names, `", "`))
		}
		return each(r)
	})
}

// rougeScores are F1 scores of stemmed words, as rouge_score's with use_stemmer.
type rougeScores struct {
	R1   float64 `json:"rouge1"`
	R2   float64 `json:"rouge2"`
	L    float64 `json:"rougeL"`
	LSum float64 `json:"rougeLsum"`
}

// rougeOf scores one summary; of several references the best counts, for each score by itself.
func rougeOf(references []string, written string) rougeScores {
	r := task.ScoreSummary(references, written, true)
	return rougeScores{r.R1.F1, r.R2.F1, r.L.F1, r.LSum.F1}
}

// meanRouge is the mean over texts.
func meanRouge(all []rougeScores) (m rougeScores) {
	n := float64(len(all))
	for _, s := range all {
		m.R1, m.R2, m.L, m.LSum = m.R1+s.R1/n, m.R2+s.R2/n, m.L+s.L/n, m.LSum+s.LSum/n
	}
	return m
}

func (s rougeScores) String() string {
	return fmt.Sprintf("ROUGE-1 %.2f, ROUGE-2 %.2f, ROUGE-L %.2f, ROUGE-Lsum %.2f", 100*s.R1, 100*s.R2, 100*s.L, 100*s.LSum)
}
