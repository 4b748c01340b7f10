package jinja

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Value is a value of the language: nil, bool, int64, float64, string, *Seq, *Dict, or one of the package's own types (an undefined value,
// markup, a range, a generator, a macro and the like).
type Value any

// Seq is a list or, with Tuple, a tuple.
type Seq struct {
	Items []Value
	Tuple bool
}

// markup is a string that |safe or |escape made. It differs from a string in that what is added to it is escaped.
type markup string

// undefined is the value of a name or attribute that does not exist. Its text says why an operation on it fails.
type undefined string

// generator is what lazy filters return: it can be gone through once and has no length.
type generator struct{ items []Value }

// view is what the keys, values and items of a dict are.
type view struct {
	kind  string
	items []Value
}

// interval is a range.
type interval struct{ start, step, n int64 }

// namespace is an object whose attributes a template may set.
type namespace struct{ attrs *Dict }

// function is a callable of this package.
type function struct {
	name string
	call func(r *run, a *args) Value
}

func (f *interval) at(i int64) int64 { return f.start + i*f.step }

func list(items ...Value) *Seq { return &Seq{Items: items} }

func tuple(items ...Value) *Seq { return &Seq{Items: items, Tuple: true} }

// Dict is a dictionary that keeps the order in which keys were added. The zero value is empty.
type Dict struct {
	keys, values []Value
	index        map[any]int // of the hashes of keys
}

// Len returns the number of keys.
func (d *Dict) Len() int { return len(d.keys) }

// Get returns the value of a key.
func (d *Dict) Get(key string) (Value, bool) { return d.get(key) }

// Set adds a key at the end or changes its value.
func (d *Dict) Set(key string, v Value) { d.set(key, key, v) }

func (d *Dict) get(hash any) (Value, bool) {
	i, ok := d.index[hash]
	if !ok {
		return nil, false
	}
	return d.values[i], true
}

func (d *Dict) set(hash any, key, v Value) {
	if i, ok := d.index[hash]; ok {
		d.values[i] = v
		return
	}
	if d.index == nil {
		d.index = map[any]int{}
	}
	d.index[hash] = len(d.keys)
	d.keys, d.values = append(d.keys, key), append(d.values, v)
}

// items are the pairs as tuples.
func (d *Dict) items() []Value {
	pairs := make([]Value, len(d.keys))
	for i, k := range d.keys {
		pairs[i] = tuple(k, d.values[i])
	}
	return pairs
}

// maxDepth bounds the nesting of given values.
const maxDepth = 500

// FromJSON decodes a JSON text, keeping the order of keys. Integers beyond 64 bits and nesting deeper than 500 are errors.
func FromJSON(data []byte) (Value, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	v, err := decode(d, 0)
	if err != nil {
		return nil, fmt.Errorf("jinja: JSON value: %w", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("jinja: JSON value: there is text behind it")
	}
	return v, nil
}

func decode(d *json.Decoder, depth int) (Value, error) {
	t, err := d.Token()
	if err != nil {
		return nil, err
	}
	if depth > maxDepth {
		return nil, fmt.Errorf("nested deeper than %d", maxDepth)
	}
	switch t := t.(type) {
	case json.Number:
		return fromNumber(t)
	case json.Delim:
		if t == '[' {
			s := list()
			for d.More() {
				v, err := decode(d, depth+1)
				if err != nil {
					return nil, err
				}
				s.Items = append(s.Items, v)
			}
			_, err := d.Token()
			return s, err
		}
		dict := &Dict{}
		for d.More() {
			key, err := d.Token()
			if err != nil {
				return nil, err
			}
			v, err := decode(d, depth+1)
			if err != nil {
				return nil, err
			}
			dict.Set(key.(string), v)
		}
		_, err := d.Token()
		return dict, err
	}
	return t, nil
}

func fromNumber(n json.Number) (Value, error) {
	if !strings.ContainsAny(n.String(), ".eE") {
		v, err := n.Int64()
		if err != nil {
			return nil, fmt.Errorf("integer %.40s does not fit in 64 bits", n)
		}
		return v, nil
	}
	v, err := n.Float64()
	if err != nil && !math.IsInf(v, 0) { // Python, too, reads 1e999 as infinity
		return nil, err
	}
	return v, nil
}

// From converts nil, booleans, int, int64, float64, strings, json.RawMessage, []any, []string, map[string]any (keys sorted), *Seq and *Dict, at
// any depth. Bytes of a string that are no UTF-8 become U+FFFD.
func From(v any) (Value, error) { return from(v, 0) }

func from(v any, depth int) (Value, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("jinja: value nested deeper than %d", maxDepth)
	}
	switch v := v.(type) {
	case nil, bool, int64, float64:
		return v, nil
	case int:
		return int64(v), nil
	case string:
		return strings.ToValidUTF8(v, "\ufffd"), nil
	case json.RawMessage:
		return FromJSON(v)
	case []string:
		s := list()
		for _, x := range v {
			s.Items = append(s.Items, strings.ToValidUTF8(x, "\ufffd"))
		}
		return s, nil
	case []any:
		s := list()
		return s, fromItems(s, v, depth)
	case *Seq:
		s := &Seq{Tuple: v.Tuple}
		return s, fromItems(s, v.Items, depth)
	case map[string]any:
		d := &Dict{}
		for _, k := range slices.Sorted(maps.Keys(v)) {
			if err := fromItem(d, k, v[k], depth); err != nil {
				return nil, err
			}
		}
		return d, nil
	case *Dict:
		d := &Dict{}
		for i, k := range v.keys {
			if err := fromItem(d, k.(string), v.values[i], depth); err != nil {
				return nil, err
			}
		}
		return d, nil
	}
	return nil, fmt.Errorf("jinja: a value of type %T cannot be given to a template", v)
}

func fromItems[T any](s *Seq, items []T, depth int) error {
	for _, x := range items {
		y, err := from(x, depth+1)
		if err != nil {
			return err
		}
		s.Items = append(s.Items, y)
	}
	return nil
}

func fromItem(d *Dict, key string, v any, depth int) error {
	x, err := from(v, depth+1)
	d.Set(strings.ToValidUTF8(key, "\ufffd"), x)
	return err
}

// MapStrings returns v, a value that From or FromJSON made, with f applied to every string but keys.
func MapStrings(v Value, f func(string) string) Value {
	switch v := v.(type) {
	case string:
		return f(v)
	case *Seq:
		s := &Seq{Tuple: v.Tuple}
		for _, x := range v.Items {
			s.Items = append(s.Items, MapStrings(x, f))
		}
		return s
	case *Dict:
		d := &Dict{}
		for i, k := range v.keys {
			d.set(k, k, MapStrings(v.values[i], f))
		}
		return d
	}
	return v
}

// size estimates the bytes that a value holds.
func size(v Value) int64 {
	n := int64(16)
	switch v := v.(type) {
	case string:
		n += int64(len(v))
	case *Seq:
		for _, x := range v.Items {
			n += size(x)
		}
	case *Dict:
		for i, k := range v.keys {
			n += size(k) + size(v.values[i])
		}
	}
	return n
}

// typeName is Python's name of a value's type.
func typeName(v Value) string {
	switch v := v.(type) {
	case nil:
		return "NoneType"
	case bool:
		return "bool"
	case int64:
		return "int"
	case float64:
		return "float"
	case string:
		return "str"
	case markup:
		return "Markup"
	case undefined:
		return "Undefined"
	case *Seq:
		if v.Tuple {
			return "tuple"
		}
		return "list"
	case *Dict:
		return "dict"
	case *interval:
		return "range"
	case *generator:
		return "generator"
	case *view:
		return v.kind
	case *namespace:
		return "Namespace"
	case *macro:
		return "Macro"
	case *loop:
		return "LoopContext"
	}
	return "function"
}

// text returns the string of a string or markup.
func text(v Value) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case markup:
		return string(v), true
	}
	return "", false
}

// integer returns the value of an int or bool.
func integer(v Value) (int64, bool) {
	switch v := v.(type) {
	case int64:
		return v, true
	case bool:
		if v {
			return 1, true
		}
		return 0, true
	}
	return 0, false
}

// number returns the value of an int, bool or float.
func number(v Value) (float64, bool) {
	if f, ok := v.(float64); ok {
		return f, true
	}
	i, ok := integer(v)
	return float64(i), ok
}

// truth is Python's bool(v).
func truth(v Value) bool {
	switch v := v.(type) {
	case nil, undefined:
		return false
	case bool:
		return v
	case int64:
		return v != 0
	case float64:
		return v != 0
	case string:
		return v != ""
	case markup:
		return v != ""
	}
	if n, ok := length(v); ok {
		return n > 0
	}
	return true
}

// length is Python's len(v).
func length(v Value) (int64, bool) {
	switch v := v.(type) {
	case undefined:
		return 0, true
	case string:
		return int64(utf8.RuneCountInString(v)), true
	case markup:
		return int64(utf8.RuneCountInString(string(v))), true
	case *Seq:
		return int64(len(v.Items)), true
	case *Dict:
		return int64(v.Len()), true
	case *view:
		return int64(len(v.items)), true
	case *interval:
		return v.n, true
	case *loop:
		return int64(v.length()), true
	}
	return 0, false
}

// formatFloat writes a float as Python's repr does.
func formatFloat(f float64) string {
	switch {
	case math.IsNaN(f):
		return "nan"
	case math.IsInf(f, 1):
		return "inf"
	case math.IsInf(f, -1):
		return "-inf"
	}
	s := strconv.FormatFloat(f, 'e', -1, 64)
	exp, _ := strconv.Atoi(s[strings.IndexByte(s, 'e')+1:])
	if exp < -4 || exp >= 16 {
		return s
	}
	s = strconv.FormatFloat(f, 'f', -1, 64)
	if !strings.Contains(s, ".") {
		s += ".0"
	}
	return s
}
