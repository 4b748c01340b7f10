package tokenizer

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
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
	if err := strict(where+": ", raw, into); err != nil {
		return err
	}
	fields := map[string]json.RawMessage{}
	if err := json.Unmarshal(raw, &fields); err != nil {
		return fmt.Errorf("tokenizer: %s: %w", where, err)
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

// strict decodes data and refuses unknown fields. where names the section.
func strict(where string, data []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	err := d.Decode(into)
	if err == nil && d.More() {
		err = errors.New("more than one JSON value")
	}
	if err != nil {
		return fmt.Errorf("tokenizer: %s%w", where, err)
	}
	return nil
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
