package jinja

import (
	"math"
	"strings"
	"unicode/utf8"
)

// items goes through v: what a for loop, list(v) or unpacking sees. A generator is empty afterwards. The result must not be changed.
func (r *run) items(v Value) []Value {
	if s, ok := text(v); ok {
		r.alloc(20 * len(s))
		items := make([]Value, 0, len(s))
		for _, c := range s {
			items = append(items, like(v, string(c)))
		}
		return items
	}
	switch v := v.(type) {
	case undefined:
		return nil
	case *Seq:
		return v.Items
	case *Dict:
		return v.keys
	case *view:
		return v.items
	case *generator:
		items := v.items
		v.items = nil
		return items
	case *interval:
		r.alloc(24 * int(v.n))
		items := make([]Value, v.n)
		for i := range items {
			items[i] = v.at(int64(i))
		}
		return items
	}
	r.fail("'%s' object is not iterable", typeName(v))
	return nil
}

// iterable says whether items would accept v.
func iterable(v Value) bool {
	switch v.(type) {
	case string, markup, undefined, *Seq, *Dict, *view, *generator, *interval, *loop:
		return true
	}
	return false
}

// missing is the value of an attribute or item that v does not have.
func missing(v Value, what string) Value {
	return undefined("'" + typeName(v) + "' object has no " + what)
}

// attr is v.name: an attribute, otherwise an item.
func (r *run) attr(v Value, name string) Value {
	r.noUndefined(v)
	if a, ok := r.member(v, name); ok {
		return a
	}
	if d, ok := v.(*Dict); ok {
		if x, ok := d.get(name); ok {
			return x
		}
	}
	return missing(v, "attribute "+quote(name))
}

// item is v[key]: an item, otherwise an attribute.
func (r *run) item(v, key Value) Value {
	r.noUndefined(v)
	name, named := text(key)
	switch x := v.(type) {
	case *Dict:
		if hashable(key) {
			if y, ok := x.get(r.hash(key)); ok {
				return y
			}
		}
	case string, markup, *Seq, *interval:
		if i, ok := integer(key); ok {
			if y, ok := r.index(v, i); ok {
				return y
			}
		}
	}
	if named {
		if a, ok := r.member(v, name); ok {
			return a
		}
	}
	return missing(v, "element "+r.repr(key))
}

func hashable(v Value) bool {
	switch v := v.(type) {
	case *Dict:
		return false
	case *Seq:
		if !v.Tuple {
			return false
		}
		for _, x := range v.Items {
			if !hashable(x) {
				return false
			}
		}
	}
	return true
}

// index is v[i] of a sequence, counted from the end where i is negative.
func (r *run) index(v Value, i int64) (Value, bool) {
	n, _ := length(v)
	if s, ok := text(v); ok {
		r.step(len(s) / 16)
	}
	if i < 0 {
		i += n
	}
	if i < 0 || i >= n {
		return nil, false
	}
	switch v := v.(type) {
	case *Seq:
		return v.Items[i], true
	case *interval:
		return v.at(i), true
	}
	s, _ := text(v)
	if int(n) == len(s) {
		return like(v, s[i:i+1]), true
	}
	for _, c := range s {
		if i == 0 {
			return like(v, string(c)), true
		}
		i--
	}
	return nil, false
}

// slice is v[start:stop:step].
func (r *run) slice(v Value, bounds [3]Value) Value {
	r.noUndefined(v)
	switch v.(type) {
	case string, markup, *Seq, *interval:
	default:
		r.fail("'%s' object cannot be sliced", typeName(v))
	}
	var b [3]int64
	var given [3]bool
	for i, x := range bounds {
		if x == nil {
			continue
		}
		b[i], given[i] = r.intArg("a slice", x), true
	}
	if !given[2] {
		b[2] = 1
	}
	if b[2] == 0 {
		r.fail("a slice has step 0")
	}
	n, _ := length(v)
	start, stop, step := sliceBounds(n, b, given)
	count := int64(0)
	switch {
	case step > 0 && start < stop:
		count = (stop-start-1)/step + 1
	case step < 0 && stop < start:
		count = (start-stop-1)/-step + 1
	}
	at := interval{start, step, count}
	switch v := v.(type) {
	case *Seq:
		r.alloc(16 * int(count))
		s := &Seq{Items: make([]Value, count), Tuple: v.Tuple}
		for i := range s.Items {
			s.Items[i] = v.Items[at.at(int64(i))]
		}
		return s
	case *interval:
		return &interval{v.at(start), v.step * step, count}
	}
	s, _ := text(v)
	r.alloc(len(s))
	return like(v, sliceString(s, n, at))
}

// sliceBounds are start and stop as Python's slice.indices gives them for length n.
func sliceBounds(n int64, b [3]int64, given [3]bool) (start, stop, step int64) {
	step = max(b[2], -math.MaxInt64)
	low, high := int64(0), n
	if step < 0 {
		low, high = -1, n-1
	}
	clamp := func(i int) int64 {
		x := b[i]
		if x < 0 {
			x += n
		}
		return max(low, min(x, high))
	}
	start, stop = low, high
	if step < 0 {
		start, stop = high, low
	}
	if given[0] {
		start = clamp(0)
	}
	if given[1] {
		stop = clamp(1)
	}
	return start, stop, step
}

// sliceString picks the characters of s, which has n.
func sliceString(s string, n int64, at interval) string {
	if at.n == 0 {
		return ""
	}
	if int(n) == len(s) && at.step == 1 {
		return s[at.start : at.start+at.n]
	}
	chars := []rune(s)
	var b strings.Builder
	for i := range at.n {
		b.WriteRune(chars[at.at(i)])
	}
	return b.String()
}

// runeOffset is the byte offset of character i of s.
func runeOffset(s string, i int64) int {
	at := 0
	for ; i > 0 && at < len(s); i-- {
		_, n := utf8.DecodeRuneInString(s[at:])
		at += n
	}
	return at
}

// checkPrivate fails for names that a namespace must not have.
func (r *run) checkPrivate(name string) {
	if strings.HasPrefix(name, "_") {
		r.fail("a namespace attribute must not begin with an underscore: '%s'", name)
	}
}

// member is an attribute of v that is no item: a method, or what a namespace or loop holds.
func (r *run) member(v Value, name string) (Value, bool) {
	if s, ok := text(v); ok {
		if m := stringMethod(name); m != nil {
			return &function{name, func(r *run, a *args) Value { return r.callString(m, name, v, s, a) }}, true
		}
		return nil, false
	}
	switch v := v.(type) {
	case *Seq:
		return sequenceMethod(v, name)
	case *Dict:
		return dictMethod(v, name)
	case *namespace:
		return v.attrs.Get(name)
	case *loop:
		return v.attr(name)
	case *macro:
		switch name {
		case "name":
			return v.name, true
		case "arguments":
			t := tuple()
			for _, p := range v.params {
				t.Items = append(t.Items, p)
			}
			return t, true
		}
	}
	return nil, false
}

// hidden is the value of an attribute that the sandbox hides because a call would change the object.
func hidden(v Value, name string) Value {
	return undefined("access to attribute " + quote(name) + " of '" + typeName(v) + "' object is unsafe")
}

func sequenceMethod(s *Seq, name string) (Value, bool) {
	switch name {
	case "count", "index":
		return &function{name, func(r *run, a *args) Value {
			v, _ := r.bind(a, name, 1, "value")
			n := int64(0)
			for i, x := range s.Items {
				if r.equal(x, v[0]) {
					if name == "index" {
						return int64(i)
					}
					n++
				}
			}
			if name == "index" {
				r.fail("the value is not in the %s", typeName(s))
			}
			return n
		}}, true
	case "copy":
		return &function{name, func(r *run, a *args) Value {
			r.bind(a, name, 0)
			return r.list(append([]Value(nil), s.Items...))
		}}, !s.Tuple
	case "append", "clear", "pop", "reverse", "insert", "sort", "extend", "remove":
		return hidden(s, name), !s.Tuple
	}
	return nil, false
}

func dictMethod(d *Dict, name string) (Value, bool) {
	switch name {
	case "keys", "values", "items":
		return &function{name, func(r *run, a *args) Value {
			r.bind(a, name, 0)
			return r.view(d, name)
		}}, true
	case "get":
		return &function{name, func(r *run, a *args) Value {
			v, _ := r.bind(a, name, 1, "key", "default")
			if x, ok := d.get(r.hash(v[0])); ok {
				return x
			}
			return v[1]
		}}, true
	case "copy":
		return &function{name, func(r *run, a *args) Value {
			r.bind(a, name, 0)
			return r.copyDict(d)
		}}, true
	case "clear", "pop", "popitem", "setdefault", "update":
		return hidden(d, name), true
	}
	return nil, false
}

func (r *run) copyDict(d *Dict) *Dict {
	c := &Dict{}
	for i, k := range d.keys {
		r.put(c, k, d.values[i])
	}
	return c
}

func (r *run) view(d *Dict, kind string) *view {
	items := d.keys
	switch kind {
	case "values":
		items = d.values
	case "items":
		r.alloc(96 * d.Len())
		items = d.items()
	}
	return &view{"dict_" + kind, items}
}
