package tokenizer

import (
	"bytes"
	"unicode/utf8"
)

// The pipeline that every tokenizer has: added tokens are found, what is between them is normalized, tokens that are found in
// normalized text are found, the rest is split into pieces, and the model cuts each into tokens.

// walk calls each for the pieces of a text, from left to right; added is the id of an added token, or -1.
func (e *Encoder) walk(whole text, special bool, each func(piece text, added int32) error) (err error) {
	t := e.t
	fail := func(now error) {
		if err == nil {
			err = now
		}
	}
	t.cut(t.finder[0], whole.norm, special, func(token int32, start, end int) {
		part := whole.slice(start, end)
		if token >= 0 {
			fail(each(part, t.added[token].ID))
			return
		}
		if t.normalizer != nil && !e.clean {
			fail(t.normalizer.normalize(&part))
		}
		t.cut(t.finder[1], part.norm, special, func(token int32, start, end int) {
			part := part.slice(start, end)
			switch {
			case token >= 0:
				fail(each(part, t.added[token].ID))
			case t.pre == nil:
				fail(each(part, -1))
			default:
				fail(t.pre.split(part, func(piece text) {
					if len(piece.norm) > 0 {
						fail(each(piece, -1))
					}
				}))
			}
		})
	})
	return err
}

// newText returns a text for the pipeline. Bytes that are not UTF-8 become U+FFFD, unless the vocabulary is one of bytes.
func (t *Tokenizer) newText(s []byte, offsets bool) text {
	if utf8.Valid(s) || t.spelled {
		return newText(s, offsets)
	}
	whole := newText(s, offsets)
	whole.mapRunes(func(r rune) rune { return r })
	return whole
}

// pipeline appends the ids of a text.
func (e *Encoder) pipeline(ids []int32, s []byte, special bool) []int32 {
	err := e.walk(e.t.newText(s, e.t.tracked), special, func(piece text, added int32) error {
		switch {
		case added >= 0:
			ids = append(ids, added)
		case e.t.spaceCut:
			ids = e.spaceWords(ids, piece.norm)
		default:
			ids = e.piece(ids, piece.norm)
		}
		return nil
	})
	if err != nil {
		e.err = err
	}
	return ids
}

// spaceWords encodes a text word by word: no token goes on over the ▁ that begins one.
func (e *Encoder) spaceWords(ids []int32, s []byte) []int32 {
	space := []byte(metaSpace)
	for len(s) > 0 {
		end := 0
		for bytes.HasPrefix(s[end:], space) {
			end += len(space)
		}
		if i := bytes.Index(s[end:], space); i >= 0 {
			end += i
		} else {
			end = len(s)
		}
		ids = e.piece(ids, s[:end])
		s = s[end:]
	}
	return ids
}

// segment appends the ids of the tokens that the model cuts a piece into.
func (e *Encoder) segment(ids []int32, piece []byte) []int32 {
	var err error
	if m, ok := e.t.engine.(*bpe); ok {
		if ids, err = m.encode(e, ids, piece); err != nil {
			e.err = err
		}
		return ids
	}
	if e.tokens, err = e.t.engine.segment(e, e.tokens[:0], piece); err != nil {
		e.err = err
	}
	for _, k := range e.tokens {
		ids = append(ids, k.id)
	}
	return ids
}
