package tokenizer

import (
	"fmt"
	"unicode/utf8"
)

// Span is a range of bytes.
type Span struct{ Start, End int }

// text is a string on its way through the pipeline. Where at is kept it says for each byte which bytes of the original it comes
// from; characters that were put in come from the one before them. The rules, odd ones included, are those of
// NormalizedString in Hugging Face tokenizers.
type text struct {
	norm  []byte
	at    []Span // nil where nobody asks for offsets
	whole Span   // the part of the original that this is
	first bool   // it is at the start of the original; kept without at too
	limit int    // most bytes that the pipeline may make of it
}

// Limits on what a hostile file can make of a text.
const (
	growth     = 64      // times its length, and
	growthRoom = 1 << 20 // bytes more
)

// check fails when the text has grown beyond its limit.
func (t *text) check() error {
	if len(t.norm) > t.limit {
		return t.tooLong()
	}
	return nil
}

func (t *text) tooLong() error {
	return fmt.Errorf("tokenizer: the normalizer or pre_tokenizer makes more than %d bytes of a text", t.limit)
}

// newText returns the text that has not been changed yet. norm is not written to.
func newText(norm []byte, offsets bool) text {
	t := text{norm: norm, whole: Span{0, len(norm)}, first: true, limit: growth*len(norm) + growthRoom}
	if offsets {
		t.at = make([]Span, len(norm))
		for i := 0; i < len(norm); {
			_, n := utf8.DecodeRune(norm[i:])
			for j := range n {
				t.at[i+j] = Span{i, i + n}
			}
			i += n
		}
	}
	return t
}

// slice returns norm[a:b] with what belongs to it.
func (t *text) slice(a, b int) text {
	s := text{norm: t.norm[a:b:b], first: t.first && a == 0, limit: t.limit}
	if t.at != nil {
		s.at = t.at[a:b:b]
		if a < b {
			s.whole = Span{s.at[0].Start, s.at[b-a-1].End}
		}
		s.first = s.whole.Start == 0
	}
	return s
}

// original returns the bytes of the original that norm[a:b] comes from.
func (t *text) original(a, b int) Span {
	switch {
	case a == b:
		return Span{t.whole.Start + a, t.whole.Start + b}
	case b > len(t.at): // a suffix that the model added
		return Span{a, b}
	}
	return Span{t.at[a].Start, t.at[b-1].End}
}

// An edit rewrites a text from front to back.
type edit struct {
	t        *text
	from, to int // what is rewritten
	pos      int // in the old text
	norm     []byte
	at       []Span
}

// edit starts to rewrite the text, all but leading characters that stand for nothing in the original.
func (t *text) edit() edit {
	e := edit{t: t, to: len(t.norm), norm: make([]byte, 0, len(t.norm)+len(t.norm)/8)}
	if t.at != nil {
		if t.whole.Start == t.whole.End {
			e.to = 0
		}
		for e.from < e.to && t.at[e.from].Start == t.at[e.from].End {
			e.from++
		}
		e.pos = e.from
		e.at = make([]Span, 0, cap(e.norm))
	}
	return e
}

// skip goes past n characters of the old text.
func (e *edit) skip(n int) {
	for ; n > 0 && e.pos < e.to; n-- {
		_, size := utf8.DecodeRune(e.t.norm[e.pos:])
		e.pos += size
	}
}

// put writes a character. change 0: it takes the place of the next old one; 1: it is new, beside the last one; -n: it takes the
// place of the next one and n behind that go.
func (e *edit) put(r rune, change int) {
	n := len(e.norm)
	e.norm = utf8.AppendRune(e.norm, r)
	if e.t.at == nil {
		return
	}
	var at Span
	switch i := e.pos; {
	case change > 0 && i == 0 || len(e.t.at) == 0:
		at = Span{e.t.whole.Start, e.t.whole.Start}
	case change > 0:
		at = e.t.at[i-1]
	default:
		at = e.t.at[min(i, len(e.t.at)-1)]
		e.skip(1 - change)
	}
	for range len(e.norm) - n {
		e.at = append(e.at, at)
	}
}

// keep copies norm[a:b] of the old text as it is.
func (e *edit) keep(a, b int) {
	e.norm = append(e.norm, e.t.norm[a:b]...)
	if e.t.at != nil {
		e.at = append(e.at, e.t.at[a:b]...)
	}
}

// done puts the new text in the place of the old one.
func (e *edit) done() {
	t := e.t
	if e.from == 0 && e.to == len(t.norm) {
		t.norm, t.at = e.norm, e.at
		return
	}
	t.norm = append(append(append([]byte(nil), t.norm[:e.from]...), e.norm...), t.norm[e.to:]...)
	t.at = append(append(append([]Span(nil), t.at[:e.from]...), e.at...), t.at[e.to:]...)
}

// mapRunes replaces each character by one.
func (t *text) mapRunes(f func(rune) rune) {
	e := t.edit()
	for _, r := range string(t.norm) {
		e.put(f(r), 0)
	}
	e.done()
}

// filter removes the characters that keep does not hold for.
func (t *text) filter(keep func(rune) bool) {
	const none = -1
	e := t.edit()
	last, removed := rune(none), 0
	for _, r := range string(t.norm) {
		if !keep(r) {
			removed++
			continue
		}
		if last == none {
			e.skip(removed)
		} else {
			e.put(last, -removed)
		}
		last, removed = r, 0
	}
	if last != none {
		e.put(last, -removed)
	}
	e.done()
}

// prepend puts s before the text, which is not empty.
func (t *text) prepend(s string) {
	if len(t.norm) == 0 || s == "" {
		return
	}
	norm := make([]byte, 0, len(s)+len(t.norm))
	t.norm = append(append(norm, s...), t.norm...)
	if t.at == nil {
		return
	}
	at := make([]Span, 0, len(t.norm))
	for range len(s) {
		at = append(at, t.at[0])
	}
	t.at = append(at, t.at...)
}
