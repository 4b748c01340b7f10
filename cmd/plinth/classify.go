package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/plinth-ml/plinth/adapt"
	"github.com/plinth-ml/plinth/model"
	"github.com/plinth-ml/plinth/model/zoo"
	"github.com/plinth-ml/plinth/tensor"
)

type classifyCmd struct {
	Texts []string `arg:"" optional:"" help:"Texts; with --pair none."`
	Model string   `required:"" help:"Folder that plinth adapt or transformers wrote, or a model of the store." placeholder:"DIR|NAME"`
	Data  string   `help:"Table of texts: .csv, .tsv, .jsonl or .parquet, or - for standard input with --format." placeholder:"FILE"`
	Top   int      `default:"1" help:"Labels shown of each text, the most probable first; 0 means all." placeholder:"N"`
	tableFlags
}

func (*classifyCmd) Help() string {
	return `One line for each text: label, probability, text. Example: plinth classify --model runs/reviews "I would buy it again"`
}

// labelled is one label of a text.
type labelled struct {
	Label       string  `json:"label"`
	Probability float64 `json:"probability"`
}

// classified is the answer for one text.
type classified struct {
	Texts  []string   `json:"texts"`
	Labels []labelled `json:"labels"`
}

func (v *classifyCmd) Run(ctx context.Context, c *common) error {
	if (len(v.Texts) == 0) == (v.Data == "") {
		return usagef("give texts or --data FILE, one of them")
	}
	path, err := modelPath(v.Model)
	if err != nil {
		return err
	}
	m, labels, err := zoo.OpenTask(path, zoo.Options{})
	if err != nil {
		return err
	}
	if m.Task() != model.SequenceTask {
		return fmt.Errorf("%s has a head for %ss, not for whole texts", path, m.Task())
	}
	tok, err := zoo.Tokenizer(path, nil)
	if err != nil {
		return err
	}
	texts := &adapt.Texts{Tokenizer: tok, Limit: m.Sizes().Context}
	var all []classified
	var waiting []adapt.Example
	var said [][]string
	t := tensor.Evaluation(c.kernels())
	flush := func() error {
		scores, err := adapt.Scores(ctx, t, m, waiting)
		if err != nil {
			return err
		}
		for i, s := range scores {
			r := classified{said[i], v.choose(s, labels)}
			if c.JSON {
				all = append(all, r)
				continue
			}
			if err := printClassified(c, r); err != nil {
				return err
			}
		}
		waiting, said = waiting[:0], nil
		return nil
	}
	add := func(where string, row []string) error {
		e, err := texts.Example(row...)
		if err != nil {
			return fmt.Errorf("%s: %w", where, err)
		}
		waiting, said = append(waiting, e), append(said, row)
		if len(waiting) < 256 {
			return nil
		}
		return flush()
	}
	for i, text := range v.Texts {
		if err := add(fmt.Sprintf("text %d", i+1), []string{text}); err != nil {
			return err
		}
	}
	if v.Data != "" {
		flags := columnFlags{tableFlags: v.tableFlags}
		if err := flags.rows(ctx, v.Data, "", func(where string, row []string, _ string) error { return add(where, row) }); err != nil {
			return err
		}
	}
	if err := flush(); err != nil {
		return err
	}
	if texts.Cut > 0 {
		c.say("note: %d texts are longer than the model's context of %d tokens and were cut at their ends", texts.Cut, texts.Limit)
	}
	if !c.JSON {
		return nil
	}
	if all == nil {
		all = []classified{}
	}
	return json.NewEncoder(c.out).Encode(map[string]any{"model": v.Model, "cut": texts.Cut, "results": all})
}

// choose returns the labels to show: of one label per text the most probable ones, of several those above a half, or the most probable ones.
func (v *classifyCmd) choose(scores []float32, l zoo.Labels) []labelled {
	p := adapt.Loss(l.Problem).Probabilities(scores)
	multi := l.Problem == string(adapt.MultiLabel)
	n := v.Top
	if n <= 0 || n > len(p) {
		n = len(p)
	}
	list := []labelled{}
	rest := append([]float64(nil), p...)
	for range n {
		best := 0
		for i, q := range rest {
			if q > rest[best] {
				best = i
			}
		}
		if multi && v.Top == 1 {
			break
		}
		list = append(list, labelled{l.Names[best], p[best]})
		rest[best] = -1
	}
	if multi && v.Top == 1 {
		for i, q := range p {
			if q > 0.5 {
				list = append(list, labelled{l.Names[i], q})
			}
		}
	}
	return list
}

func printClassified(c *common, r classified) error {
	var b strings.Builder
	for i, l := range r.Labels {
		if i > 0 {
			b.WriteString("  ")
		}
		fmt.Fprintf(&b, "%s %.3f", l.Label, l.Probability)
	}
	text := strings.ReplaceAll(strings.Join(r.Texts, " | "), "\n", " ")
	_, err := fmt.Fprintf(c.out, "%s\t%s\n", b.String(), text)
	return err
}
