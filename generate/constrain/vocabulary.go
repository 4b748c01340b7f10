package constrain

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"unicode/utf8"
)

// maxToken is the longest token that is ever allowed, in bytes: shorter ones spell the same.
const maxToken = 512

// Vocabulary is the text of each token. It does not change once made.
type Vocabulary struct {
	Memory *Memory // that bounds what its constraints keep together; nil: each has its own bound only. It is set before the first of them is compiled

	tokens  [][]byte // by id; nil: not text
	special map[string]int32
	order   []int32    // ids of text, by their bytes
	trie    []trieNode // in preorder, without the root; one more at the end
	longest int        // bytes
	spelled []span     // the characters that tokens of one character, or of their bytes, spell; nil: all
}

// trieNode is a beginning of tokens.
type trieNode struct {
	end   int32  // the node behind its subtree
	first int32  // its tokens are order[first:next node's first]
	depth uint16 // bytes before its own
	b     byte
}

// NewVocabulary returns the vocabulary of tokens, the bytes of each id; nil for what is never part of a text, such as control tokens. special are
// the control tokens by name: a grammar may ask for them, text never contains them.
func NewVocabulary(tokens [][]byte, special map[string]int32) (*Vocabulary, error) {
	v := &Vocabulary{tokens: slices.Clone(tokens), special: special}
	for id, t := range tokens {
		if len(t) == 0 || len(t) > maxToken {
			v.tokens[id] = nil
			continue
		}
		v.order = append(v.order, int32(id))
		v.longest = max(v.longest, len(t))
	}
	if len(v.order) == 0 {
		return nil, fmt.Errorf("constrain: none of %d tokens is a text", len(tokens))
	}
	for name, id := range special {
		if id < 0 || int(id) >= len(tokens) || v.tokens[id] != nil {
			return nil, fmt.Errorf("constrain: the special token %q has id %d, which is text or not in the vocabulary of %d", name, id, len(tokens))
		}
	}
	slices.SortFunc(v.order, func(a, b int32) int { return bytes.Compare(v.tokens[a], v.tokens[b]) })
	v.plant()
	v.spell()
	return v, nil
}

// Len is the number of ids.
func (v *Vocabulary) Len() int { return len(v.tokens) }

// plant makes the trie.
func (v *Vocabulary) plant() {
	var path []int32 // nodes of the last token
	close := func(depth int) {
		for _, n := range path[depth:] {
			v.trie[n].end = int32(len(v.trie))
		}
		path = path[:depth]
	}
	var last []byte
	for i, id := range v.order {
		t := v.tokens[id]
		n := 0
		for n < len(t) && n < len(last) && t[n] == last[n] {
			n++
		}
		close(n)
		for ; n < len(t); n++ {
			path = append(path, int32(len(v.trie)))
			v.trie = append(v.trie, trieNode{first: int32(i), depth: uint16(n), b: t[n]})
		}
		last = t
	}
	close(0)
	v.trie = append(v.trie, trieNode{first: int32(len(v.order)), end: int32(len(v.trie)) + 1})
}

// spell finds the characters that can be written whatever stands around them.
func (v *Vocabulary) spell() {
	var single [256]bool
	missing := 256
	var spans []span
	for _, id := range v.order {
		t := v.tokens[id]
		if len(t) == 1 && !single[t[0]] {
			single[t[0]] = true
			missing--
		}
		if r, n := utf8.DecodeRune(t); n == len(t) && (r != utf8.RuneError || n > 1) {
			spans = append(spans, span{r, r})
		}
	}
	if missing == 0 {
		return
	}
	byBytes := span{0, -1}
	for r := range rune(utf8.MaxRune + 1) {
		var b [utf8.UTFMax]byte
		n := utf8.EncodeRune(b[:], r)
		if slices.ContainsFunc(b[:n], func(c byte) bool { return !single[c] }) {
			spans = append(spans, byBytes)
			byBytes = span{r + 1, r}
		} else {
			byBytes.hi = r
		}
	}
	spans = append(spans, byBytes)
	v.spelled = tidy(spans)
}

// spells reports whether the vocabulary has all characters of a text.
func (v *Vocabulary) spells(s string) bool {
	if v == nil || v.spelled == nil {
		return true
	}
	for _, r := range s {
		if len(v.spelledOf([]span{{r, r}})) == 0 {
			return false
		}
	}
	return true
}

// spelledOf are the characters of ascending ranges that the vocabulary has.
func (v *Vocabulary) spelledOf(spans []span) []span {
	if v.spelled == nil {
		return spans
	}
	var have []span
	for _, s := range spans {
		from, _ := slices.BinarySearchFunc(v.spelled, s.lo, func(o span, lo rune) int { return cmp.Compare(o.hi, lo) })
		for _, o := range v.spelled[from:] {
			if o.lo > s.hi {
				break
			}
			have = append(have, span{max(s.lo, o.lo), min(s.hi, o.hi)})
		}
	}
	return have
}

// others are the control tokens, without those whose names are told.
func (v *Vocabulary) others(without func(name string) bool) Mask {
	mask := make(Mask, (len(v.tokens)+63)/64)
	for name, id := range v.special {
		mask.set(id, !without(name))
	}
	return mask
}

// has reports whether there is a special token of that name.
func (v *Vocabulary) has(name string) bool { _, ok := v.special[name]; return ok }
