package tokenizer

import (
	"slices"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// normalForm is a Unicode normal form. Its tables are those of the library that Hugging Face tokenizers uses: what is newer is
// left alone.
type normalForm struct {
	simple
	compose, compatible bool
}

var nfd = &normalForm{}

// mark is a character with its canonical combining class and how it changes the text, as in edit.put.
type mark struct {
	r      rune
	class  uint8
	change int
}

func (f *normalForm) normalize(t *text) error {
	if isASCII(t.norm) {
		return nil
	}
	marks := f.decompose(t.norm)
	if f.compose {
		marks = compose(marks)
	}
	e := t.edit()
	for _, m := range marks {
		e.put(m.r, m.change)
	}
	e.done()
	return nil
}

func isASCII(s []byte) bool {
	for _, b := range s {
		if b >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// decompose returns the characters of s decomposed and in canonical order.
func (f *normalForm) decompose(s []byte) []mark {
	form := norm.NFD
	if f.compatible {
		form = norm.NFKD
	}
	marks := make([]mark, 0, len(s))
	sorted := 0
	for _, r := range string(s) {
		if r < 0xC0 && !(f.compatible && r >= 0xA0) {
			marks = append(marks, mark{r: r})
			continue
		}
		var buf [utf8.UTFMax]byte
		p := form.Properties(utf8.AppendRune(buf[:0], r))
		parts := p.Decomposition()
		if inertSet.has(r) || parts == nil && !isHangul(r) {
			m := mark{r: r, class: p.CCC()}
			if inertSet.has(r) {
				m.class = 0
			}
			marks = append(marks, m)
			continue
		}
		if isHangul(r) {
			parts = form.Append(nil, buf[:utf8.RuneLen(r)]...)
		}
		for i, d := range string(parts) {
			marks = append(marks, mark{d, norm.NFD.PropertiesString(string(d)).CCC(), min(i, 1)})
		}
	}
	for i := 0; i <= len(marks); i++ {
		if i == len(marks) || marks[i].class == 0 {
			if i-sorted > 1 {
				slices.SortStableFunc(marks[sorted:i], func(a, b mark) int { return int(a.class) - int(b.class) })
			}
			sorted = i
		}
	}
	return marks
}

func isHangul(r rune) bool { return 0xAC00 <= r && r < 0xAC00+11172 }

// compose joins starters with the marks behind them that are not blocked.
func compose(marks []mark) []mark {
	out := marks[:0]
	starter := -1 // where the last one is in out
	blocked := uint8(0)
	for _, m := range marks {
		if starter >= 0 && (starter == len(out)-1 || blocked < m.class) {
			if r, ok := composed(out[starter].r, m.r); ok {
				out[starter].r = r
				out[starter].change += m.change - 1
				continue
			}
		}
		if m.class == 0 {
			starter = len(out)
		}
		blocked = m.class
		out = append(out, m)
	}
	return out
}

// composed returns the character that a and b compose to.
func composed(a, b rune) (rune, bool) {
	if b < 0x300 || a < 0x3C {
		return 0, false
	}
	var buf [2 * utf8.UTFMax]byte
	pair := utf8.AppendRune(utf8.AppendRune(buf[:0], a), b)
	if norm.NFC.IsNormal(pair) {
		return 0, false
	}
	both := norm.NFC.Bytes(pair)
	r, n := utf8.DecodeRune(both)
	return r, n == len(both) && !inertSet.has(r)
}
