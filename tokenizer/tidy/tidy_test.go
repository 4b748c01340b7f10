package tidy

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"unicode/utf8"
)

// golden is what tools/golden/clip_text.py writes, as far as it is this package's.
func golden(t testing.TB) (cases []struct{ Text, Fixed, Unescaped string }) {
	t.Helper()
	b, err := os.ReadFile("testdata/golden.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &cases); err != nil || len(cases) < 100 {
		t.Fatalf("%d cases: %v", len(cases), err)
	}
	return cases
}

func TestFix(t *testing.T) {
	for _, c := range golden(t) {
		if got := Fix(c.Text); got != c.Fixed {
			t.Errorf("%+q becomes %+q, want %+q", c.Text, got, c.Fixed)
		}
	}
}

func TestUnescape(t *testing.T) {
	for _, c := range golden(t) {
		if got := Unescape(c.Text); got != c.Unescaped {
			t.Errorf("%+q becomes %+q, want %+q", c.Text, got, c.Unescaped)
		}
	}
}

// TestFixBroken: bytes that are no UTF-8 are U+FFFD, each.
func TestFixBroken(t *testing.T) {
	if got := Fix("a\xffb\xe2\x82c"); got != "a\ufffdb\ufffd\ufffdc" {
		t.Errorf("%+q", got)
	}
}

// TestFixNested: nesting is undone up to a bound, behind which it stays. Without the bound this takes minutes.
func TestFixNested(t *testing.T) {
	if got := Fix("&" + strings.Repeat("amp;", passes/2)); got != "&" {
		t.Errorf("%d times: %q", passes/2, got)
	}
	const n = 20_000
	if got, want := len(Fix("&"+strings.Repeat("amp;", n))), 1+4*(n-passes); got != want {
		t.Errorf("%d times: %d bytes are left, want %d", n, got, want)
	}
}

// FuzzFix: whatever comes, valid UTF-8 without control characters goes.
func FuzzFix(f *testing.F) {
	for _, c := range golden(f) {
		f.Add(c.Text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got := Fix(text)
		if !utf8.ValidString(got) || strings.ContainsAny(got, "\x00\x1b\x7f\r\ufeff") {
			t.Fatalf("%+q becomes %+q", text, got)
		}
		Unescape(text)
	})
}

func ExampleFix() {
	fmt.Println(Fix("schÃ¶n &amp; â€œneuâ€\u009d"))
	// Output: schön & "neu"
}

func BenchmarkFix(b *testing.B) {
	for _, c := range []struct{ name, text string }{{"ascii", "a photo of a dog in a park"}, {"latin", "un café très joli à Málaga"}, {"cyrillic", "фотография собаки в парке"}, {"chinese", "公园里一只狗的照片"}, {"misread", "un cafÃ© trÃ¨s joli Ã\u00a0 MÃ¡laga"}} {
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				Fix(c.text)
			}
		})
	}
}
