package jinja

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

type kind uint8

const (
	kEOF    kind = iota
	kData        // text between tags
	kVar         // {{
	kVarEnd      // }}
	kTag         // {%
	kTagEnd      // %}
	kName
	kString
	kInt
	kFloat
	kOp
)

// token is a lexical element. Text is a name, an operator or the value of a string; value that of a number.
type token struct {
	kind  kind
	text  string
	value Value
	line  int
}

// is says whether t is the name or operator text.
func (t token) is(text string) bool { return (t.kind == kName || t.kind == kOp) && t.text == text }

func (t token) String() string {
	switch t.kind {
	case kEOF:
		return "end of template"
	case kData:
		return "text"
	case kVar:
		return "{{"
	case kVarEnd:
		return "}}"
	case kTag:
		return "{%"
	case kTagEnd:
		return "%}"
	case kString:
		return "string " + quote(t.text)
	case kInt, kFloat:
		return "number"
	}
	return "'" + t.text + "'"
}

// lexer cuts a template into tokens as Jinja does with trim_blocks and lstrip_blocks.
type lexer struct {
	src    string
	pos    int
	line   int
	start  bool // what was read last ends a line
	tokens []token
}

// space is Python's str.isspace and \s.
func space(r rune) bool { return unicode.IsSpace(r) || r >= 0x1c && r <= 0x1f }

func trimRight(s string) string { return strings.TrimRightFunc(s, space) }

// lex returns the tokens of src, an kEOF last. Errors are panics of *Error.
func lex(src string) []token {
	src = strings.ReplaceAll(strings.ReplaceAll(src, "\r\n", "\n"), "\r", "\n")
	l := &lexer{src: strings.TrimSuffix(src, "\n"), line: 1, start: true}
	for l.pos < len(l.src) {
		l.root()
	}
	return append(l.tokens, token{kind: kEOF, line: l.line})
}

func (l *lexer) emit(k kind, text string, v Value) {
	l.tokens = append(l.tokens, token{k, text, v, l.line})
}

func (l *lexer) fail(format string, args ...any) { fail(l.line, format, args...) }

// advance moves over n bytes.
func (l *lexer) advance(n int) {
	s := l.src[l.pos : l.pos+n]
	l.line += strings.Count(s, "\n")
	l.pos += n
	l.start = strings.HasSuffix(s, "\n")
}

// rest is what has not been read.
func (l *lexer) rest() string { return l.src[l.pos:] }

// data emits the text before a tag that begins with sign ('-', '+' or 0), without the white space that the tag takes away.
func (l *lexer) data(text string, sign byte, block bool) {
	kept := text
	switch {
	case sign == '-':
		kept = trimRight(text)
	case sign != '+' && block:
		at := strings.LastIndexByte(text, '\n') + 1
		if (at > 0 || l.start) && trimRight(text[at:]) == "" {
			kept = text[:at]
		}
	}
	if kept != "" {
		l.emit(kData, kept, nil)
	}
	l.advance(len(text))
}

// root reads text up to a tag, and the tag.
func (l *lexer) root() {
	rest := l.rest()
	i := 0
	for {
		j := strings.IndexByte(rest[i:], '{')
		if j < 0 || i+j+1 >= len(rest) {
			l.emit(kData, rest, nil)
			l.advance(len(rest))
			return
		}
		i += j
		if c := rest[i+1]; c == '%' || c == '{' || c == '#' {
			break
		}
		i++
	}
	what := rest[i+1]
	sign, n := byte(0), 2
	if i+2 < len(rest) && (rest[i+2] == '-' || rest[i+2] == '+') {
		sign, n = rest[i+2], 3
	}
	l.data(rest[:i], sign, what != '{')
	if what == '%' {
		if m := rawBegin(l.rest()[n:]); m > 0 {
			l.advance(n + m)
			l.raw()
			return
		}
	}
	if what == '#' {
		l.comment(n)
		return
	}
	begin, end, text := kTag, kTagEnd, "%}"
	if what == '{' {
		begin, end, text = kVar, kVarEnd, "}}"
	}
	l.emit(begin, "", nil)
	l.advance(n)
	l.code(end, text)
}

// spaces counts the bytes of white space at the start of s.
func spaces(s string) int { return len(s) - len(strings.TrimLeftFunc(s, space)) }

// blockEnd returns the length of the end of a block or comment at the start of s with the white space that it takes away; 0: it is none.
func blockEnd(s, end string) int {
	switch {
	case strings.HasPrefix(s, "+"+end):
		return 1 + len(end)
	case strings.HasPrefix(s, "-"+end):
		n := 1 + len(end)
		return n + spaces(s[n:])
	case strings.HasPrefix(s, end+"\n"):
		return len(end) + 1
	case strings.HasPrefix(s, end):
		return len(end)
	}
	return 0
}

// rawBegin returns the length of `raw %}` at the start of s; 0: it is something else.
func rawBegin(s string) int {
	n := spaces(s)
	if !strings.HasPrefix(s[n:], "raw") {
		return 0
	}
	n += 3
	n += spaces(s[n:])
	switch {
	case strings.HasPrefix(s[n:], "-%}"):
		n += 3
		return n + spaces(s[n:])
	case strings.HasPrefix(s[n:], "%}"):
		return n + 2
	}
	return 0
}

// raw reads text up to endraw.
func (l *lexer) raw() {
	rest := l.rest()
	for i := 0; ; i += 2 {
		j := strings.Index(rest[i:], "{%")
		if j < 0 {
			l.fail("raw has no endraw")
		}
		i += j
		n := i + 2
		sign := byte(0)
		if n < len(rest) && (rest[n] == '-' || rest[n] == '+') {
			sign = rest[n]
			n++
		}
		n += spaces(rest[n:])
		if !strings.HasPrefix(rest[n:], "endraw") {
			continue
		}
		n += len("endraw")
		n += spaces(rest[n:])
		if e := blockEnd(rest[n:], "%}"); e > 0 {
			l.data(rest[:i], sign, true)
			l.advance(n + e - i)
			return
		}
	}
}

// comment skips a comment whose begin has n bytes.
func (l *lexer) comment(n int) {
	rest := l.rest()
	i := strings.Index(rest[n:], "#}")
	if i < 0 {
		l.fail("a comment is not closed")
	}
	i += n
	if i > n && (rest[i-1] == '-' || rest[i-1] == '+') {
		i--
	}
	l.advance(i + blockEnd(rest[i:], "#}"))
}

// operators, longest first.
var operators = []string{"//", "**", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~", "[", "]", "(", ")", "{", "}", ">", "<", "=", ".", ":", "|", ",", ";"}

// code reads the tokens of a tag and its end.
func (l *lexer) code(end kind, text string) {
	var open []byte // brackets to be closed
	for {
		l.advance(spaces(l.rest()))
		rest := l.rest()
		if rest == "" {
			l.fail("a tag is not closed: %s is missing", text)
		}
		if len(open) == 0 {
			n := 0
			if end == kTagEnd {
				n = blockEnd(rest, text)
			} else if strings.HasPrefix(rest, "-}}") {
				n = 3 + spaces(rest[3:])
			} else if strings.HasPrefix(rest, "}}") {
				n = 2
			}
			if n > 0 {
				l.emit(end, "", nil)
				l.advance(n)
				return
			}
		}
		switch c := rest[0]; {
		case c >= '0' && c <= '9':
			l.number(rest)
			continue
		case c == '\'' || c == '"':
			l.str(rest)
			continue
		}
		if n := nameLength(rest); n > 0 {
			l.emit(kName, rest[:n], nil)
			l.advance(n)
			continue
		}
		open = l.operator(rest, open)
	}
}

// operator reads one, and keeps the account of open brackets.
func (l *lexer) operator(rest string, open []byte) []byte {
	for _, op := range operators {
		if !strings.HasPrefix(rest, op) {
			continue
		}
		switch op {
		case "(":
			open = append(open, ')')
		case "[":
			open = append(open, ']')
		case "{":
			open = append(open, '}')
		case ")", "]", "}":
			if len(open) == 0 || open[len(open)-1] != op[0] {
				l.fail("unexpected %s", op)
			}
			open = open[:len(open)-1]
		}
		l.emit(kOp, op, nil)
		l.advance(len(op))
		return open
	}
	r, _ := utf8.DecodeRuneInString(rest)
	l.fail("unexpected character %q", r)
	return nil
}

// nameLength counts the bytes of a name at the start of s.
func nameLength(s string) int {
	for i, r := range s {
		if r == '_' || unicode.IsLetter(r) || i > 0 && (unicode.IsDigit(r) || unicode.IsMark(r)) {
			continue
		}
		return i
	}
	return len(s)
}

// number reads an integer or a float as Jinja's regular expressions do.
func (l *lexer) number(s string) {
	after := len(l.tokens) > 0 && l.tokens[len(l.tokens)-1].is(".") && l.src[l.pos-1] == '.'
	n := digits(s, '9')
	if f := fraction(s, n); f > n && !after {
		v, err := strconv.ParseFloat(strings.ReplaceAll(s[:f], "_", ""), 64)
		if err != nil {
			l.fail("number %s is out of range", s[:f])
		}
		l.emit(kFloat, s[:f], v)
		l.advance(f)
		return
	}
	base := 10
	switch {
	case s[0] == '0' && len(s) > 1 && strings.ContainsRune("bBoOxX", rune(s[1])):
		b, last := 2, byte('1')
		switch s[1] | 0x20 {
		case 'o':
			b, last = 8, '7'
		case 'x':
			b, last = 16, 'f'
		}
		if n = 1; len(s) > 2 { // alone, 0x is the number 0 and a name
			if m := digits(strings.TrimPrefix(s[2:], "_"), last); m > 0 {
				base, n = b, 2+m+len(s[2:])-len(strings.TrimPrefix(s[2:], "_"))
			}
		}
	case s[0] == '0':
		n = digits(s, '0')
	}
	text := strings.ReplaceAll(s[:n], "_", "")
	if base != 10 {
		text = text[2:]
	}
	v, err := strconv.ParseInt(text, base, 64)
	if err != nil {
		l.fail("integer %s does not fit in 64 bits", s[:n])
	}
	l.emit(kInt, s[:n], v)
	l.advance(n)
}

// digits counts the bytes of a run of digits up to last with single underscores between them.
func digits(s string, last byte) int {
	is := func(c byte) bool {
		if last == 'f' && (c|0x20 >= 'a' && c|0x20 <= 'f') {
			return true
		}
		return c >= '0' && c <= min(last, '9')
	}
	n := 0
	for n < len(s) && (is(s[n]) || n > 0 && s[n] == '_' && n+1 < len(s) && is(s[n+1])) {
		n++
	}
	return n
}

// fraction returns the length of the float whose digits before the point have n bytes; n: it is an integer.
func fraction(s string, n int) int {
	end := n
	if end+1 < len(s) && s[end] == '.' {
		if d := digits(s[end+1:], '9'); d > 0 {
			end += 1 + d
		}
	}
	if end < len(s) && s[end]|0x20 == 'e' {
		e := end + 1
		if e < len(s) && (s[e] == '+' || s[e] == '-') {
			e++
		}
		if e < len(s) {
			if d := digits(s[e:], '9'); d > 0 {
				end = e + d
			}
		}
	}
	return end
}

// str reads a string literal.
func (l *lexer) str(s string) {
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case s[0]:
			text, ok := unescape(s[1:i])
			if !ok {
				l.fail("bad escape in string %s", s[:i+1])
			}
			l.emit(kString, text, nil)
			l.advance(i + 1)
			return
		}
	}
	l.fail("a string is not closed")
}
