package wordpiece

import (
	"fmt"
	"unicode/utf8"

	"github.com/plinth-ml/plinth/tokenizer/trie"
)

// Piece is a token and the bytes of the word that it stands for.
type Piece struct {
	ID         int32
	Start, End int
}

// Options are the settings of a model.
type Options struct {
	Unk      string // stands for a word that has no pieces; "": [UNK]
	Prefix   string // of tokens that continue a word; "": ##, unless NoPrefix
	NoPrefix bool
	MaxChars int // a word with more characters is unknown; 0: 100
}

// Model cuts words into the longest tokens, from left to right. It is safe for concurrent use.
type Model struct {
	tokens   *trie.Trie
	rest     trie.Node // after the prefix
	restOK   bool
	unk      int32
	maxChars int
}

// New makes a model of a vocabulary.
func New(vocab map[string]int32, o Options) (*Model, error) {
	if o.Unk == "" {
		o.Unk = "[UNK]"
	}
	if o.Prefix == "" && !o.NoPrefix {
		o.Prefix = "##"
	}
	if o.MaxChars == 0 {
		o.MaxChars = 100
	}
	entries := make([]trie.Entry, 0, len(vocab))
	for token, id := range vocab {
		if token != "" { // a word has no empty part
			entries = append(entries, trie.Entry{Key: token, Value: id})
		}
	}
	tokens, err := trie.Build(entries)
	if err != nil {
		return nil, fmt.Errorf("wordpiece: %w", err)
	}
	m := &Model{tokens: tokens, unk: -1, maxChars: o.MaxChars}
	if id, ok := vocab[o.Unk]; ok {
		m.unk = id
	}
	m.rest, _, m.restOK = tokens.Walk(tokens.Root(), o.Prefix)
	return m, nil
}

// Tokenize appends the pieces of a word to dst. A word that has none, or too many characters, is one piece with the id of
// Unk, or -1 where the vocabulary has no Unk. An empty word has no pieces.
func (m *Model) Tokenize(dst []Piece, word string) []Piece {
	if len(word) > m.maxChars && utf8.RuneCountInString(word) > m.maxChars {
		return append(dst, Piece{m.unk, 0, len(word)})
	}
	kept := len(dst)
	node, ok := m.tokens.Root(), true
	for start := 0; start < len(word); {
		id, end := int32(-1), start
		for i := start; i < len(word); i++ {
			var value int32
			if node, value, ok = m.tokens.Next(node, word[i]); !ok {
				break
			}
			if value >= 0 {
				id, end = value, i+1
			}
		}
		if id < 0 {
			return append(dst[:kept], Piece{m.unk, 0, len(word)})
		}
		dst = append(dst, Piece{id, start, end})
		start = end
		if node = m.rest; !m.restOK && start < len(word) {
			return append(dst[:kept], Piece{m.unk, 0, len(word)})
		}
	}
	return dst
}
