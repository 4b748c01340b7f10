package embed

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/plinth-ml/plinth/internal/vec"
)

// Pool says how the features of a text's tokens become one vector; the values are sentence-transformers' names.
type Pool string

// The pools.
const (
	Mean     Pool = "mean"
	CLS      Pool = "cls"       // the first token's
	Last     Pool = "lasttoken" // the last token's, which in a decoder has seen all others
	Max      Pool = "max"       // the largest of each feature
	MeanRoot Pool = "mean_sqrt_len_tokens"
	Weighted Pool = "weightedmean" // token i, from 1, counts i times (Muennighoff 2022, SGPT)
)

var pools = []Pool{Mean, CLS, Last, Max, MeanRoot, Weighted}

// ParsePool returns the pool of a name, or of the short names last, first.
func ParsePool(name string) (Pool, error) {
	switch name {
	case "last":
		return Last, nil
	case "first":
		return CLS, nil
	}
	if !slices.Contains(pools, Pool(name)) {
		var names []string
		for _, p := range pools {
			names = append(names, string(p))
		}
		return "", fmt.Errorf("pooling %q is none of %s", name, strings.Join(names, ", "))
	}
	return Pool(name), nil
}

// into writes the pooled rows of x [n, C], n above 0, to v [C].
func (p Pool) into(v, x []float32) {
	C := len(v)
	n := len(x) / C
	switch p {
	case CLS:
		copy(v, x)
		return
	case Last:
		copy(v, x[(n-1)*C:])
		return
	case Max:
		copy(v, x)
		for r := 1; r < n; r++ {
			for i, y := range x[r*C : (r+1)*C] {
				v[i] = max(v[i], y)
			}
		}
		return
	}
	clear(v)
	total := float64(n)
	for r := range n {
		row := x[r*C : (r+1)*C]
		if p == Weighted {
			vec.Axpy(v, float32(r+1), row)
		} else {
			vec.AddTo(v, row)
		}
	}
	switch p {
	case MeanRoot:
		total = math.Sqrt(total)
	case Weighted:
		total *= (total + 1) / 2
	}
	vec.Scale(v, float32(1/total), v)
}

// unit scales v to length 1; zeros stay.
func unit(v []float32) {
	sum := 0.0
	for _, x := range v {
		sum += float64(x) * float64(x)
	}
	vec.Scale(v, float32(1/math.Max(math.Sqrt(sum), 1e-12)), v)
}
