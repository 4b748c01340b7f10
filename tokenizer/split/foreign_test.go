package split

import (
	"strings"
	"testing"
	"time"

	"github.com/dlclark/regexp2/v2"
)

// TestRegexAnchors: ^ and $ are at every line, but ^ not behind a line break that ends the text; in classes ^ means itself or not.
func TestRegexAnchors(t *testing.T) {
	for _, c := range []struct{ expr, text, want string }{
		{"^", "a\nb\n", "|a\n|b\n"}, {"$", "a\nb\n", "a|\nb|\n|"}, {"^a", "ab\na", "<a>b\n<a>"}, {`\^a`, "^a", "<^a>"},
		{"[^a]", "ab", "a<b>"}, {"[b^]", "a^b", "a<^><b>"}, {"[]^]", "a]^", "a<]><^>"}, {"[^]^]", "a]^", "<a>]^"}, {`[\]^]x`, "^x", "<^x>"},
	} {
		p, err := ByRegex(c.expr)
		if err != nil {
			t.Errorf("%s: %v", c.expr, err)
			continue
		}
		var b strings.Builder
		at := 0
		if err := p.Matches([]byte(c.text), func(start, end int) {
			b.WriteString(c.text[at:start])
			if start == end {
				b.WriteString("|")
			} else {
				b.WriteString("<" + c.text[start:end] + ">")
			}
			at = end
		}); err != nil {
			t.Errorf("%s: %v", c.expr, err)
		}
		if b.WriteString(c.text[at:]); b.String() != c.want {
			t.Errorf("%s on %q: %q, want %q", c.expr, c.text, b.String(), c.want)
		}
	}
}

// TestNewerCharacters: characters that package unicode does not know have the class that the peers give them.
func TestNewerCharacters(t *testing.T) {
	for expr, char := range map[string]string{`(?:\p{L})+`: "\U00013577", `(?:\d)+`: "\U000116D9", `(?:\p{Nd})+`: "\U0001E5F9"} { // of Unicode 16
		p, err := ByRegex(expr + "b?")
		if err != nil {
			t.Fatal(err)
		}
		ends, err := p.Ends(nil, []byte(char+char+"b."))
		if err != nil || len(ends) != 2 || ends[0] != len(char+char+"b") {
			t.Errorf("%s: ends %v, %v", expr, ends, err)
		}
	}
}

// TestStoppedProcess: what the clock tells while the process has no processor does not count.
func TestStoppedProcess(t *testing.T) {
	defer func() { cpuTime = processTime }()
	re := regexp2.MustCompile("(a+)+b", regexp2.None)
	re.MatchTimeout = time.Millisecond
	f := &foreign{"(a+)+b", re}
	reads := 0
	cpuTime = func() time.Duration { // none at first
		if reads++; reads < 5 {
			return 0
		}
		return time.Hour
	}
	if _, err := f.ends(nil, []byte(strings.Repeat("a", 40))); err == nil || !strings.Contains(err.Error(), "timeout") || reads != 5 {
		t.Errorf("error %v when the processor's time was read %d times, want a timeout at the fifth", err, reads)
	}
}
