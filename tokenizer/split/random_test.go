package split

import (
	"math/rand/v2"
	"strings"
	"unicode"
)

// tricky holds alphabets whose characters meet in the awkward parts of the patterns.
var tricky = [][]rune{
	[]rune(" \t\n\r'aB1."),
	[]rune("'sStTrRvVeElLmMdD\u017f x"),
	[]rune(" \n\r\t\v\f\u0085\u00a0\u1680\u2003\u2028\u2029\u202f\u3000a!"),
	[]rune("0123456789\u00b2\u00bd\u0663\u2167\u3007 x,"),
	[]rune("aAzZ\u00e9\u00c9\u01c5\u02b0\u4e2d\u3042\u05d0\u0301\u0903\u20dd 's/"),
	[]rune("!/.,-_'\"#\r\n/ \u2014\u201c\u20ac\U0001f600\u200d\ufe0f\u200b"),
	[]rune("\u0301\u0308A\u4e2da\u02b0\u01c5 '\r\nS"),
	[]rune("\u1c89\u1c8a\U00010d40\U00010d50\U00010d70\U000105c0\u0897\U0001ccf0\ua7da A1"), // new in Unicode 16
	[]rune("\u017f\u212a'\u2019\ufb05\ufb06\u0149s t\x00\x7f\ufffd\U0010ffff"),
}

// randomTexts returns n texts of 1 to most characters, the same for the same arguments. A character is from the tricky
// alphabets or, one time in sixteen, any that keep accepts.
func randomTexts(n, most int, keep func(rune) bool) []string {
	rng := rand.New(rand.NewPCG(1, uint64(most)))
	texts := make([]string, n)
	for i := range texts {
		a := tricky[rng.IntN(len(tricky))]
		b := tricky[rng.IntN(len(tricky))]
		var s strings.Builder
		for k := 1 + rng.IntN(most); k > 0; {
			r := a[rng.IntN(len(a))]
			switch rng.IntN(16) {
			case 0:
				r = rune(rng.IntN(0x110000))
			case 1, 2, 3:
				r = b[rng.IntN(len(b))]
			}
			if r>>11 == 0x1b || !keep(r) { // 0x1b: surrogates
				continue
			}
			k--
			for s.WriteRune(r); rng.IntN(4) == 0 && k > 0; k-- { // runs
				s.WriteRune(r)
			}
		}
		texts[i] = s.String()
	}
	return texts
}

func anyRune(rune) bool { return true }

// goClass is runeClass by package unicode.
func goClass(r rune) class {
	switch {
	case r == '\r' || r == '\n':
		return newline
	case unicode.IsSpace(r):
		return space
	case unicode.In(r, unicode.Lu, unicode.Lt):
		return upper
	case unicode.Is(unicode.Ll, r):
		return lower
	case unicode.IsLetter(r):
		return caseless
	case unicode.IsMark(r):
		return mark
	case unicode.IsNumber(r):
		return number
	}
	return symbol
}

// agreed reports whether regexp2, which has package unicode's tables and does not take the long s for an s, sees r as the
// scanners do.
func agreed(r rune) bool { return r != 0x17f && goClass(r) == runeClass(r) }
