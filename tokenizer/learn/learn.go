// Package learn finds the merges of byte-pair encoding (Sennrich 2016, arXiv:1508.07909) in counted words of any symbols.
package learn

import (
	"context"
	"maps"
	"slices"
)

// Pair is two neighbouring symbols, not negative: the left one in the upper half.
type Pair uint64

func pairOf(left, right int32) Pair { return Pair(left)<<32 | Pair(right) }

func (p Pair) Left() int32  { return int32(p >> 32) }
func (p Pair) Right() int32 { return int32(p) }

// Words is a text as distinct words with their counts. Merges shorten it.
type Words struct {
	symbols []int32 // of all words
	words   []word
}

// word is symbols[from:to], which occurs count times.
type word struct {
	from, to int
	count    int64
}

// Add appends a word.
func (w *Words) Add(symbols []int32, count int64) {
	from := len(w.symbols)
	w.symbols = append(w.symbols, symbols...)
	w.words = append(w.words, word{from, len(w.symbols), count})
}

// Rules say what merges.
type Rules struct {
	Full    func() bool                      // asked before each merge: the vocabulary is large enough
	Join    func(p Pair) (id int32, ok bool) // the symbol of a pair that is to be merged; not ok: the pair stays
	Minimum int64                            // merge no pair that is rarer; below 1: any pair that occurs
	Before  func(a, b Pair) bool             // which of two pairs of equal count merges first; nil: the smaller left, then right
}

// Merges merges the most frequent pair again and again and returns the pairs in order. It follows Hugging Face's trainers
// step by step, also in that a symbol which two pairs make has both in the merges.
func (w *Words) Merges(ctx context.Context, r Rules) ([]Pair, error) {
	if r.Before == nil {
		r.Before = func(a, b Pair) bool { return a < b }
	}
	l := &learner{Words: w, before: r.Before, counts: map[Pair]int64{}}
	l.load()
	return l.run(ctx, r)
}

// learner keeps the counts of pairs up to date where words change.
type learner struct {
	*Words
	before func(a, b Pair) bool
	counts map[Pair]int64
	heap   []candidate
}

// candidate is a pair to be merged in some words. Its count may be out of date.
type candidate struct {
	pair  Pair
	count int64
	in    []int32 // words
}

// load counts all pairs.
func (l *learner) load() {
	where := map[Pair][]int32{}
	for i, w := range l.words {
		s := l.symbols[w.from:w.to]
		for j := range len(s) - 1 {
			p := pairOf(s[j], s[j+1])
			l.counts[p] += w.count
			if in := where[p]; len(in) == 0 || in[len(in)-1] != int32(i) {
				where[p] = append(in, int32(i))
			}
		}
	}
	for _, p := range slices.Sorted(maps.Keys(where)) {
		l.push(candidate{p, l.counts[p], where[p]})
	}
}

func (l *learner) run(ctx context.Context, r Rules) ([]Pair, error) {
	var merges []Pair
	made := map[Pair][]int32{} // words by pair that the merge made
	var order []Pair
	for len(l.heap) > 0 && !r.Full() {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		top := l.pop()
		if now := l.counts[top.pair]; top.count != now {
			top.count = now
			l.push(top)
			continue
		}
		if top.count < max(1, r.Minimum) {
			break
		}
		id, ok := r.Join(top.pair)
		if !ok {
			continue
		}
		merges = append(merges, top.pair)
		clear(made)
		order = order[:0]
		for _, i := range top.in {
			l.mergeWord(i, top.pair, id, func(p Pair) {
				in, ok := made[p]
				if !ok {
					order = append(order, p)
				}
				if len(in) == 0 || in[len(in)-1] != i {
					made[p] = append(in, i)
				}
			})
		}
		for _, p := range order {
			if n := l.counts[p]; n > 0 {
				l.push(candidate{p, n, made[p]})
			}
		}
	}
	return merges, nil
}

// mergeWord replaces a pair by id in word i, counts, and calls made for each pair that comes into being.
func (l *learner) mergeWord(i int32, p Pair, id int32, made func(Pair)) {
	w := &l.words[i]
	s := l.symbols[w.from:w.to]
	left, right, out := p.Left(), p.Right(), 0
	for in := 0; in < len(s); in++ {
		if s[in] != left || in+1 == len(s) || s[in+1] != right {
			s[out] = s[in]
			out++
			continue
		}
		if out > 0 {
			l.counts[pairOf(s[out-1], left)] -= w.count
			before := pairOf(s[out-1], id)
			l.counts[before] += w.count
			made(before)
		}
		if in+2 < len(s) {
			l.counts[pairOf(right, s[in+2])] -= w.count
			behind := pairOf(id, s[in+2])
			l.counts[behind] += w.count
			made(behind)
		}
		s[out] = id
		out++
		in++
	}
	w.to = w.from + out
}

// first is the order of the heap.
func (l *learner) first(x, y *candidate) bool {
	if x.count != y.count {
		return x.count > y.count
	}
	return x.pair != y.pair && l.before(x.pair, y.pair)
}

func (l *learner) push(c candidate) {
	l.heap = append(l.heap, c)
	h := l.heap
	for i := len(h) - 1; i > 0; {
		up := (i - 1) / 2
		if !l.first(&h[i], &h[up]) {
			break
		}
		h[i], h[up] = h[up], h[i]
		i = up
	}
}

func (l *learner) pop() candidate {
	h := l.heap
	top, last := h[0], len(h)-1
	h[0], h[last] = h[last], candidate{}
	l.heap = h[:last]
	h = l.heap
	for i := 0; ; {
		best := i
		for k := 2*i + 1; k <= 2*i+2 && k < len(h); k++ {
			if l.first(&h[k], &h[best]) {
				best = k
			}
		}
		if best == i {
			return top
		}
		h[i], h[best] = h[best], h[i]
		i = best
	}
}
