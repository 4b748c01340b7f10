package jinja

// testNamed returns a test; nil: there is none of that name.
func testNamed(name string) testFunc {
	switch name {
	case "filter":
		return func(r *run, v Value, a *args) bool { return filterNamed(r.textArg(name, v)) != nil }
	case "test":
		return func(r *run, v Value, a *args) bool { return testNamed(r.textArg(name, v)) != nil }
	}
	return tests[name]
}

var tests = map[string]testFunc{
	"defined":   plain(func(v Value) bool { _, ok := v.(undefined); return !ok }),
	"undefined": plain(func(v Value) bool { _, ok := v.(undefined); return ok }),
	"none":      plain(func(v Value) bool { return v == nil }),
	"boolean":   plain(func(v Value) bool { _, ok := v.(bool); return ok }),
	"true":      plain(func(v Value) bool { return v == true }),
	"false":     plain(func(v Value) bool { return v == false }),
	"integer":   plain(func(v Value) bool { _, ok := v.(int64); return ok }),
	"float":     plain(func(v Value) bool { _, ok := v.(float64); return ok }),
	"number":    plain(func(v Value) bool { _, ok := number(v); return ok }),
	"string":    plain(func(v Value) bool { _, ok := text(v); return ok }),
	"mapping":   plain(func(v Value) bool { _, ok := v.(*Dict); return ok }),
	"iterable":  plain(iterable),
	"sequence":  plain(isSequence),
	"escaped":   plain(func(v Value) bool { _, ok := v.(markup); return ok }),
	"callable":  plain(callable),
	"lower":     func(r *run, v Value, a *args) bool { r.bind(a, "lower", 0); return isLower(r.string(v)) },
	"upper":     func(r *run, v Value, a *args) bool { r.bind(a, "upper", 0); return isUpper(r.string(v)) },

	"odd":         func(r *run, v Value, a *args) bool { r.bind(a, "odd", 0); return r.remainder(v, int64(2)) == 1 },
	"even":        func(r *run, v Value, a *args) bool { r.bind(a, "even", 0); return r.remainder(v, int64(2)) == 0 },
	"divisibleby": with("divisibleby", func(r *run, v, x Value) bool { return r.remainder(v, x) == 0 }),
	"sameas":      with("sameas", func(r *run, v, x Value) bool { return v == x }),
	"in":          with("in", func(r *run, v, x Value) bool { return r.contains(x, v) }),

	"==": operator("=="), "eq": operator("=="), "equalto": operator("=="),
	"!=": operator("!="), "ne": operator("!="),
	">": operator(">"), "gt": operator(">"), "greaterthan": operator(">"),
	">=": operator(">="), "ge": operator(">="),
	"<": operator("<"), "lt": operator("<"), "lessthan": operator("<"),
	"<=": operator("<="), "le": operator("<="),
}

func plain(f func(Value) bool) testFunc {
	return func(r *run, v Value, a *args) bool {
		r.bind(a, "the test", 0)
		return f(v)
	}
}

// with is a test with one argument.
func with(name string, f func(r *run, v, x Value) bool) testFunc {
	return func(r *run, v Value, a *args) bool {
		p, _ := r.bind(a, name, 1, "other")
		return f(r, v, p[0])
	}
}

func operator(op string) testFunc {
	return with(op, func(r *run, v, x Value) bool { return r.compare(op, v, x) })
}

// isSequence says whether v has a length and items by number or key.
func isSequence(v Value) bool {
	switch v.(type) {
	case string, markup, undefined, *Seq, *Dict, *interval:
		return true
	}
	return false
}

func callable(v Value) bool {
	switch v.(type) {
	case *function, *macro, *loop, undefined:
		return true
	}
	return false
}

// remainder is v % x as a float.
func (r *run) remainder(v, x Value) float64 {
	f, ok := number(r.arithmetic("%", v, x))
	if !ok {
		r.fail("'%s' is no number", typeName(v))
	}
	return f
}
