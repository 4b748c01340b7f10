package charsmap

import (
	"encoding/binary"
	"os"
	"strings"
	"testing"
	"unicode/utf8"
)

// handmade is a map with the rules a → "xy", ab → "", é → "e", compiled by SentencePiece.
func handmade(t testing.TB) []byte {
	data, err := os.ReadFile("testdata/rules.charsmap")
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestRules(t *testing.T) {
	m, err := Parse(handmade(t))
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{"": "", "b": "b", "cab": "cxyb", "é": "e", "a\u0301z": "xyz", "z\u0301": "z\u0301"} {
		out, from := m.Normalize(text)
		if string(out) != want {
			t.Errorf("%q: %q, want %q", text, out, want)
		}
		if len(from) != len(out) {
			t.Errorf("%q: %d places of %d bytes", text, len(from), len(out))
		}
	}
	if _, from := m.Normalize("éa"); from[0] != 0 || from[1] != 2 || from[2] != 2 {
		t.Errorf("places %v", from)
	}
	for text, want := range map[string]struct {
		with string
		n    int
	}{"abc": {"", 2}, "ac": {"xy", 1}, "é": {"e", 2}, "b": {"", 0}, "": {"", 0}} {
		if with, n := m.Longest(text); with != want.with || n != want.n {
			t.Errorf("%q: %q %d, want %v", text, with, n, want)
		}
	}
}

func TestClusters(t *testing.T) {
	for text, want := range map[string]string{
		"\r\n\n":                   "\r\n|\n",
		"e\u0301\u0301x":           "e\u0301\u0301|x",
		"\u1100\u1161\u11a8\u1100": "\u1100\u1161\u11a8|\u1100",
		"각\u11a8가":                 "각\u11a8|가",
		"\U0001f1e9\U0001f1ea\U0001f1eb\U0001f1f7\U0001f1e9": "\U0001f1e9\U0001f1ea|\U0001f1eb\U0001f1f7|\U0001f1e9",
		"\U0001f468\u200d\U0001f469x\u200d\U0001f469":        "\U0001f468\u200d\U0001f469|x\u200d|\U0001f469",
		"\u0915\u094d\u0924\u0915":                           "\u0915\u094d\u0924|\u0915",
		"\u094d\u0924":                                       "\u094d|\u0924", // no consonant before
		"\u0600a":                                            "\u0600a",
		"\t\u0301":                                           "\t|\u0301",
		"\u0915\u093ea":                                      "\u0915\u093e|a",
	} {
		var parts []string
		for rest := text; rest != ""; {
			n := clusterEnd(rest)
			parts = append(parts, rest[:n])
			rest = rest[n:]
		}
		if have := strings.Join(parts, "|"); have != want {
			t.Errorf("%+q, want %+q", have, want)
		}
	}
}

func TestHostile(t *testing.T) {
	le := binary.LittleEndian
	good := handmade(t)
	for _, c := range []struct{ name, data, want string }{
		{"empty", "", "4"},
		{"short", "\x04\x00\x00", "4"},
		{"trie behind the end", string(le.AppendUint32(nil, 1<<31)) + "abcd", "trie of 2147483648 bytes in 4"},
		{"no trie", "\x00\x00\x00\x00abc", "trie of 0 bytes"},
		{"half a unit", "\x06\x00\x00\x00abcdef", "units of 4 bytes"},
		{"not UTF-8", string(good) + "\xff", "UTF-8"},
		{"a library", string(good) + strings.Repeat("x", 2000), "2000 bytes, at most 1024"},
	} {
		if _, err := Parse([]byte(c.data)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
	for i := range good { // cut and changed anywhere: an error or some map
		check(t, good[:i], "cab é")
		bad := append([]byte{}, good...)
		bad[i] ^= 0xff
		check(t, bad, "cab é")
	}
}

// check applies a map if there is one.
func check(t *testing.T, data []byte, text string) {
	m, err := Parse(data)
	if err != nil {
		return
	}
	text = strings.ToValidUTF8(text, "?")
	out, from := m.Normalize(text)
	if len(out) != len(from) || !utf8.Valid(out) || len(out) > len(text)*maxText {
		t.Fatalf("%q: %q with %d places", text, out, len(from))
	}
	if short, changed := m.Append([]byte("x"), text); string(short[1:]) != string(out) && (changed || string(out) != text) {
		t.Fatalf("%q: Append makes %q, Normalize %q", text, short, out)
	}
	for i, at := range from {
		if at < -1 || at >= len(text) || at >= 0 && !utf8.RuneStart(text[at]) {
			t.Fatalf("%q: byte %d of %q comes from %d", text, i, out, at)
		}
	}
	for i := range text {
		if with, n := m.Longest(text[i:]); n < 0 || n > len(text)-i || n == 0 && with != "" || !utf8.ValidString(with) {
			t.Fatalf("%q: %q for %d bytes", text[i:], with, n)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(handmade(f), "cab é")
	f.Add(handmade(f)[:300], "\u0915\u094d\u0924 ab\u0301")
	f.Fuzz(func(t *testing.T, data []byte, text string) { check(t, data, text) })
}
