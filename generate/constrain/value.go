package constrain

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Bounds of a JSON schema.
const (
	maxSchema = 1 << 17 // bytes
	maxValues = 1 << 14 // values in it
	maxDepth  = 64      // of values within each other
)

// value is a JSON value that keeps the order of keys.
type value struct {
	kind  byte           // { [ " 0 t n, as values begin; t for both booleans
	text  string         // of a string, or the value itself
	keys  []string       // of an object
	items []*value       // of a list, or of an object by key
	index map[string]int // of keys, where there are many; made when it is first needed
}

var yes, no = &value{kind: 't', text: "true"}, &value{kind: 't', text: "false"}

// get returns the value of a key, or nil.
func (v *value) get(key string) *value {
	if len(v.keys) <= 16 {
		if i := slices.Index(v.keys, key); i >= 0 {
			return v.items[i]
		}
		return nil
	}
	if v.index == nil {
		v.index = map[string]int{}
		for i, k := range v.keys {
			v.index[k] = i
		}
	}
	if i, ok := v.index[key]; ok {
		return v.items[i]
	}
	return nil
}

// with is an object that has another value for a key, at its place if it is there.
func (v *value) with(key string, to *value) *value {
	n := &value{kind: '{', keys: slices.Clone(v.keys), items: slices.Clone(v.items)}
	if i := slices.Index(n.keys, key); i >= 0 {
		n.items[i] = to
	} else {
		n.keys, n.items = append(n.keys, key), append(n.items, to)
	}
	return n
}

// without is an object without some keys.
func (v *value) without(keys ...string) *value {
	n := &value{kind: '{'}
	for i, k := range v.keys {
		if !slices.Contains(keys, k) {
			n.keys, n.items = append(n.keys, k), append(n.items, v.items[i])
		}
	}
	return n
}

func list(items ...*value) *value { return &value{kind: '[', items: items} }

// equal reports whether two values are the same but for the order of keys and the spelling of numbers is alike.
func (v *value) equal(o *value) bool {
	if v.kind != o.kind || v.text != o.text || len(v.items) != len(o.items) {
		return false
	}
	for i, item := range v.items {
		other := o.items[i]
		if v.kind == '{' {
			if other = o.get(v.keys[i]); other == nil {
				return false
			}
		}
		if !item.equal(other) {
			return false
		}
	}
	return true
}

// valueReader counts values.
type valueReader struct {
	*json.Decoder
	values int
}

// parseValue reads one JSON text.
func parseValue(source string) (*value, error) {
	if len(source) > maxSchema {
		return nil, fmt.Errorf("a schema of %d bytes, at most %d", len(source), maxSchema)
	}
	r := &valueReader{Decoder: json.NewDecoder(strings.NewReader(source))}
	r.UseNumber()
	v, err := r.value(0)
	if err == nil {
		if _, err = r.Token(); err == io.EOF {
			return v, nil
		} else if err == nil {
			err = errors.New("something stands behind the schema")
		}
	}
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return nil, fmt.Errorf("byte %d: %w", r.InputOffset(), err)
}

func (r *valueReader) value(depth int) (*value, error) {
	if r.values++; r.values > maxValues {
		return nil, fmt.Errorf("more than %d values", maxValues)
	}
	if depth > maxDepth {
		return nil, fmt.Errorf("more than %d values within each other", maxDepth)
	}
	t, err := r.Token()
	if err != nil {
		return nil, err
	}
	switch t := t.(type) {
	case string:
		return &value{kind: '"', text: t}, nil
	case json.Number:
		return &value{kind: '0', text: t.String()}, nil
	case bool:
		return &value{kind: 't', text: fmt.Sprint(t)}, nil
	case nil:
		return &value{kind: 'n', text: "null"}, nil
	case json.Delim:
		v := &value{kind: byte(t)}
		seen := map[string]bool{}
		for r.More() {
			if v.kind == '{' {
				key, err := r.Token()
				if err != nil {
					return nil, err
				}
				if name := key.(string); seen[name] {
					return nil, fmt.Errorf("the key %q appears twice", name)
				} else {
					seen[name] = true
					v.keys = append(v.keys, name)
				}
			}
			item, err := r.value(depth + 1)
			if err != nil {
				return nil, err
			}
			v.items = append(v.items, item)
		}
		_, err := r.Token()
		return v, err
	}
	return nil, fmt.Errorf("%v is no JSON value", t)
}

// quote is a text as a JSON string, with the shortest escapes.
func quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		b.WriteString(escaped(r))
	}
	b.WriteByte('"')
	return b.String()
}

// escaped is a character within a JSON string.
func escaped(r rune) string {
	switch r {
	case '"', '\\':
		return `\` + string(r)
	case '\n':
		return `\n`
	case '\r':
		return `\r`
	case '\t':
		return `\t`
	case '\b':
		return `\b`
	case '\f':
		return `\f`
	}
	if r < ' ' {
		return fmt.Sprintf(`\u%04x`, r)
	}
	return string(r)
}
