package main

import (
	"fmt"
	"math"
	"strings"

	"github.com/plinth-ml/plinth/eval/task"
)

// tagScores is how a tagger does on one set: its entities as seqeval counts them, or without a scheme its words.
type tagScores struct {
	Set      string              `json:"set"`
	Examples int                 `json:"examples"` // sentences
	Loss     float64             `json:"loss"`     // mean over words, nats
	Accuracy float64             `json:"accuracy"` // share of words with the right tag
	Averages task.Averages       `json:"averages"`
	Types    map[string]task.PRF `json:"types"`
	names    []string
	unit     string
}

// scoreTags compares tags; scheme says that they are those of entities.
func scoreTags(set string, gold, predicted [][]string, scheme bool) (tagScores, error) {
	s := tagScores{Set: set, Examples: len(gold), Types: map[string]task.PRF{}, unit: "words"}
	plain := singles
	if scheme {
		s.unit, plain = "entities", func(tags []string) []string { return task.IOB2(task.ReadTags(tags), len(tags)) }
	}
	right, words := 0, 0
	g, p := make([][]string, len(gold)), make([][]string, len(gold))
	for i, tags := range gold {
		g[i], p[i] = plain(tags), plain(predicted[i])
		for j, tag := range tags {
			if words++; tag == predicted[i][j] {
				right++
			}
		}
	}
	counted, err := task.Tags(g, p, "")
	if err != nil {
		return s, err
	}
	s.Accuracy, s.Averages, s.names = float64(right)/float64(max(words, 1)), counted.Averages, counted.Types
	for i, name := range counted.Types {
		s.Types[name] = counted.Counts[i].PRF()
	}
	return s, nil
}

func (s tagScores) measures() []measure {
	return []measure{{"micro F1", s.Averages.Micro.F1}, {"macro F1", s.Averages.Macro.F1}, {"accuracy of words", s.Accuracy}, {"loss", s.Loss}}
}

// singles makes each label an entity of one word.
func singles(labels []string) []string {
	tags := make([]string, len(labels))
	for i, l := range labels {
		if tags[i] = "O"; l != "O" {
			tags[i] = "S-" + l
		}
	}
	return tags
}

// negLog is -log p, of the smallest number for 0.
func negLog(p float64) float64 { return -math.Log(math.Max(p, 1e-300)) }

// text appends the lines of the report.
func (s tagScores) text(b *strings.Builder) {
	micro := s.Averages.Micro
	fmt.Fprintf(b, "\n%s: %d sentences, %d %s, F1 %.2f %% (precision %.2f, recall %.2f), macro F1 %.2f %%, words right %.2f %%", s.Set, s.Examples, micro.Support, s.unit,
		100*micro.F1, 100*micro.Precision, 100*micro.Recall, 100*s.Averages.Macro.F1, 100*s.Accuracy)
	if s.Loss > 0 {
		fmt.Fprintf(b, ", loss %.4f", s.Loss)
	}
	fmt.Fprintf(b, "\n  %-24s %9s %9s %9s %9s\n", "type", "precision", "recall", "F1", s.unit)
	for i, name := range s.names {
		if i == 30 {
			fmt.Fprintf(b, "  ... %d more types in report.json\n", len(s.names)-i)
			break
		}
		p := s.Types[name]
		fmt.Fprintf(b, "  %-24.24s %9.3f %9.3f %9.3f %9d\n", name, p.Precision, p.Recall, p.F1, p.Support)
	}
}
