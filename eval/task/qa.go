package task

import (
	"cmp"
	"slices"
	"strings"
)

// NormalizeAnswer is the normalisation of SQuAD's scripts: lower case, no ASCII punctuation, no articles, single spaces.
func NormalizeAnswer(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < 0x80 && strings.ContainsRune("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~", r) {
			return -1
		}
		return r
	}, lower(s))
	var b strings.Builder
	for len(s) > 0 { // runs of word characters, and what stands between them
		word := strings.IndexFunc(s, func(r rune) bool { return !isWord(r) })
		if word < 0 {
			word = len(s)
		}
		switch w := s[:word]; w {
		case "a", "an", "the":
			b.WriteByte(' ')
		default:
			b.WriteString(w)
		}
		s = s[word:]
		gap := strings.IndexFunc(s, isWord)
		if gap < 0 {
			gap = len(s)
		}
		b.WriteString(s[:gap])
		s = s[gap:]
	}
	return strings.Join(strings.FieldsFunc(b.String(), isSpace), " ")
}

// ExactMatch says whether answers are equal once normalized.
func ExactMatch(gold, answer string) bool { return NormalizeAnswer(gold) == NormalizeAnswer(answer) }

// AnswerF1 is the F1 of the words of an answer. Where one has no word it is whether both have none, as in version 2 of the script; version
// 1 gives 0.
func AnswerF1(gold, answer string) float64 {
	g, a := strings.Fields(NormalizeAnswer(gold)), strings.Fields(NormalizeAnswer(answer))
	if len(g) == 0 || len(a) == 0 {
		return float64(bit(len(g) == len(a)))
	}
	return overlap(counted(g), counted(a), len(g), len(a)).F1
}

// counted counts words.
func counted(words []string) map[string]int {
	n := map[string]int{}
	for _, w := range words {
		n[w]++
	}
	return n
}

// overlap scores what two counted lists of n and m items have in common.
func overlap(gold, predicted map[string]int, n, m int) PRF {
	common := 0
	for w, k := range gold {
		common += min(k, predicted[w])
	}
	return Counts{common, m, n}.PRF()
}

// Answered is a question's gold answers and the one predicted.
type Answered struct {
	Answers   []string // none: the question has no answer
	Predicted string   // "" says that there is no answer
	NoAnswer  float64  // how much speaks for no answer, compared with the threshold; used where the set has such questions
}

// AnswerScores are percentages, as SQuAD's scripts give them.
type AnswerScores struct {
	Exact, F1 float64
	Total     int
}

// QAScores are the official scores of a set of questions.
type QAScores struct {
	AnswerScores
	Has, HasNot AnswerScores // questions with and without an answer, version 2 only
	BestExact   Threshold    // version 2: the best that a threshold of NoAnswer would give
	BestF1      Threshold
}

// Threshold is a score and the threshold that gives it.
type Threshold struct{ Score, At float64 }

// QA1 is the evaluation of SQuAD 1.1: for each question the best over its answers; the mean, in percent.
func QA1(questions []Answered) (AnswerScores, error) {
	s := AnswerScores{Total: len(questions)}
	if err := paired(s.Total, s.Total); err != nil {
		return s, err
	}
	for _, q := range questions {
		exact, f1 := 0.0, 0.0
		for _, gold := range q.Answers {
			exact = max(exact, float64(bit(ExactMatch(gold, q.Predicted))))
			if NormalizeAnswer(gold) != "" {
				f1 = max(f1, AnswerF1(gold, q.Predicted))
			}
		}
		s.Exact += 100 * exact / float64(s.Total)
		s.F1 += 100 * f1 / float64(s.Total)
	}
	return s, nil
}

// QA2 is the evaluation of SQuAD 2.0, where questions may have no answer. A prediction whose NoAnswer exceeds the threshold counts as none.
func QA2(questions []Answered, threshold float64) (QAScores, error) {
	var s QAScores
	if err := paired(len(questions), len(questions)); err != nil {
		return s, err
	}
	exact, f1 := make([]float64, len(questions)), make([]float64, len(questions))
	for i, q := range questions {
		usable := slices.DeleteFunc(slices.Clone(q.Answers), func(a string) bool { return NormalizeAnswer(a) == "" })
		if len(usable) == 0 {
			usable = []string{""}
		}
		for _, gold := range usable {
			exact[i] = max(exact[i], float64(bit(ExactMatch(gold, q.Predicted))))
			f1[i] = max(f1[i], AnswerF1(gold, q.Predicted))
		}
		e, f := exact[i], f1[i]
		if q.NoAnswer > threshold {
			e = float64(bit(len(q.Answers) == 0))
			f = e
		}
		part := &s.Has
		if len(q.Answers) == 0 {
			part = &s.HasNot
		}
		for _, p := range []*AnswerScores{&s.AnswerScores, part} {
			p.Exact, p.F1, p.Total = p.Exact+e, p.F1+f, p.Total+1
		}
	}
	for _, p := range []*AnswerScores{&s.AnswerScores, &s.Has, &s.HasNot} {
		if p.Total > 0 {
			p.Exact, p.F1 = 100*p.Exact/float64(p.Total), 100*p.F1/float64(p.Total)
		}
	}
	s.BestExact, s.BestF1 = best(questions, exact), best(questions, f1)
	return s, nil
}

// best is the script's search: from answering nothing on, questions are answered in order of NoAnswer.
func best(questions []Answered, scores []float64) Threshold {
	order := make([]int, len(questions))
	sum := 0.0
	for i, q := range questions {
		order[i] = i
		sum += float64(bit(len(q.Answers) == 0))
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(questions[a].NoAnswer, questions[b].NoAnswer) })
	top := Threshold{Score: sum}
	for _, i := range order {
		switch q := questions[i]; {
		case len(q.Answers) > 0:
			sum += scores[i]
		case q.Predicted != "":
			sum--
		}
		if sum > top.Score {
			top = Threshold{sum, questions[i].NoAnswer}
		}
	}
	top.Score *= 100 / float64(len(questions))
	return top
}
