package jinja

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// string is Python's str(v).
func (r *run) string(v Value) string {
	if s, ok := text(v); ok {
		return s
	}
	if _, ok := v.(undefined); ok {
		return ""
	}
	return r.repr(v)
}

// repr is Python's repr(v).
func (r *run) repr(v Value) string { return string(r.appendRepr(nil, v)) }

func (r *run) appendRepr(b []byte, v Value) []byte {
	r.enter()
	defer r.leave()
	start := len(b)
	switch v := v.(type) {
	case nil:
		b = append(b, "None"...)
	case bool:
		b = append(b, map[bool]string{true: "True", false: "False"}[v]...)
	case int64:
		b = strconv.AppendInt(b, v, 10)
	case float64:
		b = append(b, formatFloat(v)...)
	case string:
		r.alloc(len(v))
		b = appendQuoted(b, v)
	case markup:
		r.alloc(len(v))
		b = append(appendQuoted(append(b, "Markup("...), string(v)), ')')
	case undefined:
		b = append(b, "Undefined"...)
	case *Seq:
		open, end := byte('['), "]"
		if v.Tuple {
			if open, end = '(', ")"; len(v.Items) == 1 {
				end = ",)"
			}
		}
		return append(r.appendReprs(append(b, open), v.Items), end...)
	case *Dict:
		b = append(b, '{')
		for i, k := range v.keys {
			if i > 0 {
				b = append(b, ", "...)
			}
			b = append(r.appendRepr(b, k), ": "...)
			b = r.appendRepr(b, v.values[i])
		}
		return append(b, '}')
	case *interval:
		stop := v.start + v.n*v.step
		if b = fmt.Appendf(b, "range(%d, %d", v.start, stop); v.step != 1 {
			b = fmt.Appendf(b, ", %d", v.step)
		}
		b = append(b, ')')
	case *view:
		return append(r.appendReprs(append(append(b, v.kind...), "(["...), v.items), "])"...)
	case *namespace:
		return append(r.appendRepr(append(b, "<Namespace "...), v.attrs), '>')
	case *loop:
		b = fmt.Appendf(b, "<LoopContext %d/%d>", v.index0+1, v.length())
	case *macro:
		b = append(appendQuoted(append(b, "<Macro "...), v.name), '>')
	default:
		b = append(append(append(b, '<'), typeName(v)...), '>')
	}
	r.alloc(len(b) - start)
	return b
}

func (r *run) appendReprs(b []byte, items []Value) []byte {
	for i, x := range items {
		if i > 0 {
			b = append(b, ", "...)
		}
		b = r.appendRepr(b, x)
	}
	return b
}

// jsonStyle is how json.dumps is asked to write.
type jsonStyle struct {
	ascii     bool   // ensure_ascii
	indent    string // of one level
	multiline bool   // indent is not None
	item, key string // separators
	sorted    bool
	levels    int // of values around
}

// toJSON is transformers' tojson filter: Python's json.dumps.
func toJSON(r *run, v Value, a *args) Value {
	p, _ := r.bind(a, "tojson", 0, "ensure_ascii", "indent", "separators", "sort_keys")
	style := jsonStyle{ascii: truth(p[0]), item: ", ", key: ": ", sorted: truth(p[3])}
	if p[1] != nil {
		style.multiline, style.item = true, ","
		if s, ok := text(p[1]); ok {
			style.indent = s
		} else if n, ok := integer(p[1]); ok {
			n = max(n, 0)
			if n > 1000 {
				r.fail("tojson: an indent of %d", n)
			}
			style.indent = strings.Repeat(" ", int(n))
		} else {
			r.fail("tojson: indent is %s", typeName(p[1]))
		}
	}
	if p[2] != nil {
		s := r.items(p[2])
		if len(s) != 2 {
			r.fail("tojson: separators are two strings")
		}
		item, ok1 := text(s[0])
		key, ok2 := text(s[1])
		if !ok1 || !ok2 {
			r.fail("tojson: separators are two strings")
		}
		style.item, style.key = item, key
	}
	return string(r.appendJSON(nil, v, &style))
}

func (r *run) appendJSON(b []byte, v Value, j *jsonStyle) []byte {
	r.enter()
	defer r.leave()
	if s, ok := text(v); ok {
		r.alloc(len(s) + 2)
		return appendJSONString(b, s, j.ascii)
	}
	switch v := v.(type) {
	case nil:
		return append(b, "null"...)
	case bool:
		return strconv.AppendBool(b, v)
	case int64:
		return strconv.AppendInt(b, v, 10)
	case float64:
		return append(b, jsonFloat(v)...)
	case *Seq:
		return r.appendJSONItems(b, "[]", len(v.Items), j, func(b []byte, i int) []byte { return r.appendJSON(b, v.Items[i], j) })
	case *Dict:
		order := make([]int, v.Len())
		for i := range order {
			order[i] = i
		}
		if j.sorted {
			order = r.sortedBy(v.keys, false, func(k Value) Value { return k })
		}
		return r.appendJSONItems(b, "{}", v.Len(), j, func(b []byte, i int) []byte {
			b = append(appendJSONString(b, r.jsonKey(v.keys[order[i]]), j.ascii), j.key...)
			return r.appendJSON(b, v.values[order[i]], j)
		})
	}
	r.noUndefined(v)
	r.fail("tojson: object of type %s has no JSON", typeName(v))
	return nil
}

// appendJSONItems writes n items between two brackets.
func (r *run) appendJSONItems(b []byte, brackets string, n int, j *jsonStyle, item func(b []byte, i int) []byte) []byte {
	if n == 0 {
		return append(b, brackets...)
	}
	b = append(b, brackets[0])
	j.levels++
	line := func() {
		if j.multiline {
			r.alloc(1 + j.levels*len(j.indent))
			b = append(append(b, '\n'), strings.Repeat(j.indent, j.levels)...)
		}
	}
	for i := range n {
		if i > 0 {
			r.alloc(len(j.item) + len(j.key))
			b = append(b, j.item...)
		}
		line()
		b = item(b, i)
	}
	j.levels--
	line()
	return append(b, brackets[1])
}

func (r *run) jsonKey(k Value) string {
	switch k := k.(type) {
	case nil:
		return "null"
	case bool:
		return strconv.FormatBool(k)
	case int64:
		return strconv.FormatInt(k, 10)
	case float64:
		return jsonFloat(k)
	}
	s, ok := text(k)
	if !ok {
		r.fail("tojson: a key of type %s", typeName(k))
	}
	r.alloc(len(s) + 4)
	return s
}

func jsonFloat(f float64) string {
	switch {
	case math.IsNaN(f):
		return "NaN"
	case math.IsInf(f, 1):
		return "Infinity"
	case math.IsInf(f, -1):
		return "-Infinity"
	}
	return formatFloat(f)
}

// appendJSONString writes a string as Python's json module does.
func appendJSONString(b []byte, s string, ascii bool) []byte {
	b = append(b, '"')
	for _, c := range s {
		if i := strings.IndexRune("\"\\\n\r\t\f\b", c); i >= 0 {
			b = append(b, '\\', "\"\\nrtfb"[i])
			continue
		}
		switch {
		case c < 0x20 || ascii && c >= 0x7f && c < 0x10000:
			b = fmt.Appendf(b, `\u%04x`, c)
		case ascii && c >= 0x10000:
			c -= 0x10000
			b = fmt.Appendf(b, `\u%04x\u%04x`, 0xd800+c>>10, 0xdc00+c&0x3ff)
		default:
			b = append(b, string(c)...)
		}
	}
	return append(b, '"')
}
