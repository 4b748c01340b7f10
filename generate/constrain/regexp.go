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
	e, err := regular(pattern)
	if err != nil {
		return nil, fmt.Errorf("constrain: %w", err)
	}
	return &Grammar{rules: []rule{{"the regular expression", e}}}, nil
}

// maxPattern bounds a regular expression in bytes: its tree takes some hundred times as many.
const maxPattern = 1 << 14

// regular is a whole pattern.
func regular(pattern string) (*expr, error) {
	if len(pattern) > maxPattern {
		return nil, fmt.Errorf("a regular expression of %d bytes, at most %d", len(pattern), maxPattern)
	}
	tree, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return nil, err
	}
	return fromTree(trim(trim(tree, 0, syntax.OpBeginText, syntax.OpBeginLine), -1, syntax.OpEndText, syntax.OpEndLine))
}

// trim takes an anchor off an end of a concatenation: its first part for 0, its last for -1.
func trim(tree *syntax.Regexp, at int, anchors ...syntax.Op) *syntax.Regexp {
	of := func(r *syntax.Regexp) bool { return r.Op == anchors[0] || r.Op == anchors[1] }
	switch n := len(tree.Sub); {
	case of(tree):
		return &syntax.Regexp{Op: syntax.OpEmptyMatch}
	case tree.Op != syntax.OpConcat:
		return tree
	case at == 0 && of(tree.Sub[0]):
		return &syntax.Regexp{Op: syntax.OpConcat, Sub: tree.Sub[1:]}
	case at < 0 && of(tree.Sub[n-1]):
		return &syntax.Regexp{Op: syntax.OpConcat, Sub: tree.Sub[:n-1]}
	}
	return tree
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
			return nil, err
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
	return nil, fmt.Errorf("the regular expression has %s within: only its ends can be anchored, and words have no boundaries", r)
}
