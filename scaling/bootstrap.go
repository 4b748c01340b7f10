package scaling

import (
	"math"
	"slices"

	"github.com/plinth-ml/plinth/internal/random"
)

// resampled draws n of n points with replacement, as a function of (seed, draw).
func resampled(n int, seed uint64, draw int) []int {
	key := random.NewKey(seed, uint64(draw)).Named("bootstrap")
	out := make([]int, n)
	for i := range out {
		out[i] = key.IntN(uint64(i), n)
	}
	return out
}

// Interval is what the bootstrap says of a number.
type Interval struct {
	SE   float64 `json:"se"` // standard deviation of the draws
	Low  float64 `json:"low"`
	High float64 `json:"high"`
}

// Confidence is the share of the draws between the ends of an Interval: its ends are the percentiles 2.5 and 97.5.
const Confidence = 0.95

// NewInterval is the interval of draws, of which there must be at least two; those that are no number are left out.
func NewInterval(draws []float64) Interval {
	var v []float64
	for _, d := range draws {
		if !math.IsNaN(d) && !math.IsInf(d, 0) {
			v = append(v, d)
		}
	}
	if len(v) < 2 {
		return Interval{math.NaN(), math.NaN(), math.NaN()}
	}
	slices.Sort(v)
	largest := max(math.Abs(v[0]), math.Abs(v[len(v)-1]), math.SmallestNonzeroFloat64) // squares of draws that ran away would overflow
	mean, square := 0.0, 0.0
	for _, d := range v {
		mean += d / float64(len(v))
	}
	for _, d := range v {
		square += (d/largest - mean/largest) * (d/largest - mean/largest)
	}
	return Interval{min(math.MaxFloat64, largest*math.Sqrt(square/float64(len(v)-1))), quantile(v, (1-Confidence)/2), quantile(v, (1+Confidence)/2)}
}

// quantile of sorted values, linear between neighbours.
func quantile(v []float64, q float64) float64 {
	at := q * float64(len(v)-1)
	i := min(int(at), len(v)-2)
	return v[i] + (at-float64(i))*(v[i+1]-v[i])
}

// Over is the interval of a number that every draw of a law gives, such as its loss or its optimum.
func Over[T any](draws []T, number func(T) float64) Interval {
	v := make([]float64, len(draws))
	for i, d := range draws {
		v[i] = number(d)
	}
	return NewInterval(v)
}
