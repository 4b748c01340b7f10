package tokenizer

import (
	"encoding/json"
	"fmt"
	"slices"
	"unicode"
	"unicode/utf8"
)

// A postProcessor puts special tokens around one or two encodings and adjusts their offsets.
type postProcessor interface {
	part
	// process works on the parts of the result, which the caller joins. special says whether to add special tokens.
	process(es []*Encoding, special bool) []*Encoding
	// added returns the ids that it may add.
	added() []int32
}

var postProcessors = parts[postProcessor]{
	kinds: map[string]func() postProcessor{
		"BertProcessing":     func() postProcessor { return &bertProcessing{} },
		"ByteLevel":          func() postProcessor { return &byteLevel{TrimOffsets: true, UseRegex: true} },
		"RobertaProcessing":  func() postProcessor { return &robertaProcessing{} },
		"TemplateProcessing": func() postProcessor { return &template{} },
	},
	list:     "processors",
	sequence: func(ps []postProcessor) postProcessor { return &postProcessorSequence{"Sequence", ps} },
}

type postProcessorSequence struct {
	Type  string          `json:"type"`
	Parts []postProcessor `json:"processors"`
}

func (s *postProcessorSequence) prepare(where string) error { return prepareAll(where, s.Parts) }

func (s *postProcessorSequence) process(es []*Encoding, special bool) []*Encoding {
	for _, p := range s.Parts {
		es = p.process(es, special)
	}
	return es
}

func (s *postProcessorSequence) added() (ids []int32) {
	for _, p := range s.Parts {
		ids = append(ids, p.added()...)
	}
	return ids
}

// named is a token and its id, written as an array.
type named struct {
	name string
	id   int32
}

func (n named) MarshalJSON() ([]byte, error) { return marshal([]any{n.name, n.id}), nil }

func (n *named) UnmarshalJSON(data []byte) error {
	var fields []json.RawMessage
	if err := json.Unmarshal(data, &fields); err != nil {
		return err
	}
	if len(fields) != 2 || json.Unmarshal(fields[0], &n.name) != nil || json.Unmarshal(fields[1], &n.id) != nil {
		return fmt.Errorf("%s is not a token and its id", data)
	}
	return nil
}

// special returns an encoding of one token that is not in the text.
func (n named) special(typeID int) *Encoding {
	return specialTokens([]int32{n.id}, []string{n.name}, typeID)
}

func specialTokens(ids []int32, names []string, typeID int) *Encoding {
	e := &Encoding{IDs: slices.Clone(ids), Tokens: slices.Clone(names), Offsets: make([]Span, len(ids))}
	for range ids {
		e.Texts, e.TypeIDs, e.Special = append(e.Texts, -1), append(e.TypeIDs, typeID), append(e.Special, true)
	}
	return e
}

// bertProcessing makes [CLS] a [SEP] and [CLS] a [SEP] b [SEP].
type bertProcessing struct {
	Type string `json:"type"`
	Sep  named  `json:"sep"`
	Cls  named  `json:"cls"`
}

func (*bertProcessing) prepare(string) error { return nil }

func (p *bertProcessing) added() []int32 { return []int32{p.Cls.id, p.Sep.id} }

func (p *bertProcessing) process(es []*Encoding, special bool) []*Encoding {
	if !special {
		return es
	}
	for i, e := range es {
		clear(e.Special)
		if i == 0 {
			es[i] = join(p.Cls.special(0), e, p.Sep.special(0))
		} else {
			es[i] = join(e, p.Sep.special(1))
		}
	}
	return es
}

// robertaProcessing makes <s> a </s> and <s> a </s></s> b </s>, all of type 0.
type robertaProcessing struct {
	Type        string `json:"type"`
	Sep         named  `json:"sep"`
	Cls         named  `json:"cls"`
	TrimOffsets bool   `json:"trim_offsets"`
	PrefixSpace bool   `json:"add_prefix_space"`
}

func (*robertaProcessing) prepare(string) error { return nil }

func (p *robertaProcessing) added() []int32 { return []int32{p.Cls.id, p.Sep.id} }

func (p *robertaProcessing) process(es []*Encoding, special bool) []*Encoding {
	for i, e := range es {
		if p.TrimOffsets {
			e.trim(p.PrefixSpace)
		}
		clear(e.TypeIDs)
		if !special {
			continue
		}
		clear(e.Special)
		begin := p.Sep
		if i == 0 {
			begin = p.Cls
		}
		es[i] = join(begin.special(0), e, p.Sep.special(0))
	}
	return es
}

func (b *byteLevel) process(es []*Encoding, _ bool) []*Encoding {
	if b.TrimOffsets {
		for _, e := range es {
			e.trim(b.PrefixSpace)
		}
	}
	return es
}

func (*byteLevel) added() []int32 { return nil }

// trim takes white space at the ends of tokens out of their offsets, but for one space that add_prefix_space may have put in.
func (e *Encoding) trim(prefixSpace bool) {
	isSpace := func(r rune) bool { return r == byteRune[' '] || unicode.IsSpace(r) }
	for i, name := range e.Tokens {
		leading, trailing := 0, 0
		for _, r := range name {
			if !isSpace(r) {
				break
			}
			leading++
		}
		for s := name; s != ""; trailing++ {
			r, n := utf8.DecodeLastRuneInString(s)
			if !isSpace(r) {
				break
			}
			s = s[:len(s)-n]
		}
		at := &e.Offsets[i]
		if leading == 1 && prefixSpace && (i == 0 || at.Start == 0) {
			leading = 0
		}
		at.Start = min(e.step(at.Start, leading), at.End)
		if trailing > 0 {
			if start, ok := e.back(at.End, trailing); ok {
				at.End = max(start, at.Start)
			}
		}
	}
}

// step returns the place n characters behind i in the source.
func (e *Encoding) step(i, n int) int {
	for ; n > 0 && i < len(e.source); n-- {
		_, size := utf8.DecodeRuneInString(e.source[i:])
		i += size
	}
	return i
}

// back returns the place n characters before i in the source, if there are so many.
func (e *Encoding) back(i, n int) (int, bool) {
	for i = min(i, len(e.source)); n > 0 && i > 0; n-- {
		_, size := utf8.DecodeLastRuneInString(e.source[:i])
		i -= size
	}
	return i, n == 0
}

// template puts tokens and texts one after the other as it says.
type template struct {
	Type   string                   `json:"type"`
	Single []piece                  `json:"single"`
	Pair   []piece                  `json:"pair"`
	Tokens map[string]templateToken `json:"special_tokens"`
}

// piece is a token or a text of a template: one of its fields is not nil.
type piece struct {
	SpecialToken *pieceID `json:"SpecialToken,omitempty"`
	Sequence     *pieceID `json:"Sequence,omitempty"`
}

type pieceID struct {
	ID   string `json:"id"` // of a token: a key of special_tokens; of a text: A or B
	Type int    `json:"type_id"`
}

type templateToken struct {
	ID     string   `json:"id"`
	IDs    []int32  `json:"ids"`
	Tokens []string `json:"tokens"`
}

func (t *template) prepare(where string) error {
	for key, token := range t.Tokens {
		if len(token.IDs) != len(token.Tokens) {
			return fmt.Errorf("tokenizer: %s.special_tokens[%q]: %d ids, %d tokens", where, key, len(token.IDs), len(token.Tokens))
		}
	}
	if err := t.check(where+".single", t.Single, "A"); err != nil {
		return err
	}
	return t.check(where+".pair", t.Pair, "A", "B")
}

// check makes sure that each of the texts is there once.
func (t *template) check(where string, pieces []piece, texts ...string) error {
	var have []string
	for i, p := range pieces {
		switch {
		case (p.SpecialToken == nil) == (p.Sequence == nil):
			return fmt.Errorf("tokenizer: %s[%d]: want one SpecialToken or one Sequence", where, i)
		case p.Sequence != nil:
			have = append(have, p.Sequence.ID)
		default:
			if _, ok := t.Tokens[p.SpecialToken.ID]; !ok {
				return fmt.Errorf("tokenizer: %s[%d]: %q is not in special_tokens", where, i, p.SpecialToken.ID)
			}
		}
	}
	slices.Sort(have)
	if !slices.Equal(have, texts) {
		return fmt.Errorf("tokenizer: %s: texts %q, want %q", where, have, texts)
	}
	return nil
}

func (t *template) added() (ids []int32) {
	for _, token := range t.Tokens {
		ids = append(ids, token.IDs...)
	}
	return ids
}

func (t *template) process(es []*Encoding, special bool) []*Encoding {
	pieces := t.Single
	if len(es) > 1 {
		pieces = t.Pair
	}
	var out []*Encoding
	for _, p := range pieces {
		if s := p.Sequence; s != nil {
			e := es[0]
			if s.ID == "B" {
				e = es[1]
			}
			for i := range e.TypeIDs {
				e.TypeIDs[i] = s.Type
			}
			out = append(out, e)
		} else if special {
			token := t.Tokens[p.SpecialToken.ID]
			out = append(out, specialTokens(token.IDs, token.Tokens, p.SpecialToken.Type))
		}
	}
	return out
}
