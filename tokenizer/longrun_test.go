package tokenizer

import (
	"slices"
	"strings"
	"testing"
)

// Merges of one long run stop before a token is longer than a file may hold.
func TestTrainLongRun(t *testing.T) {
	text := strings.Repeat("x ", 2000) + strings.Repeat("=", 140_000)
	tok, err := Train(t.Context(), slices.Values([][]byte{[]byte(text)}), TrainOptions{VocabSize: 600, MinFrequency: 1})
	if err != nil {
		t.Fatal(err)
	}
	if got := tok.Decode(tok.Encode(text)); got != text {
		t.Error("the text does not come back")
	}
	longest := 0
	for id := range int32(tok.VocabSize()) {
		longest = max(longest, len(tok.Token(id)))
	}
	if longest > maxTrained || longest < maxTrained/4 {
		t.Errorf("the longest token has %d bytes", longest)
	}
}
