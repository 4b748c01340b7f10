package tokenizer

import (
	"fmt"
	"unicode"
	"unicode/utf8"
)

// finder finds added tokens in text: the leftmost, of those the longest.
type finder struct {
	first [256]bool
	next  map[uint64]int32 // node<<8 | byte -> node
	token []int32          // by node: index in added, or -1
}

// newFinders returns the finder of not normalized and that of normalized tokens, nil where there are none. forms are what a
// normalizer makes of tokens, by id.
func newFinders(added []AddedToken, forms map[int32]string) (fs [2]*finder, err error) {
	for i, a := range added {
		k, form := 0, a.Content
		if a.Normalized {
			k = 1
			if f, ok := forms[a.ID]; ok {
				form = f
			}
		}
		if fs[k] == nil {
			fs[k] = &finder{next: map[uint64]int32{}, token: []int32{-1}}
		}
		f := fs[k]
		f.first[form[0]] = true
		node := int32(0)
		for j := range len(form) {
			key := uint64(node)<<8 | uint64(form[j])
			to, ok := f.next[key]
			if !ok {
				to = int32(len(f.token))
				f.token = append(f.token, -1)
				f.next[key] = to
			}
			node = to
		}
		if old := f.token[node]; old >= 0 {
			return fs, fmt.Errorf("tokenizer: added_tokens: %q and %q are the same when normalized", added[old].Content, a.Content)
		}
		f.token[node] = int32(i)
	}
	return fs, nil
}

// find returns the first token in text[at:] and where it starts and ends, or -1.
func (f *finder) find(text []byte, at int) (token int32, start, end int) {
	for ; at < len(text); at++ {
		if !f.first[text[at]] {
			continue
		}
		token = -1
		node := int32(0)
		for i := at; i < len(text); i++ {
			to, ok := f.next[uint64(node)<<8|uint64(text[i])]
			if !ok {
				break
			}
			node = to
			if f.token[node] >= 0 {
				token, end = f.token[node], i+1
			}
		}
		if token >= 0 {
			return token, at, end
		}
	}
	return -1, 0, 0
}

// cut calls each for what f finds in text, token >= 0, and for the text between, token < 0. Special tokens count as text
// unless special is set. This is find_matches of Hugging Face tokenizers.
func (t *Tokenizer) cut(f *finder, text []byte, special bool, each func(token int32, start, end int)) {
	done := 0
	if f != nil {
		for at := 0; ; {
			token, start, end := f.find(text, at)
			if token < 0 {
				break
			}
			at = end
			a := &t.added[token]
			if a.Special && !special || a.SingleWord && (wordBefore(text[:start]) || wordBehind(text[end:])) {
				continue
			}
			if a.LStrip {
				start = max(done, len(trimRight(text[:start])))
			}
			if a.RStrip {
				end = len(text) - len(trimLeft(text[end:]))
			}
			if done < start {
				each(-1, done, start)
			}
			each(token, start, end)
			done = end
		}
	}
	if done < len(text) {
		each(-1, done, len(text))
	}
}

func wordBefore(text []byte) bool {
	r, n := utf8.DecodeLastRune(text)
	return n > 0 && wordSet.has(r)
}

func wordBehind(text []byte) bool {
	r, n := utf8.DecodeRune(text)
	return n > 0 && wordSet.has(r)
}

func trimLeft(text []byte) []byte {
	for len(text) > 0 {
		r, n := utf8.DecodeRune(text)
		if !unicode.IsSpace(r) {
			break
		}
		text = text[n:]
	}
	return text
}

func trimRight(text []byte) []byte {
	for len(text) > 0 {
		r, n := utf8.DecodeLastRune(text)
		if !unicode.IsSpace(r) {
			break
		}
		text = text[:len(text)-n]
	}
	return text
}
