package task

import (
	"cmp"
	"fmt"
	"math"
	"slices"
)

// Span is the bytes [Start, End) of a context.
type Span struct{ Start, End int }

// Frame is what a family puts around a pair of texts: BERT has [CLS] question [SEP] context [SEP].
type Frame struct{ Before, Between, After []int32 }

// Window is a question with a part of its context.
type Window struct {
	IDs      []int32 // Before question Between part After
	Segments []int32 // 0 up to the end of Between, then 1
	Context  int     // row of the part's first token
	Spans    []Span  // of the part's tokens in the context
}

// Windows cuts a context of tokens with the given spans into windows of at most size tokens, each with the question; neighbours share
// stride tokens of the context.
func Windows(question, context []int32, spans []Span, f Frame, size, stride int) ([]Window, error) {
	at := len(f.Before) + len(question) + len(f.Between)
	room := size - at - len(f.After)
	switch {
	case len(context) != len(spans):
		return nil, fmt.Errorf("task: %d tokens of context, %d spans", len(context), len(spans))
	case room < 1:
		return nil, fmt.Errorf("task: a question of %d tokens leaves no room in a window of %d", len(question), size)
	case stride < 0 || stride >= room:
		return nil, fmt.Errorf("task: windows of %d tokens of context cannot share %d", room, stride)
	}
	var out []Window
	for from := 0; ; from += room - stride {
		to := min(from+room, len(context))
		w := Window{Context: at, Spans: spans[from:to]}
		w.IDs = slices.Concat(f.Before, question, f.Between, context[from:to], f.After)
		w.Segments = make([]int32, len(w.IDs))
		for i := at; i < len(w.IDs); i++ {
			w.Segments[i] = 1
		}
		out = append(out, w)
		if to == len(context) {
			return out, nil
		}
	}
}

// Label returns the rows of the first and the last token of an answer's bytes, or 0, 0 (the row for no answer) where the window does not
// hold all of it.
func (w *Window) Label(answer Span) (start, end int) {
	n := len(w.Spans)
	if n == 0 || answer.Start >= answer.End || w.Spans[0].Start > answer.Start || w.Spans[n-1].End < answer.End {
		return 0, 0
	}
	for end = n - 1; end > 0 && w.Spans[end].Start >= answer.End; end-- {
	}
	for start < end && w.Spans[start].End <= answer.Start {
		start++
	}
	return w.Context + start, w.Context + end
}

// SpanOptions choose answers. The zero value is that of transformers' run_qa for SQuAD 1.1.
type SpanOptions struct {
	NBest     int     // starts and ends that are combined, and answers kept; 0: 20
	MaxTokens int     // of an answer; 0: 30
	NoAnswer  bool    // there may be no answer (SQuAD 2.0)
	Threshold float64 // how much no answer must score above the best answer
}

// Candidate is a possible answer.
type Candidate struct {
	Span        Span // of the context; empty: no answer
	Score       float64
	Probability float64 // among the candidates
}

// BestSpans turns logits of starts and ends into answers: start[i] and end[i] have a row for every token of windows[i]. Row 0 stands for no
// answer, and the window where it scores least speaks for the question. It returns the answer (empty: none), the candidates, the best first,
// and the score of no answer less that of the best answer, which is what thresholds compare.
func BestSpans(windows []Window, start, end [][]float64, o SpanOptions) (answer Span, all []Candidate, difference float64, err error) {
	if o.NBest <= 0 {
		o.NBest = 20
	}
	if o.MaxTokens <= 0 {
		o.MaxTokens = 30
	}
	null := math.Inf(1)
	for i, w := range windows {
		if len(start[i]) != len(w.IDs) || len(end[i]) != len(w.IDs) {
			return answer, nil, 0, fmt.Errorf("task: window %d has %d tokens, %d and %d logits", i, len(w.IDs), len(start[i]), len(end[i]))
		}
		null = min(null, start[i][0]+end[i][0])
		ends := w.inContext(Rank(end[i]), o.NBest)
		for _, s := range w.inContext(Rank(start[i]), o.NBest) {
			for _, e := range ends {
				if s <= e && e-s < o.MaxTokens {
					all = append(all, Candidate{Span: Span{w.Spans[s-w.Context].Start, w.Spans[e-w.Context].End}, Score: start[i][s] + end[i][e]})
				}
			}
		}
	}
	if o.NoAnswer && len(windows) > 0 {
		all = append(all, Candidate{Score: null})
	}
	slices.SortStableFunc(all, func(a, b Candidate) int { return cmp.Compare(b.Score, a.Score) })
	if len(all) > o.NBest {
		all = all[:o.NBest]
		if o.NoAnswer && !slices.ContainsFunc(all, func(c Candidate) bool { return c.Span == Span{} }) {
			all = append(all, Candidate{Score: null})
		}
	}
	best, sum := Candidate{Score: math.Inf(-1)}, 0.0
	for i := range all {
		all[i].Probability = math.Exp(all[i].Score - all[0].Score)
		sum += all[i].Probability
		if c := all[i]; (c.Span != Span{}) && c.Score > best.Score {
			best = c
		}
	}
	for i := range all {
		all[i].Probability /= sum
	}
	difference = null - best.Score
	if o.NoAnswer && difference > o.Threshold {
		return Span{}, all, difference, nil
	}
	return best.Span, all, difference, nil
}

// inContext keeps those of the first n rows that are tokens of the context.
func (w *Window) inContext(rows []int, n int) (kept []int) {
	for _, r := range rows[:min(n, len(rows))] {
		if r >= w.Context && r < w.Context+len(w.Spans) {
			kept = append(kept, r)
		}
	}
	return kept
}
