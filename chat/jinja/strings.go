package jinja

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// A stringFunc is a method of the string s. It charges for what it makes.
type stringFunc = func(r *run, s string, a *args) Value

// stringMethod returns Python's string method of that name; nil: there is none.
func stringMethod(name string) stringFunc {
	switch name {
	case "format":
		return formatMethod
	case "encode", "expandtabs", "format_map", "isidentifier", "isprintable", "istitle", "translate", "maketrans":
		return func(r *run, _ string, _ *args) Value {
			r.fail("the string method '%s' is not supported", name)
			return nil
		}
	}
	return stringMethods[name]
}

var stringMethods = map[string]stringFunc{
	"strip":        stripper("strip", true, true),
	"lstrip":       stripper("lstrip", true, false),
	"rstrip":       stripper("rstrip", false, true),
	"split":        splitter("split", split),
	"rsplit":       splitter("rsplit", rsplit),
	"splitlines":   splitLinesMethod,
	"join":         joinMethod,
	"replace":      replaceMethod,
	"startswith":   affix("startswith", strings.HasPrefix),
	"endswith":     affix("endswith", strings.HasSuffix),
	"removeprefix": cut("removeprefix", strings.TrimPrefix),
	"removesuffix": cut("removesuffix", strings.TrimSuffix),
	"partition":    partition("partition", strings.Index),
	"rpartition":   partition("rpartition", strings.LastIndex),
	"find":         finder("find", strings.Index, false),
	"rfind":        finder("rfind", strings.LastIndex, false),
	"index":        finder("index", strings.Index, true),
	"rindex":       finder("rindex", strings.LastIndex, true),
	"count":        countMethod,
	"ljust":        padder("ljust", func(n int) (int, int) { return 0, n }),
	"rjust":        padder("rjust", func(n int) (int, int) { return n, 0 }),
	"center":       centerMethod,
	"zfill":        zfillMethod,

	"upper":      mapping("upper", upper),
	"lower":      mapping("lower", lower),
	"casefold":   mapping("casefold", func(s string) string { return lower(upper(s)) }),
	"title":      mapping("title", title),
	"capitalize": mapping("capitalize", capitalize),
	"swapcase":   mapping("swapcase", swapCase),

	"isalnum":   every("isalnum", func(c rune) bool { return unicode.IsLetter(c) || unicode.IsNumber(c) }),
	"isalpha":   every("isalpha", unicode.IsLetter),
	"isdigit":   every("isdigit", unicode.IsDigit),
	"isdecimal": every("isdecimal", unicode.IsDigit),
	"isnumeric": every("isnumeric", unicode.IsNumber),
	"isspace":   every("isspace", space),
	"isascii":   predicate("isascii", func(s string) bool { return strings.IndexFunc(s, func(c rune) bool { return c > 127 }) < 0 }),
	"islower":   predicate("islower", isLower),
	"isupper":   predicate("isupper", isUpper),
}

// callString calls a method of v, whose text is s. What methods of markup are given to insert is escaped, and their strings are markup.
func (r *run) callString(m stringFunc, name string, v Value, s string, a *args) Value {
	r.scan(len(s))
	if _, ok := v.(markup); !ok {
		return m(r, s, a)
	}
	safe := *a
	switch name {
	case "replace", "ljust", "rjust", "center":
		safe.list = append([]Value(nil), a.list...)
		for i := 1; i < len(safe.list); i++ {
			if t, ok := safe.list[i].(string); ok {
				safe.list[i] = r.escape(t)
			}
		}
	case "join":
		if len(a.list) == 1 {
			parts := list()
			for _, x := range r.items(a.list[0]) {
				parts.Items = append(parts.Items, r.escape(x))
			}
			safe.list = []Value{parts}
		}
	case "format":
		safe.list, safe.named = r.escapeAll(a.list), r.escapeAll(a.named)
	}
	switch v := m(r, s, &safe).(type) {
	case string:
		return markup(v)
	case *Seq:
		for i, x := range v.Items {
			v.Items[i] = markup(x.(string))
		}
		return v
	default:
		return v
	}
}

// escapeAll escapes the strings of a list.
func (r *run) escapeAll(list []Value) []Value {
	out := append([]Value(nil), list...)
	for i, v := range out {
		if s, ok := v.(string); ok {
			out[i] = r.escape(s)
		}
	}
	return out
}

// textArg is an argument that must be a string.
func (r *run) textArg(fn string, v Value) string {
	s, ok := text(v)
	if !ok {
		r.noUndefined(v)
		r.fail("%s needs a string, not '%s'", fn, typeName(v))
	}
	return s
}

// intArg is an argument that must be an integer.
func (r *run) intArg(fn string, v Value) int64 {
	n, ok := integer(v)
	if !ok {
		r.noUndefined(v)
		r.fail("%s needs an integer, not '%s'", fn, typeName(v))
	}
	return n
}

func stripper(name string, left, right bool) stringFunc {
	return func(r *run, s string, a *args) Value {
		v, _ := r.bind(a, name, 0, "chars")
		return r.str(r.strip(name, s, v[0], left, right))
	}
}

// strip takes away the characters of chars, or white space where chars is nil.
func (r *run) strip(name, s string, chars Value, left, right bool) string {
	in := space
	if chars != nil {
		set := map[rune]bool{}
		for _, c := range r.textArg(name, chars) {
			set[c] = true
		}
		r.step(len(set))
		in = func(c rune) bool { return set[c] }
	}
	if left {
		s = strings.TrimLeftFunc(s, in)
	}
	if right {
		s = strings.TrimRightFunc(s, in)
	}
	return s
}

func splitter(name string, f func(s string, sep *string, most int) []string) stringFunc {
	return func(r *run, s string, a *args) Value {
		v, given := r.bind(a, name, 0, "sep", "maxsplit")
		most := -1
		if given[1] {
			most = int(max(-1, min(r.intArg(name, v[1]), int64(len(s)))))
		}
		var sep *string
		if v[0] != nil {
			t := r.textArg(name, v[0])
			if t == "" {
				r.fail("%s: empty separator", name)
			}
			sep = &t
			r.alloc(32 * strings.Count(s, t))
		} else {
			r.alloc(16 * len(s))
		}
		return r.texts(f(s, sep, most))
	}
}

// texts makes a list of strings.
func (r *run) texts(parts []string) *Seq {
	items := make([]Value, len(parts))
	for i, p := range parts {
		items[i] = r.str(p)
	}
	r.alloc(32 * len(items))
	return list(items...)
}

// split splits at most times from the left; most < 0: everywhere. Without sep it splits at runs of white space.
func split(s string, sep *string, most int) []string {
	if sep != nil {
		if most < 0 {
			return strings.Split(s, *sep)
		}
		return strings.SplitN(s, *sep, most+1)
	}
	if most < 0 {
		return strings.FieldsFunc(s, space)
	}
	var parts []string
	for s = strings.TrimLeftFunc(s, space); s != ""; {
		i := strings.IndexFunc(s, space)
		if i < 0 || len(parts) == most {
			return append(parts, s)
		}
		parts, s = append(parts, s[:i]), strings.TrimLeftFunc(s[i:], space)
	}
	return parts
}

// rsplit is split from the right.
func rsplit(s string, sep *string, most int) []string {
	if most < 0 {
		return split(s, sep, most)
	}
	var parts []string // in reverse
	if sep == nil {
		for s = trimRight(s); s != ""; {
			i := strings.LastIndexFunc(s, space)
			if i < 0 || len(parts) == most {
				parts = append(parts, s)
				break
			}
			_, n := utf8.DecodeRuneInString(s[i:])
			parts, s = append(parts, s[i+n:]), trimRight(s[:i])
		}
	} else {
		for len(parts) < most {
			i := strings.LastIndex(s, *sep)
			if i < 0 {
				break
			}
			parts, s = append(parts, s[i+len(*sep):]), s[:i]
		}
		parts = append(parts, s)
	}
	for i, j := 0, len(parts)-1; i < j; i, j = i+1, j-1 {
		parts[i], parts[j] = parts[j], parts[i]
	}
	return parts
}

func splitLinesMethod(r *run, s string, a *args) Value {
	v, _ := r.bind(a, "splitlines", 0, "keepends")
	r.alloc(32 * strings.Count(s, "\n"))
	return r.texts(splitLines(s, truth(v[0])))
}

func splitLines(s string, keep bool) []string {
	var lines []string
	start := 0
	for i, c := range s {
		if i < start || !strings.ContainsRune("\n\r\v\f\x1c\x1d\x1e\u0085\u2028\u2029", c) {
			continue
		}
		end := i + utf8.RuneLen(c)
		if c == '\r' && strings.HasPrefix(s[end:], "\n") {
			end++
		}
		if keep {
			lines = append(lines, s[start:end])
		} else {
			lines = append(lines, s[start:i])
		}
		start = end
	}
	if start < len(s) {
		lines = append(lines, s[start:])
	}
	return lines
}

func joinMethod(r *run, s string, a *args) Value {
	v, _ := r.bind(a, "join", 1, "iterable")
	items := r.items(v[0])
	parts := make([]string, len(items))
	for i, x := range items {
		parts[i] = r.textArg("join", x)
	}
	return r.join(parts, s)
}

func (r *run) join(parts []string, sep string) string {
	for _, p := range parts {
		r.alloc(16 + len(p) + len(sep))
	}
	return strings.Join(parts, sep)
}

func replaceMethod(r *run, s string, a *args) Value {
	v, given := r.bind(a, "replace", 2, "old", "new", "count")
	n := int64(-1)
	if given[2] {
		n = r.intArg("replace", v[2])
	}
	return r.replace(s, r.textArg("replace", v[0]), r.textArg("replace", v[1]), n)
}

func (r *run) replace(s, old, new string, count int64) string {
	n := int64(strings.Count(s, old))
	if count >= 0 {
		n = min(n, count)
	}
	r.scan(len(s))
	r.alloc(len(s))
	if len(new) > 0 {
		if n > int64(r.left.Memory)/int64(len(new)) {
			r.exhausted("too much memory")
		}
		r.alloc(int(n) * len(new))
	}
	return strings.Replace(s, old, new, int(n))
}

// window is s[start:end] for methods that take bounds, with the characters before it; ok is false where it lies outside.
func (r *run) window(name, s string, v []Value) (part string, before int64, ok bool) {
	if v[0] == nil && v[1] == nil {
		return s, 0, true
	}
	n := int64(utf8.RuneCountInString(s))
	var b [3]int64
	var given [3]bool
	for i, x := range v {
		if x != nil {
			b[i], given[i] = r.intArg(name, x), true
		}
	}
	outside := given[0] && b[0] > n
	b[2] = 1
	start, stop, _ := sliceBounds(n, b, given)
	if outside || start > stop {
		return "", 0, false
	}
	from := runeOffset(s, start)
	return s[from : from+runeOffset(s[from:], stop-start)], start, true
}

func affix(name string, has func(s, x string) bool) stringFunc {
	return func(r *run, s string, a *args) Value {
		v, _ := r.bind(a, name, 1, "prefix", "start", "end")
		part, _, ok := r.window(name, s, v[1:])
		if t, isTuple := v[0].(*Seq); isTuple && t.Tuple {
			for _, x := range t.Items {
				if ok && has(part, r.textArg(name, x)) {
					return true
				}
			}
			return false
		}
		x := r.textArg(name, v[0])
		return ok && has(part, x)
	}
}

func cut(name string, f func(s, x string) string) stringFunc {
	return func(r *run, s string, a *args) Value {
		v, _ := r.bind(a, name, 1, "affix")
		return r.str(f(s, r.textArg(name, v[0])))
	}
}

func partition(name string, index func(s, x string) int) stringFunc {
	return func(r *run, s string, a *args) Value {
		v, _ := r.bind(a, name, 1, "sep")
		sep := r.textArg(name, v[0])
		if sep == "" {
			r.fail("%s: empty separator", name)
		}
		r.alloc(len(s) + 48)
		i := index(s, sep)
		switch {
		case i >= 0:
			return tuple(s[:i], sep, s[i+len(sep):])
		case name == "partition":
			return tuple(s, "", "")
		}
		return tuple("", "", s)
	}
}

func finder(name string, index func(s, x string) int, must bool) stringFunc {
	return func(r *run, s string, a *args) Value {
		v, _ := r.bind(a, name, 1, "sub", "start", "end")
		part, before, ok := r.window(name, s, v[1:])
		i := -1
		if ok {
			i = index(part, r.textArg(name, v[0]))
		}
		if i >= 0 {
			return before + int64(utf8.RuneCountInString(part[:i]))
		}
		if must {
			r.fail("%s: substring not found", name)
		}
		return int64(-1)
	}
}

func countMethod(r *run, s string, a *args) Value {
	v, _ := r.bind(a, "count", 1, "sub", "start", "end")
	part, _, ok := r.window("count", s, v[1:])
	if !ok {
		return int64(0)
	}
	return int64(strings.Count(part, r.textArg("count", v[0])))
}

// pad adds left and right copies of fill.
func (r *run) pad(s, fill string, left, right int) string {
	if left+right > 1<<30 {
		r.exhausted("too much memory")
	}
	r.alloc(len(s) + len(fill)*(left+right))
	return strings.Repeat(fill, left) + s + strings.Repeat(fill, right)
}

// padding is how many characters s lacks to the width, and what to fill with.
func (r *run) padding(name, s string, a *args) (int, string) {
	v, given := r.bind(a, name, 1, "width", "fillchar")
	fill := " "
	if given[1] {
		if fill = r.textArg(name, v[1]); utf8.RuneCountInString(fill) != 1 {
			r.fail("%s: the fill must be one character", name)
		}
	}
	return int(min(1<<30, max(0, r.intArg(name, v[0])-int64(utf8.RuneCountInString(s))))), fill
}

func padder(name string, sides func(n int) (left, right int)) stringFunc {
	return func(r *run, s string, a *args) Value {
		n, fill := r.padding(name, s, a)
		left, right := sides(n)
		return r.pad(s, fill, left, right)
	}
}

// centerMethod puts the odd character where Python puts it, which depends on the width.
func centerMethod(r *run, s string, a *args) Value {
	n, fill := r.padding("center", s, a)
	left := n/2 + n&(n+utf8.RuneCountInString(s))&1
	return r.pad(s, fill, left, n-left)
}

func zfillMethod(r *run, s string, a *args) Value {
	n, _ := r.padding("zfill", s, a)
	head := ""
	if strings.HasPrefix(s, "+") || strings.HasPrefix(s, "-") {
		head, s = s[:1], s[1:]
	}
	return head + r.pad(s, "0", n, 0)
}

func mapping(name string, f func(string) string) stringFunc {
	return func(r *run, s string, a *args) Value {
		r.bind(a, name, 0)
		r.alloc(3 * len(s))
		return f(s)
	}
}

func predicate(name string, f func(string) bool) stringFunc {
	return func(r *run, s string, a *args) Value {
		r.bind(a, name, 0)
		return f(s)
	}
}

func every(name string, f func(rune) bool) func(*run, string, *args) Value {
	return predicate(name, func(s string) bool {
		return s != "" && strings.IndexFunc(s, func(c rune) bool { return !f(c) }) < 0
	})
}
