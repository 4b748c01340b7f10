package tokenizer

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// maxDepth bounds sequences within sequences.
const maxDepth = 16

// A part is one normalizer, pre-tokenizer, post-processor or decoder of tokenizer.json: a pointer to a struct whose tags are the
// keys, in the order in which Hugging Face tokenizers writes them.
type part interface {
	// prepare checks what was read. where names the section.
	prepare(where string) error
}

// parts reads sections of one sort.
type parts[P part] struct {
	kinds    map[string]func() P // by type, with the defaults of keys that may be missing
	list     string              // the key under which a Sequence holds others
	sequence func([]P) P
}

// read reads a section, nil where it is null or absent.
func (k parts[P]) read(where string, raw json.RawMessage, depth int) (p P, err error) {
	typ := kind(raw)
	if typ == "" {
		return p, nil
	}
	if depth > maxDepth {
		return p, fmt.Errorf("tokenizer: %s: sequences more than %d deep", where, maxDepth)
	}
	if typ == "Sequence" {
		fields := map[string]json.RawMessage{}
		var list []json.RawMessage
		if err := json.Unmarshal(raw, &fields); err != nil {
			return p, fmt.Errorf("tokenizer: %s: %w", where, err)
		}
		for key := range fields {
			if key != "type" && key != k.list {
				return p, fmt.Errorf("tokenizer: %s: unknown field %q", where, key)
			}
		}
		if err := json.Unmarshal(fields[k.list], &list); err != nil {
			return p, fmt.Errorf("tokenizer: %s.%s: %w", where, k.list, err)
		}
		ps := make([]P, len(list))
		for i, raw := range list {
			at := fmt.Sprintf("%s.%s[%d]", where, k.list, i)
			if kind(raw) == "" {
				return p, fmt.Errorf("tokenizer: %s: no type", at)
			}
			if ps[i], err = k.read(at, raw, depth+1); err != nil {
				return p, err
			}
		}
		return k.sequence(ps), nil
	}
	make, ok := k.kinds[typ]
	if !ok {
		return p, fmt.Errorf("tokenizer: %s: type %q is not supported", where, typ)
	}
	read := make()
	if err := decode(where, raw, read); err != nil {
		return p, err
	}
	return read, read.prepare(where)
}

// kind returns the type of a section, "" where it is null or absent, "?" where it does not say.
func kind(raw json.RawMessage) string {
	if len(raw) == 0 || string(raw) == "null" {
		return ""
	}
	var head struct{ Type string }
	if json.Unmarshal(raw, &head) != nil || head.Type == "" {
		return "?"
	}
	return head.Type
}

// decode decodes a section into a struct. Unknown keys are errors, and so are missing ones but those tagged plinth:"optional".
func decode(where string, raw json.RawMessage, into any) error {
	fields, err := fill(where, raw, into)
	if err != nil {
		return err
	}
	t := reflect.TypeOf(into).Elem()
	for i := range t.NumField() {
		f := t.Field(i)
		key, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if _, ok := fields[key]; !ok && key != "" && key != "-" && f.Tag.Get("plinth") != "optional" {
			return fmt.Errorf("tokenizer: %s.%s: missing", where, key)
		}
	}
	return nil
}

// fill decodes an object into a struct whose tags are the keys, and returns the values by key. Unknown keys are errors. where names
// the section, "" the whole file.
func fill(where string, raw json.RawMessage, into any) (map[string]json.RawMessage, error) {
	fields := map[string]json.RawMessage{}
	if err := json.Unmarshal(raw, &fields); err != nil {
		return nil, fmt.Errorf("tokenizer: %s%w", before(where, ": "), err)
	}
	known := map[string]bool{}
	v := reflect.ValueOf(into).Elem()
	for _, f := range reflect.VisibleFields(v.Type()) {
		key, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		known[key] = key != "" && key != "-" // a field without a tag is ours, not the file's
		raw, ok := fields[key]
		if !ok || !known[key] {
			continue
		}
		if err := strict(raw, v.FieldByIndex(f.Index).Addr().Interface()); err != nil {
			return nil, fmt.Errorf("tokenizer: %s%s: %w", before(where, "."), key, err)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(fields)) {
		if !known[key] {
			return nil, fmt.Errorf("tokenizer: %sunknown field %q", before(where, ": "), key)
		}
	}
	return fields, nil
}

// before returns s with end behind it, nothing for nothing.
func before(s, end string) string {
	if s == "" {
		return ""
	}
	return s + end
}

// strict decodes a value, with errors for unknown fields. What decodes itself is given the bytes as they are, as a json.Decoder
// would copy them several times.
func strict(raw json.RawMessage, into any) error {
	switch into := into.(type) {
	case *json.RawMessage:
		*into = raw
		return nil
	case json.Unmarshaler:
		return into.UnmarshalJSON(raw)
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	return d.Decode(into)
}

// one is a string of one character in JSON.
type one rune

func (o one) MarshalJSON() ([]byte, error) { return marshal(string(o)), nil }

func (o *one) UnmarshalJSON(data []byte) error {
	var s string
	if err := json.Unmarshal(data, &s); err != nil {
		return err
	}
	rs := []rune(s)
	if len(rs) != 1 {
		return fmt.Errorf("%q is not one character", s)
	}
	*o = one(rs[0])
	return nil
}

// prepareAll prepares parts that were not read.
func prepareAll[P part](where string, ps []P) error {
	for _, p := range ps {
		if err := p.prepare(where); err != nil {
			return err
		}
	}
	return nil
}
