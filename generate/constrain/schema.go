package constrain

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
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
	s := &schema{root: root, refs: map[string]int{}, common: map[string]int{}, joining: map[string]bool{}}
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
	patterns patterns
	root     *value
	rules    []rule
	refs     map[string]int // rules by JSON pointer
	common   map[string]int // rules that several schemas share, by name
	pending  []pointer
	merges   int
	joining  map[string]bool // pointers that are being joined
	work     int
	at       string // where a $ref stands
	err      error  // the first
}

type pointer struct{ pointer, from string }

// fail keeps the first error.
func (s *schema) fail(path, format string, args ...any) *expr {
	if s.err == nil {
		s.err = fmt.Errorf("%s: %s", path, fmt.Sprintf(format, args...))
	}
	return never
}

// maxSteps bounds what is made of a schema: a step is a keyword, a value, or a character of a name.
const maxSteps = 1 << 18

// spend counts steps, and reports whether there may be more.
func (s *schema) spend(n int, path string) bool {
	if s.work += n; s.work > maxSteps {
		s.fail(path, "the schema is too large, or refers too often: it takes more than %d steps", maxSteps)
	}
	return s.err == nil
}

// maxPath bounds how deep schemas that are joined may stand in each other, by the length of their place.
const maxPath = 1 << 12

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

// known are the keywords that say something.
var known = slices.Concat([]string{"type", "enum", "const", "anyOf", "oneOf", "allOf", "$ref", "nullable"}, typed["object"], typed["array"], typed["string"], typed["number"])

// compile is the language of a schema.
func (s *schema) compile(v *value, path string) *expr {
	if !s.spend(1+len(v.keys), path) {
		return never
	}
	switch {
	case len(path) > maxPath:
		return s.fail(path[:100]+"...", "schemas stand too deep within each other: $ref may go round in a circle")
	case v.kind == 't' && v.text == "true":
		return s.anything()
	case v.kind == 't':
		return never
	case v.kind != '{':
		return s.fail(path, "a schema is an object or a boolean")
	}
	v = v.bare()
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
	if !s.spend(1, "#") {
		return never
	}
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
