package tidy

import (
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"
)

// encoding is one of a byte for each character, whose lower half is ASCII.
type encoding struct {
	chars [128]rune // of bytes 0x80 to 0xff
	bytes map[rune]byte
	// A sloppy encoding has the character of Latin-1 for bytes that mean nothing, and byte 0x1a stands for U+FFFD.
	sloppy bool
	mac    bool // space is a letter's neighbour too often for lostSpace
}

const substitute = 0x1a

func newEncoding(m *charmap.Charmap, sloppy bool) *encoding {
	e := &encoding{bytes: map[rune]byte{}, sloppy: sloppy, mac: m == charmap.Macintosh}
	for i := range e.chars {
		b := byte(0x80 + i)
		r := m.DecodeByte(b)
		if r == utf8.RuneError {
			r = rune(b)
		}
		e.chars[i], e.bytes[r] = r, b
	}
	return e
}

var (
	latin1      = newEncoding(charmap.ISO8859_1, false)
	windows1252 = newEncoding(charmap.Windows1252, true)
	// windows are the encodings in which UTF-8 looks like letters.
	windows = []*encoding{windows1252, newEncoding(charmap.Windows1251, true), newEncoding(charmap.Windows1250, true),
		newEncoding(charmap.Windows1253, true), newEncoding(charmap.Windows1254, true), newEncoding(charmap.Windows1257, true)}
	// encodings are those that a text may have been read in by mistake, the likeliest first.
	encodings = append(append([]*encoding{latin1}, windows...), newEncoding(charmap.ISO8859_2, false),
		newEncoding(charmap.Macintosh, false), newEncoding(charmap.CodePage437, false))
)

// encode returns the bytes of a text as characters of Latin-1; false where the encoding lacks a character.
func (e *encoding) encode(text string) (string, bool) {
	var out strings.Builder
	for _, r := range text {
		b, ok := e.bytes[r]
		switch {
		case r == utf8.RuneError && e.sloppy:
			b = substitute
		case r == substitute && e.sloppy:
			return "", false
		case r < 0x80:
			b = byte(r)
		case !ok:
			return "", false
		}
		out.WriteRune(rune(b))
	}
	return out.String(), true
}

// decodeUTF8 reads bytes, given as characters of Latin-1, as UTF-8, in which Java's two bytes for 0 and the six bytes of a character
// that was two surrogates (CESU-8) are taken too; false where they are none.
func decodeUTF8(bytes string) (string, bool) {
	var b []byte
	for _, r := range bytes {
		b = append(b, byte(r))
	}
	if utf8.Valid(b) {
		return string(b), true
	}
	var out strings.Builder
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		if r == utf8.RuneError && n == 1 {
			if r, n = variant(b); n == 0 {
				return "", false
			}
		}
		out.WriteRune(r)
		b = b[n:]
	}
	return out.String(), true
}

// variant reads a character that proper UTF-8 spells otherwise, and its length, 0 where there is none.
func variant(b []byte) (rune, int) {
	within := func(i int, lo, hi byte) bool { return lo <= b[i] && b[i] <= hi }
	switch {
	case len(b) >= 2 && b[0] == 0xc0 && b[1] == 0x80:
		return 0, 2
	case len(b) >= 6 && b[0] == 0xed && within(1, 0xa0, 0xaf) && within(2, 0x80, 0xbf) && b[3] == 0xed && within(4, 0xb0, 0xbf) && within(5, 0x80, 0xbf):
		return rune(b[1]&15)<<16 + rune(b[2]&63)<<10 + rune(b[4]&15)<<6 + rune(b[5]&63) + 0x10000, 6
	}
	return 0, 0
}
