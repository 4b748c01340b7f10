package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/plinth-ml/plinth/tokenizer"
)

// answerText collects an answer and shows it as it is written, without what ends it.
type answerText struct {
	stream *tokenizer.Stream
	stops  []string  // the answer ends before one of these
	ends   []int32   // and at one of these
	out    io.Writer // nil: show nothing
	text   strings.Builder
	held   string // may be the beginning of a stop text
	ended  bool
}

func (a *answerText) token(_ int, id int32) {
	if !slices.Contains(a.ends, id) {
		a.add(a.stream.Push(id))
	}
}

func (a *answerText) add(s string) {
	if a.ended {
		return
	}
	s, a.held = a.held+s, ""
	cut := len(s)
	for _, stop := range a.stops {
		if i := strings.Index(s, stop); i >= 0 && i <= cut {
			cut, a.ended = i, true
		}
	}
	if !a.ended {
		cut -= longestBeginning(s, a.stops)
		a.held = s[cut:]
	}
	a.text.WriteString(s[:cut])
	if a.out != nil {
		fmt.Fprint(a.out, s[:cut])
	}
}

// longestBeginning is the length of the longest end of s with which one of the texts begins.
func longestBeginning(s string, texts []string) int {
	longest := 0
	for _, t := range texts {
		for n := min(len(s), len(t)-1); n > longest; n-- {
			if strings.HasSuffix(s, t[:n]) {
				longest = n
			}
		}
	}
	return longest
}

// rest is what was held back for nothing.
func (a *answerText) rest() string {
	if a.ended {
		return ""
	}
	return a.held
}

// end returns the whole answer and ends its line.
func (a *answerText) end() string {
	a.add(a.stream.Flush())
	rest := a.rest()
	a.text.WriteString(rest)
	if a.out != nil {
		fmt.Fprintln(a.out, rest)
	}
	return a.text.String()
}
