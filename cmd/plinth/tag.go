package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/plinth-ml/plinth/adapt"
	"github.com/plinth-ml/plinth/data"
	"github.com/plinth-ml/plinth/eval/task"
	"github.com/plinth-ml/plinth/model"
	"github.com/plinth-ml/plinth/model/zoo"
	"github.com/plinth-ml/plinth/tensor"
)

type tagCmd struct {
	Texts    []string `arg:"" optional:"" help:"Texts."`
	Model    string   `required:"" help:"Folder that plinth adapt --task tag or transformers wrote, or a model of the store." placeholder:"DIR|NAME"`
	Data     string   `help:"File of texts: a table, a .txt file with a text a line, or else CoNLL with a word a line; - for standard input with --format." placeholder:"FILE"`
	Format   string   `enum:",conll,text,csv,tsv,jsonl,parquet" default:"" help:"Format of the file; without it its name tells it." placeholder:"NAME"`
	Text     string   `help:"Column of a table that holds the text, or a JSON list of its words; without it words or, where there is none, text." placeholder:"COL"`
	NoHeader bool     `help:"The first record is data: columns go by their numbers."`
	Words    bool     `help:"Print a word and its tag a line, an empty line between texts, instead of the entities."`
	Stride   int      `default:"128" help:"Tokens that the windows of a text share which is longer than the model's context." placeholder:"N"`
	adapterFlags
}

func (*tagCmd) Help() string {
	return `One line for each entity: type, probability, first and last character, text. Example: plinth tag --model runs/names "Ada Lovelace lived in London"`
}

// tagged is what a tagger says of one text. Offsets are in characters.
type tagged struct {
	Text     string   `json:"text"`
	Entities []entity `json:"entities"`
	Words    []tagOf  `json:"words,omitempty"`
}

type entity struct {
	Type  string  `json:"type"`
	Text  string  `json:"text"`
	Start int     `json:"start"`
	End   int     `json:"end"`
	Score float64 `json:"score"` // mean probability of its words' tags
}

type tagOf struct {
	Word  string  `json:"word"`
	Tag   string  `json:"tag"`
	Score float64 `json:"score"`
}

func (v *tagCmd) Run(ctx context.Context, c *common) error {
	if (len(v.Texts) == 0) == (v.Data == "") {
		return usagef("give texts or --data FILE, one of them")
	}
	if err := noneEmpty(v.Texts); err != nil {
		return err
	}
	if v.Data == "-" && v.Format == "" {
		return usagef("standard input needs --format")
	}
	m, tok, labels, err := v.open(c, v.Model, model.TokenTask)
	if err != nil {
		return err
	}
	j := &tagJob{verb: v, c: c, m: m, labels: labels.Names, texts: textsFor(m, tok), t: tensor.Evaluation(c.kernels())}
	for i, text := range v.Texts {
		if err := j.add(ctx, fmt.Sprintf("text %d", i+1), text, task.Sentence{}); err != nil {
			return err
		}
	}
	if v.Data != "" {
		err := readTagged(ctx, v.Data, data.TableOptions{Format: v.Format, NoHeader: v.NoHeader}, v.Text, "", func(where, text string, s task.Sentence) error {
			return j.add(ctx, where, text, s)
		})
		if err != nil {
			return err
		}
	}
	if err := j.flush(ctx); err != nil {
		return err
	}
	return j.finish()
}

// tagJob tags texts some hundreds at a time.
type tagJob struct {
	verb   *tagCmd
	c      *common
	m      zoo.TaskModel
	labels []string
	texts  *adapt.Texts
	t      *tensor.Tape

	waiting         []*adapt.Words
	all             []tagged
	gold, predicted [][]string // of the sentences whose tags are known
	printed         int
	known           [][]string // tags of those that wait; nil: not known
}

// add takes a plain text, or the words of a sentence.
func (j *tagJob) add(ctx context.Context, where, text string, s task.Sentence) (err error) {
	var w *adapt.Words
	stride := tagStride(j.verb.Stride, j.texts.Limit-len(j.texts.Virtual))
	if s.Words != nil {
		w, err = j.texts.Words(s.Words, stride)
	} else {
		w, err = j.texts.Plain(text, stride)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", where, err)
	}
	j.waiting, j.known = append(j.waiting, w), append(j.known, s.Tags)
	if len(j.waiting) < 256 {
		return nil
	}
	return j.flush(ctx)
}

// tagStride is what windows of a model of that many tokens share.
func tagStride(stride, limit int) int { return max(0, min(stride, (limit-4)/2)) }

// flush tags the texts that wait.
func (j *tagJob) flush(ctx context.Context) error {
	tags, err := adapt.Tags(ctx, j.t, j.m, j.waiting)
	if err != nil {
		return err
	}
	for i, w := range j.waiting {
		r, names := describeTags(w, tags[i], j.labels)
		if j.known[i] != nil {
			j.gold, j.predicted = append(j.gold, j.known[i]), append(j.predicted, names)
		}
		if !j.verb.Words {
			r.Words = nil
		}
		if j.c.JSON {
			j.all = append(j.all, r)
		} else if err := j.print(r); err != nil {
			return err
		}
	}
	j.waiting, j.known = nil, nil
	return nil
}

// describeTags is what tags say of a text, and the tags by name.
func describeTags(w *adapt.Words, tags []adapt.Tag, labels []string) (tagged, []string) {
	r := tagged{Text: w.Text, Entities: []entity{}}
	names := make([]string, len(tags))
	scores := make([]float64, len(tags))
	for i, t := range tags {
		if names[i] = "O"; t.Class >= 0 {
			names[i], scores[i] = labels[t.Class], t.Probabilities[t.Class]
		}
		r.Words = append(r.Words, tagOf{w.Text[w.Spans[i].Start:w.Spans[i].End], names[i], scores[i]})
	}
	at := characters{text: w.Text}
	for _, e := range task.Groups(names, task.HasScheme(labels)) {
		from, to := w.Spans[e.Start].Start, w.Spans[e.End-1].End
		one := entity{Type: e.Type, Text: w.Text[from:to], Start: at.of(from), End: at.of(to)}
		for _, s := range scores[e.Start:e.End] {
			one.Score += s / float64(e.End-e.Start)
		}
		r.Entities = append(r.Entities, one)
	}
	return r, names
}

// characters turns bytes of a text, asked for in ascending order, into characters.
type characters struct {
	text    string
	at, all int // bytes and characters so far
}

func (c *characters) of(b int) int {
	if b < c.at {
		c.at, c.all = 0, 0
	}
	c.all += utf8.RuneCountInString(c.text[c.at:b])
	c.at = b
	return c.all
}

func (j *tagJob) print(r tagged) error {
	var b strings.Builder
	if j.printed++; j.printed > 1 {
		b.WriteByte('\n')
	}
	for _, w := range r.Words {
		fmt.Fprintf(&b, "%s\t%s\n", oneLine(w.Word), w.Tag)
	}
	if !j.verb.Words {
		for _, e := range r.Entities {
			fmt.Fprintf(&b, "%s\t%.3f\t%d-%d\t%s\n", e.Type, e.Score, e.Start, e.End, oneLine(e.Text))
		}
	}
	_, err := io.WriteString(j.c.out, b.String())
	return err
}

// oneLine is a text for a line of output: line ends, tabs and whatever else a terminal obeys are spaces.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, s)
}

func (j *tagJob) finish() error {
	out := struct {
		Model   string     `json:"model"`
		Results []tagged   `json:"results"`
		Scores  *tagScores `json:"scores,omitempty"`
	}{Model: j.verb.Model, Results: j.all}
	if len(j.gold) > 0 {
		s, err := scoreTags(j.verb.Data, j.gold, j.predicted, task.HasScheme(j.labels))
		if err != nil {
			return err
		}
		var b strings.Builder
		s.text(&b)
		j.c.say("%s", strings.TrimSpace(b.String()))
		out.Scores = &s
	}
	if !j.c.JSON {
		return nil
	}
	if out.Results == nil {
		out.Results = []tagged{}
	}
	return j.c.finish(out, "")
}
