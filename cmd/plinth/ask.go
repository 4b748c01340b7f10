package main

import (
	"context"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/plinth-ml/plinth/adapt"
	"github.com/plinth-ml/plinth/eval/task"
	"github.com/plinth-ml/plinth/internal/file"
	"github.com/plinth-ml/plinth/model"
	"github.com/plinth-ml/plinth/model/zoo"
	"github.com/plinth-ml/plinth/tensor"
)

type askCmd struct {
	Questions []string `arg:"" optional:"" help:"Questions on the context."`
	Model     string   `required:"" help:"Folder that plinth adapt --task qa or transformers wrote, or a model of the store." placeholder:"DIR|NAME"`
	Context   string   `help:"Text that answers stand in." placeholder:"TEXT"`
	File      string   `help:"File with the text that answers stand in; - for standard input." placeholder:"FILE"`
	Data      string   `help:"Questions with their contexts: SQuAD's .json, or a table; - for standard input with --format." placeholder:"FILE"`
	Top       int      `default:"1" help:"Answers shown of each question, the best first; 0 means all of the n best." placeholder:"N"`
	NoAnswer  bool     `help:"The context may hold no answer: none is given where its score exceeds that of the best answer by more than --threshold."`
	Threshold float64  `default:"0" help:"Of --no-answer." placeholder:"F"`
	Out       string   `help:"Folder for predictions.json, as SQuAD's evaluation reads it, and null_odds.json." placeholder:"DIR"`
	adapterFlags
	readingFlags
}

// readingFlags say how questions are read from files, and contexts in windows.
type readingFlags struct {
	Format   string `enum:",squad,csv,tsv,jsonl,parquet" default:"" help:"Format of the file; without it its name tells it." placeholder:"NAME"`
	NoHeader bool   `help:"The first record of a table is data: columns go by their numbers."`
	questionFlags
}

// questionFlags are those that adapt --task qa has too.
type questionFlags struct {
	QuestionColumn string `default:"question" help:"Column of the question." placeholder:"COL" group:"Task qa"`
	ContextColumn  string `default:"context" help:"Column of the context." placeholder:"COL" group:"Task qa"`
	AnswerColumn   string `default:"answer" help:"Column of the answer, which stands in the context; empty: there is none." placeholder:"COL" group:"Task qa"`
	Window         int    `default:"384" help:"Most tokens of a question with a part of its context." placeholder:"N" group:"Task qa"`
	Stride         int    `default:"128" help:"Tokens that the windows of a long text share." placeholder:"N" group:"Task qa"`
	MaxAnswer      int    `default:"30" help:"Most tokens of an answer." placeholder:"N" group:"Task qa"`
	NBest          int    `name:"n-best" default:"20" help:"Starts and ends that are combined, and answers that are compared." placeholder:"N" group:"Task qa"`
}

func (*askCmd) Help() string {
	return `One line for each answer: text, probability, first and last character, question. Example: plinth ask --model runs/reader --file report.txt "Who wrote it?"`
}

// check refuses what no run can use.
func (q *questionFlags) check() error {
	if q.Window < 1 || q.Stride < 0 || q.MaxAnswer < 1 || q.NBest < 1 {
		return usagef("--window %d, --max-answer %d and --n-best %d must be at least 1, --stride %d at least 0", q.Window, q.MaxAnswer, q.NBest, q.Stride)
	}
	return nil
}

// prepare cuts a question's context into windows for a model of that many tokens. --stride is halved down to what a narrow window can share.
func (q *questionFlags) prepare(x *adapt.Texts, one *task.Question) (*adapt.Asked, error) {
	window, stride := min(q.Window, x.Limit-len(x.Virtual)), q.Stride
	for stride > window/3 {
		stride /= 2
	}
	return x.Ask(strings.TrimLeftFunc(one.Question, unicode.IsSpace), one.Context, window, stride)
}

// answered is what is found for one question. Offsets are in characters of the context.
type answered struct {
	ID       string        `json:"id,omitempty"`
	Question string        `json:"question"`
	Answers  []foundAnswer `json:"answers"`             // the first is the answer
	NoAnswer *float64      `json:"no_answer,omitempty"` // with --no-answer: score of none less that of the best answer
}

type foundAnswer struct {
	Text        string  `json:"text"` // "": no answer
	Start       int     `json:"start"`
	End         int     `json:"end"`
	Score       float64 `json:"score"`       // sum of the logits of start and end
	Probability float64 `json:"probability"` // among the n best
}

func (v *askCmd) Run(ctx context.Context, c *common) error {
	questions, err := v.read(ctx)
	if err != nil {
		return err
	}
	if err := v.check(); err != nil {
		return err
	}
	m, tok, _, err := v.open(c, v.Model, model.SpanTask)
	if err != nil {
		return err
	}
	x := textsFor(m, tok)
	t := tensor.Evaluation(c.kernels())
	r := &reader{flags: v.questionFlags, noAnswer: v.NoAnswer, threshold: v.Threshold, m: m}
	all := []answered{}
	var found []adapt.Found
	for from := 0; from < len(questions); from += 64 {
		part := questions[from:min(from+64, len(questions))]
		asked := make([]*adapt.Asked, len(part))
		for i := range part {
			if asked[i], err = v.prepare(x, &part[i].Question); err != nil {
				return fmt.Errorf("%s: %w", part[i].where, err)
			}
		}
		answers, err := r.answers(ctx, t, asked)
		if err != nil {
			return err
		}
		found = append(found, answers...)
		for i := range part {
			one := v.describe(&part[i].Question, &answers[i])
			if c.JSON {
				all = append(all, one)
			} else if err := v.print(c.out, one); err != nil {
				return err
			}
		}
	}
	if v.Out != "" {
		if err := os.MkdirAll(v.Out, 0o755); err != nil {
			return err
		}
		if err := writeAnswers(filepath.Join(v.Out, "predictions.json"), filepath.Join(v.Out, "null_odds.json"), questions, found); err != nil {
			return err
		}
	}
	out := struct {
		Model   string        `json:"model"`
		Results []answered    `json:"results"`
		Scores  *answerScores `json:"scores,omitempty"`
	}{Model: v.Model, Results: all}
	if v.Data != "" && anyAnswer(questions) {
		s, err := r.score(v.Data, questions, found)
		if err != nil {
			return err
		}
		var b strings.Builder
		s.text(&b)
		c.say("%s", strings.TrimSpace(b.String()))
		out.Scores = &s
	}
	if !c.JSON {
		return nil
	}
	return c.finish(out, "")
}

// read returns the questions of the command line, or those of --data.
func (v *askCmd) read(ctx context.Context) ([]question, error) {
	given := 0
	for _, s := range []string{v.Context, v.File, v.Data} {
		if s != "" {
			given++
		}
	}
	switch {
	case given != 1:
		return nil, usagef("give --context, --file or --data, one of them")
	case v.Data != "" && len(v.Questions) > 0:
		return nil, usagef("--data brings its own questions: those of the command line are for --context and --file")
	case v.Data == "" && len(v.Questions) == 0:
		return nil, usagef("no question is given")
	case v.Data != "":
		return v.readQuestions(ctx, v.Data)
	}
	text := v.Context
	if v.File != "" {
		in, err := openFile(v.File)
		if err != nil {
			return nil, err
		}
		defer in.Close()
		b, err := file.ReadFrom(in, v.File, maxText)
		if err != nil {
			return nil, err
		}
		if text = string(b); !utf8.ValidString(text) {
			return nil, fmt.Errorf("%s is not UTF-8", v.File)
		}
	}
	var list []question
	for i, q := range v.Questions {
		list = append(list, question{task.Question{ID: strconv.Itoa(i + 1), Question: q, Context: text}, fmt.Sprintf("question %d", i+1)})
	}
	return list, nil
}

// describe is what is found for a question.
func (v *askCmd) describe(q *task.Question, f *adapt.Found) answered {
	r := answered{ID: q.ID, Question: q.Question, Answers: []foundAnswer{}}
	if v.NoAnswer && !math.IsInf(f.NoAnswer, 0) {
		r.NoAnswer = &f.NoAnswer
	}
	at := characters{text: q.Context}
	add := func(c task.Candidate) {
		if v.Top <= 0 || len(r.Answers) < v.Top {
			r.Answers = append(r.Answers, foundAnswer{q.Context[c.Span.Start:c.Span.End], at.of(c.Span.Start), at.of(c.Span.End), c.Score, c.Probability})
		}
	}
	for _, c := range f.Candidates { // the answer first: with a threshold it need not have the highest score
		if c.Span == f.Answer {
			add(c)
			break
		}
	}
	for _, c := range f.Candidates {
		if c.Span != f.Answer {
			add(c)
		}
	}
	return r
}

func (v *askCmd) print(w io.Writer, r answered) error {
	var b strings.Builder
	for _, a := range r.Answers {
		if a.Text == "" {
			fmt.Fprintf(&b, "(no answer)\t%.3f\t-\t%s\n", a.Probability, oneLine(r.Question))
			continue
		}
		fmt.Fprintf(&b, "%s\t%.3f\t%d-%d\t%s\n", oneLine(a.Text), a.Probability, a.Start, a.End, oneLine(r.Question))
	}
	if len(r.Answers) == 0 {
		fmt.Fprintf(&b, "(no answer)\t%.3f\t-\t%s\n", 0.0, oneLine(r.Question))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// reader finds answers with a model, and scores them.
type reader struct {
	flags     questionFlags
	noAnswer  bool
	threshold float64
	m         zoo.TaskModel
}

func (r *reader) answers(ctx context.Context, t *tensor.Tape, asked []*adapt.Asked) ([]adapt.Found, error) {
	return adapt.Answers(ctx, t, r.m, asked, task.SpanOptions{NBest: r.flags.NBest, MaxTokens: r.flags.MaxAnswer, NoAnswer: r.noAnswer, Threshold: r.threshold})
}
