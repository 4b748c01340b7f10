package tokenizer

import (
	"slices"
	"strings"
	"testing"
)

func TestTrainCLIP(t *testing.T) {
	docs := []string{"A lower lowest low", "the LOW cafés\n of  low-lying land", "low café 42"}
	tok, err := TrainCLIP(t.Context(), func(yield func([]byte) bool) {
		for _, d := range docs {
			if !yield([]byte(d)) {
				return
			}
		}
	}, WordOptions{VocabSize: 514 + 8})
	if err != nil {
		t.Fatal(err)
	}
	if n := tok.VocabSize(); n != 522 {
		t.Errorf("%d ids, want 522", n)
	}
	start, _ := tok.SpecialID(CLIPStart)
	end, _ := tok.SpecialID(CLIPEnd)
	if start != 520 || end != 521 {
		t.Errorf("marks %d and %d, want the last two ids", start, end)
	}
	encode := func(tok *Tokenizer) []int32 { return tok.AddSpecial(tok.Encode("Low  CAFÉ")) }
	ids := encode(tok)
	var names []string
	for _, id := range ids {
		names = append(names, tok.Name(id))
	}
	if got := strings.Join(names, " "); !strings.HasPrefix(got, CLIPStart+" low</w> ") || !strings.HasSuffix(got, " "+CLIPEnd) {
		t.Errorf("tokens %s: want the most frequent word as one token between the marks", got)
	}
	if got := strings.TrimSpace(strings.ReplaceAll(tok.DecodeText(ids[1:len(ids)-1]), wordEnd, " ")); got != "low café" {
		t.Errorf("decoded %q", got)
	}
	file, err := tok.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	again, err := Load(file)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(ids, encode(again)) {
		t.Error("another tokenizer after saving")
	}
}
