package tokenizer

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"
)

// Section is a part of the pipeline: a key of tokenizer.json and the types of what it holds.
type Section struct{ Section, Parts string }

// Pipeline lists what a text goes through: normalizer, pre_tokenizer, post_processor, decoder; "none" where a file has none.
func (t *Tokenizer) Pipeline() []Section {
	return []Section{
		{"normalizer", describe(marshalPart(t.normalizer))}, {"pre_tokenizer", describe(marshalPart(t.pre))},
		{"post_processor", describe(marshalPart(t.post))}, {"decoder", describe(marshalPart(t.decoder))},
	}
}

// describe returns the types of the parts of a section.
func describe(raw json.RawMessage) string {
	if kind(raw) != "Sequence" {
		return cmp.Or(kind(raw), "none")
	}
	var fields map[string]json.RawMessage
	_ = json.Unmarshal(raw, &fields)
	var names []string
	for key, value := range fields {
		var list []json.RawMessage
		if key != "type" && json.Unmarshal(value, &list) == nil {
			for _, part := range list {
				names = append(names, describe(part))
			}
		}
	}
	return cmp.Or(strings.Join(names, ", "), "none")
}

// Longest returns the ids of the n longest tokens, those of equal length in order.
func (t *Tokenizer) Longest(n int) []int32 {
	var ids []int32
	for id := range t.names {
		if t.Has(int32(id)) {
			ids = append(ids, int32(id))
		}
	}
	slices.SortStableFunc(ids, func(a, b int32) int { return len(t.raw[b]) - len(t.raw[a]) })
	return ids[:min(max(n, 0), len(ids))]
}
