package task

import (
	"fmt"
	"math"
	"slices"
)

// Confusion counts examples: [class][predicted class].
type Confusion [][]int

// NewConfusion counts pairs of classes in [0, classes).
func NewConfusion(gold, predicted []int, classes int) (Confusion, error) {
	if err := paired(len(gold), len(predicted)); err != nil {
		return nil, err
	}
	m := make(Confusion, classes)
	for i := range m {
		m[i] = make([]int, classes)
	}
	for i, g := range gold {
		p := predicted[i]
		if g < 0 || g >= classes || p < 0 || p >= classes {
			return nil, fmt.Errorf("task: example %d has class %d, predicted %d, of %d classes", i, g, p, classes)
		}
		m[g][p]++
	}
	return m, nil
}

// Classes are the counts of each class.
func (m Confusion) Classes() []Counts {
	counts := make([]Counts, len(m))
	for g, row := range m {
		counts[g].Right = row[g]
		for p, n := range row {
			counts[g].Gold += n
			counts[p].Predicted += n
		}
	}
	return counts
}

// Average averages over the classes that occur or are predicted, as scikit-learn does by default.
func (m Confusion) Average() Averages {
	return Average(slices.DeleteFunc(m.Classes(), func(c Counts) bool { return c.Gold == 0 && c.Predicted == 0 }))
}

// Accuracy is the share of examples on the diagonal.
func (m Confusion) Accuracy() float64 { return m.Average().Micro.Precision }

// Matthews is the correlation coefficient of Matthews for several classes (Gorodkin 2004, eq. 8); 0 where it is 0/0.
func (m Confusion) Matthews() float64 {
	var n, right, gp, gg, pp float64 // gp, gg, pp: Σ over classes of the products of how often they occur and are predicted
	for _, c := range m.Classes() {
		g, p := float64(c.Gold), float64(c.Predicted)
		n, right = n+g, right+float64(c.Right)
		gp, gg, pp = gp+g*p, gg+g*g, pp+p*p
	}
	if d := (n*n - pp) * (n*n - gg); d > 0 {
		return (n*right - gp) / math.Sqrt(d)
	}
	return 0
}

// Probabilistic are the scores of predicted distributions over classes.
type Probabilistic struct {
	LogLoss float64 `json:"log_loss"`          // mean of -ln p(class), p at least 2^-52
	Brier   float64 `json:"brier"`             // mean of Σ (p - [class])², from 0 to 2
	ECE     float64 `json:"calibration_error"` // expected calibration error, 15 bins (Guo et al. 2017, eq. 3)
	AUC     float64 `json:"auc"`               // area under the ROC curve; of several classes the mean of each against the rest. NaN where a class does not occur
}

// Probabilities scores p [n][classes] for the classes of n examples.
func Probabilities(gold []int, p [][]float64) (Probabilistic, error) {
	var s Probabilistic
	if err := paired(len(gold), len(p)); err != nil {
		return s, err
	}
	n, classes := float64(len(gold)), len(p[0])
	const bins = 15
	var confidence, right [bins]float64
	for i, row := range p {
		if len(row) != classes || gold[i] < 0 || gold[i] >= classes {
			return s, fmt.Errorf("task: example %d has %d probabilities and class %d, the first %d", i, len(row), gold[i], classes)
		}
		best := 0
		for c, v := range row {
			if !(v >= 0 && v <= 1+1e-6) {
				return s, fmt.Errorf("task: example %d: probability %v", i, v)
			}
			if v > row[best] {
				best = c
			}
			d := v
			if c == gold[i] {
				d--
			}
			s.Brier += d * d / n
		}
		const eps = 0x1p-52
		s.LogLoss -= math.Log(min(max(row[gold[i]], eps), 1-eps)) / n
		b := 0 // bin (b/bins, (b+1)/bins]
		for b < bins-1 && row[best] > float64(b+1)/bins {
			b++
		}
		confidence[b] += row[best]
		if best == gold[i] {
			right[b]++
		}
	}
	for b := range bins {
		s.ECE += math.Abs(right[b]-confidence[b]) / n
	}
	s.AUC = auc(gold, p)
	return s, nil
}

// auc is the mean over classes of the area of each against the rest; two classes have one area.
func auc(gold []int, p [][]float64) float64 {
	classes := len(p[0])
	from := 0
	if classes == 2 {
		from = 1
	}
	score, sum := make([]float64, len(p)), 0.0
	for c := from; c < classes; c++ {
		positive := 0
		for i, row := range p {
			score[i] = row[c]
			if gold[i] == c {
				positive++
			}
		}
		negative := len(p) - positive
		if positive == 0 || negative == 0 {
			return math.NaN()
		}
		ranks := 0.0
		for i, r := range Ranks(score) {
			if gold[i] == c {
				ranks += r
			}
		}
		sum += (ranks/float64(positive) - float64(positive+1)/2) / float64(negative) // Mann-Whitney's U over its maximum
	}
	return sum / float64(classes-from)
}
