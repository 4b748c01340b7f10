package task

import (
	"math"
	"slices"
)

// SimilarityScores compare predicted numbers with gold ones.
type SimilarityScores struct {
	Pearson  float64 `json:"pearson"`  // correlation; NaN where one side is constant
	Spearman float64 `json:"spearman"` // correlation of the ranks, equal values sharing their mean rank
	MSE      float64 `json:"mse"`      // mean squared error
	MAE      float64 `json:"mae"`      // mean absolute error
	R2       float64 `json:"r2"`       // 1 - MSE/variance of gold
}

// Similarity scores n predicted numbers.
func Similarity(gold, predicted []float64) (SimilarityScores, error) {
	var s SimilarityScores
	if err := paired(len(gold), len(predicted)); err != nil {
		return s, err
	}
	n, mean, spread := float64(len(gold)), 0.0, 0.0
	for _, g := range gold {
		mean += g / n
	}
	for i, g := range gold {
		d := g - predicted[i]
		s.MSE += d * d / n
		s.MAE += math.Abs(d) / n
		spread += (g - mean) * (g - mean) / n
	}
	s.R2 = 1 - s.MSE/spread
	s.Pearson, s.Spearman = Pearson(gold, predicted), Pearson(Ranks(gold), Ranks(predicted))
	return s, nil
}

// Pearson is the correlation of x and y, of the same length; NaN where one is constant.
func Pearson(x, y []float64) float64 {
	n, mx, my := float64(len(x)), 0.0, 0.0
	for i := range x {
		mx, my = mx+x[i]/n, my+y[i]/n
	}
	var xy, xx, yy float64
	for i := range x {
		dx, dy := x[i]-mx, y[i]-my
		xy, xx, yy = xy+dx*dy, xx+dx*dx, yy+dy*dy
	}
	return xy / (math.Sqrt(xx) * math.Sqrt(yy))
}

// Ranks are the ranks of x from 1; equal values have the mean of theirs.
func Ranks(x []float64) []float64 {
	order := make([]int, len(x))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int {
		switch {
		case x[a] < x[b]:
			return -1
		case x[a] > x[b]:
			return 1
		}
		return 0
	})
	ranks := make([]float64, len(x))
	for from := 0; from < len(order); {
		to := from + 1
		for to < len(order) && x[order[to]] == x[order[from]] {
			to++
		}
		for _, i := range order[from:to] {
			ranks[i] = float64(from+1+to) / 2
		}
		from = to
	}
	return ranks
}
