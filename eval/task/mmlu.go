package task

import (
	"encoding/csv"
	"fmt"
	"io"
	"strings"
)

// MMLU is a question of Hendrycks et al. 2021: four choices and the letter of the right one.
type MMLU struct {
	Question string
	Choices  [4]string
	Answer   int // 0 for A
}

const letters = "ABCD"

// ReadMMLU reads a subject's CSV: question, four choices, letter. Errors name the line.
func ReadMMLU(r io.Reader) ([]MMLU, error) {
	in := csv.NewReader(r)
	in.FieldsPerRecord = 6
	var out []MMLU
	for {
		f, err := in.Read()
		if err == io.EOF {
			return out, nil
		}
		if err != nil {
			return nil, fmt.Errorf("task: MMLU: %w", err)
		}
		line, _ := in.FieldPos(0)
		q := MMLU{f[0], [4]string(f[1:5]), strings.Index(letters, f[5])}
		if len(f[5]) != 1 || q.Answer < 0 {
			return nil, fmt.Errorf("task: MMLU: line %d: answer %q is none of A, B, C, D", line, f[5])
		}
		out = append(out, q)
	}
}

// text is the question in the published form, up to "Answer:".
func (q MMLU) text() string {
	s := q.Question + "\n"
	for i, c := range q.Choices {
		s += letters[i:i+1] + ". " + c + "\n"
	}
	return s + "Answer:"
}

// MMLUChoice is the question behind as many answered ones (shots) as fit, as lm-evaluation-harness words it; the choices are the letters.
func MMLUChoice(subject string, shots []MMLU, q MMLU, fits func(context string) bool) (c Choice, used int, err error) {
	var answered []string
	for _, s := range shots {
		answered = append(answered, s.text()+" "+letters[s.Answer:s.Answer+1]+"\n\n")
	}
	head := "The following are multiple choice questions (with answers) about " + strings.ReplaceAll(subject, "_", " ") + ".\n\n"
	c = Choice{Choices: strings.Split(letters, ""), Gold: q.Answer}
	c.Context, used, err = Prompt(head, answered, q.text(), fits)
	return c, used, err
}
