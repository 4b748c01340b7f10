package adapt

import (
	"context"
	"math"

	"github.com/plinth-ml/plinth/internal/optimize"
	"github.com/plinth-ml/plinth/model"
	"github.com/plinth-ml/plinth/nn"
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
func FitProbe(rows [][]float32, labels []int, classes int, seed uint64) (*Probe, error) {
	features := wide(rows)
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
func (p *Probe) Predict(features [][]float32) []int {
	return p.Logistic.predict(p.standardise(wide(features)))
}

func wide(rows [][]float32) [][]float64 {
	out := make([][]float64, len(rows))
	for i, row := range rows {
		out[i] = make([]float64, len(row))
		for c, v := range row {
			out[i][c] = float64(v)
		}
	}
	return out
}

func (l *Logistic) predict(x [][]float64) []int {
	classes := make([]int, len(x))
	for i, row := range x {
		classes[i] = l.Predict(row)
	}
	return classes
}

// ProbeEncoder fits a probe to the frozen encoder's features of the labelled texts. t must not record.
func ProbeEncoder(ctx context.Context, t *tensor.Tape, m model.Encoder, texts []Example, classes int, pool model.Pool, seed uint64) (*Probe, error) {
	f, err := Features(ctx, t, m, texts, pool)
	if err != nil {
		return nil, err
	}
	return FitProbe(f, Labels(texts), classes, seed)
}

// Start sets a head [classes, C], which must read the features that the probe was fitted to, to the probe, so that fine-tuning begins where the probe ends (Kumar et al. 2022, Fine-tuning can distort
// pretrained features): on features that are not standardised. Without a bias the head gets the directions alone.
func (p *Probe) Start(head nn.Head) {
	w := head.Weight.F32()
	for k, row := range p.Logistic.Weight {
		bias := p.Logistic.Bias[k]
		for i, v := range row {
			w[k*len(row)+i] = float32(v * p.Scale[i])
			bias -= v * p.Scale[i] * p.Mean[i]
		}
		if head.Bias != nil {
			head.Bias.F32()[k] = float32(bias)
		}
	}
	head.Weight.Changed()
}
