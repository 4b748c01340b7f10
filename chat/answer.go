package chat

import (
	"slices"
	"strings"

	"github.com/plinth-ml/plinth/tokenizer"
)

// Answer collects the text of an answer as its tokens come, without what ends it.
type Answer struct {
	Stream *tokenizer.Stream
	Ends   []int32  // the answer ends at one of these
	Stops  []string // and before one of these
	Marks  []string // what may be a tool call begins with one of these (CallMarks), or with {; nil: there are no calls

	text   strings.Builder
	held   string // may be the beginning of a stop text
	ended  bool
	stop   string // that ended it
	shown  int    // bytes of text that were returned
	hiding bool   // the rest may be a tool call
}

// Push adds a token, and returns what can be shown now: it is neither a piece of a character, nor what may become a stop text or a tool call.
func (a *Answer) Push(id int32) string {
	if slices.Contains(a.Ends, id) {
		return ""
	}
	return a.Add(a.Stream.Push(id))
}

// Add is Push of text.
func (a *Answer) Add(s string) string {
	if a.ended {
		return ""
	}
	s, a.held = a.held+s, ""
	cut := len(s)
	for _, stop := range a.Stops {
		if i := strings.Index(s, stop); i >= 0 && i <= cut {
			cut, a.ended, a.stop = i, true, stop
		}
	}
	if !a.ended {
		cut -= longestBeginning(s, a.Stops)
		a.held = s[cut:]
	}
	return a.put(s[:cut])
}

// put adds to the text, and returns what is certainly no tool call.
func (a *Answer) put(s string) string {
	a.text.WriteString(s)
	if a.hiding {
		return ""
	}
	all := a.text.String()
	s = all[a.shown:]
	cut := len(s) - longestBeginning(s, a.Marks)
	marks := a.Marks
	if marks != nil && strings.HasPrefix(strings.TrimSpace(all), "{") {
		marks = append(slices.Clone(marks), "{")
	}
	for _, m := range marks {
		if i := strings.Index(s, m); i >= 0 && i <= cut {
			cut, a.hiding = i, true
		}
	}
	a.shown += cut
	return s[:cut]
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

// Ended says that a stop text was met.
func (a *Answer) Ended() bool { return a.ended }

// Stop is the stop text that was met, "" for none.
func (a *Answer) Stop() string { return a.stop }

// End ends the answer, and returns what can be shown of the rest: not a tool call.
func (a *Answer) End() string {
	s := ""
	if a.Stream != nil {
		s = a.Add(a.Stream.Flush())
	}
	if a.ended {
		return s
	}
	a.ended = true
	return s + a.put(a.held)
}

// Text is the whole answer, tool calls included.
func (a *Answer) Text() string { return a.text.String() }

// Hidden is the end of the answer that was not shown.
func (a *Answer) Hidden() string { return a.text.String()[a.shown:] }

// Stopper returns the function that looks for stop texts in what a sequence wrote, given its ids after each token: an engine's StopFunc. Without
// texts it is nil.
func Stopper(tok *tokenizer.Tokenizer, stops []string) func([]int32) bool {
	if len(stops) == 0 {
		return nil
	}
	longest := 0
	for _, s := range stops {
		longest = max(longest, len(s))
	}
	var text []byte
	return func(ids []int32) bool {
		text = tok.AppendDecode(text, ids[len(ids)-1:])
		tail := text[max(0, len(text)-longest-len(tok.Token(ids[len(ids)-1]))):]
		for _, s := range stops {
			if strings.Contains(string(tail), s) {
				return true
			}
		}
		return false
	}
}
