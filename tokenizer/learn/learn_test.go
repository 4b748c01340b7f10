package learn

import (
	"fmt"
	"slices"
	"testing"
)

// merges learns from words of bytes until there are size symbols, and returns the pairs.
func merges(t *testing.T, size int, r Rules, words map[string]int64) []string {
	var w Words
	names := []string{}
	for b := range 256 {
		names = append(names, string([]byte{byte(b)}))
	}
	for _, word := range slices.Sorted(func(yield func(string) bool) {
		for word := range words {
			if !yield(word) {
				return
			}
		}
	}) {
		var symbols []int32
		for i := range len(word) {
			symbols = append(symbols, int32(word[i]))
		}
		w.Add(symbols, words[word])
	}
	r.Full = func() bool { return len(names) >= size }
	r.Join = func(p Pair) (int32, bool) {
		s := names[p.Left()] + names[p.Right()]
		if s == "no" {
			return 0, false
		}
		names = append(names, s)
		return int32(len(names) - 1), true
	}
	pairs, err := w.Merges(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, p := range pairs {
		out = append(out, fmt.Sprintf("%s+%s", names[p.Left()], names[p.Right()]))
	}
	return out
}

func TestMerges(t *testing.T) {
	// The words of the example in Sennrich 2016 (algorithm 1), with "." at their ends.
	words := map[string]int64{"low.": 5, "lowest.": 2, "newer.": 6, "wider.": 3}
	for _, c := range []struct {
		size int
		r    Rules
		want []string
	}{
		{260, Rules{}, []string{"e+r", "er+.", "l+o", "lo+w"}},
		{300, Rules{Minimum: 7}, []string{"e+r", "er+.", "l+o", "lo+w"}},
		{258, Rules{Before: func(a, b Pair) bool { return a > b }}, []string{"r+.", "e+r."}},
	} {
		if have := merges(t, c.size, c.r, words); !slices.Equal(have, c.want) {
			t.Errorf("%v, want %v", have, c.want)
		}
	}
	if have := merges(t, 300, Rules{}, map[string]int64{"no": 9, "aaaaa": 1}); !slices.Equal(have, []string{"a+a", "aa+a", "aa+aaa"}) {
		t.Errorf("overlaps, and a pair that stays: %v", have)
	}
}
