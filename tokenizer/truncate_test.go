package tokenizer

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/plinth-ml/plinth/internal/testkit"
)

const bertFile = `{"version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": null, "pre_tokenizer": {"type": "Whitespace"},
"post_processor": {"type": "BertProcessing", "sep": ["s", 2], "cls": ["c", 3]}, "decoder": null,
"model": {"type": "WordLevel", "vocab": {"a": 0, "b": 1, "s": 2, "c": 3}, "unk_token": "s"}}`

// letters are n times the letter, as words.
func letters(letter string, n int) string { return strings.TrimSpace(strings.Repeat(letter+" ", n)) }

func TestTruncate(t *testing.T) {
	tok, err := Load([]byte(bertFile))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		a, b, limit int
		want        string // ids
		cut         int
	}{
		{3, -1, 9, "[3 0 0 0 2]", 0}, {3, -1, 4, "[3 0 0 2]", 1}, {3, -1, 2, "[3 2]", 3},
		{4, 2, 8, "[3 0 0 0 2 1 1 2]", 1}, {2, 4, 7, "[3 0 0 2 1 1 2]", 2}, {4, 4, 8, "[3 0 0 2 1 1 1 2]", 3}, {1, 9, 5, "[3 0 2 1 2]", 8},
	} {
		o := EncodeOptions{AddSpecial: true, MaxTokens: c.limit}
		e, err := tok.EncodeOffsets(letters("a", c.a), o)
		if c.b >= 0 {
			e, err = tok.EncodePair(letters("a", c.a), letters("b", c.b), o)
		}
		if err != nil || fmt.Sprint(e.IDs) != c.want || e.Cut != c.cut || len(e.TypeIDs) != len(e.IDs) || len(e.Offsets) != len(e.IDs) {
			t.Errorf("%+v: %+v, %v", c, e, err)
		}
	}
	if _, err := tok.EncodeOffsets("a", EncodeOptions{AddSpecial: true, MaxTokens: 1}); err == nil || !strings.Contains(err.Error(), "no room for the 2 special") {
		t.Error(err)
	}
	if _, err := tok.EncodePair("a", "b b", EncodeOptions{AddSpecial: true, MaxTokens: 4, KeepSecond: true}); err == nil || !strings.Contains(err.Error(), "no room for the 2 of the second") {
		t.Error(err)
	}
}

// Every small case is cut as Hugging Face tokenizers cuts it.
func TestTruncateIsThePeers(t *testing.T) {
	tok, err := Load([]byte(bertFile))
	if err != nil {
		t.Fatal(err)
	}
	var cases [][4]int // the last 1: only the first text is cut
	for a := range 7 {
		for b := -1; b < 7; b++ {
			for limit := 3; limit < 14; limit++ {
				cases = append(cases, [4]int{a, b, limit, 0})
				if b >= 0 && b+3 <= limit {
					cases = append(cases, [4]int{a, b, limit, 1})
				}
			}
		}
	}
	var answers []*[2][]int32
	testkit.Ask(t, "testdata/truncate.py", []string{"tokenizers"}, map[string]any{"tokenizer": bertFile, "cases": cases}, &answers)
	for i, c := range cases {
		o := EncodeOptions{AddSpecial: true, MaxTokens: c[2], KeepSecond: c[3] == 1}
		e, err := tok.EncodeOffsets(letters("a", c[0]), o)
		if c[1] >= 0 {
			e, err = tok.EncodePair(letters("a", c[0]), letters("b", c[1]), o)
		}
		want := answers[i]
		if want == nil && err != nil {
			continue // both refuse
		}
		if want == nil {
			t.Errorf("%v: the peer refuses, we say %v, %v", c, e, err)
			continue
		}
		if err != nil || !slices.Equal(e.IDs, want[0]) {
			t.Errorf("%v: %v, %v, want %v", c, e, err, want[0])
			continue
		}
		for j, id := range want[1] {
			if e.TypeIDs[j] != int(id) {
				t.Errorf("%v: type ids %v, want %v", c, e.TypeIDs, want[1])
				break
			}
		}
	}
}
