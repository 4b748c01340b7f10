package wordpiece

import (
	"slices"
	"strings"
	"testing"
)

func TestTokenize(t *testing.T) {
	vocab := map[string]int32{"[UNK]": 0, "un": 1, "##aff": 2, "##able": 3, "want": 4, "##ed": 5, "##": 6, "a": 7}
	m, err := New(vocab, Options{MaxChars: 12})
	if err != nil {
		t.Fatal(err)
	}
	for word, want := range map[string][]Piece{
		"":                nil,
		"unaffable":       {{1, 0, 2}, {2, 2, 5}, {3, 5, 9}},
		"wanted":          {{4, 0, 4}, {5, 4, 6}},
		"unwanted":        {{0, 0, 8}}, // "want" cannot continue
		"##":              {{6, 0, 2}},
		"##a":             {{0, 0, 3}},
		"\xff":            {{0, 0, 1}},
		"affaffaffaffaff": {{0, 0, 15}},
	} {
		if have := m.Tokenize(nil, word); !slices.Equal(have, want) {
			t.Errorf("%q: %v, want %v", word, have, want)
		}
	}
	before := []Piece{{9, 9, 9}}
	if have := m.Tokenize(before, "unx"); !slices.Equal(have, []Piece{{9, 9, 9}, {0, 0, 3}}) {
		t.Errorf("after others: %v", have)
	}
	delete(vocab, "[UNK]")
	if m, err = New(vocab, Options{}); err != nil {
		t.Fatal(err)
	}
	if have := m.Tokenize(nil, "x"); !slices.Equal(have, []Piece{{-1, 0, 1}}) {
		t.Errorf("without an unknown token: %v", have)
	}
	if _, err := New(map[string]int32{"a": -2}, Options{}); err == nil || !strings.Contains(err.Error(), `"a"`) {
		t.Errorf("negative id: %v", err)
	}
}

func TestTrain(t *testing.T) {
	words := []Count{{"hug", 10}, {"pug", 5}, {"pun", 12}, {"bun", 4}, {"hugs", 3}, {"hugs", 2}}
	have, err := Train(t.Context(), words, TrainOptions{VocabSize: 17, Special: []string{"[UNK]"}})
	if err != nil {
		t.Fatal(err)
	}
	// counts: ##ug 20, ##un 16, hug 15, pun 12, pug 5 (before hugs 5: its first symbol is older)
	want := strings.Fields("[UNK] b g h n p s u ##g ##n ##s ##u ##ug ##un hug pun pug")
	if !slices.Equal(have, want) {
		t.Errorf("have %q\nwant %q", have, want)
	}
	slices.Reverse(words)
	again, err := Train(t.Context(), words, TrainOptions{VocabSize: 17, Special: []string{"[UNK]"}})
	if err != nil || !slices.Equal(have, again) {
		t.Errorf("in another order of words: %q, %v", again, err)
	}
	if _, err := Train(t.Context(), words, TrainOptions{Special: []string{"a", ""}}); err == nil {
		t.Error("empty special token: no error")
	}
}
