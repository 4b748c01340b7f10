package tokenizer

import (
	"fmt"

	"github.com/plinth-ml/plinth/tokenizer/unigram"
	"github.com/plinth-ml/plinth/tokenizer/wordpiece"
)

// token is a token of a word and the bytes of it that it stands for.
type token struct {
	id         int32
	start, end int
}

// A segmenter is the model at the heart of a tokenizer: it cuts a word into tokens.
type segmenter interface {
	segment(e *Encoder, dst []token, word []byte) ([]token, error)
}

type wordPieces struct{ *wordpiece.Model }

func (m wordPieces) segment(e *Encoder, dst []token, word []byte) ([]token, error) {
	e.wordPieces = m.Tokenize(e.wordPieces[:0], unsafeString(word))
	for _, p := range e.wordPieces {
		if p.ID < 0 {
			return dst, fmt.Errorf("tokenizer: model.unk_token is not in model.vocab, and %q has no tokens", word)
		}
		dst = append(dst, token{p.ID, p.Start, p.End})
	}
	return dst, nil
}

type unigrams struct{ *unigram.Model }

func (m unigrams) segment(e *Encoder, dst []token, word []byte) ([]token, error) {
	e.unigrams = m.Tokenize(e.unigrams[:0], unsafeString(word))
	for _, p := range e.unigrams {
		if p.ID < 0 {
			return dst, fmt.Errorf("tokenizer: model.unk_id is null, and %q has no tokens", word[p.Start:p.End])
		}
		dst = append(dst, token{p.ID, p.Start, p.End})
	}
	return dst, nil
}

// wordLevel knows whole words only.
type wordLevel struct {
	ids map[string]int32
	unk string
}

func (m *wordLevel) segment(_ *Encoder, dst []token, word []byte) ([]token, error) {
	id, ok := m.ids[string(word)]
	if !ok {
		if id, ok = m.ids[m.unk]; !ok {
			return dst, fmt.Errorf("tokenizer: model.unk_token %q is not in model.vocab, and neither is %q", m.unk, word)
		}
	}
	return append(dst, token{id, 0, len(word)}), nil
}
