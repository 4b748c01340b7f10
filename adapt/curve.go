package adapt

import (
	"fmt"
	"math"

	"github.com/plinth-ml/plinth/internal/random"
)

// DrawPerClass returns the places of n examples of every class, drawn with seed, class by class. Of two draws with one seed the larger holds the smaller.
// A class with fewer than n examples is an error.
func DrawPerClass(labels []int, classes, n int, seed uint64) ([]int, error) {
	places := make([][]int, classes)
	for i, l := range labels {
		places[l] = append(places[l], i)
	}
	var drawn []int
	for class, list := range places {
		if len(list) < n {
			return nil, fmt.Errorf("adapt: %d examples of class %d, %d are wanted", len(list), class, n)
		}
		perm := random.NewPerm(uint64(len(list)), random.NewKey(seed, uint64(class)).Named("labels"))
		for i := range n {
			drawn = append(drawn, list[perm.At(uint64(i))])
		}
	}
	return drawn, nil
}

// Spread returns the mean of values and their standard deviation, 0 for a single one.
func Spread(values []float64) (mean, deviation float64) {
	for _, v := range values {
		mean += v / float64(len(values))
	}
	for _, v := range values {
		deviation += (v - mean) * (v - mean) / float64(max(1, len(values)-1))
	}
	return mean, math.Sqrt(deviation)
}
