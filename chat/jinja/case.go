package jinja

import (
	"strings"
	"unicode"
)

// upperSpecial are capitals of more than one letter. Greek with iota subscript is left out.
var upperSpecial = map[rune]string{'ß': "SS", 'ŉ': "ʼN", 'ǰ': "J̌", 'ΐ': "Ϊ́", 'ΰ': "Ϋ́", 'և': "ԵՒ", 'ẖ': "H̱", 'ẗ': "T̈", 'ẘ': "W̊", 'ẙ': "Y̊", 'ẚ': "Aʾ",
	'ﬀ': "FF", 'ﬁ': "FI", 'ﬂ': "FL", 'ﬃ': "FFI", 'ﬄ': "FFL", 'ﬅ': "ST", 'ﬆ': "ST"}

func upper(s string) string {
	var b strings.Builder
	for _, c := range s {
		if t, ok := upperSpecial[c]; ok {
			b.WriteString(t)
		} else {
			b.WriteRune(unicode.ToUpper(c))
		}
	}
	return b.String()
}

// lower knows the dotted capital I and the sigma at the end of a word.
func lower(s string) string {
	var b strings.Builder
	var before rune
	for i, c := range s {
		switch {
		case c == 'İ':
			b.WriteString("i̇")
		case c == 'Σ' && cased(before) && !startsCased(s[i+len("Σ"):]):
			b.WriteRune('ς')
		default:
			b.WriteRune(unicode.ToLower(c))
		}
		if !ignorable(c) {
			before = c
		}
	}
	return b.String()
}

func cased(c rune) bool { return unicode.IsUpper(c) || unicode.IsLower(c) || unicode.IsTitle(c) }

// ignorable characters do not end a word when the form of a sigma is chosen.
func ignorable(c rune) bool {
	return strings.ContainsRune("'.:^`¨\u00ad·’", c) || unicode.In(c, unicode.Mn, unicode.Me, unicode.Cf, unicode.Lm, unicode.Sk)
}

func startsCased(s string) bool {
	for _, c := range s {
		if !ignorable(c) {
			return cased(c)
		}
	}
	return false
}

func titleCase(c rune) string {
	if t, ok := upperSpecial[c]; ok && c != 'ŉ' {
		first := []rune(t)
		return string(first[0]) + strings.ToLower(string(first[1:]))
	}
	return string(unicode.ToTitle(c))
}

func capitalize(s string) string {
	for i, c := range s {
		if i == 0 {
			n := len(string(c))
			return titleCase(c) + lower(s[n:])
		}
	}
	return s
}

// title begins every run of cased letters with a capital, as Python's method does.
func title(s string) string {
	var b strings.Builder
	after := false
	for _, c := range s {
		if after {
			b.WriteString(lower(string(c)))
		} else {
			b.WriteString(titleCase(c))
		}
		after = cased(c)
	}
	return b.String()
}

// titleWords begins every word with a capital, as Jinja's filter does: words are what white space and -({[< separate.
func titleWords(s string) string {
	var b strings.Builder
	separator := func(c rune) bool { return space(c) || strings.ContainsRune("-({[<", c) }
	for s != "" {
		n := strings.IndexFunc(s, separator)
		if n < 0 {
			n = len(s)
		}
		for i, c := range s[:n] {
			if i == 0 {
				w := len(string(c))
				b.WriteString(upper(string(c)) + lower(s[w:n]))
			}
		}
		s = s[n:]
		m := len(s) - len(strings.TrimLeftFunc(s, separator))
		b.WriteString(s[:m])
		s = s[m:]
	}
	return b.String()
}

func swapCase(s string) string {
	var b strings.Builder
	for _, c := range s {
		if unicode.IsUpper(c) {
			b.WriteString(lower(string(c)))
		} else {
			b.WriteString(upper(string(c)))
		}
	}
	return b.String()
}

func isLower(s string) bool { return strings.IndexFunc(s, cased) >= 0 && lower(s) == s }

func isUpper(s string) bool {
	return strings.IndexFunc(s, cased) >= 0 && strings.IndexFunc(s, func(c rune) bool { return unicode.IsLower(c) || unicode.IsTitle(c) }) < 0
}
