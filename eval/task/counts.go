package task

import "fmt"

// Counts are what precision and recall are made of, for one class or for several together.
type Counts struct{ Right, Predicted, Gold int }

// PRF are the scores of one class, or their average over classes.
type PRF struct {
	Precision float64 `json:"precision"` // share of what was predicted that is right; 0 if nothing was
	Recall    float64 `json:"recall"`    // share of what is there that was predicted; 0 if nothing is
	F1        float64 `json:"f1"`        // 2PR/(P+R), 0 if both are 0
	Support   int     `json:"support"`   // how much is there
}

// PRF returns the scores of the counts.
func (c Counts) PRF() PRF {
	s := PRF{Precision: ratio(c.Right, c.Predicted), Recall: ratio(c.Right, c.Gold), Support: c.Gold}
	s.F1 = harmonic(s.Precision, s.Recall)
	return s
}

// ratio is a/b, 0 for b = 0.
func ratio(a, b int) float64 {
	if b == 0 {
		return 0
	}
	return float64(a) / float64(b)
}

// harmonic is the harmonic mean of precision and recall, 0 if both are 0.
func harmonic(p, r float64) float64 {
	if p+r == 0 {
		return 0
	}
	return 2 * p * r / (p + r)
}

// Averages are the scores of several classes in one number each.
type Averages struct {
	Micro    PRF `json:"micro"`    // of the sums of the counts
	Macro    PRF `json:"macro"`    // mean over the classes
	Weighted PRF `json:"weighted"` // mean over the classes weighted by support
}

// Average averages over the classes. A class that neither occurs nor is predicted counts, with 0: leave it out beforehand where it should not.
func Average(classes []Counts) Averages {
	var a Averages
	var sum Counts
	for _, c := range classes {
		sum.Right, sum.Predicted, sum.Gold = sum.Right+c.Right, sum.Predicted+c.Predicted, sum.Gold+c.Gold
	}
	a.Micro = sum.PRF()
	for _, c := range classes {
		s := c.PRF()
		a.Macro.add(s, 1/float64(len(classes)))
		a.Weighted.add(s, ratio(c.Gold, sum.Gold))
	}
	a.Macro.Support, a.Weighted.Support = sum.Gold, sum.Gold
	return a
}

func (s *PRF) add(x PRF, weight float64) {
	s.Precision += weight * x.Precision
	s.Recall += weight * x.Recall
	s.F1 += weight * x.F1
}

// paired checks that there are examples, and as many predictions.
func paired(gold, predicted int) error {
	if gold == 0 || gold != predicted {
		return fmt.Errorf("task: %d examples, %d predictions", gold, predicted)
	}
	return nil
}
