package jinja

// flow says how a statement ended.
type flow uint8

const (
	done flow = iota
	broken
	continued
)

type stmt interface{ exec(r *run) flow }

func (r *run) stmts(list []stmt) flow {
	r.enter()
	defer r.leave()
	for _, s := range list {
		r.step(1)
		if f := s.exec(r); f != done {
			return f
		}
	}
	return done
}

// write outputs expressions.
type write struct {
	line  int
	parts []expr
}

func (s *write) exec(r *run) flow {
	for _, e := range s.parts {
		v := r.eval(e)
		r.line = s.line
		r.write(r.string(v))
	}
	return done
}

type jump flow

func (s jump) exec(*run) flow { return flow(s) }

type branch struct {
	line int
	test expr
	body []stmt
}

type ifStatement struct {
	branches []branch
	orElse   []stmt
}

func (s *ifStatement) exec(r *run) flow {
	for i := range s.branches {
		if r.line = s.branches[i].line; truth(r.eval(s.branches[i].test)) {
			return r.stmts(s.branches[i].body)
		}
	}
	return r.stmts(s.orElse)
}

// A target is what values are assigned to: nameTarget, attrTarget or tupleTarget.
type target interface{ assign(r *run, v Value) }

type nameTarget string

func (t nameTarget) assign(r *run, v Value) { r.scope.set(string(t), v) }

type attrTarget struct{ name, attr string }

func (t attrTarget) assign(r *run, v Value) {
	n, ok := r.lookup(t.name).(*namespace)
	if !ok {
		r.fail("cannot assign to an attribute of '%s', which is no namespace", t.name)
	}
	r.checkPrivate(t.attr)
	n.attrs.Set(t.attr, v)
	r.alloc(32)
}

type tupleTarget []target

func (t tupleTarget) assign(r *run, v Value) {
	items := r.items(v)
	if len(items) != len(t) {
		r.fail("%d values for %d names", len(items), len(t))
	}
	for i := range t {
		t[i].assign(r, items[i])
	}
}

type setStatement struct {
	line   int
	target target
	value  expr
}

func (s *setStatement) exec(r *run) flow {
	v := r.eval(s.value)
	r.line = s.line
	s.target.assign(r, v)
	return done
}

// setBlock assigns what its body writes, filtered.
type setBlock struct {
	line   int
	target target
	filter expr
	body   []stmt
}

func (s *setBlock) exec(r *run) (f flow) {
	var v Value = r.capture(func() { r.within(r.inner(), func() { f = r.stmts(s.body) }) })
	if f != done {
		return f
	}
	if s.filter != nil {
		v = s.filter.(*filterExpr).apply(r, v)
	}
	r.line = s.line
	s.target.assign(r, v)
	return done
}

type filterStatement struct {
	line   int
	filter expr
	body   []stmt
}

func (s *filterStatement) exec(r *run) (f flow) {
	v := r.capture(func() { r.within(r.inner(), func() { f = r.stmts(s.body) }) })
	if f == done {
		r.write(r.string(s.filter.(*filterExpr).apply(r, v)))
	}
	return f
}

type withStatement struct {
	line    int
	targets []target
	values  []expr
	body    []stmt
}

func (s *withStatement) exec(r *run) (f flow) {
	values := r.evalAll(s.values)
	r.line = s.line
	r.within(r.inner(), func() {
		for i, t := range s.targets {
			t.assign(r, values[i])
		}
		f = r.stmts(s.body)
	})
	return f
}

type forStatement struct {
	line         int
	target       target
	iter, test   expr
	body, orElse []stmt
}

func (s *forStatement) exec(r *run) flow {
	v := r.eval(s.iter)
	r.line = s.line
	outer := r.scope
	l := &loop{r: r, source: r.items(v), index0: -1}
	if s.test != nil {
		l.keep = func(x Value) (ok bool) {
			r.within(&scope{parent: outer}, func() {
				s.target.assign(r, x)
				ok = truth(r.eval(s.test))
			})
			return ok
		}
	}
	inner := r.inner()
	whole := false // a round went to its end: as in Jinja, else is also done when each was left early
	for l.next() {
		r.step(1)
		if inner.kept {
			inner = &scope{parent: outer}
		}
		clear(inner.names)
		r.scope, r.line = inner, s.line
		inner.set("loop", l)
		s.target.assign(r, l.current)
		f := r.stmts(s.body)
		r.scope = outer
		if f == broken {
			break
		}
		whole = whole || f == done
	}
	if !whole && s.orElse != nil {
		var f flow
		r.within(r.inner(), func() { f = r.stmts(s.orElse) })
		return f
	}
	return done
}

// signature is the parameters and the body of a macro; the last parameters have defaults.
type signature struct {
	params                  []string
	defaults                []expr
	body                    []stmt
	varargs, kwargs, caller bool // the body mentions the special name
}

type macroStatement struct {
	signature
	line int
	name string
}

func (s *macroStatement) exec(r *run) flow {
	r.line = s.line
	r.scope.set(s.name, &macro{s.name, &s.signature, r.keep()})
	return done
}

// callStatement calls a macro with its body as caller; without a call it is a generation block and writes its body.
type callStatement struct {
	signature
	line int
	call *call
}

func (s *callStatement) exec(r *run) flow {
	r.line = s.line
	if s.call == nil {
		r.within(r.inner(), func() { r.stmts(s.body) })
		return done
	}
	caller := &macro{"caller", &s.signature, r.keep()}
	r.write(r.string(s.call.invoke(r, caller)))
	return done
}

// macro is a macro as a value, with the scope that it was defined in.
type macro struct {
	name string
	*signature
	scope *scope
}

func (m *macro) call(r *run, a *args) Value {
	s := &scope{parent: m.scope}
	bind := func(name string, v Value) {
		if _, twice := s.names[name]; twice {
			r.fail("macro '%s' got two values for '%s'", m.name, name)
		}
		s.set(name, v)
	}
	var varargs []Value
	for i, v := range a.list {
		if i < len(m.params) {
			bind(m.params[i], v)
		} else {
			varargs = append(varargs, v)
		}
	}
	kwargs := &Dict{}
	for i, n := range a.names {
		if n == "caller" && m.caller || m.has(n) {
			bind(n, a.named[i])
		} else {
			kwargs.Set(n, a.named[i])
		}
	}
	if len(varargs) > 0 && !m.varargs {
		r.fail("macro '%s' takes %d arguments, %d are given", m.name, len(m.params), len(a.list))
	}
	if kwargs.Len() > 0 && !m.kwargs {
		r.fail("macro '%s' takes no keyword argument '%s'", m.name, kwargs.keys[0])
	}
	r.alloc(16*len(varargs) + 32*kwargs.Len())
	if m.varargs && !m.has("varargs") {
		s.set("varargs", tuple(varargs...))
	}
	if m.kwargs && !m.has("kwargs") {
		s.set("kwargs", kwargs)
	}
	if _, ok := s.names["caller"]; m.caller && !ok {
		s.set("caller", undefined("no caller defined"))
	}
	line := r.line
	text := r.capture(func() {
		r.within(s, func() {
			for i, p := range m.params {
				if _, ok := s.names[p]; ok {
					continue
				}
				if d := i - len(m.params) + len(m.defaults); d >= 0 {
					s.set(p, r.eval(m.defaults[d]))
				} else {
					s.set(p, undefined("parameter '"+p+"' was not provided"))
				}
			}
			r.stmts(m.body)
		})
	})
	r.line = line
	return text
}

func (s *signature) has(name string) bool {
	for _, p := range s.params {
		if p == name {
			return true
		}
	}
	return false
}
