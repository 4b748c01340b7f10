package constrain

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// ParseSchema reads a JSON schema. The language is JSON texts that satisfy it, with properties in the order of the schema, then others where
// additionalProperties allows them. It is narrower than the schema where a schema leaves open what nobody means:
//
//   - without type, keywords of one type mean that type; properties without additionalProperties mean no others
//   - integers have no fraction and at most 16 digits unless bounds have more, numbers at most 16 before and behind the point and an exponent of two
//   - additional names are written without escapes
//   - a format that JSON Schema does not define says nothing
//   - between values there is no space, one, or a new line with at most 20 spaces or tabs; none around the whole
//
// oneOf is read as anyOf. allOf and what stands beside $ref, anyOf and oneOf are joined. A keyword that is not known here is an error that
// names its place, also where it would change nothing, except those that only tell of the schema (title, description, default, examples and the like).
func ParseSchema(source string) (*Grammar, error) {
	root, err := parseValue(source)
	if err != nil {
		return nil, fmt.Errorf("constrain: JSON schema: %w", err)
	}
	return fromSchema(root)
}

// fromSchema makes a grammar.
func fromSchema(root *value) (*Grammar, error) {
	s := &schema{root: root, refs: map[string]int{}, common: map[string]int{}}
	s.ref("#")
	for i := 0; i < len(s.pending) && s.err == nil; i++ { // more are met on the way
		p := s.pending[i]
		target, ok := s.target(p.pointer)
		if !ok {
			return nil, fmt.Errorf("constrain: JSON schema: %s: there is nothing in the schema at %q", p.from, p.pointer)
		}
		body := s.compile(target, p.pointer)
		s.rules[s.refs[p.pointer]].body = body
	}
	if s.err != nil {
		return nil, fmt.Errorf("constrain: JSON schema: %w", s.err)
	}
	return &Grammar{rules: s.rules}, nil
}

// schema makes rules; the first is the whole.
type schema struct {
	root    *value
	rules   []rule
	refs    map[string]int // rules by JSON pointer
	common  map[string]int // rules that several schemas share, by name
	pending []pointer
	merges  int
	at      string // where a $ref stands
	err     error  // the first
}

type pointer struct{ pointer, from string }

// fail keeps the first error.
func (s *schema) fail(path, format string, args ...any) *expr {
	if s.err == nil {
		s.err = fmt.Errorf("%s: %s", path, fmt.Sprintf(format, args...))
	}
	return never
}

// ref is a call of the rule of a JSON pointer.
func (s *schema) ref(to string) *expr {
	n, ok := s.refs[to]
	if !ok {
		n = s.rule(to, nil)
		s.refs[to] = n
		s.pending = append(s.pending, pointer{to, s.at})
	}
	return &expr{op: opRule, rule: n}
}

// rule adds a rule.
func (s *schema) rule(name string, body *expr) int {
	if len(s.rules) >= maxRules {
		s.fail(name, "more than %d rules", maxRules)
	}
	s.rules = append(s.rules, rule{name, body})
	return len(s.rules) - 1
}

// shared is a call of a rule that is made once.
func (s *schema) shared(name string, body func() *expr) *expr {
	n, ok := s.common[name]
	if !ok {
		n = s.rule(name, nil)
		s.common[name] = n
		made := body() // which adds rules
		s.rules[n].body = made
	}
	return &expr{op: opRule, rule: n}
}

// target is what a JSON pointer (RFC 6901) points to.
func (s *schema) target(to string) (*value, bool) {
	v := s.root
	rest, ok := strings.CutPrefix(to, "#")
	if !ok {
		return nil, false
	}
	for rest != "" {
		if rest[0] != '/' {
			return nil, false
		}
		var key string
		key, rest, _ = strings.Cut(rest[1:], "/")
		if rest != "" {
			rest = "/" + rest
		}
		key = strings.ReplaceAll(strings.ReplaceAll(key, "~1", "/"), "~0", "~")
		switch i, err := strconv.Atoi(key); {
		case v.kind == '{':
			v = v.get(key)
		case v.kind == '[' && err == nil && i >= 0 && i < len(v.items):
			v = v.items[i]
		default:
			return nil, false
		}
		if v == nil {
			return nil, false
		}
	}
	return v, true
}

// silent are keywords that say nothing about values.
var silent = []string{"title", "description", "default", "examples", "example", "$schema", "$id", "id", "$comment", "$defs", "definitions", "deprecated", "readOnly", "writeOnly",
	"contentEncoding", "contentMediaType", "discriminator"}

// bare is a schema without what says nothing about values: JSON Schema (2020-12, validation, 7.2.3) leaves a format that it does not define to annotation.
func (v *value) bare() *value {
	v = v.without(silent...)
	if f := v.get("format"); f != nil && f.kind == '"' && formats[f.text] == "" && !slices.Contains(otherFormats, f.text) {
		v = v.without("format")
	}
	return v
}

// typed are the keywords of each type.
var typed = map[string][]string{
	"object":  {"properties", "required", "additionalProperties", "minProperties"},
	"array":   {"items", "prefixItems", "minItems", "maxItems"},
	"string":  {"minLength", "maxLength", "pattern", "format"},
	"number":  {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"},
	"boolean": nil, "null": nil,
}

var types = []string{"object", "array", "string", "number", "boolean", "null"}

// compile is the language of a schema.
func (s *schema) compile(v *value, path string) *expr {
	if s.err != nil {
		return never
	}
	switch {
	case v.kind == 't' && v.text == "true":
		return s.anything()
	case v.kind == 't':
		return never
	case v.kind != '{':
		return s.fail(path, "a schema is an object or a boolean")
	}
	v = v.bare()
	known := slices.Concat([]string{"type", "enum", "const", "anyOf", "oneOf", "allOf", "$ref", "nullable"}, typed["object"], typed["array"], typed["string"], typed["number"])
	for _, k := range v.keys {
		if !slices.Contains(known, k) {
			return s.fail(path+"/"+escapePointer(k), "this keyword is not supported")
		}
	}
	if to := v.get("$ref"); to != nil {
		if to.kind != '"' {
			return s.fail(path+"/$ref", "it is no text")
		}
		if len(v.keys) == 1 {
			s.at = path + "/$ref"
			return s.ref(to.text)
		}
	}
	if v.get("nullable") != nil {
		return s.compile(withNull(v), path)
	}
	for _, k := range []string{"$ref", "allOf"} {
		if v.get(k) != nil {
			return s.compile(s.flat(v, path), path)
		}
	}
	for _, k := range []string{"anyOf", "oneOf"} {
		if v.get(k) != nil {
			return s.union(v, k, path)
		}
	}
	if v.get("enum") != nil || v.get("const") != nil {
		return s.enumeration(v, path)
	}
	var ways []*expr
	for _, t := range s.types(v, path) {
		ways = append(ways, s.oneType(t, v, path))
	}
	return alt(ways...)
}

// withNull is a schema without the keyword nullable.
func withNull(v *value) *value {
	n := v.get("nullable")
	if n == nil {
		return v
	}
	if v = v.without("nullable"); n.text != "true" {
		return v
	}
	null := &value{kind: '{', keys: []string{"type"}, items: []*value{{kind: '"', text: "null"}}}
	return &value{kind: '{', keys: []string{"anyOf"}, items: []*value{list(v, null)}}
}

// escapePointer is a key within a JSON pointer.
func escapePointer(key string) string {
	return strings.ReplaceAll(strings.ReplaceAll(key, "~", "~0"), "/", "~1")
}

// types are the types that a schema allows: those it names, or the one of which it has keywords, or all.
func (s *schema) types(v *value, path string) []string {
	var names []string
	switch t := v.get("type"); {
	case t == nil:
		for _, name := range types {
			if slices.ContainsFunc(typed[name], func(k string) bool { return v.get(k) != nil }) {
				names = append(names, name)
			}
		}
		if names == nil {
			names = types
		}
	case t.kind == '"':
		names = []string{t.text}
	case t.kind == '[':
		for _, item := range t.items {
			if item.kind != '"' {
				s.fail(path+"/type", "it is no list of names")
			}
			names = append(names, item.text)
		}
	default:
		s.fail(path+"/type", "it is neither a name nor a list of names")
	}
	for _, name := range names {
		if name != "integer" && !slices.Contains(types, name) {
			s.fail(path+"/type", "there is no type %q", name)
		}
	}
	if slices.Contains(names, "number") { // integers are numbers
		names = slices.DeleteFunc(slices.Clone(names), func(n string) bool { return n == "integer" })
	}
	return names
}

func (s *schema) oneType(t string, v *value, path string) *expr {
	switch t {
	case "object":
		return s.object(v, path)
	case "array":
		return s.array(v, path)
	case "string":
		return s.string(v, path)
	case "boolean":
		return alt(text("true"), text("false"))
	case "null":
		return text("null")
	}
	return s.number(t, v, path)
}

// union is one of several schemas, each joined with what stands beside them.
func (s *schema) union(v *value, key, path string) *expr {
	of := v.get(key)
	if of.kind != '[' || len(of.items) == 0 {
		return s.fail(path+"/"+key, "it is no list of schemas")
	}
	base := v.without(key)
	var ways []*expr
	for i, item := range of.items {
		at := fmt.Sprintf("%s/%s/%d", path, key, i)
		if len(base.keys) > 0 {
			item = s.merge(base, item, at)
		}
		ways = append(ways, s.compile(item, at))
	}
	return alt(ways...)
}

// enumeration is one of the listed values that have one of the types.
func (s *schema) enumeration(v *value, path string) *expr {
	var items []*value
	if list := v.get("enum"); list != nil {
		if list.kind != '[' || len(list.items) == 0 {
			return s.fail(path+"/enum", "it is no list of values")
		}
		items = list.items
	}
	if c := v.get("const"); c != nil {
		if items != nil && !slices.ContainsFunc(items, c.equal) {
			return never
		}
		items = []*value{c}
	}
	for _, k := range v.keys {
		if !slices.Contains([]string{"enum", "const", "type"}, k) {
			return s.fail(path+"/"+escapePointer(k), "beside enum or const it is not supported")
		}
	}
	allowed := types
	if v.get("type") != nil {
		allowed = s.types(v, path)
	}
	var ways []*expr
	for _, item := range items {
		whole := item.kind == '0' && !strings.ContainsAny(item.text, ".eE")
		if slices.Contains(allowed, item.typeName()) || whole && slices.Contains(allowed, "integer") {
			ways = append(ways, s.literal(item))
		}
	}
	return alt(ways...)
}

// typeName is the type of a value.
func (v *value) typeName() string {
	return map[byte]string{'{': "object", '[': "array", '"': "string", '0': "number", 't': "boolean", 'n': "null"}[v.kind]
}

// literal is a value as it is.
func (s *schema) literal(v *value) *expr {
	var parts []*expr
	switch v.kind {
	case '"':
		return text(quote(v.text))
	case '{':
		for i, k := range v.keys {
			parts = append(parts, seq(text(quote(k)), colon, s.literal(v.items[i])))
		}
		return within("{", separated(parts), "}")
	case '[':
		for _, item := range v.items {
			parts = append(parts, s.literal(item))
		}
		return within("[", separated(parts), "]")
	}
	return text(v.text)
}

// space is what may stand between values.
var (
	space = optional(alt(text(" "), seq(text("\n"), repeat(class(span{' ', ' '}, span{'\t', '\t'}), 0, 20))))
	colon = seq(text(":"), optional(text(" ")))
	comma = seq(text(","), space)
)

// within puts brackets around what may be empty.
func within(open string, inner *expr, end string) *expr {
	if inner.op == opSeq && len(inner.subs) == 0 {
		return seq(text(open), space, text(end))
	}
	return seq(text(open), space, inner, space, text(end))
}

func separated(parts []*expr) *expr {
	var with []*expr
	for i, p := range parts {
		if i > 0 {
			with = append(with, comma)
		}
		with = append(with, p)
	}
	return seq(with...)
}

// anything is any JSON value.
func (s *schema) anything() *expr {
	return s.shared("any value", func() *expr {
		free := &value{kind: '{'}
		var ways []*expr
		for _, t := range types {
			ways = append(ways, s.oneType(t, free, "any value"))
		}
		return alt(ways...)
	})
}

// count reads a keyword that counts; def where it is missing.
func (s *schema) count(v *value, key, path string, def int) int {
	c := v.get(key)
	if c == nil {
		return def
	}
	f, err := strconv.ParseFloat(c.text, 64)
	if c.kind != '0' || err != nil || f != math.Trunc(f) || f < 0 {
		s.fail(path+"/"+key, "%.40s is no count", c.text)
		return def
	}
	if f > maxRepeat {
		s.fail(path+"/"+key, "%.40s is more than %d", c.text, maxRepeat)
		return def
	}
	return int(f)
}

// array is a list of items, the first of them by prefixItems.
func (s *schema) array(v *value, path string) *expr {
	least, most := s.count(v, "minItems", path, 0), s.count(v, "maxItems", path, -1)
	var prefix []*expr
	if p := v.get("prefixItems"); p != nil {
		if p.kind != '[' {
			return s.fail(path+"/prefixItems", "it is no list of schemas")
		}
		for i, item := range p.items {
			prefix = append(prefix, s.compile(item, fmt.Sprintf("%s/prefixItems/%d", path, i)))
		}
	}
	var item *expr
	switch i := v.get("items"); {
	case i == nil:
		item = s.anything()
	case i.kind == '[':
		return s.fail(path+"/items", "a list of schemas is named prefixItems")
	default:
		item = s.compile(i, path+"/items")
	}
	for i, p := range prefix {
		if p.isNever() {
			prefix, item = prefix[:i], never
			break
		}
	}
	if item.isNever() && (most < 0 || most > len(prefix)) {
		most = len(prefix)
	}
	if most >= 0 && most < least {
		return never
	}
	left := func(n int) int { // of the most
		if most < 0 {
			return -1
		}
		return max(most-n, 0)
	}
	after := repeat(seq(comma, item), max(least-max(len(prefix), 1), 0), left(max(len(prefix), 1)))
	if len(prefix) == 0 && !item.isNever() {
		after = seq(item, after)
		if most == 0 {
			after = empty
		}
	}
	for i, p := range slices.Backward(prefix) {
		if i > 0 {
			p = seq(comma, p)
		}
		switch {
		case most >= 0 && i >= most:
			after = empty
		case i >= least && i > 0:
			after = optional(seq(p, after))
		default:
			after = seq(p, after)
		}
	}
	inner := within("[", after, "]")
	if least == 0 && !(after.op == opSeq && len(after.subs) == 0) {
		return alt(within("[", empty, "]"), inner)
	}
	return inner
}

// property is one of an object.
type property struct {
	pair     *expr // name, colon and value
	required bool
}

// object has the properties in order, then others.
func (s *schema) object(v *value, path string) *expr {
	var names []string
	schemas := map[string]*value{}
	if p := v.get("properties"); p != nil {
		if p.kind != '{' {
			return s.fail(path+"/properties", "it is no object")
		}
		names = slices.Clone(p.keys)
		for i, k := range p.keys {
			schemas[k] = p.items[i]
		}
	}
	others := v.get("additionalProperties")
	if others == nil && v.get("properties") == nil {
		others = yes
	}
	required := map[string]bool{}
	if r := v.get("required"); r != nil {
		if r.kind != '[' {
			return s.fail(path+"/required", "it is no list of names")
		}
		for _, k := range r.items {
			if k.kind != '"' {
				return s.fail(path+"/required", "it is no list of names")
			}
			if required[k.text] = true; schemas[k.text] == nil { // one of the others
				names = append(names, k.text)
				schemas[k.text] = yes
				if others != nil {
					schemas[k.text] = others
				}
			}
		}
	}
	var list []property
	for _, k := range names {
		e := s.compile(schemas[k], path+"/properties/"+escapePointer(k))
		if e.isNever() && required[k] && s.err == nil {
			return never
		}
		if !e.isNever() {
			list = append(list, property{seq(text(quote(k)), colon, e), required[k]})
		}
	}
	if others != nil {
		if e := s.compile(others, path+"/additionalProperties"); !e.isNever() {
			pair := seq(s.otherName(names), colon, e)
			list = append(list, property{seq(pair, repeat(seq(comma, pair), 0, -1)), false})
		}
	}
	must := 0 // properties that are always there
	for _, p := range list {
		if p.required {
			must++
		}
	}
	least := s.count(v, "minProperties", path, 0)
	if least > max(1, must) { // of more, additional ones of the same name count once
		return s.fail(path+"/minProperties", "%d is not supported: at most 1, or as many as are required", least)
	}
	return s.pairs(list, least == 0, path)
}

// pairs are properties in order between braces, none of them where that is allowed and none is required.
func (s *schema) pairs(list []property, none bool, path string) *expr {
	begins := len(list) // those up to the first required one may be the first that is written
	if i := slices.IndexFunc(list, func(p property) bool { return p.required }); i >= 0 {
		begins = i + 1
	}
	rest := empty // what may follow where something is written already
	var first []*expr
	for i, p := range slices.Backward(list) {
		if i < begins && rest != empty && !p.required { // it stands in two places
			rest = &expr{op: opRule, rule: s.rule(path+": later properties", rest)}
		}
		if i < begins {
			first = append(first, seq(p.pair, rest))
		}
		if next := seq(comma, p.pair); p.required {
			rest = seq(next, rest)
		} else {
			rest = seq(optional(next), rest)
		}
	}
	ways := alt(first...)
	if begins == len(list) && (begins == 0 || !list[begins-1].required) {
		bare := within("{", empty, "}")
		switch {
		case !none && begins == 0:
			return never
		case begins == 0:
			return bare
		case none:
			return alt(bare, within("{", ways, "}"))
		}
	}
	return within("{", ways, "}")
}

// otherName is a string that is none of the names, without escapes.
func (s *schema) otherName(names []string) *expr {
	if len(names) == 0 {
		return s.shared("name", func() *expr { return seq(text(`"`), repeat(class(plain...), 0, -1), text(`"`)) })
	}
	names = slices.DeleteFunc(slices.Clone(names), func(n string) bool {
		return strings.ContainsFunc(n, func(r rune) bool { return escaped(r) != string(r) })
	})
	slices.Sort(names)
	return seq(text(`"`), differs(slices.Compact(names)))
}

// differs is the rest of a string, and its end, that is none of names, which are in order.
func differs(names []string) *expr {
	free := seq(repeat(class(plain...), 0, -1), text(`"`))
	var ways []*expr
	if len(names) > 0 && names[0] == "" {
		names = names[1:]
	} else {
		ways = append(ways, text(`"`))
	}
	var taken []span
	for len(names) > 0 {
		first, n := utf8.DecodeRuneInString(names[0])
		var rest []string
		for len(names) > 0 && strings.HasPrefix(names[0], string(first)) {
			rest, names = append(rest, names[0][n:]), names[1:]
		}
		taken = append(taken, span{first, first})
		ways = append(ways, seq(text(string(first)), differs(rest)))
	}
	return alt(append(ways, seq(class(except(plain, taken)...), free))...)
}

// except is a class without some characters.
func except(spans, taken []span) []span { return common(tidy(spans), others(tidy(taken))) }

// flat joins what a $ref and an allOf name with what stands beside them.
func (s *schema) flat(v *value, path string) *value {
	joined := v.without("$ref", "allOf")
	if to := v.get("$ref"); to != nil {
		target, ok := s.target(to.text)
		if !ok {
			s.fail(path+"/$ref", "there is nothing in the schema at %q", to.text)
			return no
		}
		joined = s.merge(joined, target, path+"/$ref")
	}
	if of := v.get("allOf"); of != nil {
		if of.kind != '[' {
			s.fail(path+"/allOf", "it is no list of schemas")
		}
		for i, item := range of.items {
			joined = s.merge(joined, item, fmt.Sprintf("%s/allOf/%d", path, i))
		}
	}
	return joined
}

// maxMerges bounds the joining of schemas.
const maxMerges = 1 << 12

// merge is the schema that both a and b satisfy; path is b's.
func (s *schema) merge(a, b *value, path string) *value {
	if s.merges++; s.merges > maxMerges {
		s.fail(path, "more than %d schemas to join: $ref and allOf may go round in a circle", maxMerges)
	}
	switch {
	case s.err != nil || a == no || b.kind == 't' && b.text == "false":
		return no
	case b.kind == 't':
		return a
	case b.kind != '{':
		s.fail(path, "a schema is an object or a boolean")
		return no
	}
	if b = b.bare(); b.get("$ref") != nil || b.get("allOf") != nil {
		if b = s.flat(b, path); b == no {
			return no
		}
	}
	if a.get("$ref") != nil || a.get("allOf") != nil {
		if a = s.flat(a, path); a == no {
			return no
		}
	}
	a, b = withNull(a.bare()), withNull(b)
	m := s.mergeProperties(a, b, path)
	for i, k := range b.keys {
		x, y := m.get(k), b.items[i]
		if k == "properties" || k == "additionalProperties" {
			continue
		}
		if x == nil {
			m = m.with(k, y)
			continue
		}
		if x.equal(y) {
			continue
		}
		larger := func() bool {
			fx, errX := strconv.ParseFloat(x.text, 64)
			fy, errY := strconv.ParseFloat(y.text, 64)
			if x.kind != '0' || y.kind != '0' || errX != nil || errY != nil {
				s.fail(path+"/"+k, "it is no number")
			}
			return fy > fx
		}
		switch k {
		case "required":
			m = m.with(k, list(slices.Concat(x.items, y.items)...))
		case "minItems", "minLength", "minProperties", "minimum", "exclusiveMinimum":
			if larger() {
				m = m.with(k, y)
			}
		case "maxItems", "maxLength", "maximum", "exclusiveMaximum":
			if !larger() {
				m = m.with(k, y)
			}
		case "items":
			m = m.with(k, both(x, y))
		case "type":
			m = m.with(k, sharedTypes(x, y))
		case "enum":
			m = m.with(k, list(slices.DeleteFunc(slices.Clone(x.items), func(i *value) bool { return !slices.ContainsFunc(y.items, i.equal) })...))
			if len(m.get(k).items) == 0 {
				return no
			}
		case "const":
			return no
		case "anyOf", "oneOf":
			var all []*value
			for _, i := range x.items {
				for _, j := range y.items {
					if all = append(all, both(i, j)); len(all) > maxMerges {
						s.fail(path+"/"+k, "more than %d ways to join", maxMerges)
						return no
					}
				}
			}
			m = m.with(k, list(all...))
		default:
			s.fail(path+"/"+escapePointer(k), "it cannot be joined with the other %s", k)
		}
	}
	return m
}

func both(a, b *value) *value {
	return &value{kind: '{', keys: []string{"allOf"}, items: []*value{list(a, b)}}
}

// sharedTypes are the types of both lists; an integer is a number.
func sharedTypes(a, b *value) *value {
	names := func(v *value) (n []string) {
		for _, i := range append(v.items, v) {
			if i.kind == '"' {
				n = append(n, i.text)
			}
		}
		return n
	}
	left, right := names(a), names(b)
	var types []*value
	for _, t := range left {
		if slices.Contains(right, t) || t == "integer" && slices.Contains(right, "number") {
			types = append(types, &value{kind: '"', text: t})
		} else if t == "number" && slices.Contains(right, "integer") {
			types = append(types, &value{kind: '"', text: "integer"})
		}
	}
	return list(types...)
}

// mergeProperties is a with the properties of b: those that only one of them names are, for the other, additional.
func (s *schema) mergeProperties(a, b *value, path string) *value {
	pa, pb := cmp.Or(a.get("properties"), &value{kind: '{'}), cmp.Or(b.get("properties"), &value{kind: '{'})
	oa, ob := a.get("additionalProperties"), b.get("additionalProperties")
	if pa.kind != '{' || pb.kind != '{' {
		s.fail(path+"/properties", "it is no object")
		return a
	}
	all := pa
	for i, k := range pa.keys {
		switch other := pb.get(k); {
		case other != nil:
			all = all.with(k, both(pa.items[i], other))
		case ob != nil:
			all = all.with(k, both(pa.items[i], ob))
		}
	}
	for i, k := range pb.keys {
		if pa.get(k) == nil {
			if all = all.with(k, pb.items[i]); oa != nil {
				all = all.with(k, both(pb.items[i], oa))
			}
		}
	}
	if len(all.keys) > 0 {
		a = a.with("properties", all)
	}
	switch {
	case oa != nil && ob != nil:
		a = a.with("additionalProperties", both(oa, ob))
	case ob != nil:
		a = a.with("additionalProperties", ob)
	}
	return a
}
