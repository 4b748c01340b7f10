package constrain

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
)

// flat joins what a $ref and an allOf name with what stands beside them.
func (s *schema) flat(v *value, path string) *value {
	joined := v.without("$ref", "allOf")
	if to := v.get("$ref"); to != nil {
		target, ok := s.target(to.text)
		switch {
		case !ok:
			s.fail(path+"/$ref", "there is nothing in the schema at %q", to.text)
			return no
		case s.joining[to.text]:
			s.fail(path+"/$ref", "%q goes round in a circle", to.text)
			return no
		}
		s.joining[to.text] = true
		joined = s.merge(joined, target, path+"/$ref")
		delete(s.joining, to.text)
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
	case len(path) > maxPath:
		s.fail(path[:100]+"...", "schemas to join stand too deep within each other")
		return no
	case !s.spend(1+len(a.keys)+len(b.keys), path) || a == no || b.kind == 't' && b.text == "false":
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
			if !s.spend(len(x.items)*len(y.items)/16, path) {
				return no
			}
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
	if !s.spend(len(pa.keys)+len(pb.keys), path) {
		return a
	}
	all := &value{kind: '{', keys: slices.Clone(pa.keys), items: slices.Clone(pa.items)}
	for i, k := range pa.keys {
		switch other := pb.get(k); {
		case other != nil:
			all.items[i] = both(pa.items[i], other)
		case ob != nil:
			all.items[i] = both(pa.items[i], ob)
		}
	}
	for i, k := range pb.keys {
		if pa.get(k) == nil {
			item := pb.items[i]
			if oa != nil {
				item = both(item, oa)
			}
			all.keys, all.items = append(all.keys, k), append(all.items, item)
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
