package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"path/filepath"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/plinth-ml/plinth/adapt"
	"github.com/plinth-ml/plinth/data"
	"github.com/plinth-ml/plinth/eval/task"
	"github.com/plinth-ml/plinth/internal/file"
)

// question is a question and where it was read.
type question struct {
	task.Question
	where string
}

// readQuestions reads SQuAD's JSON or a table. Questions without an id are called by their number.
func (f *readingFlags) readQuestions(ctx context.Context, path string) ([]question, error) {
	list, err := f.readAny(ctx, path)
	if err != nil {
		return nil, err
	}
	return list, checkIDs(path, list)
}

func (f *readingFlags) readAny(ctx context.Context, path string) ([]question, error) {
	format := f.Format
	if format == "" && strings.EqualFold(filepath.Ext(path), ".json") {
		format = "squad"
	}
	if format != "squad" {
		return f.readQuestionTable(ctx, path)
	}
	in, err := openFile(path)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	questions, err := task.ReadSQuAD(in)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	var list []question
	for _, q := range questions {
		list = append(list, question{q, path + ": question " + q.ID})
	}
	return list, nil
}

// checkIDs refuses two questions of one id: predictions go by it.
func checkIDs(path string, list []question) error {
	seen := map[string]bool{}
	for i := range list {
		if seen[list[i].ID] {
			return fmt.Errorf("%s: two questions have the id %q", path, list[i].ID)
		}
		seen[list[i].ID] = true
	}
	return nil
}

// answers in a Parquet file are two columns of lists.
const answersText, answersStart = "answers.text", "answers.answer_start"

// readQuestionTable reads a table with columns of questions, contexts and, if they are there, answers: in a column of texts, with answer_start beside it where the
// answer stands more than once, or in a column answers of {"text": [...], "answer_start": [...]}.
func (f *readingFlags) readQuestionTable(ctx context.Context, path string) ([]question, error) {
	table, err := data.OpenTable(path, data.TableOptions{Format: f.Format, NoHeader: f.NoHeader})
	if err != nil {
		return nil, err
	}
	defer table.Close()
	columns := []data.Column{{For: "--question-column", Name: f.QuestionColumn}, {For: "--context-column", Name: f.ContextColumn}}
	at := map[string]int{}
	for _, name := range []string{f.AnswerColumn, "answer_start", "answers", answersText, answersStart, "id"} {
		if table.Has(name) {
			at[name] = len(columns)
			columns = append(columns, data.Column{Name: name, Optional: true})
		} else if name == f.AnswerColumn && name != "answer" {
			columns = append(columns, data.Column{For: "--answer-column", Name: name}) // Select says what there is
		}
	}
	rows, err := table.Select(ctx, columns...)
	if err != nil {
		return nil, err
	}
	var list []question
	for row, err := range rows {
		if err != nil {
			return nil, err
		}
		field := func(name string) string {
			if i, ok := at[name]; ok {
				return row.Fields[i]
			}
			return ""
		}
		q := question{task.Question{ID: field("id"), Question: row.Fields[0], Context: row.Fields[1]}, row.Name}
		if q.ID == "" {
			q.ID = strconv.Itoa(len(list) + 1)
		}
		if strings.TrimSpace(q.Question.Question) == "" || strings.TrimSpace(q.Context) == "" {
			return nil, fmt.Errorf("%s: the question or its context is empty", row.Name)
		}
		answers := field("answers")
		if text, start := field(answersText), field(answersStart); text != "" && start != "" {
			answers = fmt.Sprintf(`{"text": %s, "answer_start": %s}`, text, start)
		}
		if answers != "" {
			q.Answers, err = parseAnswers(q.Context, answers)
		} else if a := field(f.AnswerColumn); a != "" {
			err = q.answer(a, field("answer_start"))
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", row.Name, err)
		}
		list = append(list, q)
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("%s holds no questions", path)
	}
	return list, nil
}

// answer adds an answer that stands at a character of the context, or without one where it stands first.
func (q *question) answer(text, start string) error {
	if start == "" {
		i := strings.Index(q.Context, text)
		if i < 0 {
			return fmt.Errorf("answer %q does not stand in the context", text)
		}
		start = strconv.Itoa(utf8.RuneCountInString(q.Context[:i]))
	}
	n, err := strconv.Atoi(start)
	if err != nil {
		return fmt.Errorf("answer_start %q is no number", start)
	}
	a, err := answerAt(q.Context, text, n)
	q.Answers = append(q.Answers, a)
	return err
}

// answerAt is the answer at character n of a context.
func answerAt(context, text string, n int) (task.Answer, error) {
	at, chars := 0, 0
	for chars < n && at < len(context) {
		_, size := utf8.DecodeRuneInString(context[at:])
		at, chars = at+size, chars+1
	}
	if n < 0 || chars < n || text == "" || !strings.HasPrefix(context[at:], text) {
		return task.Answer{}, fmt.Errorf("answer %q does not stand at character %d of its context", text, n)
	}
	return task.Answer{Text: text, Span: task.Span{Start: at, End: at + len(text)}}, nil
}

// parseAnswers reads answers as Hugging Face's tables of SQuAD hold them.
func parseAnswers(context, field string) (list []task.Answer, err error) {
	var a struct {
		Text  []string `json:"text"`
		Start []int    `json:"answer_start"`
	}
	if err := json.Unmarshal([]byte(field), &a); err != nil || len(a.Text) != len(a.Start) {
		return nil, fmt.Errorf(`answers is not {"text": [...], "answer_start": [...]} with lists of one length`)
	}
	for i, text := range a.Text {
		one, err := answerAt(context, text, a.Start[i])
		if err != nil {
			return nil, err
		}
		list = append(list, one)
	}
	return list, nil
}

// first is the span of the first answer, empty where there is none.
func (q *question) first() task.Span {
	if len(q.Answers) == 0 {
		return task.Span{}
	}
	return q.Answers[0].Span
}

func anyAnswer(questions []question) bool {
	for i := range questions {
		if len(questions[i].Answers) > 0 {
			return true
		}
	}
	return false
}

// answerScores is how a reader does on one set, as SQuAD's scripts count it.
type answerScores struct {
	Set       string      `json:"set"`
	Examples  int         `json:"examples"`
	Loss      float64     `json:"loss,omitempty"` // mean over windows, nats
	Exact     float64     `json:"exact"`          // percent, as F1
	F1        float64     `json:"f1"`
	HasAnswer *partScores `json:"has_answer,omitempty"` // where there are questions without an answer
	NoAnswer  *partScores `json:"no_answer,omitempty"`
	BestExact *threshold  `json:"best_exact,omitempty"`
	BestF1    *threshold  `json:"best_f1,omitempty"`
}

type partScores struct {
	Exact    float64 `json:"exact"`
	F1       float64 `json:"f1"`
	Examples int     `json:"examples"`
}

// threshold is the best score that a threshold of no answer gives, and which.
type threshold struct {
	Score     float64 `json:"score"`
	Threshold float64 `json:"threshold"`
}

// score compares what was found with the answers: by the script of SQuAD 2.0 where a question has none.
func (r *reader) score(set string, questions []question, found []adapt.Found) (answerScores, error) {
	s := answerScores{Set: set, Examples: len(questions)}
	list := make([]task.Answered, len(questions))
	second := false
	for i := range questions {
		q := &questions[i]
		for _, a := range q.Answers {
			list[i].Answers = append(list[i].Answers, a.Text)
		}
		best := found[i].Best()
		list[i].Predicted, list[i].NoAnswer = q.Context[best.Start:best.End], found[i].NoAnswer
		second = second || len(q.Answers) == 0
	}
	limit := math.Inf(1)
	if r.noAnswer {
		limit = r.threshold
	}
	if !second {
		for i := range list {
			if list[i].NoAnswer > limit {
				list[i].Predicted = ""
			}
		}
		one, err := task.QA1(list)
		s.Exact, s.F1 = one.Exact, one.F1
		return s, err
	}
	two, err := task.QA2(list, limit)
	s.Exact, s.F1 = two.Exact, two.F1
	part := func(p task.AnswerScores) *partScores { return &partScores{p.Exact, p.F1, p.Total} }
	s.HasAnswer, s.NoAnswer = part(two.Has), part(two.HasNot)
	s.BestExact, s.BestF1 = &threshold{two.BestExact.Score, two.BestExact.At}, &threshold{two.BestF1.Score, two.BestF1.At}
	return s, err
}

func (s answerScores) measures() []measure {
	return []measure{{"exact match", s.Exact}, {"F1", s.F1}}
}

// text appends the lines of the report.
func (s answerScores) text(b *strings.Builder) {
	fmt.Fprintf(b, "\n%s: %d questions, exact %.2f %%, F1 %.2f %%", s.Set, s.Examples, s.Exact, s.F1)
	if s.Loss > 0 {
		fmt.Fprintf(b, ", loss %.4f", s.Loss)
	}
	b.WriteByte('\n')
	if s.HasAnswer == nil {
		return
	}
	for _, p := range []struct {
		name string
		*partScores
	}{{"with an answer", s.HasAnswer}, {"without one", s.NoAnswer}} {
		fmt.Fprintf(b, "  %-16s exact %6.2f %%  F1 %6.2f %%  of %d\n", p.name, p.Exact, p.F1, p.Examples)
	}
	fmt.Fprintf(b, "  best thresholds  exact %6.2f %% at %.3f, F1 %.2f %% at %.3f\n", s.BestExact.Score, s.BestExact.Threshold, s.BestF1.Score, s.BestF1.Threshold)
}

// writeAnswers writes predictions as SQuAD's scripts read them, and for each question the score of no answer less that of the best.
func writeAnswers(path, odds string, questions []question, found []adapt.Found) error {
	texts, none := map[string]string{}, map[string]float64{}
	for i := range questions {
		q, a := &questions[i], found[i].Answer
		texts[q.ID], none[q.ID] = q.Context[a.Start:a.End], math.Min(found[i].NoAnswer, math.MaxFloat32)
	}
	for name, object := range map[string]any{path: texts, odds: none} {
		b, err := json.MarshalIndent(object, "", " ")
		if err != nil {
			return err
		}
		if err := file.WriteFile(name, append(b, '\n'), 0o644); err != nil {
			return err
		}
	}
	return nil
}
