package unigram

import (
	"math"
	"slices"
	"strings"
	"testing"
)

func TestTokenize(t *testing.T) {
	vocab := []Token{{"<unk>", 0, Normal}, {"a", -1, Normal}, {"b", -1, Normal}, {"ab", -2, Normal}, {"abc", -2.5, Normal}, {"xy", -100, Normal}, {"cd", -1, Normal}}
	m, err := New(vocab, Options{Unk: 0})
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string][]Piece{
		"":       nil,
		"ab":     {{3, 0, 2}}, // as likely as a, b: the earlier start stays
		"abcd":   {{3, 0, 2}, {6, 2, 4}},
		"abc":    {{4, 0, 3}},
		"aééb":   {{1, 0, 1}, {0, 1, 5}, {2, 5, 6}},
		"xy":     {{5, 0, 2}},
		"xyxy":   {{5, 0, 2}, {5, 2, 4}},
		"a\xffb": {{1, 0, 1}, {0, 1, 2}, {2, 2, 3}},
		"<unk>a": {{0, 0, 5}, {1, 5, 6}},
	} {
		if have := m.Tokenize(nil, text); !slices.Equal(have, want) {
			t.Errorf("%q: %v, want %v", text, have, want)
		}
	}
	before := []Piece{{9, 9, 9}}
	if have := m.Tokenize(before, "ba"); !slices.Equal(have, []Piece{{9, 9, 9}, {2, 0, 1}, {1, 1, 2}}) {
		t.Errorf("after others: %v", have)
	}
	m, err = New(append(vocab, Token{"<0xC3>", -3, Normal}, Token{"<0xA9>", -3, Normal}), Options{Unk: -1, ByteFallback: true})
	if err != nil {
		t.Fatal(err)
	}
	if have, want := m.Tokenize(nil, "éa"), []Piece{{7, 0, 2}, {8, 0, 2}, {1, 2, 3}}; !slices.Equal(have, want) {
		t.Errorf("bytes: %v, want %v", have, want)
	}
	if have, want := m.Tokenize(nil, "éß"), []Piece{{-1, 0, 4}}; !slices.Equal(have, want) {
		t.Errorf("bytes that are missing: %v, want %v", have, want)
	}
}

func TestNew(t *testing.T) {
	for name, c := range map[string]struct {
		vocab []Token
		o     Options
		want  string
	}{
		"unk":       {[]Token{{"a", 0, Normal}}, Options{Unk: 1}, "unknown token 1 of 1"},
		"no number": {[]Token{{"a", math.NaN(), Normal}}, Options{}, `token 0 ("a") is NaN`},
		"infinite":  {[]Token{{"a", math.Inf(-1), Normal}}, Options{}, "-Inf"},
		"twice":     {[]Token{{"a", 0, Normal}, {"a", 0, Normal}}, Options{SentencePiece: true}, "both"},
		"bytes":     {[]Token{{"<unk>", 0, Reserved}}, Options{SentencePiece: true, ByteFallback: true}, "<0x00>"},
	} {
		if _, err := New(c.vocab, c.o); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

// FuzzTokenize checks that the pieces of any text follow each other from its start to its end.
func FuzzTokenize(f *testing.F) {
	f.Add("abcab\xffé", "ab|c|é|<0x61>|bca", true)
	f.Fuzz(func(t *testing.T, text, tokens string, spm bool) {
		vocab := []Token{{"<unk>", 0, Reserved}}
		for i, s := range strings.Split(tokens, "|") {
			vocab = append(vocab, Token{s, -float64(i%7) / 2, Kind(i % 3)})
		}
		m, err := New(vocab, Options{Unk: 0, SentencePiece: spm})
		if err != nil {
			return
		}
		at := 0
		for _, p := range m.Tokenize(nil, text) {
			if p.Start != at || p.End <= p.Start || p.ID < 0 || int(p.ID) >= len(vocab) {
				t.Fatalf("%q: piece %v at %d", text, p, at)
			}
			at = p.End
		}
		if at != len(text) {
			t.Fatalf("%q: pieces end at %d", text, at)
		}
	})
}
