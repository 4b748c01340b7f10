package main

import (
	"bytes"
	"strings"
	"unicode/utf8"
)

// Characters of a line that stand for those which the line editor cannot hold. They are noncharacters: no text has them.
const (
	heldNewline = '\uFDD0'
	heldTab     = '\uFDD1'
	heldUnknown = '\uFDD2' // U+FFFD and what is no UTF-8, behind which the editor would wait for ever
)

var (
	holdText  = strings.NewReplacer("\r", string(heldNewline), "\n", string(heldNewline), "\t", string(heldTab), "\uFFFD", string(heldUnknown))
	heldText  = strings.NewReplacer(string(heldNewline), "\n", string(heldTab), "\t", string(heldUnknown), "\uFFFD")
	shownText = strings.NewReplacer(string(heldNewline), "⏎", string(heldTab), " ", string(heldUnknown), "\uFFFD")
)

// ctrlC is what keyboard.feed returns for Ctrl-C; no other token of it begins so.
const ctrlC = "\x03"

const (
	pasteStart = "\x1b[200~"
	pasteEnd   = "\x1b[201~"
)

// editKeys are the control sequences that edit a line, as term.Terminal knows them. All others go.
var editKeys = map[string]string{
	"\x1b[A": "\x1b[A", "\x1b[B": "\x1b[B", "\x1b[C": "\x1b[C", "\x1b[D": "\x1b[D", "\x1bOA": "\x1b[A", "\x1bOB": "\x1b[B", "\x1bOC": "\x1b[C", "\x1bOD": "\x1b[D",
	"\x1b[H": "\x1b[H", "\x1b[1~": "\x1b[H", "\x1b[7~": "\x1b[H", "\x1bOH": "\x1b[H", "\x1b[F": "\x1b[F", "\x1b[4~": "\x1b[F", "\x1b[8~": "\x1b[F", "\x1bOF": "\x1b[F", "\x1b[3~": "\x1b[3~",
	"\x1b[1;5C": "\x1b[1;3C", "\x1b[1;3C": "\x1b[1;3C", "\x1bf": "\x1b[1;3C", "\x1b[1;5D": "\x1b[1;3D", "\x1b[1;3D": "\x1b[1;3D", "\x1bb": "\x1b[1;3D", "\x1b\x7f": "\x17",
}

// controlKeys edit a line, or end it.
const controlKeys = "\x01\x02\x04\x05\x06\x08\x0b\x0c\x0e\x10\x14\x15\x17\x7f\r"

// keyboard turns what a terminal in raw mode sends into what term.Terminal reads: text comes as pasted text, which it takes as it is and of any
// length; a paste of several lines is one line with heldNewline; control sequences are those that edit a line.
type keyboard struct {
	rest    []byte // the beginning of a sequence or character
	pasting bool
	cr      bool // the last token was a carriage return: a line feed behind it belongs to it
}

// feed returns what the next bytes mean; ctrlC is a token of its own.
func (k *keyboard) feed(p []byte) (tokens []string) {
	b := append(k.rest, p...)
	for len(b) > 0 {
		n := sequence(b)
		if n == 0 {
			break
		}
		if t := k.token(string(b[:n])); t != "" && !(k.cr && b[0] == '\n') {
			tokens = append(tokens, t)
		}
		k.cr = b[0] == '\r'
		b = b[n:]
	}
	k.rest = bytes.Clone(b)
	return tokens
}

// token is what one sequence or run of text means; "" is nothing.
func (k *keyboard) token(s string) string {
	switch {
	case s == ctrlC:
		k.pasting = false // so that a paste without an end can be left
		return ctrlC
	case s == pasteStart || s == pasteEnd:
		k.pasting = s == pasteStart
	case s[0] == 0x1b && !k.pasting:
		return editKeys[s]
	case s == "\n" && !k.pasting:
		return "\r"
	case len(s) == 1 && strings.Contains(controlKeys, s) && !k.pasting:
		return s
	default:
		if s = holdText.Replace(strings.ToValidUTF8(plainText(s), "\uFFFD")); s != "" {
			return pasteStart + s + pasteEnd
		}
	}
	return ""
}

// sequence is the length of what b begins with: a control sequence, a control character, or text without any. 0 asks for more bytes.
func sequence(b []byte) int {
	switch {
	case b[0] == 0x1b:
		return escape(b)
	case b[0] < ' ' || b[0] == 0x7f:
		return 1
	}
	n := bytes.IndexFunc(b, func(r rune) bool { return r < ' ' || r == 0x7f })
	if n < 0 {
		n = len(b)
		for cut := 1; cut < utf8.UTFMax && cut <= n; cut++ {
			if utf8.RuneStart(b[n-cut]) {
				if !utf8.FullRune(b[n-cut:]) {
					return n - cut
				}
				break
			}
		}
	}
	return n
}

// escape is sequence where b begins with an escape character (ECMA-48: CSI, SS3, and escape with one character, which is what Alt sends).
func escape(b []byte) int {
	const most = 64 // bytes of a sequence
	switch {
	case len(b) == 1:
		return 0
	case b[1] < ' ':
		return 1
	case b[1] == 'O' && len(b) == 2:
		return 0
	case b[1] == 'O':
		return 3
	case b[1] != '[' && !utf8.FullRune(b[1:]):
		return 0
	case b[1] != '[':
		_, n := utf8.DecodeRune(b[1:])
		return 1 + n
	}
	for i, c := range b[2:] {
		if c < ' ' || c > '~' || i == most {
			return 2 + i // broken off
		}
		if c >= '@' {
			return 3 + i
		}
	}
	return 0
}

// plainText is s without control sequences and control characters other than line ends and tabs.
func plainText(s string) string {
	if strings.IndexFunc(s, isControl) < 0 {
		return s
	}
	var text strings.Builder
	for b := []byte(s); len(b) > 0; {
		n := sequence(b)
		if n == 0 {
			n = len(b)
		}
		if b[0] != 0x1b {
			text.WriteString(strings.Map(func(r rune) rune {
				if isControl(r) {
					return -1
				}
				return r
			}, string(b[:n])))
		}
		b = b[n:]
	}
	return text.String()
}

// isControl tells what no message holds: control characters other than line ends and tabs, and what stands for those.
func isControl(r rune) bool {
	return r < ' ' && r != '\n' && r != '\r' && r != '\t' || r >= 0x7f && r < 0xa0 || r == heldNewline || r == heldTab || r == heldUnknown
}
