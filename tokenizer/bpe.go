package tokenizer

import (
	"fmt"
	"unicode/utf8"
)

// bpe is byte-pair encoding of characters, all variants: a word is cut into characters, then the pair of lowest rank merges.
type bpe struct {
	ids    map[string]int32
	pairs  *pairTable
	whole  bool   // a word that is a token is that token
	prefix string // of all characters of a word but the first
	suffix string // of the last one

	isSpecial func(int32) bool

	unk      string // stands for characters without a token; "": they are left out
	fuse     bool   // several unknown characters are one token
	fallback bool   // they are spelled as byte tokens where all those exist
	byteID   [256]int32

	ascii [128]int32 // ids of characters without prefix and suffix, -1 where there is none
}

// byteToken is how byte fallback spells a byte.
func byteToken(b byte) string { return fmt.Sprintf("<0x%02X>", b) }

// setBytes fills the tables of single characters.
func (m *bpe) setBytes() {
	for c := range m.ascii {
		m.ascii[c] = -1
		if id, ok := m.ids[string(rune(c))]; ok {
			m.ascii[c] = id
		}
	}
	for b := range m.byteID {
		m.byteID[b] = -1
		if id, ok := m.ids[byteToken(byte(b))]; ok {
			m.byteID[b] = id
		}
	}
}

// token returns the token that a word is as a whole, where the vocabulary is asked for that.
func (m *bpe) token(word []byte) (id int32, ok bool) {
	if m.whole {
		id, ok = m.ids[string(word)]
	}
	return id, ok && !m.isSpecial(id)
}

// encode is segment without the places of the tokens: short words are merged by scanning, which is faster.
func (m *bpe) encode(e *Encoder, dst []int32, word []byte) ([]int32, error) {
	if id, ok := m.token(word); ok {
		return append(dst, id), nil
	}
	ids, _, err := m.symbols(e, word)
	return append(dst, ids[:e.word.merge(m.pairs, ids)]...), err
}

func (m *bpe) segment(e *Encoder, dst []token, word []byte) ([]token, error) {
	if id, ok := m.token(word); ok {
		return append(dst, token{id, 0, len(word)}), nil
	}
	ids, ends, err := m.symbols(e, word)
	if err != nil {
		return dst, err
	}
	at := e.starts[:0]
	ids, at = e.word.long.mergeAt(m.pairs, ids, at)
	e.starts = at
	from := 0
	for i, id := range ids {
		end := ends[len(ends)-1]
		if i+1 < len(ids) {
			end = ends[at[i+1]-1]
		}
		dst = append(dst, token{id, from, end})
		from = end
	}
	return dst, nil
}

// symbols returns the tokens of the word's characters and where each ends. Both are scratch memory of e.
func (m *bpe) symbols(e *Encoder, word []byte) (ids []int32, ends []int, err error) {
	ids, ends = e.symbols[:0], e.symbolEnds[:0]
	end := 0
	add := func(id int32, n int) {
		end += n
		ids, ends = append(ids, id), append(ends, end)
	}
	unknown, unknowns := int32(-1), 0 // not yet added, and its bytes
	plain := m.prefix == "" && m.suffix == ""
	for i := 0; i < len(word); {
		if c := word[i]; plain && unknown < 0 && c < utf8.RuneSelf && m.ascii[c] >= 0 {
			add(m.ascii[c], 1)
			i++
			continue
		}
		_, n := utf8.DecodeRune(word[i:])
		name := word[i : i+n]
		if i > 0 && m.prefix != "" || i+n == len(word) && m.suffix != "" {
			e.name = e.name[:0]
			if i > 0 {
				e.name = append(e.name, m.prefix...)
			}
			e.name = append(e.name, name...)
			if i+n == len(word) {
				e.name = append(e.name, m.suffix...)
			}
			name = e.name
		}
		i += n
		if id, ok := m.ids[string(name)]; ok {
			if unknown >= 0 {
				add(unknown, unknowns)
				unknown = -1
			}
			add(id, n)
			continue
		}
		if m.fallback && m.hasBytes(name) {
			for _, b := range name {
				add(m.byteID[b], 1)
			}
			continue
		}
		if m.unk == "" {
			continue
		}
		if unknown >= 0 && m.fuse {
			unknowns += n
			continue
		}
		if unknown >= 0 {
			add(unknown, unknowns)
		}
		var ok bool
		if unknown, ok = m.ids[m.unk]; !ok {
			return nil, nil, fmt.Errorf("tokenizer: model.unk_token %q is not in model.vocab, and neither is %q", m.unk, name)
		}
		unknowns = n
	}
	if unknown >= 0 {
		add(unknown, unknowns)
	}
	e.symbols, e.symbolEnds = ids, ends
	return ids, ends, nil
}

func (m *bpe) hasBytes(name []byte) bool {
	for _, b := range name {
		if m.byteID[b] < 0 {
			return false
		}
	}
	return true
}
