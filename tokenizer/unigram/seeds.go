package unigram

import (
	"cmp"
	"slices"
	"unicode/utf8"
)

// scored is a piece and its score while training: a weight first, then a log-probability.
type scored struct {
	text  string
	score float64
}

// seeds returns all characters, the most frequent first, then the substrings of 2 to maxLen characters that occur in at least
// two places and can be followed by different things, the greatest number of places times length first; at most size, and
// all characters in any case. A word's end is one of the things that follow; each word counts once.
func seeds(words []Count, size, maxLen int) []scored {
	counts := map[rune]int64{}
	var text []rune // words, each with a 0 behind it
	var at []int32  // of all suffixes
	for _, w := range words {
		for _, r := range w.Word {
			if r != 0 {
				counts[r] += w.N
				at = append(at, int32(len(text)))
			}
			text = append(text, r)
		}
		text = append(text, 0)
	}
	var all []scored
	for r, n := range counts {
		all = append(all, scored{string(r), float64(n)})
	}
	byScore := func(a, b scored) int { return cmp.Or(cmp.Compare(b.score, a.score), cmp.Compare(b.text, a.text)) }
	slices.SortFunc(all, byScore)
	s := suffixes{text, int32(maxLen) + 1}
	s.sort(at, 0)
	var parts []scored
	s.nodes(at, func(from, length int32, places int) {
		if length >= 2 && int(length) <= maxLen {
			parts = append(parts, scored{string(text[from : from+length]), float64(places) * float64(length)})
		}
	})
	slices.SortFunc(parts, byScore)
	return append(all, parts[:min(len(parts), max(0, size-len(all)))]...)
}

// suffixes of a text, cut at limit characters and before the first 0.
type suffixes struct {
	text  []rune
	limit int32
}

// key is the character at a depth of a suffix; 0 at its end.
func (s *suffixes) key(at, depth int32) rune {
	if depth == s.limit {
		return 0
	}
	return s.text[at+depth]
}

// sort orders suffixes that are equal up to depth (multikey quicksort, Bentley and Sedgewick 1997).
func (s *suffixes) sort(at []int32, depth int32) {
	for len(at) > 1 {
		pivot := s.middle(at, depth)
		lo, hi := 0, len(at) // at[:lo] is smaller, at[hi:] greater
		for i := 0; i < hi; {
			switch k := s.key(at[i], depth); {
			case k < pivot:
				at[lo], at[i] = at[i], at[lo]
				lo++
				i++
			case k > pivot:
				hi--
				at[hi], at[i] = at[i], at[hi]
			default:
				i++
			}
		}
		s.sort(at[:lo], depth)
		s.sort(at[hi:], depth)
		if at = at[lo:hi]; pivot == 0 {
			return
		}
		depth++
	}
}

// middle is the median of three keys.
func (s *suffixes) middle(at []int32, depth int32) rune {
	a, b, c := s.key(at[0], depth), s.key(at[len(at)/2], depth), s.key(at[len(at)-1], depth)
	return max(min(a, b), min(max(a, b), c))
}

// common returns how many characters two suffixes share; where both end, one more for the end.
func (s *suffixes) common(a, b int32) int32 {
	n := int32(0)
	for s.key(a, n) == s.key(b, n) {
		if s.key(a, n) == 0 {
			return n + 1
		}
		n++
	}
	return n
}

// nodes calls found for the inner nodes of the tree of sorted suffixes: where one begins, its length, and in how many places it
// is. Strings with an end in them are left out.
func (s *suffixes) nodes(at []int32, found func(from, length int32, places int)) {
	type node struct {
		length int32
		first  int
	}
	var open []node // lengths ascend
	for i := range len(at) + 1 {
		shared := int32(0)
		if i > 0 && i < len(at) {
			shared = s.common(at[i-1], at[i])
		}
		first := i - 1
		for len(open) > 0 && open[len(open)-1].length > shared {
			n := open[len(open)-1]
			open = open[:len(open)-1]
			first = n.first
			if s.key(at[first], n.length-1) != 0 {
				found(at[first], n.length, i-first)
			}
		}
		if shared > 0 && (len(open) == 0 || open[len(open)-1].length < shared) {
			open = append(open, node{shared, first})
		}
	}
}

// chars is the number of characters of s.
func chars(s string) int { return utf8.RuneCountInString(s) }
