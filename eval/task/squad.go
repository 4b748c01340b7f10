package task

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// Question is a question on a context.
type Question struct {
	ID, Question, Context string
	Answers               []Answer // none: the context does not answer it
}

// Answer is a piece of the context.
type Answer struct {
	Text string
	Span Span // bytes of the context
}

// ReadSQuAD reads the JSON of SQuAD 1.1 and 2.0, XQuAD and others in that form. An answer that does not stand where it is said to is an error
// that names the question.
func ReadSQuAD(r io.Reader) ([]Question, error) {
	var file struct {
		Data []struct {
			Paragraphs []struct {
				Context string
				QAs     []struct {
					ID, Question string
					Impossible   bool `json:"is_impossible"`
					Answers      []struct {
						Text  string
						Start int `json:"answer_start"` // in characters
					}
				}
			}
		}
	}
	if err := json.NewDecoder(r).Decode(&file); err != nil {
		return nil, fmt.Errorf("task: SQuAD: %w", err)
	}
	var out []Question
	for _, d := range file.Data {
		for _, p := range d.Paragraphs {
			starts := make([]int, 0, len(p.Context)) // byte of each character
			for i := range p.Context {
				starts = append(starts, i)
			}
			for _, q := range p.QAs {
				x := Question{ID: q.ID, Question: q.Question, Context: p.Context}
				for _, a := range q.Answers {
					if q.Impossible {
						break
					}
					if a.Start < 0 || a.Start >= len(starts) || a.Text == "" || !strings.HasPrefix(p.Context[starts[a.Start]:], a.Text) {
						return nil, fmt.Errorf("task: SQuAD: question %s: answer %q does not stand at character %d of its context of %d", q.ID, a.Text, a.Start, utf8.RuneCountInString(p.Context))
					}
					from := starts[a.Start]
					x.Answers = append(x.Answers, Answer{a.Text, Span{from, from + len(a.Text)}})
				}
				out = append(out, x)
			}
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("task: SQuAD: no questions")
	}
	return out, nil
}
