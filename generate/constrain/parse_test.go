package constrain

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// TestGBNF: what is read of the notation, and where errors stand.
func TestGBNF(t *testing.T) {
	v := byteVocabulary(t)
	for _, c := range []struct{ source, yes, no string }{
		{"# comment\nroot ::= a # more\n  \na ::= \"x\" |\n  \"y\"\n", "x y", "z xy"},
		{"root ::= (\n \"a\"\n | \"b\" ){2} \"c\"{0,1}", "ab abc bb", "a abcc"},
		{`root ::= [^a-c\]] [\x41-\u0043é] "\U0001F600\"\\" .`, "dA😀\"\\z -C😀\"\\é xé😀\"\\.", "aA😀\"\\z dD😀\"\\z"},
		{"root ::= a-b{2,} x_1?\r\na-b ::= [a-]\r\nx_1 ::= \"!\"", "a- -- aaa!", "a a!"},
		{`root ::= | "a" root`, "a aa", "b"},
		{`root ::= ("a"+ "b"*){2} "c"?+`, "aa abab aab aac aacc", "a b"},
	} {
		g, err := ParseGBNF(c.source)
		m := compile(t, g, err, v)
		for _, s := range strings.Fields(c.yes) {
			if _, whole := accepts(t, m, s); !whole {
				t.Errorf("%s: not %q", c.source, s)
			}
		}
		for _, s := range strings.Fields(c.no) {
			if _, whole := accepts(t, m, s); whole {
				t.Errorf("%s: %q", c.source, s)
			}
		}
	}
	for source, want := range map[string]string{
		"":                                     "no rule root",
		"x ::= \"a\"":                          "no rule root",
		"root ::= y":                           "rule y is used and not defined",
		"root ::= \"a\"\nroot ::= \"b\"":       "line 2, column 1: rule root is defined twice",
		"root ::= \"a":                         "line 1, column 12: the text is not closed",
		"root ::= \"a\nb\"":                    "line 1, column 12: the text is not closed",
		"root ::= [b-a]":                       "is empty",
		"root ::= []":                          "no characters",
		"root ::= (\"a\"":                      "want ), have the end",
		"root ::= \"a\" )":                     "want the end of the line, have ')'",
		"root ::= \"a\"{3,2}":                  "no number in it",
		"root ::= \"a\"{99999999}":             "at most 65536 repetitions",
		"root ::= \"\\q\"":                     "means nothing",
		"root ::= \"\\xd\"":                    "hexadecimal",
		"root ::= \"\\uD800\"":                 "hexadecimal",
		"root = \"a\"":                         "want ::= behind root",
		"root ::= <think>":                     "not supported",
		"root ::= " + strings.Repeat("(", 300): "brackets",
		"root ::= \"\xff\"":                    "not UTF-8",
		strings.Repeat(" ", maxSource+1):       "at most",
	} {
		if _, err := ParseGBNF(source); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: %v, want %s", source, err, want)
		}
	}
}

// TestGBNFPeer reads the grammars that stand in llama.cpp's source, in the folder of PLINTH_GRAMMARS, and writes a text with each.
func TestGBNFPeer(t *testing.T) {
	dir := os.Getenv("PLINTH_GRAMMARS")
	if dir == "" {
		t.Skip("PLINTH_GRAMMARS names no folder with .gbnf files")
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.gbnf"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%s has no .gbnf files: %v", dir, err)
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		g, err := ParseGBNF(string(b))
		if err != nil {
			t.Errorf("%s: %v", f, err)
			continue
		}
		m := compile(t, g, err, byteVocabulary(t)).Start()
		for range 500 {
			mask, err := m.Mask(nil)
			if m.Ended() {
				break
			}
			if err != nil {
				t.Fatalf("%s: %v", f, err)
			}
			for id := range int32(256) {
				if id = (id + 'a') % 256; mask.Has(id) {
					if err := m.Advance(id); err != nil {
						t.Fatalf("%s: %v", f, err)
					}
					break
				}
			}
		}
	}
}

// bounded fails when f takes more memory than 8 times the input and 16 MB.
func bounded(t *testing.T, input string, f func()) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	if took := after.TotalAlloc - before.TotalAlloc; took > uint64(8*len(input)+16<<20) {
		t.Errorf("%d bytes of input take %d", len(input), took)
	}
}

func fuzz(f *testing.F, parse func(string) (*Grammar, error), seeds ...string) {
	for _, s := range seeds {
		f.Add(s)
	}
	v, err := NewVocabulary([][]byte{[]byte("a"), []byte("b"), []byte("{"), []byte("\""), []byte("ab"), []byte("1")}, nil)
	if err != nil {
		f.Fatal(err)
	}
	all := byteVocabulary(f, "ab", "aa", "{\"", "\": ")
	f.Fuzz(func(t *testing.T, source string) {
		var g *Grammar
		var err error
		bounded(t, source, func() { g, err = parse(source) })
		if err != nil {
			return
		}
		g.Compile(v)
		c, err := g.Compile(all)
		if err != nil {
			return
		}
		m := c.Start()
		for i := range 20 { // no dead end
			mask, err := m.Mask(nil)
			if m.Ended() || err != nil && strings.Contains(err.Error(), "ambiguous") {
				return
			}
			if err != nil {
				t.Fatalf("token %d: %v", i, err)
			}
			at := int32(i * 37 % all.Len())
			for !mask.Has(at) {
				at = (at + 1) % int32(all.Len())
			}
			if err := m.Advance(at); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func FuzzGBNF(f *testing.F) {
	fuzz(f, ParseGBNF, "root ::= \"a\" b{2,3} | [^x-z] (root | b)?\nb ::= \"b\"* [\\n\\u1234] #c\n", "root ::= (\n\"a\"\n|.)+")
}

func FuzzRegexp(f *testing.F) {
	fuzz(f, ParseRegexp, "^(a|b)*a(a|b){3}$", `(?i)ab[^c-x]\d{2,}\.?`, "((a*)*)*")
}
