package constrain

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

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
	if len(item.subs) > 0 { // it stands in two places
		item = &expr{op: opRule, rule: s.rule(path+"/items", item)}
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
	if len(names) > maxRules {
		return s.fail(path, "%d properties, at most %d", len(names), maxRules)
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
	return seq(text(`"`), s.differs(slices.Compact(names)))
}

// differs is the rest of a string, and its end, that is none of names, which are in order.
func (s *schema) differs(names []string) *expr {
	if !s.spend(16, "#") {
		return never
	}
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
		ways = append(ways, seq(text(string(first)), s.differs(rest)))
	}
	return alt(append(ways, seq(class(except(plain, taken)...), free))...)
}

// except is a class without some characters.
func except(spans, taken []span) []span { return common(tidy(spans), others(tidy(taken))) }
