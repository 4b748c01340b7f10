package adapt

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/plinth-ml/plinth/eval/task"
	"github.com/plinth-ml/plinth/model"
	"github.com/plinth-ml/plinth/tensor"
	"github.com/plinth-ml/plinth/tokenizer"
)

// Asked is a question with its context in windows that a model takes.
type Asked struct {
	Windows []task.Window
	flat    bool    // segments do not matter: all are 0
	virtual []int32 // in front of each window, whose rows do not count them
}

// Ask prepares a question on a context: windows of at most size tokens, 0 for the Limit, each with the question, neighbours sharing stride tokens of the
// context, as in transformers' run_qa; beside a question that leaves no more room than that, at most half of what it leaves. Virtual tokens stand in front of each
// window, beside size where the model has room. A question that leaves no room is an error.
func (x *Texts) Ask(question, context string, size, stride int) (*Asked, error) {
	if size <= 0 || size > x.room() {
		size = x.room()
	}
	e, err := x.Tokenizer.EncodePair(question, context, tokenizer.EncodeOptions{AddSpecial: true})
	if err != nil {
		return nil, err
	}
	var f task.Frame
	var ids [2][]int32
	var spans []task.Span
	flat := true
	for i, id := range e.IDs {
		switch at := e.Texts[i]; {
		case at >= 0:
			if ids[at] = append(ids[at], id); at == 1 {
				spans = append(spans, trimmed(context, task.Span(e.Offsets[i])))
			}
		case len(ids[0]) == 0:
			f.Before = append(f.Before, id)
		case len(ids[1]) == 0:
			f.Between = append(f.Between, id)
		default:
			f.After = append(f.After, id)
		}
		flat = flat && e.TypeIDs[i] == 0
	}
	if len(spans) == 0 {
		return nil, fmt.Errorf("adapt: a context without a token")
	}
	if room := size - len(f.Before) - len(ids[0]) - len(f.Between) - len(f.After); room > 0 && stride >= room {
		stride = room / 2
	}
	w, err := task.Windows(ids[0], ids[1], spans, f, size, stride)
	return &Asked{w, flat, x.Virtual}, err
}

// trimmed is a span without the white space that it begins with, which byte-level tokens have and answers have not; one of white space alone stays.
func trimmed(text string, s task.Span) task.Span {
	if word := strings.TrimLeftFunc(text[s.Start:s.End], unicode.IsSpace); word != "" {
		s.Start = s.End - len(word)
	}
	return s
}

// example is a window as a model takes it.
func (a *Asked) example(i int) Example {
	w := &a.Windows[i]
	x := Example{IDs: slices.Concat(a.virtual, w.IDs)}
	if !a.flat {
		x.Segments = slices.Concat(make([]int32, len(a.virtual)), w.Segments)
	}
	return x
}

// Examples are the windows, to train on. Start and End of one that does not hold all of the answer are its first token, behind the virtual ones; so are they in all
// windows if the question has none, an empty span.
func (a *Asked) Examples(answer task.Span) []Example {
	list := make([]Example, len(a.Windows))
	for i := range list {
		list[i] = a.example(i)
		start, end := a.Windows[i].Label(answer)
		list[i].Start, list[i].End = len(a.virtual)+start, len(a.virtual)+end
	}
	return list
}

// Found is what a model finds in the context of a question.
type Found struct {
	Answer     task.Span // empty: none
	Candidates []task.Candidate
	NoAnswer   float64     // score of no answer less that of the best answer, +Inf where there is none
	Scores     [][]float32 // of each window, [tokens·2]: start and end of each token, the virtual ones first
}

// Best is the best answer, whatever speaks for none; empty where there is none.
func (f *Found) Best() task.Span {
	for _, c := range f.Candidates {
		if (c.Span != task.Span{}) {
			return c.Span
		}
	}
	return task.Span{}
}

// Loss is the sum over windows of what FineTuning minimises for an answer.
func (f *Found) Loss(a *Asked, answer task.Span) float64 {
	sum := 0.0
	for i, z := range f.Scores {
		start, end := a.Windows[i].Label(answer)
		n := len(a.virtual)
		sum += (spanLoss(z, nil, 0, n+start, 0) + spanLoss(z, nil, 1, n+end, 0)) / 2
	}
	return sum
}

// Answers finds the answers to questions. t must not record.
func Answers(ctx context.Context, t *tensor.Tape, m model.Tasked, questions []*Asked, o task.SpanOptions) ([]Found, error) {
	if m.Task() != model.SpanTask {
		return nil, fmt.Errorf("adapt: the model has a head for %ss, not for answers", m.Task())
	}
	var windows []Example
	for _, a := range questions {
		for i := range a.Windows {
			windows = append(windows, a.example(i))
		}
	}
	scores, err := Scores(ctx, t, m, windows)
	if err != nil {
		return nil, err
	}
	found := make([]Found, len(questions))
	for i, a := range questions {
		f := &found[i]
		f.Scores, scores = scores[:len(a.Windows)], scores[len(a.Windows):]
		start, end := make([][]float64, len(a.Windows)), make([][]float64, len(a.Windows))
		for w, z := range f.Scores {
			for r := 2 * len(a.virtual); r < len(z); r += 2 {
				start[w], end[w] = append(start[w], float64(z[r])), append(end[w], float64(z[r+1]))
			}
		}
		if f.Answer, f.Candidates, f.NoAnswer, err = task.BestSpans(a.Windows, start, end, o); err != nil {
			return nil, err
		}
	}
	return found, nil
}
