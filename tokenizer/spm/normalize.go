package spm

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/plinth-ml/plinth/tokenizer/charsmap"
	"github.com/plinth-ml/plinth/tokenizer/trie"
)

// space stands for a space in pieces.
const space = "\u2581"

// Cleaner normalises text as SentencePiece does before it segments it. It is safe for concurrent use.
type Cleaner struct {
	spec   Normalizer
	suffix bool
	rules  *charsmap.Map // nil: none
	user   *trie.Trie    // symbols that are left as they are; nil: none
}

// Cleaner returns the normaliser of a model's text.
func (m *Model) Cleaner() (*Cleaner, error) {
	c := &Cleaner{spec: m.Normalizer, suffix: m.Trainer.TreatWhitespaceAsSuffix}
	if len(m.Normalizer.CharsMap) > 0 {
		var err error
		if c.rules, err = charsmap.Parse(m.Normalizer.CharsMap); err != nil {
			return nil, fmt.Errorf("spm: normalizer_spec: precompiled_charsmap: %w", err)
		}
	}
	var symbols []trie.Entry
	for _, p := range m.Pieces {
		if p.Type == UserDefined {
			symbols = append(symbols, trie.Entry{Key: p.Text})
		}
	}
	if len(symbols) > 0 {
		var err error
		if c.user, err = trie.Build(symbols); err != nil {
			return nil, fmt.Errorf("spm: user-defined pieces: %w", err)
		}
	}
	return c, nil
}

// prefix returns what the start of text becomes, and the bytes of text that this takes.
func (c *Cleaner) prefix(text string) (with string, n int) {
	if c.user != nil {
		node := c.user.Root()
		for i := range len(text) {
			next, value, ok := c.user.Next(node, text[i])
			if !ok {
				break
			}
			if node = next; value >= 0 {
				n = i + 1
			}
		}
		if n > 0 {
			return text[:n], n
		}
	}
	if c.rules != nil {
		if with, n = c.rules.Longest(text); n > 0 {
			return with, n
		}
	}
	if r, n := utf8.DecodeRuneInString(text); r != utf8.RuneError || n > 1 {
		return text[:n], n
	}
	return "\ufffd", 1
}

// Clean returns the normalised text and, for each of its bytes and for its end, the place in text that it comes from.
func (c *Cleaner) Clean(text string) (out []byte, from []int) {
	at, tidy := 0, c.spec.RemoveExtraWhitespaces
	for tidy && at < len(text) {
		with, n := c.prefix(text[at:])
		if with != " " {
			break
		}
		at += n
	}
	if at == len(text) {
		return nil, []int{at}
	}
	blank := " "
	if c.spec.EscapeWhitespaces {
		blank = space
	}
	put := func(s string) {
		out = append(out, s...)
		for range len(s) {
			from = append(from, at)
		}
	}
	if c.spec.AddDummyPrefix && !c.suffix {
		put(blank)
	}
	for after := tidy; at < len(text); { // after a space that is enough
		with, n := c.prefix(text[at:])
		if after {
			with = strings.TrimLeft(with, " ")
		}
		if with != "" {
			after = tidy && with[len(with)-1] == ' '
			if c.spec.EscapeWhitespaces {
				with = strings.ReplaceAll(with, " ", space)
			}
			put(with)
		}
		at += n
	}
	for tidy && strings.HasSuffix(string(out[max(0, len(out)-len(blank)):]), blank) {
		out = out[:len(out)-len(blank)]
		at = from[len(out)]
		from = from[:len(out)]
	}
	if c.spec.AddDummyPrefix && c.suffix {
		put(blank)
	}
	return out, append(from, at)
}
