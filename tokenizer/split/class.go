package split

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf8"
)

// A class says all that the known patterns ask about a character: one bit, in the order of the digits of tables.go.
// Several bits are a set of classes.
type class uint8

const (
	symbol   class = 1 << iota // none of the below
	upper                      // \p{Lu} \p{Lt}
	lower                      // \p{Ll}
	caseless                   // \p{Lm} \p{Lo}
	mark                       // \p{M}
	number                     // \p{N}
	space                      // \s other than \r and \n
	newline                    // \r \n

	letters    = upper | lower | caseless
	spaces     = space | newline
	symbols    = symbol | mark   // [^\s\p{L}\p{N}]
	prefixes   = symbols | space // [^\r\n\p{L}\p{N}]
	upperWord  = upper | caseless | mark
	lowerWord  = lower | caseless | mark
	eitherWord = upperWord & lowerWord

	notASCII class = 0 // in asciiClass only
)

// asciiClass is the class of each byte below 0x80.
var asciiClass = func() (t [256]class) {
	for i := range t {
		t[i] = notASCII
		if i < utf8.RuneSelf {
			t[i] = runeClass(rune(i))
		}
	}
	return t
}()

func runeClass(r rune) class {
	return 1 << (blockClasses[int(blockOf[r>>8])<<8|int(r&0xff)] & 7)
}

// classAt returns the class and the length in bytes of the character at text[i]. A byte that is not part of valid UTF-8
// is a symbol of length 1.
func classAt(text []byte, i int) (c class, n int) {
	c, n = asciiClass[text[i]], 1
	if c == notASCII {
		c, n = wideClassAt(text, i)
	}
	return
}

func wideClassAt(text []byte, i int) (class, int) {
	r, n := utf8.DecodeRune(text[i:])
	if n == 1 {
		return symbol, 1
	}
	return runeClass(r), n
}

// classOr returns classAt, or notASCII and 0 at the end of text.
func classOr(text []byte, i int) (class, int) {
	if i >= len(text) {
		return notASCII, 0
	}
	return classAt(text, i)
}

// run returns the end of the longest run of characters in s that starts at i.
func run(text []byte, i int, s class) int {
	for {
		for i < len(text) && asciiClass[text[i]]&s != 0 {
			i++
		}
		if i == len(text) || text[i] < utf8.RuneSelf {
			return i
		}
		c, n := wideClassAt(text, i)
		if s&c == 0 {
			return i
		}
		i += n
	}
}

const (
	ones  = 0x0101010101010101
	highs = 0x80 * ones
)

// load returns text[i:i+8], the first byte lowest.
func load(text []byte, i int) uint64 { return binary.LittleEndian.Uint64(text[i : i+8]) }

// asciiLetters returns 0x80 in each byte of w that is an ASCII letter, 0 in the others.
func asciiLetters(w uint64) uint64 {
	low := (w | 0x20*ones) &^ highs
	return (low + (0x80-'a')*ones) &^ (low + (0x80-'z'-1)*ones) &^ w & highs
}

// firstNot returns the number of bytes that are 0x80 before the first of mask that is not; 8 if all are.
func firstNot(mask uint64) int { return bits.TrailingZeros64(mask^highs) >> 3 }

// letterRun is run for letters, eight ASCII letters at a time.
func letterRun(text []byte, i int) int {
	for {
		for i+8 <= len(text) {
			n := firstNot(asciiLetters(load(text, i)))
			i += n
			if n < 8 {
				break
			}
		}
		for i < len(text) && asciiClass[text[i]]&letters != 0 { // near the end of text
			i++
		}
		if i == len(text) || text[i] < utf8.RuneSelf {
			return i
		}
		for i < len(text) && text[i] >= utf8.RuneSelf {
			c, n := wideClassAt(text, i)
			if letters&c == 0 {
				return i
			}
			i += n
		}
	}
}

// shortWord returns the end of a run of less than eight ASCII letters, or i where it is empty, longer, next to a character
// that is not ASCII, or near the end of text: the usual word without a loop.
func shortWord(text []byte, i int) int {
	if i+8 <= len(text) {
		n := firstNot(asciiLetters(load(text, i)))
		if n < 8 && text[i+n] < 0x80 {
			return i + n
		}
	}
	return i
}
