package task

import (
	"fmt"
	"slices"
	"strings"

	"github.com/plinth-ml/plinth/internal/random"
)

// Rouge are the scores of a summary against a reference, equal to rouge_score's (Lin 2004).
type Rouge struct {
	R1, R2 PRF // of single words, of pairs
	L      PRF // of the longest common subsequence
	LSum   PRF // of the union of those of each line (rougeLsum); lines are sentences
}

// rougeWords are runs of ASCII letters and digits; with stem, those of more than three are stemmed.
func rougeWords(text string, stem bool) []string {
	words := strings.FieldsFunc(lower(text), func(r rune) bool { return !('a' <= r && r <= 'z' || '0' <= r && r <= '9') })
	if stem {
		for i, w := range words {
			if len(w) > 3 {
				words[i] = Stem(w)
			}
		}
	}
	return words
}

// ScoreSummary scores a prediction; of several references each score takes the one with the highest F1, the first among equals. stem
// compares the words' stems (Porter).
func ScoreSummary(references []string, prediction string, stem bool) Rouge {
	var top Rouge
	for i, reference := range references {
		r := rouge(reference, prediction, stem)
		for _, s := range [][2]*PRF{{&top.R1, &r.R1}, {&top.R2, &r.R2}, {&top.L, &r.L}, {&top.LSum, &r.LSum}} {
			if i == 0 || s[1].F1 > s[0].F1 {
				*s[0] = *s[1]
			}
		}
	}
	return top
}

func rouge(reference, prediction string, stem bool) Rouge {
	r, p := rougeWords(reference, stem), rougeWords(prediction, stem)
	s := Rouge{R1: grams(r, p, 1), R2: grams(r, p, 2), L: Counts{len(common(r, p)), len(p), len(r)}.PRF()}
	lines := func(text string) (l [][]string) {
		for line := range strings.SplitSeq(text, "\n") {
			l = append(l, rougeWords(line, stem))
		}
		return l
	}
	s.LSum = summaryLevel(lines(reference), lines(prediction))
	return s
}

// grams scores the n-grams.
func grams(r, p []string, n int) PRF {
	count := func(words []string) (map[string]int, int) {
		var all []string
		for i := range max(0, len(words)-n+1) {
			all = append(all, strings.Join(words[i:i+n], " "))
		}
		return counted(all), len(all)
	}
	a, na := count(r)
	b, nb := count(p)
	return overlap(a, b, na, nb)
}

// common returns the indices in r of one of the longest common subsequences, the one that rouge_score's backtracking finds.
func common(r, p []string) []int {
	width := len(p) + 1
	t := make([]int32, (len(r)+1)*width)
	for i, a := range r {
		for j, b := range p {
			if a == b {
				t[(i+1)*width+j+1] = t[i*width+j] + 1
			} else {
				t[(i+1)*width+j+1] = max(t[i*width+j+1], t[(i+1)*width+j])
			}
		}
	}
	var out []int
	for i, j := len(r), len(p); i > 0 && j > 0; {
		switch {
		case r[i-1] == p[j-1]:
			i, j = i-1, j-1
			out = append(out, i)
		case t[i*width+j-1] > t[(i-1)*width+j]:
			j--
		default:
			i--
		}
	}
	slices.Reverse(out)
	return out
}

// summaryLevel is section 3.2 of the paper: each reference line's union of common subsequences with all predicted lines, no word counted
// more often than it occurs.
func summaryLevel(references, predictions [][]string) PRF {
	var n Counts
	left, wanted := map[string]int{}, map[string]int{}
	for _, line := range predictions {
		n.Predicted += len(line)
		for _, w := range line {
			left[w]++
		}
	}
	for _, line := range references {
		n.Gold += len(line)
		for _, w := range line {
			wanted[w]++
		}
	}
	for _, line := range references {
		union := make([]bool, len(line))
		for _, p := range predictions {
			for _, i := range common(line, p) {
				union[i] = true
			}
		}
		for i, w := range line {
			if union[i] && left[w] > 0 && wanted[w] > 0 {
				n.Right++
				left[w]--
				wanted[w]--
			}
		}
	}
	return n.PRF()
}

// Lead is the first n sentences of a text, the baseline of summaries: a sentence ends with a full stop, a question mark or an exclamation mark before white
// space, or with the line.
func Lead(text string, n int) string {
	text = strings.TrimSpace(text)
	for i := 0; i < len(text); i++ {
		last := i+1 == len(text)
		if text[i] == '\n' && text[i-1] != '\n' && !strings.ContainsRune(".!?", rune(text[i-1])) || strings.IndexByte(".!?", text[i]) >= 0 && (last || strings.IndexByte(" \t\r\n", text[i+1]) >= 0) {
			if n--; n <= 0 {
				return strings.TrimSpace(text[:i+1])
			}
		}
	}
	return text
}

// Interval is a mean with the bounds that hold 95 % of the means of resampled examples.
type Interval struct{ Low, Mean, High float64 }

// Bootstrap draws 1000 samples of the values with replacement.
func Bootstrap(values []float64, seed uint64) (Interval, error) {
	if len(values) == 0 {
		return Interval{}, fmt.Errorf("task: no values to resample")
	}
	const draws = 1000
	key := random.NewKey(seed).Named("bootstrap")
	mean := func(draw func(i int) int) (sum float64) {
		for i := range values {
			sum += values[draw(i)] / float64(len(values))
		}
		return sum
	}
	means := make([]float64, draws)
	for d := range means {
		means[d] = mean(func(i int) int { return key.IntN(uint64(d*len(values)+i), len(values)) })
	}
	slices.Sort(means)
	return Interval{means[draws*25/1000], mean(func(i int) int { return i }), means[draws*975/1000-1]}, nil
}
