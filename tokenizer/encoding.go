package tokenizer

import "fmt"

// Encoding is all that is known about the tokens of one text, or of two. All slices have the same length.
type Encoding struct {
	IDs     []int32
	Tokens  []string // as the vocabulary spells them; for an unknown piece of a Unigram model the piece
	Offsets []Span   // bytes of the text that it came from; 0, 0 for tokens that the post-processor added
	Texts   []int    // which of the texts it is in; -1 for added tokens
	TypeIDs []int    // what the model is told of that, as the post-processor says
	Special []bool   // whether the post-processor added it
	Cut     int      // tokens left out for EncodeOptions.MaxTokens

	source string
}

// EncodeOptions are the settings of EncodeOffsets and EncodePair.
type EncodeOptions struct {
	AddSpecial   bool // add what the post-processor adds
	MaxTokens    int  // 0: no limit. Longer texts lose their ends, the longer of two first, as Hugging Face's "longest_first" has it
	KeepSecond   bool // of two texts only the first loses its end: "only_first"
	ParseSpecial bool // special tokens that the text spells out become their ids; not for text from users
}

// EncodeOffsets returns the ids of text and where in it each comes from. With both options it is what Hugging Face tokenizers
// returns by default, but that its Python package counts offsets in characters.
//
// A token's bytes are those of the characters that it was made of, before they were normalized: several tokens may share them, and
// white space around them may be left out, as the file says. It is several times as slow as Encode.
func (t *Tokenizer) EncodeOffsets(text string, o EncodeOptions) (*Encoding, error) {
	return t.encodeTexts(o, text)
}

// EncodePair is EncodeOffsets for two texts, such as a question and its context. Offsets are within the text of the token.
func (t *Tokenizer) EncodePair(a, b string, o EncodeOptions) (*Encoding, error) {
	return t.encodeTexts(o, a, b)
}

func (t *Tokenizer) encodeTexts(o EncodeOptions, texts ...string) (*Encoding, error) {
	e := t.encoders.Get().(*Encoder)
	defer t.encoders.Put(e)
	var es []*Encoding
	for i, text := range texts {
		one, err := e.encoding(text, o.ParseSpecial)
		if err != nil {
			return nil, fmt.Errorf("text %d: %w", i+1, err)
		}
		for k := range one.TypeIDs {
			one.Texts[k], one.TypeIDs[k] = i, i
		}
		es = append(es, one)
	}
	cut := 0
	if o.MaxTokens > 0 {
		room := o.MaxTokens - t.specials(len(es), o)
		if room < 0 {
			return nil, fmt.Errorf("the limit of %d tokens has no room for the %d special ones", o.MaxTokens, o.MaxTokens-room)
		}
		if o.KeepSecond && len(es) == 2 {
			if room -= len(es[1].IDs); room < min(1, len(es[0].IDs), len(es[1].IDs)) {
				return nil, fmt.Errorf("the limit of %d tokens has no room for the %d of the second text and one of the first", o.MaxTokens, len(es[1].IDs))
			}
			cut = truncate(es[:1], room)
		} else {
			cut = truncate(es, room)
		}
	}
	if t.post != nil {
		es = t.post.process(es, o.AddSpecial)
	}
	all := join(es...)
	all.Cut = cut
	return all, nil
}

// join puts encodings one after the other.
func join(es ...*Encoding) *Encoding {
	all := &Encoding{}
	for _, e := range es {
		all.IDs = append(all.IDs, e.IDs...)
		all.Tokens = append(all.Tokens, e.Tokens...)
		all.Offsets = append(all.Offsets, e.Offsets...)
		all.Texts = append(all.Texts, e.Texts...)
		all.TypeIDs = append(all.TypeIDs, e.TypeIDs...)
		all.Special = append(all.Special, e.Special...)
		if e.source != "" {
			all.source = e.source
		}
	}
	return all
}

// encoding encodes one text, before post-processing.
func (e *Encoder) encoding(s string, special bool) (*Encoding, error) {
	out := &Encoding{source: s}
	t := e.t
	var tokens []token
	err := e.walk(t.newText([]byte(s), true), special, func(p text, added int32) error {
		if added >= 0 {
			out.add(added, string(p.norm), p.original(0, len(p.norm)))
			return nil
		}
		var err error
		if tokens, err = t.engine.segment(e, tokens[:0], p.norm); err != nil {
			return err
		}
		for _, k := range tokens {
			name := t.names[k.id]
			if t.kind == Unigram && k.id == t.unigramUnk {
				name = string(p.norm[k.start:k.end])
			}
			out.add(k.id, name, p.original(k.start, k.end))
		}
		return nil
	})
	return out, err
}

func (e *Encoding) add(id int32, name string, at Span) {
	e.IDs, e.Tokens, e.Offsets = append(e.IDs, id), append(e.Tokens, name), append(e.Offsets, at)
	e.Texts, e.TypeIDs, e.Special = append(e.Texts, 0), append(e.TypeIDs, 0), append(e.Special, false)
}
