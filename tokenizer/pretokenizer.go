package tokenizer

import (
	"bytes"
	"fmt"
	"slices"
	"unicode"
	"unicode/utf8"

	"github.com/plinth-ml/plinth/tokenizer/split"
)

// A preTokenizer splits texts into pieces that the model sees one by one.
type preTokenizer interface {
	part
	// split calls yield for each piece of t, from left to right. Empty ones count for nothing.
	split(t text, yield func(text)) error
}

var preTokenizers = parts[preTokenizer]{
	kinds: map[string]func() preTokenizer{
		"BertPreTokenizer":   func() preTokenizer { return &bertPreTokenizer{} },
		"ByteLevel":          func() preTokenizer { return &byteLevel{TrimOffsets: true, UseRegex: true} },
		"CharDelimiterSplit": func() preTokenizer { return &charDelimiter{} },
		"Digits":             func() preTokenizer { return &digits{} },
		"FixedLength":        func() preTokenizer { return &fixedLength{Length: 5} },
		"Metaspace":          func() preTokenizer { return &metaspace{} },
		"Punctuation":        func() preTokenizer { return &punctuation{Behavior: isolated} },
		"Split":              func() preTokenizer { return &splitter{} },
		"UnicodeScripts":     func() preTokenizer { return &unicodeScripts{} },
		"Whitespace":         func() preTokenizer { return &whitespace{} },
		"WhitespaceSplit":    func() preTokenizer { return &whitespaceSplit{} },
	},
	list:     "pretokenizers",
	sequence: func(ps []preTokenizer) preTokenizer { return &preTokenizerSequence{"Sequence", ps} },
}

type preTokenizerSequence struct {
	Type  string         `json:"type"`
	Parts []preTokenizer `json:"pretokenizers"`
}

func (s *preTokenizerSequence) prepare(where string) error { return prepareAll(where, s.Parts) }

// split splits t by the first part, the pieces by the second, and so on.
func (s *preTokenizerSequence) split(t text, yield func(text)) (err error) {
	guard := func(do func(text) error) func(text) {
		return func(t text) {
			if err == nil {
				err = t.check()
			}
			if err != nil || len(t.norm) == 0 {
				return
			}
			if failed := do(t); err == nil {
				err = failed
			}
		}
	}
	next := guard(func(t text) error {
		yield(t)
		return nil
	})
	for _, p := range slices.Backward(s.Parts) {
		behind := next
		next = guard(func(t text) error { return p.split(t, behind) })
	}
	next(t)
	return err
}

// cut yields the pieces of t that b makes of ms.
func (b behavior) cut(t *text, ms []match, yield func(text)) {
	for _, m := range b.join(ms) {
		if !m.is && m.start < m.end {
			yield(t.slice(m.start, m.end))
		}
	}
}

// splitter splits at the matches of a pattern, or with Invert at what is between them.
type splitter struct {
	Type     string   `json:"type"`
	Pattern  pattern  `json:"pattern"`
	Behavior behavior `json:"behavior"`
	Invert   bool     `json:"invert"`
}

func (s *splitter) prepare(where string) error { return s.Pattern.prepare(where) }

func (s *splitter) split(t text, yield func(text)) error {
	ms, err := s.Pattern.matches(nil, t.norm)
	if err != nil {
		return err
	}
	if s.Invert {
		invert(ms)
	}
	s.Behavior.cut(&t, ms, yield)
	return nil
}

func invert(ms []match) {
	for i := range ms {
		ms[i].is = !ms[i].is
	}
}

// byteLevel spells each byte as one character, after splitting by GPT-2's pattern. It is a post-processor and a decoder too.
type byteLevel struct {
	Type        string `json:"type"`
	PrefixSpace bool   `json:"add_prefix_space" plinth:"optional"`
	TrimOffsets bool   `json:"trim_offsets" plinth:"optional"`
	UseRegex    bool   `json:"use_regex" plinth:"optional"`
}

func (*byteLevel) prepare(string) error { return nil }

func (b *byteLevel) split(t text, yield func(text)) error {
	if b.PrefixSpace && (len(t.norm) == 0 || t.norm[0] != ' ') {
		t.prepend(" ")
	}
	for at := 0; at < len(t.norm); {
		end := len(t.norm)
		if b.UseRegex {
			end = split.GPT2.Next(t.norm, at)
		}
		piece := t.slice(at, end)
		piece.spellBytes()
		yield(piece)
		at = end
	}
	return nil
}

// metaspace writes ▁ for spaces, puts one before texts, and splits before each. It is a decoder too.
type metaspace struct {
	Type        string  `json:"type"`
	Replacement one     `json:"replacement"`
	Prepend     *string `json:"prepend_scheme" plinth:"optional"`
	Split       *bool   `json:"split" plinth:"optional"`
	PrefixSpace *bool   `json:"add_prefix_space,omitempty" plinth:"optional"` // in old files
	StrRep      *string `json:"str_rep,omitempty" plinth:"optional"`          // in old files
}

// The values of metaspace.Prepend.
const (
	prependFirst  = "first"  // before the start of the original
	prependNever  = "never"  // nowhere
	prependAlways = "always" // before every piece between added tokens
)

func (m *metaspace) prepare(where string) error {
	scheme, split := prependAlways, true
	if m.Prepend != nil {
		scheme = *m.Prepend
	}
	if scheme != prependFirst && scheme != prependNever && scheme != prependAlways {
		return fmt.Errorf("tokenizer: %s.prepend_scheme: %q is not known", where, scheme)
	}
	if m.PrefixSpace != nil && !*m.PrefixSpace {
		if m.Prepend != nil && scheme != prependNever {
			return fmt.Errorf("tokenizer: %s: add_prefix_space does not match prepend_scheme", where)
		}
		scheme = prependNever
	}
	if m.Split != nil {
		split = *m.Split
	}
	m.Prepend, m.Split, m.PrefixSpace, m.StrRep = &scheme, &split, nil, nil
	return nil
}

func (m *metaspace) split(t text, yield func(text)) error {
	rep := string(rune(m.Replacement))
	if bytes.IndexByte(t.norm, ' ') >= 0 {
		space, spaced := " ", t // not t: replace moves it to the heap
		if err := spaced.replace(&pattern{String: &space}, rep); err != nil {
			return err
		}
		t = spaced
	}
	r, _ := utf8.DecodeRune(t.norm)
	if *m.Prepend == prependAlways || *m.Prepend == prependFirst && t.first {
		if len(t.norm) > 0 && r != rune(m.Replacement) {
			t.prepend(rep)
		}
	}
	if !*m.Split {
		yield(t)
		return nil
	}
	for at := 0; at < len(t.norm); {
		end := len(t.norm)
		if i := bytes.Index(t.norm[at+1:], []byte(rep)); i >= 0 {
			end = at + 1 + i
		}
		yield(t.slice(at, end))
		at = end
	}
	return nil
}

// bertPreTokenizer drops white space and isolates punctuation.
type bertPreTokenizer struct{ simple }

func (*bertPreTokenizer) split(t text, yield func(text)) error {
	from := -1 // the start of the word at hand
	for i, r := range string(t.norm) {
		space := unicode.IsSpace(r)
		if !space && !punctuationSet.has(r) {
			if from < 0 {
				from = i
			}
			continue
		}
		if from >= 0 {
			yield(t.slice(from, i))
			from = -1
		}
		if !space {
			_, n := utf8.DecodeRune(t.norm[i:])
			yield(t.slice(i, i+n))
		}
	}
	if from >= 0 {
		yield(t.slice(from, len(t.norm)))
	}
	return nil
}

// whitespace keeps \w+ and [^\w\s]+.
type whitespace struct{ simple }

func (*whitespace) split(t text, yield func(text)) error {
	const none, word, other = 0, 1, 2
	from, last := 0, none
	for i, r := range string(t.norm) {
		now := other
		if wordSet.has(r) {
			now = word
		} else if unicode.IsSpace(r) {
			now = none
		}
		if now != last {
			if last != none {
				yield(t.slice(from, i))
			}
			from, last = i, now
		}
	}
	if last != none {
		yield(t.slice(from, len(t.norm)))
	}
	return nil
}

// whitespaceSplit drops white space.
type whitespaceSplit struct{ simple }

func (*whitespaceSplit) split(t text, yield func(text)) error {
	t.fields(unicode.IsSpace, yield)
	return nil
}

// charDelimiter splits at a character and drops it.
type charDelimiter struct {
	Type      string `json:"type"`
	Delimiter one    `json:"delimiter"`
}

func (*charDelimiter) prepare(string) error { return nil }

func (c *charDelimiter) split(t text, yield func(text)) error {
	t.fields(func(r rune) bool { return r == rune(c.Delimiter) }, yield)
	return nil
}

// fields yields what is between the characters that is holds for.
func (t *text) fields(is func(rune) bool, yield func(text)) {
	from := -1
	for i, r := range string(t.norm) {
		switch {
		case !is(r):
			if from < 0 {
				from = i
			}
		case from >= 0:
			yield(t.slice(from, i))
			from = -1
		}
	}
	if from >= 0 {
		yield(t.slice(from, len(t.norm)))
	}
}

type digits struct {
	Type       string `json:"type"`
	Individual bool   `json:"individual_digits"`
}

func (*digits) prepare(string) error { return nil }

func (d *digits) split(t text, yield func(text)) error {
	b := contiguous
	if d.Individual {
		b = isolated
	}
	b.cut(&t, runeMatches(nil, t.norm, numericSet.has), yield)
	return nil
}

type punctuation struct {
	Type     string   `json:"type"`
	Behavior behavior `json:"behavior" plinth:"optional"`
}

func (*punctuation) prepare(string) error { return nil }

func (p *punctuation) split(t text, yield func(text)) error {
	p.Behavior.cut(&t, runeMatches(nil, t.norm, punctuationSet.has), yield)
	return nil
}

// unicodeScripts splits where the script changes. Japanese kana and the long vowel mark count as Han.
type unicodeScripts struct{ simple }

func (*unicodeScripts) split(t text, yield func(text)) error {
	from, last := -1, -1 // leading characters of no script are dropped
	for i, r := range string(t.norm) {
		now := int(script(r))
		if now == 0 {
			continue
		}
		if now != last {
			if from >= 0 {
				yield(t.slice(from, i))
			}
			from = i
		}
		last = now
	}
	if from >= 0 {
		yield(t.slice(from, len(t.norm)))
	}
	return nil
}

// fixedLength splits into pieces of a number of characters.
type fixedLength struct {
	Type   string `json:"type"`
	Length int    `json:"length" plinth:"optional"`
}

func (f *fixedLength) prepare(where string) error {
	if f.Length < 1 {
		return fmt.Errorf("tokenizer: %s.length: %d is not positive", where, f.Length)
	}
	return nil
}

func (f *fixedLength) split(t text, yield func(text)) error {
	from, n := 0, 0
	for i := range string(t.norm) {
		if n == f.Length {
			yield(t.slice(from, i))
			from, n = i, 0
		}
		n++
	}
	yield(t.slice(from, len(t.norm)))
	return nil
}
