package tidy

import (
	"regexp"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Fix is ftfy.fix_text with its defaults. Each byte that is no UTF-8 counts as U+FFFD. Entities are left alone from the first line on
// that holds a "<". Unlike ftfy it repeats them 32 times at most, and puts U+034F into runs of more than 30 combining marks.
func Fix(text string) string {
	if !utf8.ValidString(text) {
		text = string([]rune(text))
	}
	if plain(text) {
		return text
	}
	var out strings.Builder
	entities := true
	for line := range strings.Lines(text) {
		entities = entities && !strings.Contains(line, "<")
		out.WriteString(fixLine(line, entities))
	}
	return out.String()
}

// plain says whether a text holds nothing that Fix could change: ASCII without control characters and entities.
func plain(text string) bool {
	for i := range len(text) {
		if c := text[i]; c < ' ' && c != '\t' && c != '\n' || c >= 0x7f || c == '&' {
			return false
		}
	}
	return true
}

// passes bounds how often repairs are repeated, so that a text of n nested entities does not take n passes over all of it.
const passes = 32

// fixLine repeats all repairs until none changes anything.
func fixLine(text string, entities bool) string {
	for range passes {
		before := text
		if entities {
			text = entity.ReplaceAllStringFunc(text, unescapeWhole)
		}
		text = fixEncoding(text)
		text = windowsControls(text)
		text = replacements.Replace(text)
		text = width(text)
		text = quotes.Replace(text)
		text = lineBreaks.Replace(text)
		text = terminalCode.ReplaceAllLiteralString(text, "")
		text = strings.Map(dropControl, text)
		text = norm.NFC.String(text)
		if text == before {
			break
		}
	}
	return text
}

// replacements takes ligatures and digraphs of Latin letters apart.
var replacements = strings.NewReplacer("Ĳ", "IJ", "ĳ", "ij", "ŉ", "ʼn", "Ǳ", "DZ", "ǲ", "Dz", "ǳ", "dz", "Ǆ", "DŽ", "ǅ", "Dž", "ǆ", "dž",
	"Ǉ", "LJ", "ǈ", "Lj", "ǉ", "lj", "Ǌ", "NJ", "ǋ", "Nj", "ǌ", "nj", "ﬀ", "ff", "ﬁ", "fi", "ﬂ", "fl", "ﬃ", "ffi", "ﬄ", "ffl", "ﬅ", "ſt", "ﬆ", "st")

var quotes = strings.NewReplacer("“", `"`, "”", `"`, "„", `"`, "‟", `"`, "ʼ", "'", "‘", "'", "’", "'", "‚", "'", "‛", "'")

var lineBreaks = strings.NewReplacer("\r\n", "\n", "\r", "\n", "\u2028", "\n", "\u2029", "\n", "\u0085", "\n")

// terminalCode is an ANSI escape sequence.
var terminalCode = regexp.MustCompile(`\x1b\[[\p{Nd};]*[a-zA-Z]`)

// width replaces full-width and half-width forms by the usual ones.
func width(text string) string {
	wide := func(r rune) bool { return r == 0x3000 || 0xff01 <= r && r < 0xfff0 }
	if strings.IndexFunc(text, wide) < 0 {
		return text
	}
	var out strings.Builder
	for _, r := range text {
		if wide(r) {
			out.WriteString(norm.NFKC.String(string(r)))
		} else {
			out.WriteRune(r)
		}
	}
	return out.String()
}

// dropControl removes characters that show nothing and change nothing.
func dropControl(r rune) rune {
	switch {
	case r < 0x20 && r != '\t' && r != '\n' && r != '\f' && r != '\r', r == 0x7f, 0x206a <= r && r < 0x2070, r == 0xfeff, 0xfff9 <= r && r < 0xfffd:
		return -1
	}
	return r
}
