package constrain

import (
	"fmt"
	"regexp/syntax"
	"unicode"
	"unicode/utf8"
)

// ParseRegexp reads a regular expression in Go's syntax (RE2's): the language is what it matches as a whole, as if it stood between ^ and $, which may
// be written. There are no word boundaries, and ^ and $ only at the ends.
func ParseRegexp(pattern string) (*Grammar, error) {
	e, err := regular(pattern, empty)
	if err != nil {
		return nil, fmt.Errorf("constrain: %w", err)
	}
	return &Grammar{rules: []rule{{"the regular expression", e}}}, nil
}

// maxPattern bounds a regular expression in bytes: its tree takes some hundred times as many.
const maxPattern = 1 << 14

// regular is a pattern with something on each side that is not anchored.
func regular(pattern string, around *expr) (*expr, error) {
	if len(pattern) > maxPattern {
		return nil, fmt.Errorf("a regular expression of %d bytes, at most %d", len(pattern), maxPattern)
	}
	tree, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return nil, err
	}
	return atEnds(tree, around, true, true)
}

// atEnds is a tree that begins the pattern, or ends it, or both: there it may be anchored.
func atEnds(r *syntax.Regexp, around *expr, begins, ends bool) (*expr, error) {
	before, after := empty, empty
	if begins {
		before = around
	}
	if ends {
		after = around
	}
	switch last := len(r.Sub) - 1; {
	case begins && (r.Op == syntax.OpBeginText || r.Op == syntax.OpBeginLine):
		return after, nil
	case ends && (r.Op == syntax.OpEndText || r.Op == syntax.OpEndLine):
		return before, nil
	case r.Op == syntax.OpCapture:
		return atEnds(r.Sub[0], around, begins, ends)
	case r.Op == syntax.OpConcat || r.Op == syntax.OpAlternate:
		var subs []*expr
		for i, s := range r.Sub {
			e, err := atEnds(s, around, begins && (i == 0 || r.Op == syntax.OpAlternate), ends && (i == last || r.Op == syntax.OpAlternate))
			if err != nil {
				return nil, err
			}
			subs = append(subs, e)
		}
		if r.Op == syntax.OpAlternate {
			return alt(subs...), nil
		}
		return seq(subs...), nil
	}
	e, err := fromTree(r)
	return seq(before, e, after), err
}

// character is one character; what is none, as half of a surrogate pair, is never read.
func character(r rune) *expr {
	if !utf8.ValidRune(r) {
		return never
	}
	return text(string(r))
}

func fromTree(r *syntax.Regexp) (*expr, error) {
	var subs []*expr
	for _, s := range r.Sub {
		e, err := fromTree(s)
		if err != nil {
			return empty, err
		}
		subs = append(subs, e)
	}
	switch r.Op {
	case syntax.OpNoMatch:
		return never, nil
	case syntax.OpEmptyMatch:
		return empty, nil
	case syntax.OpLiteral:
		for _, c := range r.Rune {
			spans := []span{{c, c}}
			if r.Flags&syntax.FoldCase == 0 {
				subs = append(subs, character(c))
				continue
			}
			for f := unicode.SimpleFold(c); f != c; f = unicode.SimpleFold(f) {
				spans = append(spans, span{f, f})
			}
			subs = append(subs, class(spans...))
		}
		return seq(subs...), nil
	case syntax.OpCharClass:
		var spans []span
		for i := 0; i < len(r.Rune); i += 2 {
			spans = append(spans, span{r.Rune[i], r.Rune[i+1]})
		}
		return class(spans...), nil
	case syntax.OpAnyChar:
		return class(span{0, utf8.MaxRune}), nil
	case syntax.OpAnyCharNotNL:
		return class(others([]span{{'\n', '\n'}})...), nil
	case syntax.OpCapture:
		return subs[0], nil
	case syntax.OpConcat:
		return seq(subs...), nil
	case syntax.OpAlternate:
		return alt(subs...), nil
	case syntax.OpStar:
		return repeat(subs[0], 0, -1), nil
	case syntax.OpPlus:
		return repeat(subs[0], 1, -1), nil
	case syntax.OpQuest:
		return optional(subs[0]), nil
	case syntax.OpRepeat:
		return repeat(subs[0], r.Min, r.Max), nil
	}
	return empty, fmt.Errorf("the regular expression has %s within: only its ends can be anchored, and words have no boundaries", r)
}
