package task

import (
	"math"
	"strings"
	"testing"
)

func TestEntailment(t *testing.T) {
	for labels, want := range map[string]Entailment{
		"contradiction neutral entailment": {2, 0}, "Entailment neutral CONTRADICTION": {0, 2}, "entailment not_entailment": {0, 1}, "a entailed b": {1, 0},
		"entailment contradiction neutral": {0, 1},
	} {
		if e, err := EntailmentOf(strings.Fields(labels)); err != nil || e != want {
			t.Errorf("%s: %v %v, want %v", labels, e, err, want)
		}
	}
	if _, err := EntailmentOf([]string{"good", "bad"}); err == nil || !strings.Contains(err.Error(), "good, bad") {
		t.Errorf("labels without entailment: %v", err)
	}
	e := Entailment{2, 0}
	scores := [][]float32{{1, 0, 1}, {0, 9, 1 + float32(math.Log(3))}}
	if p := e.Probabilities(scores, false); math.Abs(p[0]-0.25) > 1e-7 || math.Abs(p[1]-0.75) > 1e-7 {
		t.Errorf("of one label: %v", p)
	}
	if p := e.Probabilities(scores, true); p[0] != 0.5 || math.Abs(p[1]-3*math.E/(1+3*math.E)) > 1e-7 {
		t.Errorf("of several: %v", p)
	}
	if p := e.Probabilities(scores[:1], false); p[0] != 0.5 {
		t.Errorf("of a single hypothesis: %v", p)
	}
	if _, err := Hypothesis("no place", "x"); err == nil {
		t.Error("a template without {} is accepted")
	}
	if h, err := Hypothesis("it is {}.", "so"); err != nil || h != "it is so." {
		t.Errorf("%q %v", h, err)
	}
}

func TestLabelPrompt(t *testing.T) {
	p, err := ParseLabelPrompt("A {text}\nIt was {}!")
	if err != nil || p.Shot("film", "fine") != "A film\nIt was fine!\n\n" || p.Question("book") != "A book\nIt was " {
		t.Errorf("%v %v", p, err)
	}
	for _, bad := range []string{"", "{text}", "{}", "{} {text}", "{text}{text}{}", "{text}{}{}"} {
		if _, err := ParseLabelPrompt(bad); err == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
}

func TestLabelProbabilities(t *testing.T) {
	answers := []Likelihood{{LogProb: math.Log(0.3)}, {LogProb: math.Log(0.1)}}
	p, err := LabelProbabilities(answers, nil)
	if err != nil || math.Abs(p[0]-0.75) > 1e-12 {
		t.Errorf("%v %v", p, err)
	}
	free := []Likelihood{{LogProb: math.Log(0.45)}, {LogProb: math.Log(0.05)}} // 0.9, 0.1 without content
	if p, err = LabelProbabilities(answers, free); err != nil || math.Abs(p[0]-0.25) > 1e-12 {
		t.Errorf("calibrated %v %v", p, err)
	}
	if n := LengthNormalized([]Likelihood{{LogProb: -6}, {LogProb: -6}, {LogProb: -3}}, []string{"é é", "a"}); n[0].LogProb != -2 || n[1].LogProb != -6 || n[2].LogProb != -1 {
		t.Errorf("normalised %v", n)
	}
}
