package task

import (
	"fmt"
	"math"
	"slices"
)

// RetrievalScores are means over queries.
type RetrievalScores struct {
	MRR    float64 // 1/rank of the first relevant document
	MAP    float64 // mean of the precision at each relevant document
	Recall float64 // share of the relevant documents among the first k
	NDCG   float64 // discounted gain of the first k over the best possible, gain/log2(rank+1) (trec_eval's)
}

// Retrieval scores rankings: gains[q][i] is the gain of the document that query q ranks in place i, all documents included; above 0 is
// relevant. A query without a relevant document is an error.
func Retrieval(gains [][]float64, k int) (RetrievalScores, error) {
	var s RetrievalScores
	if err := paired(len(gains), len(gains)); err != nil {
		return s, err
	}
	for q, g := range gains {
		var first, found, top, precision, gain, most float64
		for i, v := range g {
			if v > 0 {
				found++
				precision += found / float64(i+1)
				if first == 0 {
					first = 1 / float64(i+1)
				}
				if i < k {
					top++
					gain += v / math.Log2(float64(i+2))
				}
			}
		}
		if found == 0 {
			return s, fmt.Errorf("task: query %d has no relevant document", q)
		}
		ideal := slices.Clone(g)
		slices.SortFunc(ideal, func(a, b float64) int { return int(math.Copysign(1, b-a)) * bit(a != b) })
		for i, v := range ideal[:min(k, len(ideal))] {
			most += max(0, v) / math.Log2(float64(i+2))
		}
		n := float64(len(gains))
		s.MRR += first / n
		s.MAP += precision / found / n
		s.Recall += top / found / n
		s.NDCG += gain / most / n
	}
	return s, nil
}

// Rank returns the indices of scores, the highest first; equal scores keep their order.
func Rank(scores []float64) []int {
	order := make([]int, len(scores))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		switch {
		case scores[a] > scores[b]:
			return -1
		case scores[a] < scores[b]:
			return 1
		}
		return 0
	})
	return order
}

// Cosine is the cosine of the angle between a and b, of the same length; 0 where one is 0.
func Cosine(a, b []float32) float64 {
	var ab, aa, bb float64
	for i := range a {
		x, y := float64(a[i]), float64(b[i])
		ab, aa, bb = ab+x*y, aa+x*x, bb+y*y
	}
	if aa == 0 || bb == 0 {
		return 0
	}
	return ab / math.Sqrt(aa) / math.Sqrt(bb)
}
