package main

import (
	"slices"
	"testing"

	"github.com/plinth-ml/plinth/tokenizer"
)

// TestBegun: a prompt begins as the tokenizer's file says, once, and what follows it keeps the space before its first word.
func TestBegun(t *testing.T) {
	tok, err := tokenizer.Load([]byte(`{"version": "1.0", "truncation": null, "padding": null, "normalizer": {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "▁"}, {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]},
"added_tokens": [{"id": 0, "content": "<s>", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true}], "pre_tokenizer": null,
"post_processor": {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}], "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}], "special_tokens": {"<s>": {"id": "<s>", "ids": [0], "tokens": ["<s>"]}}},
"decoder": {"type": "Sequence", "decoders": [{"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "Fuse"}, {"type": "Strip", "content": " ", "start": 1, "stop": 0}]},
"model": {"type": "BPE", "vocab": {"<s>": 0, "▁": 1, "a": 2, "b": 3, "▁a": 4, "▁b": 5}, "merges": ["▁ a", "▁ b"]}}`))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ ids, want []int32 }{{[]int32{4, 5}, []int32{0, 4, 5}}, {[]int32{0, 4}, []int32{0, 4}}, {nil, []int32{0}}} {
		if got := begun(tok, c.ids); !slices.Equal(got, c.want) {
			t.Errorf("%v begins as %v, want %v", c.ids, got, c.want)
		}
	}
	if got := continuation(tok, []int32{4}, []int32{5, 3}); got != " bb" {
		t.Errorf("the text goes on with %q", got)
	}
}
