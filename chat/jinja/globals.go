package jinja

import (
	"fmt"
	"strings"
	"time"
)

// globals are the names that every template finds.
var globals = map[string]Value{
	"range":           &function{"range", makeRange},
	"dict":            &function{"dict", makeDict},
	"namespace":       &function{"namespace", makeNamespace},
	"raise_exception": &function{"raise_exception", raise},
	"strftime_now":    &function{"strftime_now", strftimeNow},
	"joiner":          &function{"joiner", makeJoiner},
}

// maxRange is the sandbox's MAX_RANGE.
const maxRange = 100000

func makeRange(r *run, a *args) Value {
	if len(a.names) > 0 || len(a.list) < 1 || len(a.list) > 3 {
		r.fail("range takes one to three arguments")
	}
	b := make([]int64, len(a.list))
	for i, v := range a.list {
		b[i] = r.intArg("range", v)
	}
	start, stop, step := int64(0), b[0], int64(1)
	if len(b) > 1 {
		start, stop = b[0], b[1]
	}
	if len(b) > 2 {
		if step = b[2]; step == 0 {
			r.fail("range: step is 0")
		}
	}
	n := uint64(0)
	switch {
	case step > 0 && start < stop:
		n = (uint64(stop)-uint64(start)-1)/uint64(step) + 1
	case step < 0 && stop < start:
		n = (uint64(start)-uint64(stop)-1)/-uint64(step) + 1
	}
	if n > maxRange {
		r.fail("range of %d items, more than %d", n, maxRange)
	}
	return &interval{start, step, int64(n)}
}

func makeDict(r *run, a *args) Value {
	d := &Dict{}
	if len(a.list) > 1 {
		r.fail("dict takes at most one positional argument")
	}
	for _, v := range a.list {
		if src, ok := v.(*Dict); ok {
			d = r.copyDict(src)
			continue
		}
		r.noUndefined(v)
		for _, pair := range r.items(v) {
			kv := r.items(pair)
			if len(kv) != 2 {
				r.fail("dict: an item is no pair")
			}
			r.put(d, kv[0], kv[1])
		}
	}
	for i, n := range a.names {
		r.put(d, n, a.named[i])
	}
	return d
}

func makeNamespace(r *run, a *args) Value {
	d := makeDict(r, a).(*Dict)
	for _, k := range d.keys {
		if s, ok := k.(string); ok {
			r.checkPrivate(s)
		}
	}
	return &namespace{d}
}

func raise(r *run, a *args) Value {
	v, _ := r.bind(a, "raise_exception", 1, "message")
	panic(&Error{Line: r.line, Msg: r.string(v[0]), Raised: true})
}

// makeJoiner returns a function that gives "" the first time and then the separator.
func makeJoiner(r *run, a *args) Value {
	v, given := r.bind(a, "joiner", 0, "sep")
	if !given[0] {
		v[0] = ", "
	}
	used := false
	return &function{"joiner", func(r *run, a *args) Value {
		r.bind(a, "joiner", 0)
		if !used {
			used = true
			return ""
		}
		return v[0]
	}}
}

func strftimeNow(r *run, a *args) Value {
	v, _ := r.bind(a, "strftime_now", 1, "format")
	return r.str(r.strftime(r.now(), r.textArg("strftime_now", v[0])))
}

// directives are strftime's, as layouts of package time.
var directives = map[byte]string{'a': "Mon", 'A': "Monday", 'b': "Jan", 'h': "Jan", 'B': "January", 'd': "02", 'e': "_2", 'H': "15", 'I': "03", 'j': "002", 'm': "01",
	'M': "04", 'p': "PM", 'S': "05", 'y': "06", 'Y': "2006", 'D': "01/02/06", 'F': "2006-01-02", 'T': "15:04:05", 'R': "15:04", 'f': "000000",
	'c': "Mon Jan _2 15:04:05 2006", 'x': "01/02/06", 'X': "15:04:05", 'Z': "", 'z': ""} // the time that templates are given has no zone

func (r *run) strftime(t time.Time, format string) string {
	r.alloc(16 * len(format))
	var b strings.Builder
	for i := 0; i < len(format); i++ {
		if format[i] != '%' {
			b.WriteByte(format[i])
			continue
		}
		i++
		bare := i < len(format) && format[i] == '-'
		if bare {
			i++
		}
		if i >= len(format) {
			r.fail("strftime_now: '%s' ends in the middle of a directive", format)
		}
		layout, ok := directives[format[i]]
		var s string
		switch {
		case format[i] == '%':
			s = "%"
		case format[i] == 'f':
			s = fmt.Sprintf("%06d", t.Nanosecond()/1000)
		case format[i] == 'n' || format[i] == 't':
			s = map[byte]string{'n': "\n", 't': "\t"}[format[i]]
		case format[i] == 'u':
			s = fmt.Sprint((int(t.Weekday())+6)%7 + 1)
		case format[i] == 'w':
			s = fmt.Sprint(int(t.Weekday()))
		case format[i] == 's':
			s = fmt.Sprint(t.Unix())
		case !ok:
			r.fail("strftime_now: directive %%%c is not supported", format[i])
		default:
			s = t.Format(layout)
		}
		if bare {
			s = strings.TrimLeft(s, "0 ")
			if s == "" {
				s = "0"
			}
		}
		b.WriteString(s)
	}
	return b.String()
}
