package jinja

import (
	"math"
	"math/big"
	"slices"
	"strconv"
	"strings"
)

// filterNamed returns a filter; nil: there is none of that name.
func filterNamed(name string) filterFunc {
	switch name { // those that look up filters and tests themselves
	case "map":
		return mapFilter
	case "select", "reject", "selectattr", "rejectattr":
		return selector(name)
	}
	return filters[name]
}

// filters are Jinja's that chat templates use, and transformers' tojson.
var filters = map[string]filterFunc{
	"tojson": toJSON,

	"upper":      textFilter("upper", upper),
	"lower":      textFilter("lower", lower),
	"title":      textFilter("title", titleWords),
	"capitalize": textFilter("capitalize", capitalize),
	"trim":       trimFilter,
	"replace":    replaceFilter,
	"indent":     indentFilter,
	"format":     formatFilter,
	"string":     stringFilter,
	"safe":       safeFilter,
	"escape":     escapeFilter,
	"e":          escapeFilter,
	"join":       joinFilter,

	"abs":   absFilter,
	"round": roundFilter,
	"int":   intFilter,
	"float": floatFilter,

	"length":   lengthFilter,
	"count":    lengthFilter,
	"default":  defaultFilter,
	"d":        defaultFilter,
	"first":    firstFilter,
	"last":     lastFilter,
	"list":     listFilter,
	"reverse":  reverseFilter,
	"sort":     sortFilter,
	"unique":   uniqueFilter,
	"dictsort": dictsortFilter,
	"items":    itemsFilter,
	"min":      extreme("min", -1),
	"max":      extreme("max", 1),
	"sum":      sumFilter,
}

// textFilter applies f to the text of a value; markup stays markup.
func textFilter(name string, f func(string) string) filterFunc {
	return func(r *run, v Value, a *args) Value {
		r.bind(a, name, 0)
		s := r.string(v)
		r.alloc(3 * len(s))
		return like(v, f(s))
	}
}

func trimFilter(r *run, v Value, a *args) Value {
	p, _ := r.bind(a, "trim", 0, "chars")
	s := r.string(v)
	r.scan(len(s))
	return like(v, r.str(r.strip("trim", s, p[0], true, true)))
}

func replaceFilter(r *run, v Value, a *args) Value {
	p, _ := r.bind(a, "replace", 2, "old", "new", "count")
	n := int64(-1)
	if p[2] != nil {
		n = r.intArg("replace", p[2])
	}
	return r.replace(r.string(v), r.string(p[0]), r.string(p[1]), n)
}

func indentFilter(r *run, v Value, a *args) Value {
	p, given := r.bind(a, "indent", 0, "width", "first", "blank")
	s := r.textArg("indent", v)
	indent := "    "
	if given[0] {
		var ok bool
		if indent, ok = text(p[0]); !ok {
			indent = r.pad("", " ", int(max(0, min(1<<30, r.intArg("indent", p[0])))), 0)
		}
	}
	lines := splitLines(s+"\n", false)
	for i, line := range lines {
		r.alloc(len(line) + len(indent) + 1)
		if i > 0 && (line != "" || truth(p[2])) {
			lines[i] = indent + line
		}
	}
	if truth(p[1]) {
		lines[0] = indent + lines[0]
	}
	return like(v, strings.Join(lines, "\n"))
}

func formatFilter(r *run, v Value, a *args) Value {
	if len(a.list) > 0 && len(a.names) > 0 {
		r.fail("format takes positional or keyword arguments, not both")
	}
	var arg Value = tuple(a.list...)
	if len(a.names) > 0 {
		d := &Dict{}
		for i, n := range a.names {
			r.put(d, n, a.named[i])
		}
		arg = d
	}
	return r.printf(v, r.string(v), arg)
}

func stringFilter(r *run, v Value, a *args) Value {
	r.bind(a, "string", 0)
	return like(v, r.string(v))
}

func safeFilter(r *run, v Value, a *args) Value {
	r.bind(a, "safe", 0)
	return r.markup(r.string(v))
}

func escapeFilter(r *run, v Value, a *args) Value {
	r.bind(a, "escape", 0)
	return markup(r.escape(v))
}

func joinFilter(r *run, v Value, a *args) Value {
	p, given := r.bind(a, "join", 0, "d", "attribute")
	get := r.getter(p[1], given[1], nil)
	var parts []string
	for _, x := range r.items(v) {
		parts = append(parts, r.string(get(x)))
	}
	if !given[0] {
		p[0] = ""
	}
	return r.join(parts, r.string(p[0]))
}

func absFilter(r *run, v Value, a *args) Value {
	r.bind(a, "abs", 0)
	if f, ok := v.(float64); ok {
		return math.Abs(f)
	}
	n := r.intArg("abs", v)
	if n < 0 {
		return r.integers("-", 0, n)
	}
	return n
}

func roundFilter(r *run, v Value, a *args) Value {
	p, given := r.bind(a, "round", 0, "precision", "method")
	digits, method := int64(0), "common"
	if given[0] {
		digits = r.intArg("round", p[0])
	}
	if given[1] {
		method = r.textArg("round", p[1])
	}
	n, isInt := integer(v)
	f, ok := number(v)
	if !ok {
		r.noUndefined(v)
		r.fail("round needs a number, not '%s'", typeName(v))
	}
	switch method {
	case "common":
		if isInt {
			if digits >= 0 {
				return n
			}
			return int64(roundTo(f, digits))
		}
		return roundTo(f, digits)
	case "ceil", "floor":
		scale := math.Pow(10, float64(digits))
		if method == "ceil" {
			return math.Ceil(f*scale) / scale
		}
		return math.Floor(f*scale) / scale
	}
	r.fail("round: method is common, ceil or floor")
	return nil
}

// roundTo is Python's round(f, digits): to the nearest, ties of the exact value to even.
func roundTo(f float64, digits int64) float64 {
	switch {
	case math.IsInf(f, 0) || math.IsNaN(f) || digits > 320:
		return f
	case digits < -320:
		return math.Copysign(0, f)
	case digits >= 0:
		v, _ := strconv.ParseFloat(strconv.FormatFloat(f, 'f', int(digits), 64), 64)
		return v
	}
	scale := new(big.Rat).SetInt(new(big.Int).Exp(big.NewInt(10), big.NewInt(-digits), nil))
	q := new(big.Rat).SetFloat64(f)
	q.Quo(q, scale)
	twice := new(big.Int).Mul(q.Num(), big.NewInt(2)) // floor(q + 1/2), then down again where q + 1/2 is an odd integer
	twice.Add(twice, q.Denom())
	den := new(big.Int).Mul(q.Denom(), big.NewInt(2))
	n, rest := new(big.Int).DivMod(twice, den, new(big.Int))
	if rest.Sign() == 0 && n.Bit(0) == 1 {
		n.Sub(n, big.NewInt(1))
	}
	v, _ := new(big.Rat).Mul(new(big.Rat).SetInt(n), scale).Float64()
	if v == 0 {
		return math.Copysign(0, f)
	}
	return v
}

// intFilter is int(v), where that fails int(float(v)), where that fails the default.
func intFilter(r *run, v Value, a *args) Value {
	p, given := r.bind(a, "int", 0, "default", "base")
	base := int64(10)
	if given[1] {
		base = r.intArg("int", p[1])
	}
	var or Value = int64(0)
	if given[0] {
		or = p[0]
	}
	if n, ok := integer(v); ok {
		return n
	}
	f, isFloat := v.(float64)
	if s, ok := text(v); ok {
		r.scan(len(s))
		digits, ok := pythonDigits(s)
		if base != 10 && len(digits) > 2 {
			prefix := map[int64]string{2: "0b", 8: "0o", 16: "0x"}[base]
			digits = strings.TrimPrefix(strings.ToLower(digits), prefix)
		}
		if base < 2 || base > 36 {
			r.fail("int: base %d is not supported", base)
		}
		n, err := strconv.ParseInt(digits, int(base), 64)
		switch {
		case ok && err == nil:
			return n
		case ok && strings.Contains(err.Error(), "range"):
			r.overflow()
		}
		if f, isFloat = pythonFloatOf(s); math.IsInf(f, 0) || math.IsNaN(f) {
			return or
		}
	}
	if !isFloat || math.IsNaN(f) {
		r.noUndefined(v)
		return or
	}
	if math.Abs(f) >= 1<<63 {
		r.overflow()
	}
	return int64(f)
}

// pythonDigits takes off the white space and the single underscores between digits that Python allows in a number.
func pythonDigits(s string) (string, bool) {
	s = strings.TrimFunc(s, space)
	bad := strings.HasPrefix(s, "_") || strings.HasSuffix(s, "_") || strings.Contains(s, "__") || strings.HasPrefix(strings.TrimLeft(s, "+-"), "_")
	return strings.ReplaceAll(s, "_", ""), !bad && s != ""
}

// pythonFloatOf is float(s).
func pythonFloatOf(s string) (float64, bool) {
	digits, ok := pythonDigits(s)
	if !ok || strings.ContainsAny(digits, "xXpP") {
		return 0, false
	}
	f, err := strconv.ParseFloat(digits, 64)
	return f, err == nil || math.IsInf(f, 0)
}

func floatFilter(r *run, v Value, a *args) Value {
	p, given := r.bind(a, "float", 0, "default")
	if f, ok := number(v); ok {
		return f
	}
	if s, ok := text(v); ok {
		r.scan(len(s))
		if f, ok := pythonFloatOf(s); ok {
			return f
		}
	}
	r.noUndefined(v)
	if !given[0] {
		return 0.0
	}
	return p[0]
}

func lengthFilter(r *run, v Value, a *args) Value {
	r.bind(a, "length", 0)
	if s, ok := text(v); ok {
		r.scan(len(s))
	}
	n, ok := length(v)
	if !ok {
		r.fail("'%s' object has no length", typeName(v))
	}
	return n
}

func defaultFilter(r *run, v Value, a *args) Value {
	p, given := r.bind(a, "default", 0, "default_value", "boolean")
	if _, ok := v.(undefined); ok || truth(p[1]) && !truth(v) {
		if !given[0] {
			return ""
		}
		return p[0]
	}
	return v
}

func firstFilter(r *run, v Value, a *args) Value {
	r.bind(a, "first", 0)
	if g, ok := v.(*generator); ok && len(g.items) > 0 {
		x := g.items[0]
		g.items = g.items[1:]
		return x
	}
	if items := r.items(v); len(items) > 0 {
		return items[0]
	}
	return undefined("no first item, the sequence was empty")
}

func lastFilter(r *run, v Value, a *args) Value {
	r.bind(a, "last", 0)
	if _, ok := v.(*generator); ok {
		r.fail("last: a generator cannot be reversed, make it a list first")
	}
	if items := r.items(v); len(items) > 0 {
		return items[len(items)-1]
	}
	return undefined("no last item, the sequence was empty")
}

func listFilter(r *run, v Value, a *args) Value {
	r.bind(a, "list", 0)
	return r.list(slices.Clone(r.items(v)))
}

func reverseFilter(r *run, v Value, a *args) Value {
	r.bind(a, "reverse", 0)
	if _, ok := text(v); ok {
		return r.slice(v, [3]Value{nil, nil, int64(-1)})
	}
	items := slices.Clone(r.items(v))
	r.alloc(16 * len(items))
	slices.Reverse(items)
	return &generator{items}
}

func itemsFilter(r *run, v Value, a *args) Value {
	r.bind(a, "items", 0)
	switch v := v.(type) {
	case undefined:
		return &generator{}
	case *Dict:
		return &generator{r.view(v, "items").items}
	}
	r.fail("items: '%s' object is no mapping", typeName(v))
	return nil
}
