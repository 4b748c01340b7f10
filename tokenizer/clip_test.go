package tokenizer

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

// clipCases are those of tools/golden/clip_text.py.
func clipCases(t *testing.T) (cases []struct {
	Text, Clean string
	IDs         []int32
}) {
	t.Helper()
	b, err := os.ReadFile("tidy/testdata/golden.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &cases); err != nil || len(cases) < 100 {
		t.Fatalf("%d cases: %v", len(cases), err)
	}
	return cases
}

func TestCleanCLIP(t *testing.T) {
	for _, c := range clipCases(t) {
		if got := CleanCLIP(c.Text); got != c.Clean {
			t.Errorf("%+q becomes %+q, want %+q", c.Text, got, c.Clean)
		}
	}
}

// TestCLIP: OpenAI's file and Hugging Face's give OpenAI's ids and are the same tokenizer.
func TestCLIP(t *testing.T) {
	theirs := openData(t, "tokenizers", "hf-json", "clip.tokenizer.json")
	ours := openData(t, "tokenizers", "clip", "bpe_simple_vocab_16e6.txt.gz")
	for _, c := range clipCases(t) {
		want := slices.Concat([]int32{49406}, c.IDs, []int32{49407})
		for name, tok := range map[string]*Tokenizer{"tokenizer.json": theirs, "merges": ours} {
			if got, err := tok.EncodeCLIP(c.Text, 1000, false); err != nil || !slices.Equal(got, want) {
				t.Errorf("%s: %+q is %v (%v), want %v", name, c.Text, got, err, want)
			}
		}
	}
	a, err := theirs.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	b, err := ours.Marshal()
	if err != nil || string(a) != string(b) {
		t.Errorf("written as %d bytes, Hugging Face's file as %d: %v", len(b), len(a), err)
	}
}

func TestCLIPContext(t *testing.T) {
	tok := openData(t, "tokenizers", "clip", "bpe_simple_vocab_16e6.txt.gz")
	for _, n := range []int{74, 75, 76, 200} {
		text := strings.Repeat("dog ", n)
		ids, err := tok.EncodeCLIP(text, 77, false)
		if n <= 75 && (err != nil || len(ids) != n+2) {
			t.Errorf("%d words: %d ids, %v", n, len(ids), err)
		}
		if n > 75 && (!errors.Is(err, ErrContext) || !strings.Contains(err.Error(), fmt.Sprintf("%d tokens, more than 77", n+2))) {
			t.Errorf("%d words: error %v", n, err)
		}
		whole, err := tok.EncodeCLIP(text, 1000, false)
		if err != nil {
			t.Fatal(err)
		}
		cut, err := tok.EncodeCLIP(text, 77, true)
		want := whole
		if len(want) > 77 {
			want = append(whole[:76:76], 49407)
		}
		if err != nil || !slices.Equal(cut, want) {
			t.Errorf("%d words, cut: %v (%v), want %v", n, cut, err, want)
		}
	}
	if _, err := tok.EncodeCLIP("", 1, true); err == nil {
		t.Error("a context of one token is taken")
	}
	if _, err := openData(t, "tokenizers", "gpt2").EncodeCLIP("a", 77, false); err == nil || !strings.Contains(err.Error(), "<|startoftext|>") {
		t.Errorf("GPT-2's vocabulary: %v", err)
	}
}

func TestLoadCLIPRefuses(t *testing.T) {
	for _, c := range []struct{ data, says string }{
		{"", "0, want 48894"}, {"\x1f\x8b", "merges"}, {"#v\na b\nc\n", "line 3"}, {"#v\na b\na b\n", "line 3"}, {"#v\na b c\n", "line 2"},
	} {
		if _, err := LoadCLIP([]byte(c.data)); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%q: %v, want an error that says %q", c.data, err, c.says)
		}
	}
}
