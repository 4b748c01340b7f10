package constrain

import (
	"fmt"
	"regexp"
	"regexp/syntax"
	"strings"
	"unicode"
	"unicode/utf8"
)

// ParseRegexp reads a regular expression in Go's syntax (RE2's): the language is what it matches as a whole, as if it stood between ^ and $, which may
// be written. There are no word boundaries, and ^ and $ only at the ends.
func ParseRegexp(pattern string) (*Grammar, error) {
	e, err := new(patterns).read(pattern, empty)
	if err != nil {
		return nil, fmt.Errorf("constrain: %w", err)
	}
	return &Grammar{rules: []rule{{"the regular expression", e}}}, nil
}

// Bounds of the regular expressions of a grammar together: what the parser makes of them is far larger than they are.
const (
	maxPattern = 1 << 14 // bytes
	maxClasses = 1 << 8  // named classes (\pL), each of some hundred ranges
	maxFolds   = 1 << 18 // characters in ranges that are read without case, which are folded one by one
)

// patterns counts what a grammar's regular expressions cost.
type patterns struct{ bytes, classes, folds, spans int }

// admit reports a pattern that, with those before it, is beyond a bound. It overestimates: what looks like a range or a class may be none.
func (p *patterns) admit(pattern string) error {
	if p.bytes += len(pattern); p.bytes > maxPattern {
		return fmt.Errorf("regular expressions of %d bytes, at most %d", p.bytes, maxPattern)
	}
	if p.classes += strings.Count(pattern, `\p`) + strings.Count(pattern, `\P`); p.classes > maxClasses {
		return fmt.Errorf("%d named classes of characters, at most %d", p.classes, maxClasses)
	}
	if !foldCase.MatchString(pattern) {
		return nil
	}
	class := false // a bracket is open, or may be
	for at := 0; at < len(pattern); at++ {
		switch pattern[at] {
		case '\\':
			at++
		case '[':
			class = true
		case ']':
			class = class && strings.IndexByte("[^:", pattern[at-1]) >= 0
		case '-':
			if class {
				lo, _ := utf8.DecodeLastRuneInString(pattern[:at])
				hi, _ := utf8.DecodeRuneInString(pattern[at+1:])
				if hi == '\\' || strings.Contains(pattern[max(0, at-12):at], "\\") { // an end may be any character
					lo, hi = 0, lastFold
				}
				p.folds += max(0, int(min(hi, lastFold)-lo))
			}
		}
	}
	if p.folds > maxFolds {
		return fmt.Errorf("ranges of more than %d characters without case", maxFolds)
	}
	return nil
}

// lastFold is beyond the last character that has two cases.
const lastFold = 0x1F000

// foldCase finds flags that ask for both cases.
var foldCase = regexp.MustCompile(`\(\?[a-zA-Z-]*i`)

// read is a pattern with something on each side that is not anchored.
func (p *patterns) read(pattern string, around *expr) (*expr, error) {
	if err := p.admit(pattern); err != nil {
		return nil, err
	}
	tree, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return nil, err
	}
	return p.atEnds(tree, around, true, true)
}

// atEnds is a tree that begins the pattern, or ends it, or both: there it may be anchored.
func (p *patterns) atEnds(r *syntax.Regexp, around *expr, begins, ends bool) (*expr, error) {
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
		return p.atEnds(r.Sub[0], around, begins, ends)
	case r.Op == syntax.OpConcat || r.Op == syntax.OpAlternate:
		var subs []*expr
		for i, s := range r.Sub {
			e, err := p.atEnds(s, around, begins && (i == 0 || r.Op == syntax.OpAlternate), ends && (i == last || r.Op == syntax.OpAlternate))
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
	e, err := p.fromTree(r)
	return seq(before, e, after), err
}

var notNewline = class(others([]span{{'\n', '\n'}})...)

// character is one character; what is none, as half of a surrogate pair, is never read.
func character(r rune) *expr {
	if !utf8.ValidRune(r) {
		return never
	}
	return text(string(r))
}

func (p *patterns) fromTree(r *syntax.Regexp) (*expr, error) {
	var subs []*expr
	for _, s := range r.Sub {
		e, err := p.fromTree(s)
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
		if p.spans += len(r.Rune) / 2; p.spans > maxSpans {
			return empty, fmt.Errorf("more than %d ranges of characters", maxSpans)
		}
		var spans []span
		for i := 0; i < len(r.Rune); i += 2 {
			spans = append(spans, span{r.Rune[i], r.Rune[i+1]})
		}
		return class(spans...), nil
	case syntax.OpAnyChar:
		return class(span{0, utf8.MaxRune}), nil
	case syntax.OpAnyCharNotNL:
		return notNewline, nil
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
