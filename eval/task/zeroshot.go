package task

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"unicode/utf8"
)

// Entailment are the classes of a model of natural language inference that zero-shot classification reads (Yin et al. 2019): whether a text entails a
// hypothesis about it.
type Entailment struct{ Entails, Contradicts int }

// EntailmentOf finds the classes among a head's labels as transformers' zero-shot-classification does: that whose name begins with "entail", and against it the
// first class, or the last where entailment is the first. A class whose name begins with "contradict" comes before this rule.
func EntailmentOf(labels []string) (Entailment, error) {
	begins := func(word string) int {
		return slices.IndexFunc(labels, func(l string) bool { return strings.HasPrefix(strings.ToLower(l), word) })
	}
	e := Entailment{begins("entail"), begins("contradict")}
	if e.Entails < 0 || len(labels) < 2 {
		return e, fmt.Errorf("task: the head has no label that begins with \"entail\" and another beside it; its labels are %s", strings.Join(labels[:min(len(labels), 20)], ", "))
	}
	if e.Contradicts < 0 && e.Entails == 0 {
		e.Contradicts = len(labels) - 1
	} else if e.Contradicts < 0 {
		e.Contradicts = 0
	}
	return e, nil
}

// Probabilities are those of a text's labels, given the head's scores for the hypothesis of each: the softmax of the scores of entailment or, where any number of
// labels may be true or there is a single one, for each label that of entailment against contradiction.
func (e Entailment) Probabilities(scores [][]float32, multi bool) []float64 {
	p := make([]float64, len(scores))
	for i, s := range scores {
		p[i] = float64(s[e.Entails])
		if multi || len(scores) == 1 {
			p[i] = 1 / (1 + math.Exp(float64(s[e.Contradicts])-p[i]))
		}
	}
	if multi || len(scores) == 1 {
		return p
	}
	return softmax(p)
}

// Hypothesis puts a label in the place {} of a template.
func Hypothesis(template, label string) (string, error) {
	if strings.Count(template, "{}") != 1 {
		return "", fmt.Errorf("task: the template %q has the place {} of the label %d times, not once", template, strings.Count(template, "{}"))
	}
	return strings.Replace(template, "{}", label, 1), nil
}

// LabelPrompt asks a language model for the label of a text: labelled examples, then the text, each as a template says.
type LabelPrompt struct{ before, between, after string }

// ParseLabelPrompt reads a template with the place {text} and behind it the place {} of the label, such as "{text}\nTopic: {}".
func ParseLabelPrompt(template string) (LabelPrompt, error) {
	var p LabelPrompt
	before, rest, ok := strings.Cut(template, "{text}")
	between, after, found := strings.Cut(rest, "{}")
	if !ok || !found || strings.Contains(before+between+after, "{text}") || strings.Contains(before+between+after, "{}") {
		return p, fmt.Errorf("task: the template %q is not one with the place {text} once and then the place {} of the label once", template)
	}
	return LabelPrompt{before, between, after}, nil
}

// Shot is a labelled example with an empty line behind it.
func (p LabelPrompt) Shot(text, label string) string {
	return p.before + text + p.between + label + p.after + "\n\n"
}

// Question is the template up to the label.
func (p LabelPrompt) Question(text string) string { return p.before + text + p.between }

// LengthNormalized are the answers with ln p divided by the length in characters of the label that each is about, as ChoiceScores has it. labels repeat.
func LengthNormalized(answers []Likelihood, labels []string) []Likelihood {
	out := slices.Clone(answers)
	for i := range out {
		out[i].LogProb /= float64(max(1, utf8.RuneCountInString(labels[i%len(labels)])))
	}
	return out
}

// LabelProbabilities are the probabilities of the labels from their likelihoods, softmax of ln p. With free, the same labels' answers for
// texts without content ("N/A"; one after the other), each label is divided by its mean probability there: contextual calibration (Zhao et al. 2021);
// with a single text it is also the PMI score of Holtzman et al. 2021.
func LabelProbabilities(answers, free []Likelihood) ([]float64, error) {
	n := len(answers)
	if n == 0 || len(free)%n != 0 {
		return nil, fmt.Errorf("task: %d labels, %d answers without content", n, len(free))
	}
	p := softmax(logProbs(answers))
	if len(free) == 0 {
		return p, nil
	}
	prior := make([]float64, n)
	for part := range slices.Chunk(free, n) {
		for i, v := range softmax(logProbs(part)) {
			prior[i] += v
		}
	}
	sum := 0.0
	for i := range p {
		p[i] /= prior[i]
		sum += p[i]
	}
	for i := range p {
		p[i] /= sum
	}
	return p, nil
}

func logProbs(answers []Likelihood) []float64 {
	list := make([]float64, len(answers))
	for i, a := range answers {
		list[i] = a.LogProb
	}
	return list
}

func softmax(scores []float64) []float64 {
	top, sum := slices.Max(scores), 0.0
	p := make([]float64, len(scores))
	for i, s := range scores {
		p[i] = math.Exp(s - top)
		sum += p[i]
	}
	for i := range p {
		p[i] /= sum
	}
	return p
}
