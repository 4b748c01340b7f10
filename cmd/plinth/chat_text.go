package main

import (
	"fmt"
	"io"
	"strings"
	"unicode"

	"github.com/plinth-ml/plinth/chat"
	"github.com/plinth-ml/plinth/generate"
)

// shownAnswer shows an answer as it is written.
type shownAnswer struct {
	chat.Answer
	out io.Writer // nil: show nothing
}

func (a *shownAnswer) token(t generate.Token) { a.show(a.Push(t.ID)) }

func (a *shownAnswer) show(s string) {
	if a.out != nil {
		fmt.Fprint(a.out, s)
	}
}

// end returns the whole answer; showRest then shows what was held back.
func (a *shownAnswer) end() string {
	a.show(a.End())
	return a.Text()
}

// showRest ends the answer's line, the tool calls of the message that it became in lines of their own.
func (a *shownAnswer) showRest(m chat.Message) {
	if a.out == nil {
		return
	}
	shown, rest := strings.TrimSuffix(a.Text(), a.Hidden()), a.Hidden()
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
