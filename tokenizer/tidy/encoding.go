package tidy

import (
	"regexp"
	"strings"
	"unicode/utf8"
)

// fixEncoding takes one wrong reading after the other back.
func fixEncoding(text string) string {
	for range passes {
		before := text
		if text = fixReading(text); text == before {
			break
		}
	}
	return text
}

// fixReading takes back one wrong reading of text that looks like one.
func fixReading(text string) string {
	if !isBad(text) {
		return text
	}
	for _, e := range encodings {
		bytes, ok := e.encode(text)
		if !ok {
			continue
		}
		if !e.mac {
			bytes = lostSpaces(bytes)
		}
		if e.sloppy {
			bytes = lostBytes.ReplaceAllLiteralString(bytes, "\u00ef\u00bf\u00bd") // U+FFFD
		}
		if fixed, ok := decodeUTF8(bytes); ok {
			return fixed
		}
	}
	if fixed := fixParts(text); fixed != text {
		return fixed
	}
	return windowsControls(text)
}

// windowsControls replaces C1 controls by what Windows-1252 has in their places.
func windowsControls(text string) string {
	return strings.Map(func(r rune) rune {
		if 0x80 <= r && r < 0xa0 {
			return windows1252.chars[r-0x80]
		}
		return r
	}, text)
}

// alteredUTF8 are bytes, as characters of Latin-1, that are UTF-8 if a space in them was 0xa0 before something took it for a space.
// What it would make likelier as a space is left out.
var alteredUTF8 = regexp.MustCompile("[\u00c2\u00c3\u00c5\u00ce\u00d0\u00d9] " +
	"|[\u00e2\u00e3] [\u0080-\u0084\u0086-\u009f\u00a1-\u00bf]" +
	"|[\u00e0-\u00e3][\u0080-\u0084\u0086-\u009f\u00a1-\u00bf] " +
	"|\u00f0 [\u0080-\u00bf][\u0080-\u00bf]|\u00f0[\u0080-\u00bf] [\u0080-\u00bf]|\u00f0[\u0080-\u00bf][\u0080-\u00bf] ")

// lostSpaces puts bytes 0xa0 back. Behind 0xc3 a space that ends the word à stays as well.
func lostSpaces(bytes string) string {
	if !alteredUTF8.MatchString(bytes) {
		return bytes
	}
	var out strings.Builder
	for {
		i := strings.Index(bytes, "\u00c3 ")
		if i < 0 {
			out.WriteString(bytes)
			break
		}
		rest := bytes[i+len("\u00c3 "):]
		out.WriteString(bytes[:i])
		if endsWordA(rest) {
			out.WriteString("\u00c3\u00a0 ")
		} else {
			out.WriteString("\u00c3 ")
		}
		bytes = rest
	}
	return alteredUTF8.ReplaceAllStringFunc(out.String(), func(m string) string { return strings.ReplaceAll(m, " ", "\u00a0") })
}

// endsWordA says by what follows "Ã " that it was the word à: not a second space, nor the rest of Portuguese àquele, àquela, àquilo, às.
func endsWordA(rest string) bool {
	for _, p := range []string{" ", "quele", "quela", "quilo", "s "} {
		if strings.HasPrefix(rest, p) {
			return false
		}
	}
	return true
}

// lostBytes are UTF-8 and CESU-8, as characters of Latin-1, some of whose bytes are known to be lost.
var lostBytes = regexp.MustCompile("[\u00c2-\u00df]\x1a|[\u00c2-\u00c3][?]" +
	"|\u00ed[\u00a0-\u00af][\x1a?]\u00ed[\u00b0-\u00bf][\x1a?\u0080-\u00bf]|\u00ed[\u00a0-\u00af][\x1a?\u0080-\u00bf]\u00ed[\u00b0-\u00bf][\x1a?]" +
	"|[\u00e0-\u00ef][\x1a?][\x1a\u0080-\u00bf]|[\u00e0-\u00ef][\x1a\u0080-\u00bf][\x1a?]" +
	"|[\u00f0-\u00f4][\x1a?][\x1a\u0080-\u00bf][\x1a\u0080-\u00bf]|[\u00f0-\u00f4][\x1a\u0080-\u00bf][\x1a?][\x1a\u0080-\u00bf]" +
	"|[\u00f0-\u00f4][\x1a\u0080-\u00bf][\x1a\u0080-\u00bf][\x1a?]|\x1a")

// What a character can be in UTF-8 that was read in Latin-1 or one of Windows' encodings, as bits.
const (
	firstOf2 = 1 << iota
	firstOf3
	firstOf4
	next   // one of those behind the first
	strict // one of them that hardly stands for itself
)

var clues = func() map[rune]uint8 {
	m := map[rune]uint8{' ': next}
	for _, e := range append([]*encoding{latin1}, windows...) {
		for i, r := range e.chars {
			switch b := 0x80 + i; {
			case b < 0xc0:
				m[r] |= next
				if !strings.ContainsRune("–—―‘’‚“”„•…", r) {
					m[r] |= strict
				}
			case 0xc2 <= b && b < 0xe0:
				m[r] |= firstOf2
			case 0xe0 <= b && b < 0xf0:
				m[r] |= firstOf3
			case b == 0xf0 || b == 0xf3:
				m[r] |= firstOf4
			}
		}
	}
	return m
}()

// fixParts repairs those parts that look like UTF-8 read wrongly.
func fixParts(text string) string {
	var out strings.Builder
	done := 0
	before := rune(0)
	for i := 0; i < len(text); {
		n := 0
		if clues[before]&strict == 0 {
			n = misread(text[i:])
		}
		if part := text[i : i+n]; n > 0 && n < len(text) && isBad(part) {
			out.WriteString(text[done:i])
			out.WriteString(fixEncoding(part))
			done = i + n
		}
		if n == 0 {
			_, n = utf8.DecodeRuneInString(text[i:])
		}
		i += n
		before, _ = utf8.DecodeLastRuneInString(text[:i])
	}
	out.WriteString(text[done:])
	return out.String()
}

// misread is how many bytes of text look like UTF-8 read wrongly, from its start on.
func misread(text string) int {
	at := 0
	for {
		n := misreadChar(text[at:])
		if n == 0 {
			return at
		}
		at += n
	}
}

// misreadChar is misread for one character.
func misreadChar(text string) int {
	first, at := utf8.DecodeRuneInString(text)
	kind := clues[first]
	for k, bit := range []uint8{firstOf2, firstOf3, firstOf4} {
		if kind&bit == 0 {
			continue
		}
		end := at
		n := 0
		for ; n < k+1; n++ {
			r, size := utf8.DecodeRuneInString(text[end:])
			if size == 0 || clues[r]&next == 0 {
				break
			}
			end += size
		}
		if n == k+1 {
			return end
		}
	}
	return 0
}
