package adapt

import (
	"fmt"
	"math"

	"github.com/plinth-ml/plinth/internal/optimize"
	"github.com/plinth-ml/plinth/internal/random"
)

// Logistic is multinomial logistic regression: the class of x is the largest of Weight·x + Bias.
type Logistic struct {
	Weight [][]float64 // [classes][dim]
	Bias   []float64   // [classes]
}

// scores are Weight·x + Bias.
func (l *Logistic) scores(x []float64) []float64 {
	s := make([]float64, len(l.Weight))
	for c, w := range l.Weight {
		s[c] = optimize.Dot(w, x) + l.Bias[c]
	}
	return s
}

// Predict returns the class of x [dim]; of equal scores the lowest class.
func (l *Logistic) Predict(x []float64) int {
	best, top := 0, math.Inf(-1)
	for c, s := range l.scores(x) {
		if s > top {
			best, top = c, s
		}
	}
	return best
}

// Fit minimises the mean of -log softmax(Weight·x + Bias)[label] plus l2/2·|Weight|² over the rows x [n][dim], to convergence.
// The problem is convex and the solver deterministic, so that the result is a function of the arguments. l2 must be positive.
func Fit(x [][]float64, labels []int, classes int, l2 float64) (*Logistic, error) {
	if err := checkLabels(len(x), labels, classes); err != nil {
		return nil, err
	}
	if !(l2 > 0) {
		return nil, fmt.Errorf("adapt: l2 %v is not positive", l2)
	}
	basis := span(x)
	return fit(coordinates(x, basis), labels, classes, l2).expand(basis, len(x[0])), nil
}

// FitBest is Fit with the l2 of the list that does best in cross-validation on the rows alone: the mean log-loss over folds that take
// every class in turn. It returns that l2 too.
func FitBest(x [][]float64, labels []int, classes int, l2 []float64, folds int, seed uint64) (*Logistic, float64, error) {
	if err := checkLabels(len(x), labels, classes); err != nil {
		return nil, 0, err
	}
	if folds < 2 || len(l2) == 0 {
		return nil, 0, fmt.Errorf("adapt: %d folds, %d values of l2: want at least 2 and 1", folds, len(l2))
	}
	basis := span(x)
	z := coordinates(x, basis)
	fold := assign(labels, classes, folds, seed)
	best, least := 0.0, math.Inf(1)
	for _, v := range l2 {
		if !(v > 0) {
			return nil, 0, fmt.Errorf("adapt: l2 %v is not positive", v)
		}
		loss := 0.0
		for f := range folds {
			var in, out [][]float64
			var inLabels, outLabels []int
			for i := range z {
				if fold[i] == f {
					out, outLabels = append(out, z[i]), append(outLabels, labels[i])
				} else {
					in, inLabels = append(in, z[i]), append(inLabels, labels[i])
				}
			}
			if len(in) == 0 || len(out) == 0 {
				continue
			}
			loss += fit(in, inLabels, classes, v).loss(out, outLabels)
		}
		if loss < least {
			best, least = v, loss
		}
	}
	return fit(z, labels, classes, best).expand(basis, len(x[0])), best, nil
}

func checkLabels(n int, labels []int, classes int) error {
	if n == 0 || n != len(labels) || classes < 2 {
		return fmt.Errorf("adapt: %d examples, %d labels, %d classes", n, len(labels), classes)
	}
	for i, c := range labels {
		if c < 0 || c >= classes {
			return fmt.Errorf("adapt: label %d of example %d is not within 0 to %d", c, i, classes-1)
		}
	}
	return nil
}

// assign deals the examples of each class to folds in turn, in an order drawn by seed.
func assign(labels []int, classes, folds int, seed uint64) []int {
	fold := make([]int, len(labels))
	for c := range classes {
		var members []int
		for i, l := range labels {
			if l == c {
				members = append(members, i)
			}
		}
		order := random.NewPerm(uint64(len(members)), random.NewKey(seed, uint64(c)).Named("folds"))
		for k := range members {
			fold[members[order.At(uint64(k))]] = (k + c) % folds
		}
	}
	return fold
}

// fit is Fit on few columns: L-BFGS from zero until the gradient is tiny.
func fit(x [][]float64, labels []int, classes int, l2 float64) *Logistic {
	dim := len(x[0])
	p := make([]float64, classes*(dim+1)) // weights, then biases
	optimize.LBFGS(p, 1e-7, func(p, g []float64) float64 {
		clear(g)
		loss := 0.0
		scores := make([]float64, classes)
		for i, row := range x {
			for c := range scores {
				scores[c] = optimize.Dot(p[c*dim:(c+1)*dim], row) + p[classes*dim+c]
			}
			loss -= logSoftmax(scores)[labels[i]]
			for c, s := range scores {
				d := math.Exp(s)
				if c == labels[i] {
					d--
				}
				d /= float64(len(x))
				optimize.Axpy(g[c*dim:(c+1)*dim], d, row)
				g[classes*dim+c] += d
			}
		}
		loss /= float64(len(x))
		for i, w := range p[:classes*dim] {
			loss += l2 / 2 * w * w
			g[i] += l2 * w
		}
		return loss
	})
	l := &Logistic{Bias: p[classes*dim:]}
	for c := range classes {
		l.Weight = append(l.Weight, p[c*dim:(c+1)*dim])
	}
	return l
}

// loss is the mean log-loss on rows.
func (l *Logistic) loss(x [][]float64, labels []int) float64 {
	sum := 0.0
	scores := make([]float64, len(l.Bias))
	for i, row := range x {
		for c, w := range l.Weight {
			scores[c] = optimize.Dot(w, row) + l.Bias[c]
		}
		sum -= logSoftmax(scores)[labels[i]]
	}
	return sum / float64(len(x))
}

// span returns an orthonormal basis of the rows' span (Gram-Schmidt, twice for accuracy). The penalty keeps the solution inside it, so
// that n rows of any dimension are a problem in at most n columns.
func span(x [][]float64) [][]float64 {
	var basis [][]float64
	for _, row := range x {
		v := append([]float64(nil), row...)
		norm := math.Sqrt(optimize.Dot(v, v))
		for range 2 {
			for _, b := range basis {
				optimize.Axpy(v, -optimize.Dot(v, b), b)
			}
		}
		if rest := math.Sqrt(optimize.Dot(v, v)); rest > 1e-9*norm {
			for i := range v {
				v[i] /= rest
			}
			basis = append(basis, v)
		}
	}
	return basis
}

func coordinates(x, basis [][]float64) [][]float64 {
	z := make([][]float64, len(x))
	for i, row := range x {
		z[i] = make([]float64, len(basis))
		for j, b := range basis {
			z[i][j] = optimize.Dot(row, b)
		}
	}
	return z
}

// expand takes weights in coordinates of the basis back to dim columns.
func (l *Logistic) expand(basis [][]float64, dim int) *Logistic {
	for c, w := range l.Weight {
		full := make([]float64, dim)
		for j, b := range basis {
			optimize.Axpy(full, w[j], b)
		}
		l.Weight[c] = full
	}
	return l
}

// logSoftmax replaces scores by their log-softmax.
func logSoftmax(s []float64) []float64 {
	top, sum := math.Inf(-1), 0.0
	for _, v := range s {
		top = max(top, v)
	}
	for _, v := range s {
		sum += math.Exp(v - top)
	}
	for i := range s {
		s[i] -= top + math.Log(sum)
	}
	return s
}
