package jinja

import (
	"cmp"
	"math"
	"math/bits"
	"strings"
)

// noUndefined fails when v is undefined, as any operation on it does.
func (r *run) noUndefined(v Value) {
	if u, ok := v.(undefined); ok {
		r.fail("%s", string(u))
	}
}

// equal is Python's a == b.
func (r *run) equal(a, b Value) bool {
	r.enter()
	defer r.leave()
	if x, ok := integer(a); ok {
		if y, ok := integer(b); ok {
			return x == y
		}
	}
	if x, ok := number(a); ok {
		y, ok := number(b)
		return ok && x == y
	}
	if x, ok := text(a); ok {
		y, ok := text(b)
		r.scan(min(len(x), len(y)))
		return ok && x == y
	}
	switch a := a.(type) {
	case undefined:
		_, ok := b.(undefined)
		return ok
	case *Seq:
		b, ok := b.(*Seq)
		return ok && a.Tuple == b.Tuple && r.equalItems(a.Items, b.Items)
	case *Dict:
		b, ok := b.(*Dict)
		if !ok || a.Len() != b.Len() {
			return false
		}
		for i, k := range a.keys {
			v, ok := b.get(r.hash(k))
			if !ok || !r.equal(a.values[i], v) {
				return false
			}
		}
		return true
	case *interval:
		b, ok := b.(*interval)
		return ok && a.n == b.n && (a.n == 0 || a.start == b.start && (a.n == 1 || a.step == b.step))
	}
	return a == b
}

func (r *run) equalItems(a, b []Value) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if !r.equal(a[i], b[i]) {
			return false
		}
	}
	return true
}

// order is -1, 0 or 1 as a is less than, equal to or greater than b; 2 where a NaN is compared. What has no order fails.
func (r *run) order(a, b Value) int {
	r.enter()
	defer r.leave()
	if x, ok := integer(a); ok {
		if y, ok := integer(b); ok {
			return cmp.Compare(x, y)
		}
	}
	if x, ok := number(a); ok {
		if y, ok := number(b); ok {
			if math.IsNaN(x) || math.IsNaN(y) {
				return 2
			}
			return cmp.Compare(x, y)
		}
	}
	if x, ok := text(a); ok {
		if y, ok := text(b); ok {
			r.scan(min(len(x), len(y)))
			return strings.Compare(x, y)
		}
	}
	if x, ok := a.(*Seq); ok {
		if y, ok := b.(*Seq); ok && x.Tuple == y.Tuple {
			for i := range min(len(x.Items), len(y.Items)) {
				if !r.equal(x.Items[i], y.Items[i]) {
					return r.order(x.Items[i], y.Items[i])
				}
			}
			return cmp.Compare(len(x.Items), len(y.Items))
		}
	}
	r.noUndefined(a)
	r.noUndefined(b)
	r.fail("'%s' and '%s' have no order", typeName(a), typeName(b))
	return 0
}

// compare computes a comparison operator.
func (r *run) compare(op string, a, b Value) bool {
	switch op {
	case "==":
		return r.equal(a, b)
	case "!=":
		return !r.equal(a, b)
	case "in":
		return r.contains(b, a)
	case "not in":
		return !r.contains(b, a)
	case "<":
		return r.order(a, b) == -1
	case "<=":
		return r.order(a, b) <= 0
	case ">":
		return r.order(a, b) == 1
	}
	o := r.order(a, b)
	return o == 0 || o == 1
}

// contains is Python's x in v.
func (r *run) contains(v, x Value) bool {
	if s, ok := text(v); ok {
		sub, ok := text(x)
		if !ok {
			r.noUndefined(x)
			r.fail("'in' a string needs a string on its left, not '%s'", typeName(x))
		}
		r.scan(len(s))
		return strings.Contains(s, sub)
	}
	if d, ok := v.(*Dict); ok {
		_, ok := d.get(r.hash(x))
		return ok
	}
	for _, y := range r.items(v) {
		if r.equal(x, y) {
			return true
		}
	}
	return false
}

// Hashes of dictionary keys that are no plain Go values.
type (
	tupleHash struct{ text string }
	otherHash struct{ v any }
)

// hash returns what stands for v in a dictionary: equal values have equal hashes and others have not.
func (r *run) hash(v Value) any {
	r.step(1)
	if n, ok := integer(v); ok {
		return n
	}
	if s, ok := text(v); ok {
		r.scan(len(s))
		return s
	}
	switch v := v.(type) {
	case float64:
		if v == math.Trunc(v) && math.Abs(v) < 1<<63 {
			return int64(v)
		}
		return v
	case *Seq:
		if v.Tuple {
			return r.hashTuple(v)
		}
		r.fail("a list cannot be a key")
	case *Dict:
		r.fail("a dict cannot be a key")
	case undefined:
		return otherHash{"undefined"}
	}
	return otherHash{v}
}

// hashTuple is the text of the items' hashes, each with its type and length.
func (r *run) hashTuple(t *Seq) any {
	r.enter()
	defer r.leave()
	var b strings.Builder
	for _, x := range t.Items {
		var s string
		switch h := r.hash(x).(type) {
		case tupleHash:
			s = "t" + h.text
		case string:
			s = "s" + h
		case int64:
			s = "i" + r.repr(h)
		case float64:
			s = "f" + r.repr(h)
		case otherHash:
			if h.v != nil {
				r.fail("a tuple with such items cannot be a key")
			}
			s = "n"
		}
		r.alloc(len(s) + 8)
		b.WriteString(r.repr(int64(len(s))) + ":" + s)
	}
	return tupleHash{b.String()}
}

// put sets a key of a dictionary in the making.
func (r *run) put(d *Dict, key, v Value) {
	r.alloc(64)
	d.set(r.hash(key), key, v)
}

// arithmetic computes a binary operator.
func (r *run) arithmetic(op string, a, b Value) Value {
	r.noUndefined(a)
	if s, ok := text(a); ok && op == "%" {
		return r.printf(a, s, b)
	}
	r.noUndefined(b)
	x, ok1 := integer(a)
	y, ok2 := integer(b)
	if ok1 && ok2 {
		return r.integers(op, x, y)
	}
	f, ok3 := number(a)
	g, ok4 := number(b)
	if ok3 && ok4 {
		return r.floats(op, f, g)
	}
	switch op {
	case "+":
		if v, ok := r.joined(a, b); ok {
			return v
		}
	case "*":
		if ok1 {
			a, b, y, ok2 = b, a, x, true
		}
		if ok2 {
			if v, ok := r.repeated(a, y); ok {
				return v
			}
		}
	}
	r.fail("%s cannot be done with '%s' and '%s'", op, typeName(a), typeName(b))
	return nil
}

func (r *run) overflow() { r.fail("integer beyond 64 bits") }

func (r *run) integers(op string, x, y int64) Value {
	switch op {
	case "+":
		if s := x + y; (s > x) == (y > 0) {
			return s
		}
		r.overflow()
	case "-":
		if s := x - y; (s < x) == (y > 0) {
			return s
		}
		r.overflow()
	case "*":
		return r.product(x, y)
	case "**":
		if y < 0 {
			return r.floats(op, float64(x), float64(y))
		}
		p := int64(1)
		for ; y > 0; y >>= 1 {
			if y&1 == 1 {
				p = r.product(p, x)
			}
			if y > 1 {
				x = r.product(x, x)
			}
		}
		return p
	}
	if y == 0 {
		r.fail("division by zero")
	}
	if op == "/" {
		return float64(x) / float64(y)
	}
	if x == math.MinInt64 && y == -1 {
		r.overflow()
	}
	q, m := x/y, x%y
	if m != 0 && (m < 0) != (y < 0) {
		q, m = q-1, m+y
	}
	if op == "//" {
		return q
	}
	return m
}

// product fails on overflow.
func (r *run) product(x, y int64) int64 {
	abs := func(v int64) uint64 {
		if v < 0 {
			return -uint64(v)
		}
		return uint64(v)
	}
	hi, lo := bits.Mul64(abs(x), abs(y))
	limit := uint64(math.MaxInt64)
	if (x < 0) != (y < 0) {
		limit++
	}
	if hi > 0 || lo > limit {
		r.overflow()
	}
	return x * y
}

func (r *run) floats(op string, x, y float64) Value {
	switch op {
	case "+":
		return x + y
	case "-":
		return x - y
	case "*":
		return x * y
	case "**":
		if x < 0 && y != math.Trunc(y) {
			r.fail("power of a negative number is not real")
		}
		if x == 0 && y < 0 {
			r.fail("division by zero")
		}
		p := math.Pow(x, y)
		if math.IsInf(p, 0) && !math.IsInf(x, 0) && !math.IsInf(y, 0) {
			r.fail("power is out of range")
		}
		return p
	}
	if y == 0 {
		r.fail("division by zero")
	}
	if op == "/" {
		return x / y
	}
	m := math.Mod(x, y)
	q := (x - m) / y
	if m != 0 && (m < 0) != (y < 0) {
		m, q = m+y, q-1
	}
	if op == "%" {
		if m == 0 {
			return math.Copysign(0, y)
		}
		return m
	}
	if q == 0 {
		return math.Copysign(0, x/y)
	}
	if f := math.Floor(q); q-f > 0.5 {
		return f + 1
	} else {
		return f
	}
}

// joined is a + b of strings, lists and tuples.
func (r *run) joined(a, b Value) (Value, bool) {
	if s, ok := text(a); ok {
		t, ok := text(b)
		_, m1 := a.(markup)
		_, m2 := b.(markup)
		switch {
		case m1 || m2:
			return r.markup(r.escape(a) + r.escape(b)), ok
		case ok:
			r.alloc(len(s) + len(t))
			return s + t, true
		}
	}
	s, ok1 := a.(*Seq)
	t, ok2 := b.(*Seq)
	if !ok1 || !ok2 || s.Tuple != t.Tuple {
		return nil, false
	}
	r.alloc(16 * (len(s.Items) + len(t.Items)))
	return &Seq{Items: append(append(make([]Value, 0, len(s.Items)+len(t.Items)), s.Items...), t.Items...), Tuple: s.Tuple}, true
}

// repeated is v * n of strings, lists and tuples.
func (r *run) repeated(v Value, n int64) (Value, bool) {
	n = max(n, 0)
	size := int64(0)
	s, isText := text(v)
	seq, isSeq := v.(*Seq)
	switch {
	case isText:
		size = int64(len(s))
	case isSeq:
		size = 16 * int64(len(seq.Items))
	default:
		return nil, false
	}
	if size > 0 && n > math.MaxInt32/size {
		r.exhausted("too much memory")
	}
	r.alloc(int(size * n))
	switch {
	case size == 0:
		return v, true
	case isText:
		return like(v, strings.Repeat(s, int(n))), true
	}
	items := make([]Value, 0, len(seq.Items)*int(n))
	for range n {
		items = append(items, seq.Items...)
	}
	return &Seq{Items: items, Tuple: seq.Tuple}, true
}

// like returns s as markup where v is markup.
func like(v Value, s string) Value {
	if _, ok := v.(markup); ok {
		return markup(s)
	}
	return s
}

func (r *run) markup(s string) markup { return markup(r.str(s)) }

// escape is the text of v with HTML's special characters replaced, markup as it is.
func (r *run) escape(v Value) string {
	if m, ok := v.(markup); ok {
		return string(m)
	}
	s := r.string(v)
	r.alloc(6 * len(s))
	return htmlEscaper.Replace(s)
}
