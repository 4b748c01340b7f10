package jinja

import (
	"sort"
	"strconv"
	"strings"
)

// getter returns the function that reads an attribute such as "name", 0 or "a.b.0" from an item as the item operator does; without one it gives
// the item itself. A missing attribute is or, unless or is nil.
func (r *run) getter(attr Value, given bool, or Value) func(Value) Value {
	if !given || attr == nil {
		return func(v Value) Value { return v }
	}
	path := r.path(attr)
	return func(v Value) Value {
		for _, key := range path {
			v = r.item(v, key)
			if _, ok := v.(undefined); ok && or != nil {
				v = or
			}
		}
		return v
	}
}

// path are the keys that an attribute with dots names.
func (r *run) path(attr Value) []Value {
	s, ok := text(attr)
	if !ok {
		return []Value{attr}
	}
	r.alloc(32 * (1 + strings.Count(s, ".")))
	var path []Value
	for _, part := range strings.Split(s, ".") {
		if n, err := strconv.ParseUint(part, 10, 63); err == nil && part[0] != '+' {
			path = append(path, int64(n))
		} else {
			path = append(path, part)
		}
	}
	return path
}

// ignoreCase makes strings lower-case.
func (r *run) ignoreCase(v Value) Value {
	if s, ok := text(v); ok {
		r.alloc(len(s))
		return lower(s)
	}
	return v
}

// sortedBy returns the numbers of the items in the order of their keys; equal ones keep their order.
func (r *run) sortedBy(items []Value, reverse bool, key func(Value) Value) []int {
	r.alloc(32 * len(items))
	keys, order := make([]Value, len(items)), make([]int, len(items))
	for i, x := range items {
		keys[i], order[i] = key(x), i
	}
	sort.SliceStable(order, func(i, j int) bool {
		o := r.order(keys[order[i]], keys[order[j]])
		if reverse {
			return o == 1
		}
		return o == -1
	})
	return order
}

func (r *run) pick(items []Value, order []int) []Value {
	out := make([]Value, len(order))
	for i, n := range order {
		out[i] = items[n]
	}
	return out
}

func sortFilter(r *run, v Value, a *args) Value {
	p, given := r.bind(a, "sort", 0, "reverse", "case_sensitive", "attribute")
	var gets []func(Value) Value
	if s, ok := text(p[2]); ok {
		for _, part := range strings.Split(s, ",") {
			gets = append(gets, r.getter(part, true, nil))
		}
	} else {
		gets = append(gets, r.getter(p[2], given[2], nil))
	}
	items := r.items(v)
	order := r.sortedBy(items, truth(p[0]), func(x Value) Value {
		key := list()
		for _, get := range gets {
			k := get(x)
			if !truth(p[1]) {
				k = r.ignoreCase(k)
			}
			key.Items = append(key.Items, k)
		}
		r.alloc(48)
		return key
	})
	return r.list(r.pick(items, order))
}

func uniqueFilter(r *run, v Value, a *args) Value {
	p, given := r.bind(a, "unique", 0, "case_sensitive", "attribute")
	get := r.getter(p[1], given[1], nil)
	seen := &Dict{}
	g := &generator{}
	for _, x := range r.items(v) {
		k := get(x)
		if !truth(p[0]) {
			k = r.ignoreCase(k)
		}
		if _, ok := seen.get(r.hash(k)); !ok {
			r.put(seen, k, true)
			g.items = append(g.items, x)
		}
	}
	return g
}

func dictsortFilter(r *run, v Value, a *args) Value {
	p, given := r.bind(a, "dictsort", 0, "case_sensitive", "by", "reverse")
	d, ok := v.(*Dict)
	if !ok {
		r.noUndefined(v)
		r.fail("dictsort: '%s' object is no dict", typeName(v))
	}
	keys := d.keys
	if given[1] {
		switch by := r.textArg("dictsort", p[1]); by {
		case "key":
		case "value":
			keys = d.values
		default:
			r.fail("dictsort: by is key or value, not '%s'", by)
		}
	}
	order := r.sortedBy(keys, truth(p[2]), func(k Value) Value {
		if truth(p[0]) {
			return k
		}
		return r.ignoreCase(k)
	})
	return r.list(r.pick(r.view(d, "items").items, order))
}

// extreme is min (sign -1) or max (sign 1).
func extreme(name string, sign int) filterFunc {
	return func(r *run, v Value, a *args) Value {
		p, given := r.bind(a, name, 0, "case_sensitive", "attribute")
		get := r.getter(p[1], given[1], nil)
		items := r.items(v)
		if len(items) == 0 {
			return undefined("no aggregated item, the sequence was empty")
		}
		var best, bestKey Value
		for i, x := range items {
			k := get(x)
			if !truth(p[0]) {
				k = r.ignoreCase(k)
			}
			if i == 0 || r.order(k, bestKey) == sign {
				best, bestKey = x, k
			}
		}
		return best
	}
}

func sumFilter(r *run, v Value, a *args) Value {
	p, given := r.bind(a, "sum", 0, "attribute", "start")
	get := r.getter(p[0], given[0], nil)
	sum := p[1]
	if !given[1] {
		sum = int64(0)
	}
	if _, ok := text(sum); ok {
		r.fail("sum: strings cannot be added up, join them")
	}
	for _, x := range r.items(v) {
		r.step(1)
		sum = r.arithmetic("+", sum, get(x))
	}
	return sum
}

// mapFilter reads an attribute of each item or applies a filter to it.
func mapFilter(r *run, v Value, a *args) Value {
	g := &generator{}
	if !truth(v) {
		return g
	}
	attr, ok := a.take("attribute")
	var f func(Value) Value
	if len(a.list) == 0 && ok {
		p, _ := r.bind(a, "map", 0, "attribute", "default")
		f = r.getter(attr, true, p[1])
	} else {
		if len(a.list) == 0 {
			r.fail("map needs a filter or attribute=")
		}
		name := r.textArg("map", a.list[0])
		filter := filterNamed(name)
		if filter == nil {
			r.fail("no filter named '%s'", name)
		}
		rest := &args{a.list[1:], a.names, a.named}
		f = func(x Value) Value { return filter(r, x, rest) }
	}
	for _, x := range r.items(v) {
		r.enter()
		g.items = append(g.items, f(x))
		r.leave()
		r.alloc(16)
	}
	return g
}

// selector is select, reject, selectattr or rejectattr: the items of which, or of whose attribute, a test holds or does not hold.
func selector(name string) filterFunc {
	want := strings.HasPrefix(name, "select")
	return func(r *run, v Value, a *args) Value {
		g := &generator{}
		if !truth(v) {
			return g
		}
		rest := a.list
		get := func(x Value) Value { return x }
		if strings.HasSuffix(name, "attr") {
			if len(rest) == 0 {
				r.fail("%s needs the name of an attribute", name)
			}
			get, rest = r.getter(rest[0], true, nil), rest[1:]
		}
		holds := func(x Value) bool { return truth(x) }
		if len(rest) > 0 {
			test := r.textArg(name, rest[0])
			f := testNamed(test)
			if f == nil {
				r.fail("no test named '%s'", test)
			}
			more := &args{rest[1:], a.names, a.named}
			holds = func(x Value) bool { return f(r, x, more) }
		}
		for _, x := range r.items(v) {
			r.enter()
			if holds(get(x)) == want {
				g.items = append(g.items, x)
				r.alloc(16)
			}
			r.leave()
		}
		return g
	}
}
