package unigram

import (
	"math"
	"slices"
	"unicode/utf8"

	"golang.org/x/sync/errgroup"

	"github.com/plinth-ml/plinth/tokenizer/trie"
)

// estimate is a model in training. Id 0 is the unknown character.
type estimate struct {
	pieces []scored
	tokens *trie.Trie
	unk    float64 // score of an unknown character
}

func newEstimate(pieces []scored) (*estimate, error) {
	entries := make([]trie.Entry, 0, len(pieces))
	least := math.Inf(1)
	for id, p := range pieces {
		if id > 0 {
			entries = append(entries, trie.Entry{Key: p.text, Value: int32(id)})
			least = min(least, p.score)
		}
	}
	tokens, err := trie.Build(entries)
	return &estimate{pieces, tokens, least - unkPenalty}, err
}

// edge is a piece in a word.
type edge struct {
	from, to int32 // bytes
	id       int32
	score    float64
}

// lattice is scratch memory for the pieces of one word.
type lattice struct {
	edges       []edge    // by from, then to
	alpha, beta []float64 // of positions
	best        []end
}

// fill finds all pieces of a word, and an unknown character where no piece is one character.
func (l *lattice) fill(e *estimate, word string) {
	l.edges = l.edges[:0]
	for from := 0; from < len(word); {
		_, size := utf8.DecodeRuneInString(word[from:])
		single := false
		node := e.tokens.Root()
		for i := from; i < len(word); {
			next, id, ok := e.tokens.Next(node, word[i])
			if !ok {
				break
			}
			node = next
			if i++; id > 0 {
				l.edges = append(l.edges, edge{int32(from), int32(i), id, e.pieces[id].score})
				single = single || i == from+size
			}
		}
		if !single {
			l.edges = append(l.edges, edge{int32(from), int32(from + size), 0, e.unk})
		}
		from += size
	}
}

// logAdd returns log(exp(x) + exp(y)), y where x is minus infinity.
func logAdd(x, y float64) float64 {
	low, high := min(x, y), max(x, y)
	if high > low+50 { // the other one is lost in rounding
		return high
	}
	return high + math.Log(math.Exp(low-high)+1)
}

// marginals adds the expected number of each piece in n times the word to expected and returns the log-likelihood of one
// (forward-backward over all segmentations). The order of sums is that of Hugging Face's trainer: pieces that always occur
// together have equal counts, so that the last bit decides between segmentations.
func (l *lattice) marginals(word string, n float64, expected []float64) float64 {
	l.alpha, l.beta = unreached(l.alpha, len(word)), unreached(l.beta, len(word))
	l.alpha[0], l.beta[len(word)] = 0, 0
	for _, d := range l.edges {
		l.alpha[d.to] = logAdd(l.alpha[d.to], d.score+l.alpha[d.from])
	}
	for last := len(l.edges); last > 0; {
		first := last - 1
		for first > 0 && l.edges[first-1].from == l.edges[first].from {
			first--
		}
		for _, d := range l.edges[first:last] {
			l.beta[d.from] = logAdd(l.beta[d.from], d.score+l.beta[d.to])
		}
		last = first
	}
	z := l.alpha[len(word)]
	for _, d := range l.edges {
		expected[d.id] += n * math.Exp(l.alpha[d.from]+d.score+l.beta[d.to]-z)
	}
	return z
}

// unreached returns n+1 times minus infinity.
func unreached(s []float64, n int) []float64 {
	s = slices.Grow(s[:0], n+1)[:n+1]
	for i := range s {
		s[i] = math.Inf(-1)
	}
	return s
}

// viterbi calls use for the pieces of the best segmentation, the last one first; without the edge over the whole word where
// whole is false. It returns the score.
func (l *lattice) viterbi(word string, whole bool, use func(id int32)) float64 {
	l.best = l.best[:0]
	for range len(word) + 1 {
		l.best = append(l.best, end{start: -1})
	}
	for _, d := range l.edges {
		if !whole && d.from == 0 && int(d.to) == len(word) {
			continue
		}
		if score, e := l.best[d.from].score+d.score, &l.best[d.to]; score > e.score || e.start < 0 {
			*e = end{score, d.id, d.from}
		}
	}
	for at := int32(len(word)); at > 0; at = l.best[at].start {
		use(l.best[at].id)
	}
	return l.best[len(word)].score
}

// lanes is in how many parts words are summed, whatever the number of threads, so that sums have the same bits.
const lanes = 16

// inLanes calls do for contiguous parts of words, on some threads.
func inLanes(words []Count, threads int, do func(lane int, words []Count)) {
	var g errgroup.Group
	g.SetLimit(threads)
	for i := range lanes {
		part := words[len(words)*i/lanes : len(words)*(i+1)/lanes]
		g.Go(func() error {
			do(i, part)
			return nil
		})
	}
	g.Wait()
}

// expect returns the expected counts of all pieces in the words, and the log-likelihood of all of them.
func (e *estimate) expect(words []Count, threads int) (expected []float64, likelihood float64) {
	var counts [lanes][]float64
	var sums [lanes]float64
	inLanes(words, threads, func(lane int, words []Count) {
		counts[lane] = make([]float64, len(e.pieces))
		var l lattice
		for _, w := range words {
			l.fill(e, w.Word)
			sums[lane] += float64(w.N) * l.marginals(w.Word, float64(w.N), counts[lane])
		}
	})
	expected = counts[0]
	for i := 1; i < lanes; i++ {
		for id, n := range counts[i] {
			expected[id] += n
		}
		sums[0] += sums[i]
	}
	return expected, sums[0]
}

// used returns how often each piece occurs in the best segmentations of the words.
func (e *estimate) used(words []Count, threads int) []int64 {
	var counts [lanes][]int64
	inLanes(words, threads, func(lane int, words []Count) {
		counts[lane] = make([]int64, len(e.pieces))
		var l lattice
		for _, w := range words {
			l.fill(e, w.Word)
			l.viterbi(w.Word, true, func(id int32) { counts[lane][id] += w.N })
		}
	})
	for i := 1; i < lanes; i++ {
		for id, n := range counts[i] {
			counts[0][id] += n
		}
	}
	return counts[0]
}

// leastUse is the expected count that a piece needs to remain.
const leastUse = 0.5

// maximize returns the pieces whose expected counts are at least a half, with scores from these counts under a prior that
// prefers few pieces: exp of the digamma function instead of the count (Liang and Klein, ACL 2007 tutorial).
func (e *estimate) maximize(expected []float64) []scored {
	kept := e.pieces[:1:1]
	sum := 0.0
	for id, n := range expected {
		if id > 0 && n >= leastUse {
			kept = append(kept, scored{e.pieces[id].text, n})
			sum += n
		}
	}
	total := digamma(sum)
	for i := range kept[1:] {
		kept[i+1].score = digamma(kept[i+1].score) - total
	}
	return kept
}

// digamma is the derivative of the logarithm of the gamma function, for x > 0: recurrence up to 7, then the asymptotic series
// at x - 1/2.
func digamma(x float64) float64 {
	sum := 0.0
	for ; x < 7; x++ {
		sum -= 1 / x
	}
	x -= 0.5
	s := 1 / (x * x)
	return sum + math.Log(x) + s*(1./24+s*(-7./960+s*(31./8064-s*127./30720)))
}
