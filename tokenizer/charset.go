package tokenizer

import (
	"slices"
	"unicode"
	"unsafe"
)

// set is a set of characters: the sorted firsts and lasts of its ranges, and the answer for ASCII.
type set struct {
	ascii [128]bool
	ends  []rune
}

func newSet(ends ...rune) *set {
	s := &set{ends: ends}
	for r := range s.ascii {
		s.ascii[r] = s.search(rune(r))
	}
	return s
}

func (s *set) search(r rune) bool {
	i, found := slices.BinarySearch(s.ends, r)
	return found || i%2 == 1
}

func (s *set) has(r rune) bool {
	if uint32(r) < 128 {
		return s.ascii[r]
	}
	return s.search(r)
}

// appendLower appends the lower case of a character.
func appendLower(dst []rune, r rune) []rune {
	switch {
	case 'A' <= r && r <= 'Z':
		return append(dst, r+'a'-'A')
	case r < 128:
		return append(dst, r)
	case r == 'İ':
		return append(dst, 'i', '\u0307')
	}
	if low, ok := newLower[r]; ok {
		return append(dst, low)
	}
	return append(dst, unicode.ToLower(r))
}

// scriptRange is a range of characters of one script.
type scriptRange struct {
	first, last rune
	script      uint8
}

// script returns the number of a character's script, 0 for one that goes with any.
func script(r rune) uint8 {
	i, found := slices.BinarySearchFunc(scriptRanges, r, func(s scriptRange, r rune) int { return int(s.first - r) })
	if !found {
		i--
	}
	if i < 0 || r > scriptRanges[i].last {
		return 0
	}
	return scriptRanges[i].script
}

// isChinese reports whether BERT puts spaces around a character.
func isChinese(r rune) bool {
	switch {
	case r < 0x3400:
		return false
	case r < 0x20000:
		return r <= 0x4DBF || 0x4E00 <= r && r <= 0x9FFF || 0xF900 <= r && r <= 0xFAFF
	}
	return r <= 0x2A6DF || 0x2A700 <= r && r <= 0x2B81F || 0x2B920 <= r && r <= 0x2CEAF || 0x2F800 <= r && r <= 0x2FA1F
}

func unsafeString(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
