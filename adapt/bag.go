package adapt

import (
	"math"
	"slices"
)

// BagOfTokens is logistic regression on token counts, weighted by log tf-idf and scaled to length 1: what can be told from the words of
// the labelled texts alone, without a model.
type BagOfTokens struct {
	IDF      []float64 // [vocab]
	L2       float64   // the penalty that cross-validation chose
	Logistic *Logistic
}

// FitBag fits the baseline to labelled texts of ids below vocab; the penalty is chosen as the probe's is.
func FitBag(texts []Example, vocab, classes int, seed uint64) (*BagOfTokens, error) {
	if err := checkLabels(len(texts), Labels(texts), classes); err != nil {
		return nil, err
	}
	b := &BagOfTokens{IDF: make([]float64, vocab)}
	for _, x := range texts {
		seen := map[int32]bool{}
		for _, id := range x.IDs {
			if !seen[id] {
				seen[id] = true
				b.IDF[id]++
			}
		}
	}
	for i, n := range b.IDF { // smoothed as scikit-learn does
		b.IDF[i] = math.Log((1+float64(len(texts)))/(1+n)) + 1
	}
	var err error
	b.Logistic, b.L2, err = FitBest(b.rows(texts), Labels(texts), classes, penalties, folds, seed)
	return b, err
}

// Predict returns the class of every text.
func (b *BagOfTokens) Predict(texts []Example) []int {
	classes := make([]int, 0, len(texts))
	for some := range slices.Chunk(texts, 256) { // rows are as long as the vocabulary
		classes = append(classes, b.Logistic.predict(b.rows(some))...)
	}
	return classes
}

func (b *BagOfTokens) rows(texts []Example) [][]float64 {
	rows := make([][]float64, len(texts))
	for i, x := range texts {
		row := make([]float64, len(b.IDF))
		for _, id := range x.IDs {
			row[id]++
		}
		norm := 0.0
		for id, n := range row {
			if n > 0 {
				row[id] = math.Log1p(n) * b.IDF[id]
				norm += row[id] * row[id]
			}
		}
		for id := range row {
			row[id] /= math.Sqrt(norm + 1e-300)
		}
		rows[i] = row
	}
	return rows
}
