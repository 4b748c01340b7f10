package main

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"math"
	"path/filepath"
	"strings"

	"github.com/plinth-ml/plinth/adapt"
	"github.com/plinth-ml/plinth/eval/task"
	"github.com/plinth-ml/plinth/internal/file"
	"github.com/plinth-ml/plinth/model"
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
	multi       bool
}

// main is the number that the best weights are chosen by: accuracy, or of several labels micro F1.
func (s classScores) main() float64 {
	if s.multi {
		return s.Averages.Micro.F1
	}
	return s.Accuracy
}

// score tests m on a set.
func (s *classSets) score(ctx context.Context, t *tensor.Tape, m model.Tasked, set *classSet) (classScores, error) {
	r := classScores{Set: set.name, Examples: len(set.examples), Classes: map[string]task.PRF{}, multi: s.multi}
	all, err := adapt.Scores(ctx, t, m, set.examples)
	if err != nil {
		return r, err
	}
	if s.multi {
		return s.scoreMulti(r, all, set)
	}
	var gold, predicted []int
	var probabilities [][]float64
	for i, scores := range all {
		p := adapt.SingleLabel.Probabilities(scores)
		best := adapt.Argmax(scores)
		gold, predicted, probabilities = append(gold, set.examples[i].Label), append(predicted, best), append(probabilities, p)
		r.Loss -= math.Log(math.Max(p[set.examples[i].Label], 1e-300)) / float64(len(all))
		r.predictions, r.confidence = append(r.predictions, s.labels[best]), append(r.confidence, p[best])
	}
	if r.Confusion, err = task.NewConfusion(gold, predicted, len(s.labels)); err != nil {
		return r, err
	}
	calibration, err := task.Probabilities(gold, probabilities)
	if err != nil {
		return r, err
	}
	if math.IsNaN(calibration.AUC) { // a class does not occur
		calibration.AUC = 0
	}
	matthews := r.Confusion.Matthews()
	r.Accuracy, r.Averages, r.Matthews, r.Calibration = r.Confusion.Accuracy(), r.Confusion.Average(), &matthews, &calibration
	for i, counts := range r.Confusion.Classes() {
		r.Classes[s.labels[i]] = counts.PRF()
	}
	return r, nil
}

func (s *classSets) scoreMulti(r classScores, all [][]float32, set *classSet) (classScores, error) {
	gold, predicted := make([][]bool, len(all)), make([][]bool, len(all))
	for i, scores := range all {
		var names []string
		p, least := adapt.MultiLabel.Probabilities(scores), 1.0
		for j, v := range scores {
			z, y := float64(v), float64(set.examples[i].Targets[j])
			r.Loss += (math.Max(z, 0) - z*y + math.Log1p(math.Exp(-math.Abs(z)))) / float64(len(all)*len(scores))
			gold[i], predicted[i] = append(gold[i], y == 1), append(predicted[i], z > 0)
			least = min(least, max(p[j], 1-p[j]))
			if z > 0 {
				names = append(names, s.labels[j])
			}
		}
		r.predictions, r.confidence = append(r.predictions, strings.Join(names, "; ")), append(r.confidence, least)
	}
	scores, err := task.MultiLabel(gold, predicted)
	if err != nil {
		return r, err
	}
	r.Accuracy, r.Averages = scores.Exact, scores.Averages
	for i, counts := range scores.Classes {
		r.Classes[s.labels[i]] = counts.PRF()
	}
	return r, nil
}

// String is the report as text.
func (r *adaptReport) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s by %s: %d examples, %d labels, %s of %s parameters trained, %d steps at learning rate %.2g in %.1f s\n", r.Task, r.Method, r.Examples, len(r.Labels),
		count(r.Trained), count(r.Params), r.Steps, r.LR, r.Seconds)
	for _, s := range r.Results {
		name := "accuracy"
		if s.multi {
			name = "all labels right"
		}
		fmt.Fprintf(&b, "\n%s: %d examples, %s %.2f %%, macro F1 %.2f %%, loss %.4f", s.Set, s.Examples, name, 100*s.Accuracy, 100*s.Averages.Macro.F1, s.Loss)
		if s.Calibration != nil {
			fmt.Fprintf(&b, ", calibration error %.2f %%", 100*s.Calibration.ECE)
		}
		fmt.Fprintf(&b, "\n  %-24s %9s %9s %9s %9s\n", "label", "precision", "recall", "F1", "examples")
		for i, l := range r.Labels {
			if i == 30 {
				fmt.Fprintf(&b, "  ... %d more labels in report.json\n", len(r.Labels)-i)
				break
			}
			p := s.Classes[l]
			fmt.Fprintf(&b, "  %-24.24s %9.3f %9.3f %9.3f %9d\n", l, p.Precision, p.Recall, p.F1, p.Support)
		}
		if s.Confusion != nil && len(r.Labels) <= 12 {
			fmt.Fprintf(&b, "  predicted ->  ")
			for _, l := range r.Labels {
				fmt.Fprintf(&b, " %8.8s", l)
			}
			for i, row := range s.Confusion {
				fmt.Fprintf(&b, "\n  %-14.14s", r.Labels[i])
				for _, n := range row {
					fmt.Fprintf(&b, " %8d", n)
				}
			}
			b.WriteByte('\n')
		}
	}
	fmt.Fprintf(&b, "\nModel, report.json and predictions: %s\nTry next: plinth classify --model %s \"a text\"\n", r.Out, r.Out)
	return b.String()
}

// writeReport writes report.json and the predictions of each set.
func writeReport(dir string, r *adaptReport) error {
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	if err := file.WriteFile(filepath.Join(dir, "report.json"), append(b, '\n'), 0o644); err != nil {
		return err
	}
	return file.WriteFile(filepath.Join(dir, "report.txt"), []byte(r.String()), 0o644)
}

// writePredictions writes what the model says of each example, beside what is said of it.
func writePredictions(path string, set *classSet, s classScores) error {
	var b strings.Builder
	w := csv.NewWriter(&b)
	rows := [][]string{{"example", "text", "label", "predicted", "confidence"}}
	for i, texts := range set.texts {
		rows = append(rows, []string{set.where[i], strings.Join(texts, " | "), strings.Join(set.labels[i], "; "), s.predictions[i], fmt.Sprintf("%.4f", s.confidence[i])})
	}
	if err := w.WriteAll(rows); err != nil {
		return err
	}
	return file.WriteFile(path, []byte(b.String()), 0o644)
}
