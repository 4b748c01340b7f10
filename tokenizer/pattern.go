package tokenizer

import (
	"bytes"
	"encoding/json"
	"fmt"
	"unicode/utf8"

	"github.com/plinth-ml/plinth/tokenizer/split"
)

// match is a part of a text that a pattern matches, or one between two matches. Together they cover the text.
type match struct {
	start, end int
	is         bool
}

// A pattern is a string or a regular expression, as tokenizer.json spells it: {"String": s} or {"Regex": s}.
type pattern struct {
	String *string `json:"String,omitempty"`
	Regex  *string `json:"Regex,omitempty"`

	compiled *split.Pattern
}

func (p *pattern) prepare(where string) error {
	if (p.String == nil) == (p.Regex == nil) {
		return fmt.Errorf("tokenizer: %s.pattern: want one String or one Regex", where)
	}
	expr := "" // the empty string matches everywhere, as the empty expression does
	switch {
	case p.Regex != nil:
		expr = *p.Regex
	case *p.String != "":
		return nil
	}
	if expr == portableCL100K {
		p.compiled = split.CL100KTiktoken
		return nil
	}
	var err error
	if p.compiled, err = split.ByRegex(expr); err != nil {
		return fmt.Errorf("tokenizer: %s.pattern: %w", where, err)
	}
	return nil
}

// loose reports whether it can match other than single characters.
func (p *pattern) loose() bool {
	return p.Regex != nil || utf8.RuneCountInString(*p.String) != 1
}

// matches appends the matches in s and what is between them.
func (p *pattern) matches(dst []match, s []byte) ([]match, error) {
	done := 0
	add := func(start, end int) {
		if done < start {
			dst = append(dst, match{done, start, false})
		}
		dst = append(dst, match{start, end, true})
		done = end
	}
	switch {
	case len(s) == 0:
	case p.compiled != nil:
		if err := p.compiled.Matches(s, add); err != nil {
			return dst, err
		}
	default:
		for find := []byte(*p.String); ; {
			i := bytes.Index(s[done:], find)
			if i < 0 {
				break
			}
			add(done+i, done+i+len(find))
		}
	}
	if done < len(s) || len(s) == 0 {
		dst = append(dst, match{done, len(s), false})
	}
	return dst, nil
}

// runeMatches appends each character that is does hold for as a match, and what is between them.
func runeMatches(dst []match, s []byte, is func(rune) bool) []match {
	done := 0
	for i, r := range string(s) {
		if !is(r) {
			continue
		}
		if done < i {
			dst = append(dst, match{done, i, false})
		}
		_, n := utf8.DecodeRune(s[i:])
		done = i + n
		dst = append(dst, match{i, done, true})
	}
	if done < len(s) {
		dst = append(dst, match{done, len(s), false})
	}
	return dst
}

// A behavior says what becomes of the matches when a text is split at them.
type behavior int

const (
	removed behavior = iota
	isolated
	mergedWithPrevious
	mergedWithNext
	contiguous
)

var behaviorNames = []string{"Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"}

func (b behavior) MarshalJSON() ([]byte, error) { return json.Marshal(behaviorNames[b]) }

func (b *behavior) UnmarshalJSON(data []byte) error {
	var name string
	if err := json.Unmarshal(data, &name); err != nil {
		return err
	}
	for i, n := range behaviorNames {
		if n == name {
			*b = behavior(i)
			return nil
		}
	}
	return fmt.Errorf("behavior %q is not known", name)
}

// join puts matches together as b says. What then has is set goes.
func (b behavior) join(ms []match) []match {
	switch b {
	case removed:
		return ms
	case mergedWithNext:
		out := len(ms)
		before := false
		for i := len(ms) - 1; i >= 0; i-- {
			m := ms[i]
			if m.is && !before && out < len(ms) {
				ms[out].start = m.start
			} else {
				out--
				ms[out] = match{m.start, m.end, false}
			}
			before = m.is
		}
		return ms[out:]
	}
	out := 0
	before := false
	for _, m := range ms {
		if out > 0 && (b == mergedWithPrevious && m.is && !before || b == contiguous && m.is == before) {
			ms[out-1].end = m.end
		} else {
			ms[out] = match{m.start, m.end, false}
			out++
		}
		before = m.is
	}
	return ms[:out]
}
