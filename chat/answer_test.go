package chat_test

import (
	"strings"
	"testing"

	"github.com/plinth-ml/plinth/chat"
)

func TestAnswer(t *testing.T) {
	for _, c := range []struct {
		parts []string
		stops []string
		want  string
		ended bool
	}{
		{[]string{"a", "b", "c"}, nil, "abc", false},
		{[]string{"a\n#", "##", " User", "more"}, []string{"### User"}, "a\n", true},
		{[]string{"a#", "#b", "##"}, []string{"###"}, "a##b##", false},
		{[]string{"xSTOP", "y"}, []string{"STOP"}, "x", true},
		{[]string{"xAB", "C"}, []string{"BC", "ABC"}, "x", true},
	} {
		var shown strings.Builder
		a := &chat.Answer{Stops: c.stops}
		for _, p := range c.parts {
			shown.WriteString(a.Add(p))
		}
		if a.Ended() != c.ended {
			t.Errorf("%q without %q: ended %v", c.parts, c.stops, a.Ended())
		}
		shown.WriteString(a.End())
		if a.Text() != c.want || shown.String() != c.want || a.Hidden() != "" {
			t.Errorf("%q without %q: %q, shown %q, want %q", c.parts, c.stops, a.Text(), shown.String(), c.want)
		}
	}
}
