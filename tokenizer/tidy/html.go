package tidy

import (
	"html"
	"regexp"
	"strconv"
	"strings"

	"golang.org/x/text/cases"
	"golang.org/x/text/language"
)

// reference is what Python's html.unescape looks up: a number or a name, up to a semicolon if one follows.
var reference = regexp.MustCompile(`&(#[0-9]+;?|#[xX][0-9a-fA-F]+;?|[^\t\n\f <&#;]{1,32};?)`)

// Unescape is Python's html.unescape: names may go on behind an entity that needs no semicolon ("&notit" is "¬it").
func Unescape(text string) string {
	if !strings.Contains(text, "&") {
		return text
	}
	return reference.ReplaceAllStringFunc(text, func(ref string) string {
		if ref[1] == '#' {
			return number(ref)
		}
		return html.UnescapeString(ref)
	})
}

// number is the character of a numeric reference: those of Windows-1252 for C1 controls, U+FFFD for 0 and what is no character's
// number, and nothing for other controls and non-characters.
func number(ref string) string {
	digits, base := strings.TrimSuffix(ref[2:], ";"), 10
	if digits[0] == 'x' || digits[0] == 'X' {
		digits, base = digits[1:], 16
	}
	v, err := strconv.ParseUint(digits, base, 32)
	switch {
	case err != nil, v == 0, v > 0x10ffff, 0xd800 <= v && v < 0xe000:
		return "\ufffd"
	case 0x80 <= v && v < 0xa0:
		return string(windows1252.chars[v-0x80])
	case v < 0x20 && v != '\t' && v != '\n' && v != '\f' && v != '\r', v == 0x7f, 0xfdd0 <= v && v < 0xfdf0, v&0xfffe == 0xfffe:
		return ""
	}
	return string(rune(v))
}

// entity is what Fix looks up.
var entity = regexp.MustCompile(`&#?[0-9A-Za-z]{1,24};`)

var upper = cases.Upper(language.Und)

// unescapeWhole is the character of an entity that needs all of its name, also in capitals where no other entity has them; what is no
// such entity stays as it is.
func unescapeWhole(ref string) string {
	if ref[1] == '#' {
		if got := Unescape(ref); !strings.Contains(got, ";") {
			return got
		}
		return ref
	}
	if char, ok := named(ref); ok {
		return char
	}
	low := strings.ToLower(ref)
	if ref != strings.ToUpper(ref) || html.UnescapeString(ref) != ref {
		return ref
	}
	if char, ok := named(low); ok {
		return upper.String(char)
	}
	return ref
}

// named is the character of an entity, "&" to ";"; false where a shorter name or none is found.
func named(ref string) (string, bool) {
	char := html.UnescapeString(ref)
	return char, ref == "&semi;" || !strings.HasSuffix(char, ";")
}
