package jinja

import (
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// formatMethod is str.format: fields {}, {0}, {name}, each with .attribute, [item], !r, !s and :spec.
func formatMethod(r *run, s string, a *args) Value {
	var b strings.Builder
	auto := 0
	for s != "" {
		i := strings.IndexAny(s, "{}")
		if i < 0 {
			i = len(s)
		}
		r.alloc(i)
		b.WriteString(s[:i])
		if s = s[i:]; s == "" {
			break
		}
		if strings.HasPrefix(s, "{{") || strings.HasPrefix(s, "}}") {
			b.WriteByte(s[0])
			s = s[2:]
			continue
		}
		end := strings.IndexByte(s, '}')
		if s[0] == '}' || end < 0 {
			r.fail("format: single '%c'", s[0])
		}
		field := s[1:end]
		s = s[end+1:]
		if strings.Contains(field, "{") {
			r.fail("format: fields inside a field are not supported")
		}
		field, spec, _ := strings.Cut(field, ":")
		field, conversion, converted := strings.Cut(field, "!")
		v := r.formatField(field, a, &auto)
		if converted {
			switch conversion {
			case "r":
				v = r.repr(v)
			case "s":
				v = r.string(v)
			default:
				r.fail("format: conversion !%s is not supported", conversion)
			}
		}
		text := r.formatSpec(v, spec)
		r.alloc(len(text))
		b.WriteString(text)
	}
	return b.String()
}

// formatField finds the value of name.attribute[item].
func (r *run) formatField(field string, a *args, auto *int) Value {
	n := strings.IndexAny(field, ".[")
	if n < 0 {
		n = len(field)
	}
	name, path := field[:n], field[n:]
	var v Value
	switch i, err := strconv.Atoi(name); {
	case name == "" || err == nil:
		if name == "" {
			i = *auto
			*auto++
		}
		if i < 0 || i >= len(a.list) {
			r.fail("format: there is no argument %d", i)
		}
		v = a.list[i]
	default:
		var ok bool
		if v, ok = a.take(name); !ok {
			r.fail("format: there is no argument '%s'", name)
		}
	}
	for path != "" {
		if path[0] == '.' {
			n := strings.IndexAny(path[1:], ".[")
			if n < 0 {
				n = len(path) - 1
			}
			v, path = r.attr(v, path[1:1+n]), path[1+n:]
			continue
		}
		end := strings.IndexByte(path, ']')
		if end < 0 || path[0] != '[' {
			r.fail("format: bad field '%s'", field)
		}
		var key Value = path[1:end]
		if i, err := strconv.ParseInt(path[1:end], 10, 64); err == nil {
			key = i
		}
		v, path = r.item(v, key), path[end+1:]
	}
	return v
}

// formatOptions is a parsed format specification: [[fill]align][sign][#][0][width][,][.precision][type].
type formatOptions struct {
	fill      rune
	align     byte // '<', '>', '^', '=', or 0
	sign      byte // '+', ' ' or 0
	alternate bool
	width     int
	comma     bool
	precision int // -1: none
	verb      byte
}

func (r *run) parseSpec(spec string) formatOptions {
	o := formatOptions{fill: ' ', precision: -1}
	isAlign := func(c byte) bool { return strings.IndexByte("<>^=", c) >= 0 }
	s := spec
	if s != "" {
		c, n := utf8.DecodeRuneInString(s)
		switch {
		case len(s) > n && isAlign(s[n]):
			o.fill, o.align, s = c, s[n], s[n+1:]
		case isAlign(s[0]):
			o.align, s = s[0], s[1:]
		}
	}
	eat := func(set string) byte {
		if s != "" && strings.IndexByte(set, s[0]) >= 0 {
			c := s[0]
			s = s[1:]
			return c
		}
		return 0
	}
	num := func() int {
		n := 0
		for s != "" && s[0] >= '0' && s[0] <= '9' {
			if n = n*10 + int(s[0]-'0'); n > 1<<20 {
				r.fail("format: a width or precision above %d", 1<<20)
			}
			s = s[1:]
		}
		return n
	}
	if o.sign = eat("+- "); o.sign == '-' {
		o.sign = 0
	}
	o.alternate = eat("#") != 0
	if eat("0") != 0 && o.align == 0 {
		o.fill, o.align = '0', '='
	}
	o.width = num()
	o.comma = eat(",") != 0
	if eat(".") != 0 {
		o.precision = num()
	}
	o.verb = eat("bcdeEfFgGnosxX%")
	if s != "" {
		r.fail("format: bad specification '%s'", spec)
	}
	return o
}

// formatSpec is Python's format(v, spec).
func (r *run) formatSpec(v Value, spec string) string {
	if spec == "" {
		return r.string(v)
	}
	r.noUndefined(v)
	o := r.parseSpec(spec)
	if s, ok := text(v); ok {
		if o.verb != 0 && o.verb != 's' || o.align == '=' && o.fill != '0' || o.sign != 0 || o.comma || o.alternate {
			r.fail("format: specification '%s' is not for a string", spec)
		}
		if o.precision >= 0 {
			s = s[:runeOffset(s, int64(o.precision))]
		}
		if o.align == '=' {
			o.align = '<'
		}
		return r.aligned("", s, o, '<')
	}
	i, isInt := integer(v)
	f, isNumber := number(v)
	if !isNumber {
		r.fail("format: specification '%s' is not for '%s'", spec, typeName(v))
	}
	if isInt && strings.IndexByte("\x00bcdnoxX", o.verb) >= 0 {
		return r.formatInt(i, o, spec)
	}
	return r.formatFloatSpec(f, o, spec)
}

func (r *run) formatInt(i int64, o formatOptions, spec string) string {
	if o.precision >= 0 {
		r.fail("format: a precision for an integer in '%s'", spec)
	}
	base, prefix := 10, ""
	switch o.verb {
	case 'b':
		base, prefix = 2, "0b"
	case 'o':
		base, prefix = 8, "0o"
	case 'x', 'X':
		base, prefix = 16, "0"+string(o.verb)
	case 'c':
		r.fail("format: type 'c' is not supported")
	}
	digits := strconv.FormatInt(i, base)
	sign := o.signOf(i < 0)
	digits = strings.TrimPrefix(digits, "-")
	if o.verb == 'X' {
		digits = strings.ToUpper(digits)
	}
	if o.comma {
		digits = thousands(digits)
	}
	if o.alternate {
		sign += prefix
	}
	return r.aligned(sign, digits, o, '>')
}

func (o formatOptions) signOf(negative bool) string {
	switch {
	case negative:
		return "-"
	case o.sign != 0:
		return string(o.sign)
	}
	return ""
}

func (r *run) formatFloatSpec(f float64, o formatOptions, spec string) string {
	if o.alternate || strings.IndexByte("bcdnosxX", o.verb) >= 0 && o.verb != 0 {
		r.fail("format: specification '%s' is not for a float", spec)
	}
	suffix := ""
	verb, precision := o.verb, o.precision
	if verb == '%' {
		f, verb, suffix = f*100, 'f', "%"
	}
	if precision < 0 && verb != 0 {
		precision = 6
	}
	s := pythonFloat(math.Abs(f), verb, precision)
	if o.comma {
		whole := len(s)
		if i := strings.IndexAny(s, ".e"); i >= 0 {
			whole = i
		}
		s = thousands(s[:whole]) + s[whole:]
	}
	return r.aligned(o.signOf(math.Signbit(f)), s+suffix, o, '>')
}

// pythonFloat formats a positive number with a verb of e, f, g, their capitals, or 0: the shortest text, or at most precision digits.
func pythonFloat(f float64, verb byte, precision int) string {
	if math.IsInf(f, 0) || math.IsNaN(f) {
		s := formatFloat(f)
		if verb != 0 && verb < 'a' {
			s = strings.ToUpper(s)
		}
		return s
	}
	switch verb {
	case 'e', 'E', 'f':
		return strconv.FormatFloat(f, verb, precision, 64)
	case 'F':
		return strconv.FormatFloat(f, 'f', precision, 64)
	case 0:
		if precision < 0 {
			return formatFloat(f)
		}
	}
	precision = max(precision, 1)
	e := strconv.FormatFloat(f, 'e', precision-1, 64)
	exp, _ := strconv.Atoi(e[strings.IndexByte(e, 'e')+1:])
	most := precision
	if verb == 0 {
		most--
	}
	if exp < -4 || exp >= most {
		mantissa, tail, _ := strings.Cut(e, "e")
		s := trimZeros(mantissa) + "e" + tail
		if verb == 'G' {
			s = strings.ToUpper(s)
		}
		return s
	}
	s := trimZeros(strconv.FormatFloat(f, 'f', max(0, precision-1-exp), 64))
	if verb == 0 && !strings.Contains(s, ".") {
		s += ".0"
	}
	return s
}

func trimZeros(s string) string {
	if !strings.Contains(s, ".") {
		return s
	}
	return strings.TrimSuffix(strings.TrimRight(s, "0"), ".")
}

func thousands(digits string) string {
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// aligned pads sign and body to the width; align is what is done where the specification does not say.
func (r *run) aligned(sign, body string, o formatOptions, align byte) string {
	n := max(0, o.width-utf8.RuneCountInString(sign)-utf8.RuneCountInString(body))
	if o.align != 0 {
		align = o.align
	}
	fill := string(o.fill)
	switch align {
	case '=':
		return sign + r.pad(body, fill, n, 0)
	case '<':
		return r.pad(sign+body, fill, 0, n)
	case '^':
		return r.pad(sign+body, fill, n/2, n-n/2)
	}
	return r.pad(sign+body, fill, n, 0)
}

// printf is Python's s % v: %s %r %d %i %u %f %e %g %x %o %% with flags, width and precision, and %(name)s.
func (r *run) printf(format Value, s string, v Value) Value {
	values := []Value{v}
	named, isDict := v.(*Dict)
	if t, ok := v.(*Seq); ok && t.Tuple {
		values = t.Items
	}
	used := 0
	var b strings.Builder
	for s != "" {
		i := strings.IndexByte(s, '%')
		if i < 0 {
			i = len(s)
		}
		r.alloc(i)
		b.WriteString(s[:i])
		if s = s[i:]; s == "" {
			break
		}
		s = s[1:]
		var x Value
		byName := false
		if strings.HasPrefix(s, "(") {
			end := strings.IndexByte(s, ')')
			if end < 0 || !isDict {
				r.fail("%%: a name needs a dict and a closing bracket")
			}
			var ok bool
			if x, ok = named.Get(s[1:end]); !ok {
				r.fail("%%: there is no key '%s'", s[1:end])
			}
			byName, s = true, s[end+1:]
		}
		n := strings.IndexFunc(s, func(c rune) bool { return !strings.ContainsRune("-+ #0123456789.", c) })
		if n < 0 {
			r.fail("%%: incomplete format")
		}
		flags, verb := s[:n], s[n]
		s = s[n+1:]
		if verb == '%' {
			b.WriteByte('%')
			continue
		}
		if !byName {
			if used >= len(values) {
				r.fail("%%: not enough arguments")
			}
			x = values[used]
			used++
		}
		text := r.printfField(format, x, flags, verb)
		r.alloc(len(text))
		b.WriteString(text)
	}
	if used < len(values) && !subscriptable(v) {
		r.fail("%%: not all arguments are used")
	}
	return like(format, b.String())
}

// subscriptable values need not be used by a format: Python takes them for a mapping.
func subscriptable(v Value) bool {
	switch v := v.(type) {
	case *Dict, *interval, undefined:
		return true
	case *Seq:
		return !v.Tuple
	}
	return false
}

// printfField formats one value; what goes into markup is escaped.
func (r *run) printfField(format, x Value, flags string, verb byte) string {
	o := formatOptions{fill: ' ', precision: -1, align: '>', verb: verb}
	rest := strings.TrimLeft(flags, "-+ #0")
	for _, c := range flags[:len(flags)-len(rest)] {
		switch c {
		case '-':
			o.align = '<'
		case '0':
			if o.fill = '0'; o.align == '>' {
				o.align = '='
			}
		case '#':
			o.alternate = true
		case '+':
			o.sign = '+'
		case ' ':
			if o.sign == 0 {
				o.sign = ' '
			}
		}
	}
	width, precision, dotted := strings.Cut(rest, ".")
	spec := r.parseSpec(strings.TrimLeft(width, "0"))
	if o.width = spec.width; dotted {
		o.precision = r.parseSpec("." + precision).precision
	}
	if o.align == '<' {
		o.fill = ' '
	}
	switch verb {
	case 's', 'r':
		s := r.string(x)
		if verb == 'r' {
			s = r.repr(x)
		}
		if _, ok := format.(markup); ok {
			s = r.escape(like(x, s))
		}
		if o.precision >= 0 {
			s = s[:runeOffset(s, int64(o.precision))]
		}
		if o.align == '=' {
			o.align, o.fill = '>', ' '
		}
		return r.aligned("", s, o, '>')
	}
	r.noUndefined(x)
	f, ok := number(x)
	if !ok {
		r.fail("%%%c needs a number, not '%s'", verb, typeName(x))
	}
	switch verb {
	case 'd', 'i', 'u', 'x', 'X', 'o':
		i, isInt := integer(x)
		if !isInt {
			if strings.IndexByte("diu", verb) < 0 || math.Abs(f) >= 1<<63 || math.IsNaN(f) {
				r.fail("%%%c needs an integer", verb)
			}
			i = int64(f)
		}
		if strings.IndexByte("iu", verb) >= 0 {
			o.verb = 'd'
		}
		if o.precision >= 0 {
			r.fail("%%: a precision for an integer is not supported")
		}
		return r.formatInt(i, o, flags)
	case 'e', 'E', 'f', 'F', 'g', 'G':
		return r.formatFloatSpec(f, o, flags)
	}
	r.fail("%%: format character '%c' is not supported", verb)
	return ""
}
