package main

import (
	"context"
	"fmt"
	"math"
	"strings"

	"github.com/plinth-ml/plinth/adapt"
	"github.com/plinth-ml/plinth/eval/task"
	"github.com/plinth-ml/plinth/tensor"
)

// classScores is how a classifier does on one set.
type classScores struct {
	Set         string              `json:"set"`
	Examples    int                 `json:"examples"`
	Loss        float64             `json:"loss"` // mean, nats
	Accuracy    float64             `json:"accuracy"`
	Averages    task.Averages       `json:"averages"`
	Matthews    *float64            `json:"matthews,omitempty"`
	Calibration *task.Probabilistic `json:"probabilities,omitempty"`
	Classes     map[string]task.PRF `json:"classes"`
	Confusion   task.Confusion      `json:"confusion,omitempty"` // [label][predicted]
	predictions []string            // labels, one text a row
	confidence  []float64

	probabilities [][]float64 // [text][label]
	labels        []string
	multi         bool
}

// main is the number that the best weights are chosen by: accuracy, or of several labels micro F1.
func (s *classScores) main() float64 {
	if s.multi {
		return s.Averages.Micro.F1
	}
	return s.Accuracy
}

// score tests the model on a set.
func (c *classifyTask) score(ctx context.Context, t *tensor.Tape, set *exampleSet[classRow]) (*classScores, error) {
	r := &classScores{Set: set.name, Examples: len(set.rows), Classes: map[string]task.PRF{}, labels: c.labels, multi: c.Multi != ""}
	all, err := adapt.Scores(ctx, t, c.m, set.examples((*classRow).made))
	if err != nil {
		return nil, err
	}
	if r.multi {
		return r, c.scoreMulti(r, all, set)
	}
	var gold, predicted []int
	for i, scores := range all {
		p := adapt.SingleLabel.Probabilities(scores)
		best := adapt.Argmax(scores)
		gold, predicted, r.probabilities = append(gold, set.rows[i].example.Label), append(predicted, best), append(r.probabilities, p)
		r.Loss -= math.Log(math.Max(p[set.rows[i].example.Label], 1e-300)) / float64(len(all))
		r.predictions, r.confidence = append(r.predictions, c.labels[best]), append(r.confidence, p[best])
	}
	if r.Confusion, err = task.NewConfusion(gold, predicted, len(c.labels)); err != nil {
		return nil, err
	}
	calibration, err := task.Probabilities(gold, r.probabilities)
	if err != nil {
		return nil, err
	}
	if math.IsNaN(calibration.AUC) { // a class does not occur
		calibration.AUC = 0
	}
	matthews := r.Confusion.Matthews()
	r.Accuracy, r.Averages, r.Matthews, r.Calibration = r.Confusion.Accuracy(), r.Confusion.Average(), &matthews, &calibration
	for i, counts := range r.Confusion.Classes() {
		r.Classes[c.labels[i]] = counts.PRF()
	}
	return r, nil
}

func (c *classifyTask) scoreMulti(r *classScores, all [][]float32, set *exampleSet[classRow]) error {
	gold, predicted := make([][]bool, len(all)), make([][]bool, len(all))
	for i, scores := range all {
		var names []string
		p, least := adapt.MultiLabel.Probabilities(scores), 1.0
		r.probabilities = append(r.probabilities, p)
		for j, v := range scores {
			z, y := float64(v), float64(set.rows[i].example.Targets[j])
			r.Loss += (math.Max(z, 0) - z*y + math.Log1p(math.Exp(-math.Abs(z)))) / float64(len(all)*len(scores))
			gold[i], predicted[i] = append(gold[i], y == 1), append(predicted[i], z > 0)
			least = min(least, max(p[j], 1-p[j]))
			if z > 0 {
				names = append(names, c.labels[j])
			}
		}
		r.predictions, r.confidence = append(r.predictions, strings.Join(names, "; ")), append(r.confidence, least)
	}
	scores, err := task.MultiLabel(gold, predicted)
	if err != nil {
		return err
	}
	r.Accuracy, r.Averages = scores.Exact, scores.Averages
	for i, counts := range scores.Classes {
		r.Classes[c.labels[i]] = counts.PRF()
	}
	return nil
}

func (s *classScores) measures() []measure {
	list := []measure{{"accuracy", s.Accuracy}, {"macro F1", s.Averages.Macro.F1}, {"micro F1", s.Averages.Micro.F1}, {"loss", s.Loss}}
	if s.Calibration != nil {
		auc := s.Calibration.AUC
		if auc == 0 {
			auc = math.NaN()
		}
		list = append(list, measure{"Matthews", *s.Matthews}, measure{"AUC", auc}, measure{"Brier", s.Calibration.Brier}, measure{"calibration error", s.Calibration.ECE})
	}
	return list
}

// text is the part of the report.
func (s *classScores) text(b *strings.Builder) {
	name := "accuracy"
	if s.multi {
		name = "all labels right"
	}
	fmt.Fprintf(b, "\n%s: %d examples, %s %.2f %%, macro F1 %.2f %%, loss %.4f", s.Set, s.Examples, name, 100*s.Accuracy, 100*s.Averages.Macro.F1, s.Loss)
	if s.Calibration != nil {
		fmt.Fprintf(b, ", calibration error %.2f %%", 100*s.Calibration.ECE)
	}
	fmt.Fprintf(b, "\n  %-24s %9s %9s %9s %9s\n", "label", "precision", "recall", "F1", "examples")
	for i, l := range s.labels {
		if i == 30 {
			fmt.Fprintf(b, "  ... %d more labels in report.json\n", len(s.labels)-i)
			break
		}
		p := s.Classes[l]
		fmt.Fprintf(b, "  %-24.24s %9.3f %9.3f %9.3f %9d\n", l, p.Precision, p.Recall, p.F1, p.Support)
	}
	if s.Confusion != nil && len(s.labels) <= 12 {
		fmt.Fprintf(b, "  predicted ->  ")
		for _, l := range s.labels {
			fmt.Fprintf(b, " %8.8s", l)
		}
		for i, row := range s.Confusion {
			fmt.Fprintf(b, "\n  %-14.14s", s.labels[i])
			for _, n := range row {
				fmt.Fprintf(b, " %8d", n)
			}
		}
		b.WriteByte('\n')
	}
}
