package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode"

	"github.com/plinth-ml/plinth/chat"
	"github.com/plinth-ml/plinth/tokenizer"
)

// answerText collects an answer and shows it as it is written, without what ends it.
type answerText struct {
	stream *tokenizer.Stream
	stops  []string  // the answer ends before one of these
	ends   []int32   // and at one of these
	marks  []string  // what may be a tool call begins with one of these, or with {
	out    io.Writer // nil: show nothing
	text   strings.Builder
	held   string // may be the beginning of a stop text
	ended  bool
	shown  int  // bytes of text
	hiding bool // the rest may be a tool call
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
	a.put(s[:cut])
}

// put adds to the answer and shows what is certainly no tool call.
func (a *answerText) put(s string) {
	a.text.WriteString(s)
	if a.hiding {
		return
	}
	all := a.text.String()
	s = all[a.shown:]
	cut := len(s) - longestBeginning(s, a.marks)
	marks := a.marks
	if marks != nil && strings.HasPrefix(strings.TrimSpace(all), "{") {
		marks = append(slices.Clone(marks), "{")
	}
	for _, m := range marks {
		if i := strings.Index(s, m); i >= 0 && i <= cut {
			cut, a.hiding = i, true
		}
	}
	a.shown += cut
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

// end returns the whole answer; showRest then shows what was held back.
func (a *answerText) end() string {
	a.add(a.stream.Flush())
	a.put(a.rest())
	return a.text.String()
}

// showRest ends the answer's line, the tool calls of the message that it became in lines of their own.
func (a *answerText) showRest(m chat.Message) {
	if a.out == nil {
		return
	}
	shown, rest := a.text.String()[:a.shown], a.text.String()[a.shown:]
	if len(m.ToolCalls) == 0 {
		fmt.Fprintln(a.out, rest)
		return
	}
	if shown != "" && !strings.HasSuffix(shown, "\n") {
		fmt.Fprintln(a.out)
	}
	rest = strings.TrimPrefix(m.Content.Text, strings.TrimRightFunc(shown, unicode.IsSpace)) // the text loses the space before a call
	if rest = strings.TrimLeftFunc(rest, unicode.IsSpace); rest != "" {
		fmt.Fprintln(a.out, rest)
	}
	for _, c := range m.ToolCalls {
		fmt.Fprintf(a.out, "[call %s]\n", c.Function)
	}
}
