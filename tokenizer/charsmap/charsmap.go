package charsmap

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"unicode/utf8"
)

// maxText bounds the bytes of a replacement, so that no map turns a page into a library. NFKC's longest has 33.
const maxText = 1024

// Map is a set of rules. It is safe for concurrent use.
type Map struct {
	units []byte    // of the double array, 4 bytes each
	texts string    // replacements, each ends with a NUL
	plain [256]bool // printable ASCII that has no rule by itself
}

// Parse reads a map: the size of the double array in bytes, the double array, the replacements. It keeps data.
func Parse(data []byte) (*Map, error) {
	if len(data) < 4 {
		return nil, fmt.Errorf("charsmap: %d bytes, want 4 for the size of the trie", len(data))
	}
	size := binary.LittleEndian.Uint32(data)
	data = data[4:]
	if uint64(size) > uint64(len(data)) {
		return nil, fmt.Errorf("charsmap: trie of %d bytes in %d", size, len(data))
	}
	if size == 0 || size%4 != 0 {
		return nil, fmt.Errorf("charsmap: trie of %d bytes is not one of units of 4 bytes", size)
	}
	texts := data[size:]
	if !utf8.Valid(texts) {
		return nil, fmt.Errorf("charsmap: replacements are not valid UTF-8")
	}
	for s := range bytes.SplitSeq(texts, []byte{0}) {
		if len(s) > maxText {
			return nil, fmt.Errorf("charsmap: replacement of %d bytes, at most %d", len(s), maxText)
		}
	}
	m := &Map{units: data[:size], texts: string(texts)}
	for c := ' '; c < 0x7f; c++ {
		_, ok := m.shortest(string(c))
		m.plain[c] = !ok
	}
	return m, nil
}

// unit returns a unit of the double array; that of no string where i is outside.
func (m *Map) unit(i uint32) uint32 {
	if int64(i) >= int64(len(m.units)/4) {
		return 1 << 31
	}
	return binary.LittleEndian.Uint32(m.units[4*i:])
}

// A unit is a label (bits 0-7), whether a value follows (8), and how far the children are (10-30), times 256 where bit 9 is
// set. Units of values have bit 31 set, and the value in the others.
func offset(unit uint32) uint32 { return unit >> 10 << (unit & (1 << 9) >> 6) }

// match calls found for each prefix of text that has a rule, the shortest first, until it returns false.
func (m *Map) match(text string, found func(n int, at uint32) bool) {
	at := offset(m.unit(0))
	for i := 0; i < len(text); i++ {
		c := uint32(text[i])
		if c == 0 {
			return
		}
		at ^= c
		u := m.unit(at)
		if u&(1<<31|0xff) != c {
			return
		}
		at ^= offset(u)
		if u>>8&1 == 1 && !found(i+1, m.unit(at)&(1<<31-1)) {
			return
		}
	}
}

// text returns the replacement at a place of m.texts; "" where that is outside or within a character.
func (m *Map) text(at uint32) string {
	if int64(at) >= int64(len(m.texts)) || !utf8.RuneStart(m.texts[at]) {
		return ""
	}
	s := m.texts[at:]
	for i := range len(s) {
		if s[i] == 0 {
			return s[:i]
		}
	}
	return s
}

// Longest returns the replacement of the longest prefix of text that has a rule, and the bytes of that prefix: 0 where none has.
func (m *Map) Longest(text string) (with string, n int) {
	var value uint32
	m.match(text, func(k int, at uint32) bool {
		n, value = k, at
		return true
	})
	if n == 0 {
		return "", 0
	}
	return m.text(value), n
}

// shortest returns the replacement of the shortest prefix of text that has a rule.
func (m *Map) shortest(text string) (with string, ok bool) {
	m.match(text, func(_ int, at uint32) bool {
		with, ok = m.text(at), true
		return false
	})
	return with, ok
}

// Transform calls put for each character of text normalised as Hugging Face tokenizers do, with what it stands for: 0 one
// character of the text, the next one; 1 none, it is inserted; -n the next one and the n after it, which are removed. These
// are the arguments of their NormalizedString::transform. Where no rule applies it calls nothing and returns false. Text
// must be valid UTF-8.
func (m *Map) Transform(text string, put func(r rune, change int)) bool {
	if m.plainPrefix(text) == len(text) {
		return false
	}
	out := make([]edit, 0, len(text))
	changed := m.walk(text, func(old, with string, change bool) {
		if change {
			out = replace(out, old, with)
			return
		}
		for _, r := range old {
			out = append(out, edit{r, 0})
		}
	})
	if changed {
		for _, e := range out {
			put(e.r, e.change)
		}
	}
	return changed
}

// Append appends text normalised as Transform does. Where no rule applies it returns dst and false.
func (m *Map) Append(dst []byte, text string) ([]byte, bool) {
	if m.plainPrefix(text) == len(text) {
		return dst, false
	}
	out := dst
	if m.walk(text, func(_, with string, _ bool) { out = append(out, with...) }) {
		return out, true
	}
	return dst, false
}

// walk calls part for the parts of text from left to right, each with its replacement, or itself where change is false. It returns
// whether there was a replacement.
func (m *Map) walk(text string, part func(old, with string, change bool)) (changed bool) {
	for len(text) > 0 {
		if n := m.plainPrefix(text); n > 0 {
			part(text[:n], text[:n], false)
			text = text[n:]
			continue
		}
		cluster := text[:clusterEnd(text)]
		text = text[len(cluster):]
		if len(cluster) < 6 {
			if with, ok := m.shortest(cluster); ok {
				changed = true
				part(cluster, with, true)
				continue
			}
		}
		for len(cluster) > 0 {
			_, n := utf8.DecodeRuneInString(cluster)
			with, ok := m.shortest(cluster[:n])
			if !ok {
				with = cluster[:n]
			}
			changed = changed || ok
			part(cluster[:n], with, ok)
			cluster = cluster[n:]
		}
	}
	return changed
}

// plainPrefix returns how many bytes at the start of text are clusters of one character each that have no rule.
func (m *Map) plainPrefix(text string) int {
	for i := range len(text) {
		if !m.plain[text[i]] {
			if text[i] >= utf8.RuneSelf && i > 0 {
				return i - 1 // it may belong to a cluster
			}
			return i
		}
	}
	return len(text)
}

type edit struct {
	r      rune
	change int
}

// replace appends the characters of with in place of those of old.
func replace(out []edit, old, with string) []edit {
	for _, r := range with {
		out = append(out, edit{r, 0})
	}
	switch more := utf8.RuneCountInString(with) - utf8.RuneCountInString(old); {
	case more > 0:
		for i := len(out) - more; i < len(out); i++ {
			out[i].change = 1
		}
	case more < 0 && len(out) > 0:
		out[len(out)-1].change += more
	}
	return out
}

// Normalize returns text normalised as Transform does, and for each byte the place in text of the character that it stands
// for (an inserted character stands for the one before it), -1 where there is none.
func (m *Map) Normalize(text string) (out []byte, from []int) {
	at, last := 0, -1
	next := func() {
		_, n := utf8.DecodeRuneInString(text[at:])
		at += n
	}
	changed := m.Transform(text, func(r rune, change int) {
		place := last
		if change <= 0 {
			place = at
			for i := 0; i <= -change; i++ {
				last = at
				next()
			}
		}
		n := len(out)
		out = utf8.AppendRune(out, r)
		for range len(out) - n {
			from = append(from, place)
		}
	})
	if changed {
		return out, from
	}
	from = make([]int, len(text))
	for i := range text {
		from[i] = i
	}
	for i := range from {
		if i > 0 && !utf8.RuneStart(text[i]) {
			from[i] = from[i-1]
		}
	}
	return bytes.Clone([]byte(text)), from
}
