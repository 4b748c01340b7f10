package adapt

import (
	"context"
	"math"

	"github.com/plinth-ml/plinth/internal/optimize"
	"github.com/plinth-ml/plinth/model"
	"github.com/plinth-ml/plinth/tensor"
)

// Probe is logistic regression on standardised features.
type Probe struct {
	Mean, Scale []float64 // [dim]: a feature enters as (x-Mean)·Scale
	L2          float64   // the penalty that cross-validation chose
	Logistic    *Logistic
}

// penalties are what cross-validation chooses from.
var penalties = []float64{1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 3e-2, 1e-1, 3e-1, 1, 3}

// folds of the cross-validation.
const folds = 4

// FitProbe fits a probe to features [n][dim] of n labelled texts; seed draws the folds.
func FitProbe(features [][]float64, labels []int, classes int, seed uint64) (*Probe, error) {
	if err := checkLabels(len(features), labels, classes); err != nil {
		return nil, err
	}
	n, dim := float64(len(features)), len(features[0])
	p := &Probe{Mean: make([]float64, dim), Scale: make([]float64, dim)}
	for _, row := range features {
		optimize.Axpy(p.Mean, 1/n, row)
	}
	for _, row := range features {
		for c, v := range row {
			p.Scale[c] += (v - p.Mean[c]) * (v - p.Mean[c]) / n
		}
	}
	for c, v := range p.Scale {
		p.Scale[c] = 1 / math.Sqrt(v+1e-12)
	}
	var err error
	p.Logistic, p.L2, err = FitBest(p.standardise(features), labels, classes, penalties, folds, seed)
	return p, err
}

func (p *Probe) standardise(features [][]float64) [][]float64 {
	z := make([][]float64, len(features))
	for i, row := range features {
		z[i] = make([]float64, len(row))
		for c, v := range row {
			z[i][c] = (v - p.Mean[c]) * p.Scale[c]
		}
	}
	return z
}

// Predict returns the class of every row of features.
func (p *Probe) Predict(features [][]float64) []int {
	return p.Logistic.predict(p.standardise(features))
}

func (l *Logistic) predict(x [][]float64) []int {
	classes := make([]int, len(x))
	for i, row := range x {
		classes[i] = l.Predict(row)
	}
	return classes
}

// ProbeDecoder fits a probe to the frozen decoder's features of the labelled texts. t must not record.
func ProbeDecoder(ctx context.Context, t *tensor.Tape, m model.Decoder, texts []Example, classes int, pool Pool, seed uint64) (*Probe, error) {
	f, err := Features(ctx, t, m, texts, pool)
	if err != nil {
		return nil, err
	}
	return FitProbe(f, Labels(texts), classes, seed)
}

// Labels are the labels of texts.
func Labels(texts []Example) []int {
	labels := make([]int, len(texts))
	for i, x := range texts {
		labels[i] = x.Label
	}
	return labels
}

// Accuracy is the share of predictions that equal the label.
func Accuracy(predicted []int, texts []Example) float64 {
	right := 0
	for i, c := range predicted {
		if c == texts[i].Label {
			right++
		}
	}
	return float64(right) / float64(max(1, len(texts)))
}
