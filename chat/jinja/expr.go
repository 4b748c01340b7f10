package jinja

// expr is a node of an expression. eval is called through run.eval, which counts the depth.
type expr interface{ eval(r *run) Value }

func (r *run) eval(e expr) Value {
	r.enter()
	v := e.eval(r)
	r.leave()
	return v
}

type constant struct{ value Value }

func (e *constant) eval(*run) Value { return e.value }

type variable struct {
	line int
	name string
}

func (e *variable) eval(r *run) Value { r.line = e.line; return r.lookup(e.name) }

// display is a list or tuple written out.
type display struct {
	line  int
	items []expr
	tuple bool
}

func (e *display) eval(r *run) Value {
	s := r.list(r.evalAll(e.items))
	s.Tuple = e.tuple
	return s
}

func (r *run) evalAll(list []expr) []Value {
	values := make([]Value, len(list))
	for i, x := range list {
		values[i] = r.eval(x)
	}
	return values
}

type dictDisplay struct {
	line         int
	keys, values []expr
}

func (e *dictDisplay) eval(r *run) Value {
	d := &Dict{}
	for i, k := range e.keys {
		key := r.eval(k)
		value := r.eval(e.values[i])
		r.line = e.line
		r.put(d, key, value)
	}
	return d
}

// logical is and or or: it gives one of its operands.
type logical struct {
	a, b expr
	or   bool
}

func (e *logical) eval(r *run) Value {
	if v := r.eval(e.a); truth(v) == e.or {
		return v
	}
	return r.eval(e.b)
}

type negation struct{ of expr }

func (e *negation) eval(r *run) Value { return !truth(r.eval(e.of)) }

// conditional is then if test else orElse.
type conditional struct {
	line               int
	then, test, orElse expr
}

func (e *conditional) eval(r *run) Value {
	switch {
	case truth(r.eval(e.test)):
		return r.eval(e.then)
	case e.orElse == nil:
		return undefined("the inline if was false and has no else")
	}
	return r.eval(e.orElse)
}

// comparison is a chain: a < b < c is a < b and b < c.
type comparison struct {
	line  int
	first expr
	ops   []string
	rest  []expr
}

func (e *comparison) eval(r *run) Value {
	a := r.eval(e.first)
	for i, x := range e.rest {
		b := r.eval(x)
		r.line = e.line
		if !r.compare(e.ops[i], a, b) {
			return false
		}
		a = b
	}
	return true
}

type concatenation struct {
	line  int
	parts []expr
}

func (e *concatenation) eval(r *run) Value {
	var b []byte
	for _, x := range e.parts {
		v := r.eval(x)
		r.line = e.line
		s := r.string(v)
		r.alloc(len(s))
		b = append(b, s...)
	}
	return string(b)
}

type arithmetic struct {
	line int
	op   string
	a, b expr
}

func (e *arithmetic) eval(r *run) Value {
	a := r.eval(e.a)
	b := r.eval(e.b)
	r.line = e.line
	return r.arithmetic(e.op, a, b)
}

type sign struct {
	line  int
	minus bool
	of    expr
}

func (e *sign) eval(r *run) Value {
	v := r.eval(e.of)
	r.line = e.line
	f, isFloat := v.(float64)
	n, isInt := integer(v)
	switch {
	case isFloat && e.minus:
		return -f
	case isFloat:
		return f
	case isInt && e.minus:
		return r.arithmetic("-", int64(0), n)
	case isInt:
		return n
	}
	r.noUndefined(v)
	r.fail("bad operand for a sign: %s", typeName(v))
	return nil
}

type attribute struct {
	line int
	of   expr
	name string
}

func (e *attribute) eval(r *run) Value {
	v := r.eval(e.of)
	r.line = e.line
	return r.attr(v, e.name)
}

type item struct {
	line int
	of   expr
	key  expr
}

func (e *item) eval(r *run) Value {
	v := r.eval(e.of)
	key := r.eval(e.key)
	r.line = e.line
	return r.item(v, key)
}

// sliceIndex is start:stop:step; nil stands for what is left out. It is evaluated by slicing only.
type sliceIndex struct{ bounds [3]expr }

func (e *sliceIndex) eval(r *run) Value {
	r.fail("a slice beside other indices is not supported")
	return nil
}

type slicing struct {
	line int
	of   expr
	by   *sliceIndex
}

func (e *slicing) eval(r *run) Value {
	v := r.eval(e.of)
	var bounds [3]Value
	for i, b := range e.by.bounds {
		if b != nil {
			bounds[i] = r.eval(b)
		}
	}
	r.line = e.line
	return r.slice(v, bounds)
}

// argumentList is what stands between the brackets of a call.
type argumentList struct {
	list            []expr
	names           []string
	named           []expr
	rest, restNamed expr // *rest, **restNamed
}

// args are the values of a call's arguments.
type args struct {
	list  []Value
	names []string
	named []Value
}

func (r *run) arguments(l *argumentList) *args {
	a := &args{list: r.evalAll(l.list), names: l.names, named: r.evalAll(l.named)}
	if l.rest != nil {
		a.list = append(a.list, r.items(r.eval(l.rest))...)
		r.alloc(16 * len(a.list))
	}
	if l.restNamed != nil {
		d, ok := r.eval(l.restNamed).(*Dict)
		if !ok {
			r.fail("what follows ** is no dict")
		}
		a.names = append([]string(nil), a.names...)
		for i, k := range d.keys {
			name, ok := k.(string)
			if _, twice := a.take(name); !ok || twice {
				r.fail("bad keyword argument %s", r.repr(k))
			}
			a.names, a.named = append(a.names, name), append(a.named, d.values[i])
		}
		r.alloc(32 * d.Len())
	}
	return a
}

// take returns a keyword argument.
func (a *args) take(name string) (Value, bool) {
	for i, n := range a.names {
		if n == name {
			return a.named[i], true
		}
	}
	return nil, false
}

// bind distributes the arguments of a built-in function to its parameters; those from required on may be missing, which given tells.
func (r *run) bind(a *args, name string, required int, params ...string) (values []Value, given []bool) {
	if len(a.list) > len(params) {
		r.fail("%s takes at most %d arguments, %d are given", name, len(params), len(a.list))
	}
	values, given = make([]Value, len(params)), make([]bool, len(params))
	for i, v := range a.list {
		values[i], given[i] = v, true
	}
next:
	for i, n := range a.names {
		for j, p := range params {
			if n == p && !given[j] {
				values[j], given[j] = a.named[i], true
				continue next
			}
		}
		r.fail("%s does not take the keyword argument '%s'", name, n)
	}
	for i := range required {
		if !given[i] {
			r.fail("%s needs the argument '%s'", name, params[i])
		}
	}
	return values, given
}

type call struct {
	line int
	fn   expr
	args argumentList
}

func (e *call) eval(r *run) Value { return e.invoke(r, nil) }

// invoke calls with a caller, which the call statement gives.
func (e *call) invoke(r *run, caller *macro) Value {
	fn := r.eval(e.fn)
	a := r.arguments(&e.args)
	if caller != nil {
		a.names, a.named = append([]string{"caller"}, a.names...), append([]Value{caller}, a.named...)
	}
	r.line = e.line
	return r.call(fn, a)
}

func (r *run) call(fn Value, a *args) Value {
	switch fn := fn.(type) {
	case *function:
		return fn.call(r, a)
	case *macro:
		return fn.call(r, a)
	}
	r.noUndefined(fn)
	r.fail("'%s' object is not callable", typeName(fn))
	return nil
}

// A filterFunc computes a filter of v, a testFunc a test.
type (
	filterFunc func(r *run, v Value, a *args) Value
	testFunc   func(r *run, v Value, a *args) bool
)

type filterExpr struct {
	line int
	of   expr // nil: the text of the statement that the filter belongs to
	name string
	fn   filterFunc
	args argumentList
}

func (e *filterExpr) eval(r *run) Value { return e.apply(r, nil) }

// apply computes the filter, of body where a statement's text stands in its chain.
func (e *filterExpr) apply(r *run, body Value) Value {
	v := body
	switch of := e.of.(type) {
	case nil:
	case *filterExpr:
		v = of.apply(r, body)
	default:
		v = r.eval(of)
	}
	a := r.arguments(&e.args)
	r.line = e.line
	r.step(1)
	if e.fn == nil {
		r.fail("no filter named '%s'", e.name)
	}
	return e.fn(r, v, a)
}

type testExpr struct {
	line int
	of   expr
	name string
	fn   testFunc
	args argumentList
}

func (e *testExpr) eval(r *run) Value {
	v := r.eval(e.of)
	a := r.arguments(&e.args)
	r.line = e.line
	if e.fn == nil {
		r.fail("no test named '%s'", e.name)
	}
	return e.fn(r, v, a)
}
