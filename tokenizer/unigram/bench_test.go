package unigram_test

import (
	"os"
	"strings"
	"testing"

	"github.com/plinth-ml/plinth/internal/testkit"
	"github.com/plinth-ml/plinth/tokenizer/unigram"
)

// BenchmarkTokenize segments English text with T5's vocabulary, word by word as Hugging Face cuts it and line by line as
// SentencePiece does.
func BenchmarkTokenize(b *testing.B) {
	m := published(b, "t5.spiece.model")
	data, err := os.ReadFile(testkit.Data(b, "corpora/wiki_demo.txt"))
	if err != nil {
		b.Fatal(err)
	}
	var words, lines []string
	for line := range strings.Lines(string(data)) {
		fields := strings.Fields(line)
		for i := range fields {
			fields[i] = "▁" + fields[i]
		}
		words = append(words, fields...)
		lines = append(lines, strings.Join(fields, ""))
	}
	for name, c := range map[string]struct {
		texts []string
		spm   bool
	}{"words": {words, false}, "lines": {lines, true}} {
		tokens, err := unigram.New(tokensOf(m), unigram.Options{Unk: 2, SentencePiece: c.spm})
		if err != nil {
			b.Fatal(err)
		}
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(data)))
			var pieces []unigram.Piece
			for b.Loop() {
				for _, s := range c.texts {
					pieces = tokens.Tokenize(pieces[:0], s)
				}
			}
		})
	}
}
