package split

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/dlclark/regexp2/v2"
)

func pieces(p *Pattern, text string) ([]string, error) {
	ends, err := p.Ends(nil, []byte(text))
	if err != nil {
		return nil, err
	}
	var out []string
	at := 0
	for _, end := range ends {
		out = append(out, text[at:end])
		at = end
	}
	if at != len(text) {
		return nil, fmt.Errorf("%s: %q: the pieces end at %d of %d", p.Name, text, at, len(text))
	}
	return out, nil
}

func TestPieces(t *testing.T) {
	for _, c := range []struct {
		p    *Pattern
		text string
		want string // pieces joined by |
	}{
		{GPT2, "Hello world, it's 1234 o'clock", "Hello| world|,| it|'s| 1234| o|'|clock"},
		{GPT2, "IT'S", "IT|'|S"},
		{GPT2, "a  b \n\n c  ", "a| | b| \n\n| c|  "},
		{GPT2, "a\u3000\u3000b", "a|\u3000|\u3000|b"},
		{GPT2, " 's 're", " '|s| '|re"},
		{GPT2, "a\xff\xfe b\xe4\xb8", "a|\xff\xfe| b|\xe4\xb8"},
		{CL100K, "Hello world, IT'S 12345\u00b2!\n\n x", "Hello| world|,| IT|'S| |123|45\u00b2|!\n\n| x"},
		{CL100K, "'\u017fa", "'\u017f|a"},
		{CL100K, "\tx (y) \n \n  z \n  ", "\tx| (|y|)| \n \n| | z| \n|  "},
		{CL100KTiktoken, "\tx (y) \n \n  z \n  ", "\tx| (|y|)| \n \n| | z| \n  "},
		{CL100K, "e\u0301a \xff\n", "e|\u0301a| \xff\n"},
		{Llama3, "1234", "123|4"},
		{Qwen2, "1234 'LL", "1|2|3|4| '|LL"},
		{O200K, "HelloWorld HTTPServer's ABC'D", "Hello|World| HTTPServer's| ABC'D"},
		{O200K, "http://a/b\n/ //\r\n/x", "http|://|a|/b|\n|/| //\r\n/|x"},
		{O200K, "\u4e2dABc \u4e2dAB", "\u4e2dABc| \u4e2d|AB"},
		{O200K, "\u0301AB \u0301Ab !\u0301", "\u0301|AB| \u0301Ab| !\u0301"},
	} {
		got, err := pieces(c.p, c.text)
		if err != nil {
			t.Error(err)
		}
		if g := strings.Join(got, "|"); g != c.want {
			t.Errorf("%s: %q\n have %q\n want %q", c.p.Name, c.text, g, c.want)
		}
	}
}

// oracles are the known patterns on regexp2, in the order of Known.
var oracles = func() (fs []*foreign) {
	for _, p := range Known {
		expr := p.Regex
		if p == CL100KTiktoken { // .NET writes possessive as atomic
			expr = `'(?i:[sdmt]|ll|ve|re)|(?>[^\r\n\p{L}\p{N}]?)(?>\p{L}+)|(?>\p{N}{1,3})| ?(?>[^\s\p{L}\p{N}]+)(?>[\r\n]*)` +
				`|(?>\s+)\z|\s*[\r\n]|\s+(?!\S)|\s`
		}
		re := regexp2.MustCompile(expr)
		re.MatchTimeout = time.Minute
		fs = append(fs, &foreign{expr, re})
	}
	return fs
}()

func checkOracle(t *testing.T, text string) {
	t.Helper()
	for i, p := range Known {
		want, err := oracles[i].ends(nil, []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		at := 0
		for k := 0; at < len(text); k++ {
			end := p.NextString(text, at)
			if end <= at || end > len(text) {
				t.Fatalf("%s: %q: Next(%d) = %d", p.Name, text, at, end)
			}
			if k >= len(want) || end != want[k] {
				t.Fatalf("%s: %q: piece %d is %d:%d, want ends %d", p.Name, text, k, at, end, want)
			}
			at = end
		}
	}
}

func TestOracle(t *testing.T) {
	for _, text := range randomTexts(20_000, 24, agreed) {
		checkOracle(t, text)
	}
}

// TestOracleBytes uses a small alphabet of bytes, most of their strings not UTF-8.
func TestOracleBytes(t *testing.T) {
	const alphabet = " \n'sA\xc3\xa9\xe3\x80\x80\xff/1"
	text := make([]byte, 9)
	for _, s := range randomTexts(5_000, 9, func(r rune) bool { return r < 0x80 }) {
		for i := range text {
			text[i] = alphabet[(int(s[i%len(s)])*7+i*len(s))%len(alphabet)]
		}
		checkOracle(t, string(text))
	}
}

func TestInvalidUTF8IsSymbols(t *testing.T) {
	for _, bad := range []string{"\xff", "\x80", "\xc3", "\xe4\xb8", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xc0\xaf", "\xf0\x9f\x98"} {
		for _, p := range Known {
			got, err := pieces(p, "1"+bad+"1")
			if err != nil {
				t.Error(err)
			}
			if len(got) != 3 || got[1] != bad {
				t.Errorf("%s: %q", p.Name, got)
			}
		}
	}
}

// TestLongRuns would take many minutes if a scanner were quadratic.
func TestLongRuns(t *testing.T) {
	const size = 1 << 18
	for _, unit := range []string{
		" ", "\n", " \n", "\n ", "a", "A", "\u4e2d", "\u0301", "\u0301A", "A\u0301", "\u4e2dA", "1", "'", "'s", "\t", "\u3000", "!", "/", "!/\n", "\xff", "\u02b0\u01c5", "\x00", "\u00bd",
	} {
		run := strings.Repeat(unit, size/len(unit))
		for _, text := range []string{run, run + "x", "\n" + run + "!", "\u4e2d" + run, run + " ", "\u0301" + run + "'s"} {
			for _, p := range Known {
				for at := 0; at < len(text); {
					end := p.NextString(text, at)
					if end <= at || end > len(text) {
						t.Fatalf("%s: a run of %q: Next(%d) = %d", p.Name, unit, at, end)
					}
					at = end
				}
			}
		}
	}
}

func TestNoAllocation(t *testing.T) {
	text := []byte(strings.Repeat("It's 1234 \u4e2d\u0301 words,\n\n  IN A ROW \xff", 10))
	for _, p := range Known {
		if n := testing.AllocsPerRun(10, func() {
			for at := 0; at < len(text); {
				at = p.Next(text, at)
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations", p.Name, n)
		}
	}
}

func TestByRegex(t *testing.T) {
	for _, p := range Known {
		for _, s := range append([]string{p.Regex}, p.same...) {
			got, err := ByRegex(s)
			if err != nil {
				t.Fatal(err)
			}
			if !got.Scanned() || got != p && p != Llama3 {
				t.Errorf("%s: %q gives %s", p.Name, s, got.Name)
			}
		}
	}
	p, err := ByRegex(`\d+|(?<=\d),`)
	if err != nil {
		t.Fatal(err)
	}
	if p.Scanned() {
		t.Error("a foreign expression with a scanner")
	}
	const text = "a12,\xff\u00e93,b"
	got, err := pieces(p, text)
	if err != nil {
		t.Fatal(err)
	}
	if g, want := strings.Join(got, "|"), "a|12|,|\xff\u00e9|3|,|b"; g != want {
		t.Errorf("%q, want %q", g, want)
	}
	at := 0
	for _, s := range got {
		if at = p.NextString(text, at); !strings.HasSuffix(text[:at], s) {
			t.Errorf("Next: %q, want %q", text[:at], s)
		}
	}
}

func TestByRegexRefuses(t *testing.T) {
	for expr, why := range map[string]string{
		`(`:            "missing closing",
		`[z-a]`:        "range",
		`\p{Nonsense}`: "unknown",
		`[^(a[b])]+`:   "unexpected )", // Oniguruma's nested class
		`(a+)+$`:       "timeout",
		`(.*)*x\d`:     "timeout",
	} {
		if _, err := ByRegex(expr); err == nil || !strings.Contains(err.Error(), why) || !strings.Contains(err.Error(), fmt.Sprintf("%q", expr)) {
			t.Errorf("%q: error %v, want one with %q", expr, err, why)
		}
	}
}

// TestForeignTimeLimit has short matches that each look at all the text.
func TestForeignTimeLimit(t *testing.T) {
	var expr strings.Builder
	for c := 'k'; c <= 'z'; c++ {
		fmt.Fprintf(&expr, "a(?=[^%c]*%[1]c)|", c)
	}
	p, err := ByRegex(expr.String() + "a")
	if err != nil {
		t.Fatal(err)
	}
	p.foreign.re.MatchTimeout = 200 * time.Millisecond
	if _, err := p.Ends(nil, []byte(strings.Repeat("a", 1<<15))); err == nil || !strings.Contains(err.Error(), "bytes after") {
		t.Errorf("error %v, want one of the time limit", err)
	}
}

func FuzzNext(f *testing.F) {
	for _, s := range []string{"", "It's 12345 words,\n\n  IN A ROW ", "\u4e2d\u0301A\xff'LL//\r\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, r := range text {
			if !agreed(r) {
				for _, p := range Known {
					if _, err := pieces(p, text); err != nil {
						t.Fatal(err)
					}
				}
				return
			}
		}
		checkOracle(t, text)
	})
}
