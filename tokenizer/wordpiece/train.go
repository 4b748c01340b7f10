package wordpiece

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/plinth-ml/plinth/tokenizer/learn"
)

// Count is a word of the training text and how often it occurs.
type Count struct {
	Word string
	N    int64
}

// TrainOptions are the settings of Train.
type TrainOptions struct {
	VocabSize       int      // with special tokens and characters; 0: 30,000. Fewer where the text has no more pairs.
	Special         []string // get the first ids
	Prefix          string   // "": ##
	MinFrequency    int64    // merge no pair that is rarer; 0: any pair that occurs
	LimitAlphabet   int      // keep the most frequent characters only; 0: all
	InitialAlphabet []rune   // characters that count as the most frequent ones, whether they occur or not

	continuing []string // order of the prefixed characters; for comparisons
}

// Train makes a vocabulary, in the order of ids, by byte-pair encoding of characters of which all but a word's first carry the
// prefix: special tokens, characters by code point, prefixed characters, then merges, the most frequent pair first, of equal
// ones that of the smaller ids. Words that repeat are added up.
//
// The result is that of Hugging Face's WordPieceTrainer but where theirs changes from run to run, which is in the order of the
// prefixed characters and so in the choice between pairs of equal counts; here they follow the code points, too. Where
// LimitAlphabet cuts between characters of equal counts, the smaller code point stays; theirs is again up to chance.
func Train(ctx context.Context, words []Count, o TrainOptions) ([]string, error) {
	if o.VocabSize == 0 {
		o.VocabSize = 30_000
	}
	if o.Prefix == "" {
		o.Prefix = "##"
	}
	v := vocabulary{ids: map[string]int32{}, prefix: o.Prefix}
	for i, s := range o.Special {
		if s == "" {
			return nil, fmt.Errorf("wordpiece: special token %d is empty", i)
		}
		v.add(s)
	}
	words = distinct(words)
	for _, r := range alphabet(words, o) {
		v.add(string(r))
	}
	for _, s := range o.continuing {
		v.add(s)
	}
	for _, s := range v.continuing(words) {
		v.add(s)
	}
	var text learn.Words
	var symbols []int32
	for _, w := range words {
		symbols = v.symbols(symbols[:0], w.Word)
		text.Add(symbols, w.N)
	}
	_, err := text.Merges(ctx, learn.Rules{Minimum: o.MinFrequency, Join: v.join, Full: func() bool { return len(v.tokens) >= o.VocabSize }})
	return v.tokens, err
}

// distinct adds up the counts of equal words and sorts.
func distinct(words []Count) []Count {
	words = slices.Clone(words)
	slices.SortFunc(words, func(a, b Count) int { return cmp.Compare(a.Word, b.Word) })
	kept := words[:0]
	for _, w := range words {
		if n := len(kept); n > 0 && kept[n-1].Word == w.Word {
			kept[n-1].N += w.N
		} else {
			kept = append(kept, w)
		}
	}
	return kept
}

// alphabet returns the characters that are kept, by code point.
func alphabet(words []Count, o TrainOptions) []rune {
	const most = 1 << 62
	counts := map[rune]int64{}
	for _, w := range words {
		for _, r := range w.Word {
			counts[r] += w.N
		}
	}
	for _, r := range o.InitialAlphabet {
		counts[r] = most
	}
	runes := slices.Sorted(maps.Keys(counts))
	if o.LimitAlphabet > 0 && len(runes) > o.LimitAlphabet {
		slices.SortStableFunc(runes, func(a, b rune) int { return cmp.Compare(counts[b], counts[a]) })
		runes = runes[:o.LimitAlphabet]
		slices.Sort(runes)
	}
	return runes
}

// vocabulary grows.
type vocabulary struct {
	tokens []string
	ids    map[string]int32
	prefix string
}

func (v *vocabulary) add(s string) int32 {
	if id, ok := v.ids[s]; ok {
		return id
	}
	id := int32(len(v.tokens))
	v.tokens = append(v.tokens, s)
	v.ids[s] = id
	return id
}

// continuing returns the prefixed characters of words, by code point.
func (v *vocabulary) continuing(words []Count) []string {
	seen := map[rune]bool{}
	for _, w := range words {
		for i, r := range w.Word {
			if i > 0 {
				seen[r] = true
			}
		}
	}
	var all []string
	for _, r := range slices.Sorted(maps.Keys(seen)) {
		if _, ok := v.ids[string(r)]; ok {
			all = append(all, v.prefix+string(r))
		}
	}
	return all
}

// symbols appends the ids of a word's characters, without those outside the alphabet.
func (v *vocabulary) symbols(dst []int32, word string) []int32 {
	for i, r := range word {
		s := string(r)
		id, ok := v.ids[s]
		if !ok {
			continue
		}
		if i > 0 {
			id = v.ids[v.prefix+s]
		}
		dst = append(dst, id)
	}
	return dst
}

// join returns the token of a pair, which is new or not.
func (v *vocabulary) join(p learn.Pair) (int32, bool) {
	return v.add(v.tokens[p.Left()] + strings.TrimPrefix(v.tokens[p.Right()], v.prefix)), true
}
