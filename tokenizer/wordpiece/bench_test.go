package wordpiece

import (
	"os"
	"strings"
	"testing"

	"github.com/plinth-ml/plinth/internal/testkit"
)

// BenchmarkTokenize cuts the words of lower-case English text with BERT's vocabulary.
func BenchmarkTokenize(b *testing.B) {
	m, err := New(bert(b), Options{})
	if err != nil {
		b.Fatal(err)
	}
	data, err := os.ReadFile(testkit.Data(b, "corpora/wiki_demo.txt"))
	if err != nil {
		b.Fatal(err)
	}
	words := strings.Fields(strings.ToLower(string(data)))
	b.SetBytes(int64(len(data)))
	var pieces []Piece
	for b.Loop() {
		for _, w := range words {
			pieces = m.Tokenize(pieces[:0], w)
		}
	}
}
