package task

import (
	"math"
	"testing"
)

func TestFirstRank(t *testing.T) {
	nan := math.NaN()
	for _, c := range []struct {
		scores   []float64
		relevant []int
		want     int
	}{
		{[]float64{1, 3, 2}, []int{1}, 1},
		{[]float64{1, 3, 2}, []int{0}, 3},
		{[]float64{1, 3, 2}, []int{0, 2}, 2},
		{[]float64{5, 5, 5}, []int{1}, 3}, // ties count against
		{[]float64{5, 5, 5}, []int{0, 1}, 2},
		{[]float64{nan, 1}, []int{0}, 2},
		{[]float64{nan, 1}, []int{1}, 1},
		{[]float64{1, 2}, nil, 0},
	} {
		got := FirstRank(c.scores, func(i int) bool {
			for _, r := range c.relevant {
				if r == i {
					return true
				}
			}
			return false
		})
		if got != c.want {
			t.Errorf("%v of %v: rank %d, want %d", c.relevant, c.scores, got, c.want)
		}
	}
}

// Wilson's intervals as SciPy gives them (binomtest, method wilson).
func TestNewShare(t *testing.T) {
	for _, c := range []struct {
		k, n      int
		low, high float64
	}{{0, 10, 0, 0.277532799862889}, {10, 10, 0.722467200137111, 1}, {5, 10, 0.236593090512564, 0.763406909487436}, {30, 100, 0.218948852949328, 0.395848546333466}} {
		s := NewShare(c.k, c.n)
		if math.Abs(s.Low-c.low) > 1e-9 || math.Abs(s.High-c.high) > 1e-9 || s.Value != float64(c.k)/float64(c.n) || s.N != c.n {
			t.Errorf("%d of %d: %+v, want %v to %v", c.k, c.n, s, c.low, c.high)
		}
	}
	if s := Within([]int{1, 2, 6, 0, 5}, 5); s.Value != 0.6 || s.N != 5 {
		t.Errorf("%+v", s)
	}
	if s := NewShare(0, 0); s.Low != 0 || s.High != 1 {
		t.Errorf("of no trial: %+v", s)
	}
}
