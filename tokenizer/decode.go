package tokenizer

import "unicode/utf8"

// Decode returns the text of ids, special tokens by their content. Ids that no token has are left out.
func (t *Tokenizer) Decode(ids []int32) string { return string(t.AppendDecode(nil, ids)) }

// AppendDecode appends the bytes of ids, as Decode has them.
func (t *Tokenizer) AppendDecode(dst []byte, ids []int32) []byte {
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
	t    *Tokenizer
	held []byte // the start of a character, at most 3 bytes
}

// NewStream returns a stream at the start of a text.
func (t *Tokenizer) NewStream() *Stream { return &Stream{t: t} }

// Push returns the text that id completes, which may be empty.
func (s *Stream) Push(id int32) string {
	s.held = s.t.AppendDecode(s.held, []int32{id})
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
	return out
}

// Flush returns what is held back: the bytes of a character that never ended. The stream can be used again.
func (s *Stream) Flush() string {
	out := string(s.held)
	s.held = s.held[:0]
	return out
}
