package tokenizer

import (
	"fmt"
	"html"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"

	"github.com/plinth-ml/plinth/internal/testkit"
	"github.com/plinth-ml/plinth/tokenizer/tidy"
)

// clipTexts are n texts as people and machines spoil them: captions, several languages, UTF-8 read wrongly once or more and then
// damaged, entities, controls, white space.
func clipTexts(t *testing.T, n int) []string {
	captions := strings.FieldsFunc(string(readData(t, "images", "emoji-text", "emoji_captions.tsv")), func(r rune) bool { return r == '\n' || r == '\t' })
	real := append(realTexts(t, n/4, 21), captions...)
	r := rand.New(rand.NewPCG(22, 0))
	one := func() string { return real[r.IntN(len(real))] }
	spoil := []func() string{
		one,
		func() string { return captions[r.IntN(len(captions))] },
		func() string { return misread(r, one()) },
		func() string { return misread(r, misread(r, shorten(r, one()))) },
		func() string { return shorten(r, one()) + " " + misread(r, shorten(r, one())) + shorten(r, one()) },
		func() string { return suspicious(r) },
		func() string { return entities(r, one()) },
		func() string {
			return randomTexts(1, r.Uint64(), "Σ", "ΑΣ", "İ", "\u0331", "&amp;", "\x1c", "ﬁ", "“", "ｶﾞ")[0]
		},
		func() string { return blockTexts(1, r.Uint64())[0] },
	}
	texts := make([]string, n)
	for i := range texts {
		texts[i] = string([]rune(spoil[i%len(spoil)]()))
	}
	return texts
}

var charmaps = []*charmap.Charmap{charmap.ISO8859_1, charmap.Windows1252, charmap.Windows1251, charmap.Windows1250, charmap.Windows1253,
	charmap.Windows1254, charmap.Windows1257, charmap.ISO8859_2, charmap.Macintosh, charmap.CodePage437}

// misread reads the UTF-8 of a text in another encoding and at times loses something.
func misread(r *rand.Rand, s string) string {
	m := charmaps[min(r.IntN(2*len(charmaps)), len(charmaps)+1)%len(charmaps)]
	lose := r.IntN(4)
	var out strings.Builder
	for _, b := range []byte(s) {
		c := m.DecodeByte(b)
		if c == utf8.RuneError && r.IntN(2) == 0 {
			c = rune(b)
		}
		switch {
		case lose == 1 && c == 0xa0:
			c = ' '
		case lose == 2 && b >= 0x80 && r.IntN(20) == 0:
			c = []rune{'?', utf8.RuneError, ' ', 0x1a}[r.IntN(4)]
		}
		out.WriteRune(c)
	}
	return out.String()
}

// shorten cuts out a few characters.
func shorten(r *rand.Rand, s string) string {
	c := []rune(s)
	from := r.IntN(len(c) + 1)
	return string(c[from:min(len(c), from+r.IntN(12))])
}

// suspicious is a text of the characters that wrong readings give.
func suspicious(r *rand.Rand) string {
	var b strings.Builder
	for range 1 + r.IntN(12) {
		switch r.IntN(8) {
		case 0:
			b.WriteString([]string{" ", "a", "Z", ".", "\n", "<", "1", "à la", "Ã quele ", "Â ", "\u00a0", "œ", "°", "×²", "вЂ", "β€™", "√±", "‚Äì", "ГўВЂВ"}[r.IntN(19)])
		case 1:
			b.WriteString("\u00ed\u00a0\u00bd\u00ed\u00b8\u0080")
		default:
			b.WriteRune(charmaps[r.IntN(len(charmaps))].DecodeByte(byte(0x80 + r.IntN(0x80))))
		}
	}
	return b.String()
}

// entities puts references to characters into a text, most of which make sense.
func entities(r *rand.Rand, s string) string {
	names := []string{"amp", "lt", "gt", "quot", "nbsp", "hellip", "eacute", "EACUTE", "Ntilde", "nTILDE", "szlig", "SZLIG", "frac12", "FRAC12", "not", "notin", "fjlig", "FJLIG",
		"CounterClockwiseContourIntegral", "semi", "acE", "bne", "copy", "COPY", "checkmark", "nosuch", "ampersand", "rsquo", "NAPOS", "sup3", "there4", "b.Sigma", "ZWNJ", "AMP;LT"}
	for range 1 + r.IntN(3) {
		at := len(shortStart(r, s))
		ref := "&" + names[r.IntN(len(names))]
		switch r.IntN(5) {
		case 0:
			ref = fmt.Sprintf("&#%d", r.IntN(0x300))
		case 1:
			ref = fmt.Sprintf("&#%c%x", "xX"[r.IntN(2)], r.IntN(1<<(1+r.IntN(24))))
		case 2:
			ref = html.EscapeString(ref + ";")
		}
		s = s[:at] + ref + []string{";", ";", "", "x", " ", "&"}[r.IntN(6)] + s[at:]
	}
	return s
}

// shortStart is a random start of a text, of whole characters.
func shortStart(r *rand.Rand, s string) string {
	c := []rune(s)
	return string(c[:r.IntN(len(c)+1)])
}

// TestPeerCLIP compares repaired, resolved and cleaned texts and ids with ftfy's, Python's and OpenAI's. With -tags slow it takes some minutes.
func TestPeerCLIP(t *testing.T) {
	path := dataFile(t, "tokenizers", "clip", "bpe_simple_vocab_16e6.txt.gz")
	file := dataFile(t, "tokenizers", "hf-json", "clip.tokenizer.json")
	tok, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	texts := append(clipTexts(t, peerTexts), "", " ", "&", "&;", "\x00", "À\n", "Ã\u00a0", "Ã ", "ŉ", "<&amp;>", "&lt;\n&lt;", "<\n&lt;", strings.Repeat("e\u0301\u0327", 15))
	var want []struct {
		Fixed, Unescaped, Clean string
		IDs, Fast               []int32
	}
	job := map[string]any{"merges": path, "json": file, "texts": texts}
	testkit.Ask(t, filepath.Join(testkit.Root(), "tools", "golden", "clip_text.py"), []string{"open_clip", "ftfy", "regex", "tokenizers"}, job, &want)
	if len(want) != len(texts) {
		t.Fatalf("%d answers to %d texts", len(want), len(texts))
	}
	newer := 0
	bad := map[string]int{}
	differ := func(what, text string, have, want any) {
		if bad[what]++; bad[what] <= 5 {
			t.Errorf("%s: %+q\n have %+q\n want %+q", what, text, have, want)
		}
	}
	for i, text := range texts {
		w := want[i]
		if have := tidy.Fix(text); have != w.Fixed {
			differ("repaired", text, have, w.Fixed)
			continue
		}
		if have := tidy.Unescape(text); have != w.Unescaped {
			differ("resolved", text, have, w.Unescaped)
		}
		if have := CleanCLIP(text); have != w.Clean {
			differ("cleaned", text, have, w.Clean)
			continue
		}
		ids, err := tok.EncodeCLIP(text, 1<<20, false)
		if err != nil {
			t.Fatal(err)
		}
		if w.IDs == nil {
			newer++
		} else if !slices.Equal(ids[1:len(ids)-1], w.IDs) {
			differ("ids", text, ids, w.IDs)
		}
		if w.Fast != nil && !slices.Equal(tok.Encode(w.Clean), w.Fast) {
			differ("fast ids", text, tok.Encode(w.Clean), w.Fast)
		}
	}
	if newer > len(texts)/100 {
		t.Errorf("the peer knows more letters in %d of %d texts", newer, len(texts))
	}
	for what, n := range bad {
		t.Errorf("%s: %d of %d texts differ", what, n, len(texts))
	}
}
