package task

import "fmt"

// MultiLabelScores are the scores of examples with any number of labels each.
type MultiLabelScores struct {
	Classes  []Counts
	Averages Averages // over all classes
	Samples  PRF      // mean over the examples of precision, recall, F1 of its labels
	Exact    float64  // share of examples with all labels right and no other
	Hamming  float64  // share of wrong decisions
}

// MultiLabel scores decisions [n][classes].
func MultiLabel(gold, predicted [][]bool) (MultiLabelScores, error) {
	var s MultiLabelScores
	if err := paired(len(gold), len(predicted)); err != nil {
		return s, err
	}
	s.Classes = make([]Counts, len(gold[0]))
	for i, row := range gold {
		if len(row) != len(s.Classes) || len(predicted[i]) != len(row) {
			return s, fmt.Errorf("task: example %d has %d labels and %d predictions, the first %d", i, len(row), len(predicted[i]), len(s.Classes))
		}
		var one Counts
		wrong := 0
		for c, g := range row {
			p := predicted[i][c]
			for _, n := range []*Counts{&one, &s.Classes[c]} {
				n.Gold += bit(g)
				n.Predicted += bit(p)
				n.Right += bit(g && p)
			}
			wrong += bit(g != p)
		}
		n := float64(len(gold))
		s.Samples.add(one.PRF(), 1/n)
		s.Exact += float64(bit(wrong == 0)) / n
		s.Hamming += ratio(wrong, len(row)) / n
	}
	s.Averages = Average(s.Classes)
	return s, nil
}

func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}
