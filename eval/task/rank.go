package task

import (
	"fmt"
	"math"
)

// FirstRank is the rank, from 1, of the best of the relevant candidates by score; of equal scores the others stand before it, so that a model which gives
// all the same score finds nothing. NaN is the lowest score. 0 where none is relevant.
func FirstRank(scores []float64, relevant func(i int) bool) int {
	best, found := math.Inf(-1), false
	for i, s := range scores {
		if relevant(i) {
			found = true
			if s > best {
				best = s
			}
		}
	}
	if !found {
		return 0
	}
	rank := 1
	for i, s := range scores {
		if s >= best && !relevant(i) {
			rank++
		}
	}
	return rank
}

// Share is a proportion of N trials with the 95 % interval of Wilson (1927), which takes the trials for independent.
type Share struct {
	Value float64 `json:"value"`
	Low   float64 `json:"low"`
	High  float64 `json:"high"`
	N     int     `json:"n"`
}

// NewShare is the proportion of k successes among n trials.
func NewShare(k, n int) Share {
	if n == 0 {
		return Share{0, 0, 1, 0}
	}
	const z = 1.959963984540054
	p, m := float64(k)/float64(n), float64(n)
	mid, half := p+z*z/(2*m), z*math.Sqrt(p*(1-p)/m+z*z/(4*m*m))
	s := Share{p, (mid - half) / (1 + z*z/m), (mid + half) / (1 + z*z/m), n}
	if k == 0 {
		s.Low = 0 // but for rounding
	}
	if k == n {
		s.High = 1
	}
	return s
}

// Within is the share of ranks that are among the first k.
func Within(ranks []int, k int) Share {
	hits := 0
	for _, r := range ranks {
		if r >= 1 && r <= k {
			hits++
		}
	}
	return NewShare(hits, len(ranks))
}

// String is the share in percent with its interval.
func (s Share) String() string {
	return fmt.Sprintf("%.1f %% [%.1f, %.1f]", 100*s.Value, 100*s.Low, 100*s.High)
}
