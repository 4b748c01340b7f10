package task

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"unicode/utf8"

	"github.com/plinth-ml/plinth/internal/random"
)

// Request asks a language model how likely a text is behind another.
type Request struct{ Context, Continuation string }

// Likelihood is the answer to a request.
type Likelihood struct {
	LogProb float64 // sum of ln p of the continuation's tokens
	Greedy  bool    // whether every one of them is the most probable token
}

// LAMBADA asks for the last word of a passage (Paperno et al. 2016), as lm-evaluation-harness does.
func LAMBADA(passage string) (Request, error) {
	at := strings.LastIndexByte(passage, ' ')
	if at <= 0 || at == len(passage)-1 {
		return Request{}, fmt.Errorf("task: LAMBADA: %q has no last word behind a space", clip(passage))
	}
	return Request{passage[:at], passage[at:]}, nil
}

func clip(s string) string {
	if r := []rune(s); len(r) > 60 {
		return string(r[:60]) + "..."
	}
	return s
}

// LAMBADAScores are the scores of last words.
type LAMBADAScores struct {
	Accuracy   float64 `json:"accuracy"`   // share of words that greedy decoding would write
	Perplexity float64 `json:"perplexity"` // exp of the mean of -ln p per word
}

// ScoreLAMBADA scores the answers.
func ScoreLAMBADA(answers []Likelihood) (LAMBADAScores, error) {
	var s LAMBADAScores
	if err := paired(len(answers), len(answers)); err != nil {
		return s, err
	}
	n := float64(len(answers))
	for _, a := range answers {
		s.Accuracy += float64(bit(a.Greedy)) / n
		s.Perplexity -= a.LogProb / n
	}
	s.Perplexity = math.Exp(s.Perplexity)
	return s, nil
}

// Choice is a question with choices; a choice follows the context behind a space.
type Choice struct {
	Context string
	Choices []string
	Gold    int
}

// Requests asks for every choice.
func (c Choice) Requests() []Request {
	r := make([]Request, len(c.Choices))
	for i, choice := range c.Choices {
		r[i] = Request{c.Context, " " + choice}
	}
	return r
}

// ChoiceScores are lm-evaluation-harness's scores of multiple choice.
type ChoiceScores struct {
	Accuracy   float64 `json:"accuracy"`            // share of questions whose gold choice is the most likely
	Normalized float64 `json:"accuracy_normalized"` // the same with ln p divided by the choice's length in characters
}

// ScoreChoices scores the answers to the requests of all questions, one after the other.
func ScoreChoices(questions []Choice, answers []Likelihood) (ChoiceScores, error) {
	var s ChoiceScores
	n := 0
	for _, q := range questions {
		n += len(q.Choices)
	}
	if err := paired(n, len(answers)); err != nil {
		return s, err
	}
	for _, q := range questions {
		plain, normal := make([]float64, len(q.Choices)), make([]float64, len(q.Choices))
		for i, choice := range q.Choices {
			plain[i] = answers[i].LogProb
			normal[i] = answers[i].LogProb / float64(max(1, utf8.RuneCountInString(choice)))
		}
		answers = answers[len(q.Choices):]
		s.Accuracy += float64(bit(Rank(plain)[0] == q.Gold)) / float64(len(questions))
		s.Normalized += float64(bit(Rank(normal)[0] == q.Gold)) / float64(len(questions))
	}
	return s, nil
}

// ErrTooLong says that a question does not fit, not even without examples before it.
var ErrTooLong = errors.New("task: a question does not fit into the model's context")

// Prompt is head, as many of the demonstrations as fit, and the question; the last demonstrations go first, as in MMLU's published
// evaluation. It returns the number that stayed. A question that does not fit alone is ErrTooLong.
func Prompt(head string, shots []string, question string, fits func(context string) bool) (context string, used int, err error) {
	for used = len(shots); used >= 0; used-- {
		if context = head + strings.Join(shots[:used], "") + question; fits(context) {
			return context, used, nil
		}
	}
	return "", 0, fmt.Errorf("%w: %q", ErrTooLong, clip(question))
}

// Demonstrations draws k of the labelled examples, as equally from the classes as can be, in random order.
func Demonstrations(labels []int, classes, k int, seed uint64) ([]int, error) {
	if k < 0 || k > len(labels) {
		return nil, fmt.Errorf("task: %d demonstrations of %d examples", k, len(labels))
	}
	of := make([][]int, classes)
	key := random.NewKey(seed).Named("demonstrations")
	perm := random.NewPerm(uint64(len(labels)), key)
	for i := range labels {
		at := int(perm.At(uint64(i)))
		c := labels[at]
		if c < 0 || c >= classes {
			return nil, fmt.Errorf("task: example %d has class %d of %d", at, c, classes)
		}
		of[c] = append(of[c], at)
	}
	var drawn []int
	for round := 0; len(drawn) < k; round++ {
		for _, examples := range of {
			if round < len(examples) && len(drawn) < k {
				drawn = append(drawn, examples[round])
			}
		}
	}
	order := random.NewPerm(uint64(len(drawn)), key.Named("order"))
	out := make([]int, len(drawn))
	for i := range out {
		out[i] = drawn[order.At(uint64(i))]
	}
	return out, nil
}
