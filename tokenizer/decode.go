package tokenizer

import "unicode/utf8"

// Decode returns the text of ids, special tokens by their content. Ids that no token has are left out. Byte-level vocabularies
// give back the very bytes, UTF-8 or not.
func (t *Tokenizer) Decode(ids []int32) string { return string(t.AppendDecode(nil, ids)) }

// DecodeText is Decode without special tokens.
func (t *Tokenizer) DecodeText(ids []int32) string {
	s := t.NewStream()
	s.SkipSpecial = true
	for _, id := range ids {
		s.push(id)
	}
	return s.Flush()
}

// AppendDecode appends the bytes of ids, as Decode has them.
func (t *Tokenizer) AppendDecode(dst []byte, ids []int32) []byte {
	if !t.byteWise {
		s := t.NewStream()
		for _, id := range ids {
			s.push(id)
		}
		return append(dst, s.Flush()...)
	}
	for _, id := range ids {
		if id >= 0 && int(id) < len(t.raw) {
			dst = append(dst, t.raw[id]...)
		}
	}
	return dst
}

// Stream decodes ids one at a time and never returns half a UTF-8 character. The concatenation of all it returns is
// Decode(ids).
type Stream struct {
	SkipSpecial bool // leave special tokens out

	t     *Tokenizer
	chain stage
	held  []byte // the start of a character, at most 3 bytes
	skip  int    // bytes of ids that were there before, which decoders held back
}

// NewStream returns a stream at the start of a text.
func (t *Tokenizer) NewStream() *Stream {
	s := &Stream{t: t}
	switch {
	case t.byteWise: // needs no stages
	case t.decoder == nil:
		s.chain = spaced{}.start(s)
	default:
		s.chain = t.decoder.start(s)
	}
	return s
}

// StreamAfter returns a stream of the text behind ids: what Decode has of them and of those pushed, without what it has of ids alone; of a character that begins there
// the whole.
func (t *Tokenizer) StreamAfter(ids []int32) *Stream {
	s := t.NewStream()
	if s.chain != nil {
		s.skip = len(t.Decode(ids))
	}
	for _, id := range ids {
		s.Push(id)
	}
	return s
}

// behind is a piece of the text without what is skipped.
func (s *Stream) behind(text string) string {
	n := min(s.skip, len(text))
	s.skip -= n
	return text[n:]
}

// put and flush are the end of the chain of decoders.
func (s *Stream) put(text string, _ bool) { s.held = append(s.held, text...) }
func (s *Stream) flush()                  {}

func (s *Stream) push(id int32) {
	if !s.t.Has(id) || s.SkipSpecial && s.t.IsSpecial(id) {
		return
	}
	if s.chain == nil {
		s.held = append(s.held, s.t.raw[id]...)
		return
	}
	token := s.t.names[id]
	if form, ok := s.t.forms[id]; ok {
		token = form
	}
	s.chain.put(token, true)
}

// Push returns the text that id completes, which may be empty.
func (s *Stream) Push(id int32) string {
	s.push(id)
	whole := len(s.held)
	for back := 1; back <= min(utf8.UTFMax-1, len(s.held)); back++ {
		if at := len(s.held) - back; utf8.RuneStart(s.held[at]) {
			if !utf8.FullRune(s.held[at:]) {
				whole = at
			}
			break
		}
	}
	out := string(s.held[:whole])
	s.held = append(s.held[:0], s.held[whole:]...)
	return s.behind(out)
}

// Flush returns what is held back: what decoders can only tell at the end of a text, and the bytes of a character that never
// ended. The stream can be used again.
func (s *Stream) Flush() string {
	if s.chain != nil {
		s.chain.flush()
	}
	out := string(s.held)
	s.held = s.held[:0]
	return s.behind(out)
}
