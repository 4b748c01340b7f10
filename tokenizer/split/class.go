package split

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf8"
)

// A class says all that the known patterns ask about a character. The values are those of tables.go.
type class uint8

const (
	symbol   class = iota // none of the below
	upper                 // \p{Lu} \p{Lt}
	lower                 // \p{Ll}
	caseless              // \p{Lm} \p{Lo}
	mark                  // \p{M}
	number                // \p{N}
	space                 // \s other than \r and \n
	newline               // \r \n
)

// A set is a bit mask of classes.
type set uint16

const (
	letters     set = 1<<upper | 1<<lower | 1<<caseless
	numbers     set = 1 << number
	spaces      set = 1<<space | 1<<newline
	symbols     set = 1<<symbol | 1<<mark // [^\s\p{L}\p{N}]
	prefixes    set = symbols | 1<<space  // [^\r\n\p{L}\p{N}]
	upperWord   set = 1<<upper | 1<<caseless | 1<<mark
	lowerWord   set = 1<<lower | 1<<caseless | 1<<mark
	eitherWord  set = upperWord & lowerWord
	newlineOnly set = 1 << newline
)

func (s set) has(c class) bool { return s>>c&1 != 0 }

// asciiClass is the class of each byte below 0x80, and notASCII for the others.
var asciiClass = func() (t [256]class) {
	for i := range t {
		t[i] = notASCII
		if i < utf8.RuneSelf {
			t[i] = runeClass(rune(i))
		}
	}
	return t
}()

const notASCII class = 8 // in no set

func runeClass(r rune) class {
	return class(blockClasses[int(blockOf[r>>8])<<8|int(r&0xff)] & 7)
}

// classAt returns the class and the length in bytes of the character at text[i]. A byte that is not part of valid UTF-8
// is a symbol of length 1.
func classAt(text []byte, i int) (class, int) {
	if c := asciiClass[text[i]]; c != notASCII {
		return c, 1
	}
	return wideClassAt(text, i)
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
func run(text []byte, i int, s set) int {
	for i < len(text) {
		c, n := classAt(text, i)
		if !s.has(c) {
			break
		}
		i += n
	}
	return i
}

const (
	ones  = 0x0101010101010101
	highs = 0x80 * ones
)

// letterRun is run for letters, eight ASCII letters at a time.
func letterRun(text []byte, i int) int {
	for {
		for i+8 <= len(text) {
			w := binary.LittleEndian.Uint64(text[i:]) | 0x20*ones
			low := w &^ highs
			isLetter := (low + (0x80-'a')*ones) &^ (low + (0x80-'z'-1)*ones) &^ w & highs
			if isLetter != highs {
				i += bits.TrailingZeros64(isLetter^highs) >> 3
				break
			}
			i += 8
		}
		if i >= len(text) {
			return i
		}
		c, n := classAt(text, i)
		if !letters.has(c) {
			return i
		}
		i += n
	}
}
