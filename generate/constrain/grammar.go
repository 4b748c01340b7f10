package constrain

import (
	"cmp"
	"slices"
	"unicode/utf8"
)

// Grammar is a context-free language over text. It does not change once made.
type Grammar struct {
	rules []rule
	root  int
}

// rule has a name for messages.
type rule struct {
	name string
	body *expr
}

// Bounds of what is read.
const (
	maxSource = 1 << 17 // bytes of a grammar
	maxRules  = 1 << 12
	maxSpans  = 1 << 18 // ranges of characters in all classes
	maxNest   = 200     // depth of brackets in a notation
	maxRepeat = 1 << 16
)

type op uint8

const (
	opText   op = iota // text
	opToken            // the special token named text; where the vocabulary has none, the text itself
	opClass            // one character of set
	opRule             // what rules[rule] describes
	opSeq              // subs one after the other; none: the empty text
	opAlt              // one of subs; none: nothing at all, not even the empty text
	opRepeat           // subs[0], min to max times; max < 0: without end
	opFree             // what free says; only a root is one
)

// expr is a piece of a grammar. It is shared and never changed.
type expr struct {
	op       op
	text     string
	set      []span
	rule     int
	subs     []*expr
	min, max int
	free     *free
}

// span is a range of characters, both ends included.
type span struct{ lo, hi rune }

var empty, never = &expr{op: opSeq}, &expr{op: opAlt}

func text(s string) *expr {
	if s == "" {
		return empty
	}
	return &expr{op: opText, text: s}
}

// class is one character of spans in any order; none: never.
func class(spans ...span) *expr {
	if spans = tidy(spans); len(spans) == 0 {
		return never
	}
	return &expr{op: opClass, set: spans}
}

// maxFlat is the longest sequence that becomes a part of another: what is put together part by part costs no more than its length.
const maxFlat = 8

// seq is its parts one after the other.
func seq(parts ...*expr) *expr {
	var subs []*expr
	for _, p := range parts {
		switch {
		case p.isNever():
			return never
		case p.op == opSeq && len(p.subs) <= maxFlat:
			subs = append(subs, p.subs...)
		case p.op == opText && len(subs) > 0 && subs[len(subs)-1].op == opText:
			subs[len(subs)-1] = text(subs[len(subs)-1].text + p.text)
		default:
			subs = append(subs, p)
		}
	}
	if len(subs) == 1 {
		return subs[0]
	}
	return &expr{op: opSeq, subs: subs}
}

// alt is one of its parts.
func alt(parts ...*expr) *expr {
	var subs []*expr
	for _, p := range parts {
		if p.op == opAlt {
			subs = append(subs, p.subs...)
		} else {
			subs = append(subs, p)
		}
	}
	if len(subs) == 1 {
		return subs[0]
	}
	return &expr{op: opAlt, subs: subs}
}

// repeat is e, min to max times; max < 0: without end.
func repeat(e *expr, min, max int) *expr {
	switch {
	case max == 0 || min == 0 && e.isNever() || e.op == opSeq && len(e.subs) == 0:
		return empty
	case min == 1 && max == 1 || e.isNever():
		return e
	}
	return &expr{op: opRepeat, subs: []*expr{e}, min: min, max: max}
}

func optional(e *expr) *expr { return repeat(e, 0, 1) }

func (e *expr) isNever() bool { return e.op == opAlt && len(e.subs) == 0 }

// tidy sorts and joins ranges of characters, and leaves out what is no character: surrogates and what lies outside Unicode.
func tidy(spans []span) []span {
	byLo := func(a, b span) int { return cmp.Compare(a.lo, b.lo) }
	if !slices.IsSortedFunc(spans, byLo) {
		spans = slices.Clone(spans)
		slices.SortFunc(spans, byLo)
	}
	joined := make([]span, 0, len(spans))
	for _, s := range spans {
		s.lo, s.hi = max(s.lo, 0), min(s.hi, utf8.MaxRune)
		if n := len(joined); s.lo > s.hi {
			continue
		} else if n > 0 && s.lo <= joined[n-1].hi+1 {
			joined[n-1].hi = max(joined[n-1].hi, s.hi)
		} else {
			joined = append(joined, s)
		}
	}
	return common(joined, []span{{0, 0xD7FF}, {0xE000, utf8.MaxRune}})
}

// common is what two ascending lists of ranges share.
func common(a, b []span) []span {
	var both []span
	for i, j := 0, 0; i < len(a) && j < len(b); {
		if s := (span{max(a[i].lo, b[j].lo), min(a[i].hi, b[j].hi)}); s.lo <= s.hi {
			both = append(both, s)
		}
		if a[i].hi < b[j].hi {
			i++
		} else {
			j++
		}
	}
	return both
}

// others are the characters outside of ascending ranges.
func others(spans []span) []span {
	var rest []span
	from := rune(0)
	for _, s := range spans {
		rest = append(rest, span{from, s.lo - 1})
		from = s.hi + 1
	}
	return tidy(append(rest, span{from, utf8.MaxRune}))
}

// byteSpan is a range of bytes, or of special tokens beyond them.
type byteSpan struct{ lo, hi uint16 }

// utf8Spans are the ranges of bytes, one after the other, that spell the characters of a range: each list spells all combinations.
func utf8Spans(s span, add func([]byteSpan)) {
	for _, end := range []rune{0x7F, 0x7FF, 0xFFFF} { // characters of one list have the same length
		if s.lo <= end && s.hi > end {
			utf8Spans(span{s.lo, end}, add)
			utf8Spans(span{end + 1, s.hi}, add)
			return
		}
	}
	for shift := 6; shift <= 18; shift += 6 { // and all endings of the bits below a difference
		low := rune(1)<<shift - 1
		if s.hi <= 0x7F || s.lo&^low == s.hi&^low {
			break
		}
		if s.lo&low != 0 {
			utf8Spans(span{s.lo, s.lo | low}, add)
			utf8Spans(span{(s.lo | low) + 1, s.hi}, add)
			return
		}
		if s.hi&low != low {
			utf8Spans(span{s.lo, s.hi&^low - 1}, add)
			utf8Spans(span{s.hi &^ low, s.hi}, add)
			return
		}
	}
	var lo, hi [utf8.UTFMax]byte
	n := utf8.EncodeRune(lo[:], s.lo)
	utf8.EncodeRune(hi[:], s.hi)
	list := make([]byteSpan, n)
	for i := range list {
		list[i] = byteSpan{uint16(lo[i]), uint16(hi[i])}
	}
	add(list)
}
