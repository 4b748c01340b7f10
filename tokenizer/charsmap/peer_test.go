package charsmap_test

import (
	"encoding/json"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/plinth-ml/plinth/internal/testkit"
	"github.com/plinth-ml/plinth/tokenizer/charsmap"
	"github.com/plinth-ml/plinth/tokenizer/spm"
)

const script = "testdata/peer.py"

// published returns the map of a model file.
func published(t testing.TB, name string) []byte {
	data, err := os.ReadFile(testkit.Data(t, "tokenizers/sentencepiece/"+name))
	if err != nil {
		t.Fatal(err)
	}
	m, err := spm.Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	return m.Normalizer.CharsMap
}

// randomTexts are short texts of characters that rules and cluster boundaries know.
func randomTexts(n int) []string {
	r := rand.New(rand.NewPCG(7, 0))
	blocks := [][2]rune{{' ', 0x7e}, {0, 0x20}, {0xa0, 0x17f}, {0x300, 0x36f}, {0x900, 0x97f}, {0xb80, 0xbff}, {0xd00, 0xd7f}, {0xe00, 0xeff}, {0x1000, 0x1200},
		{0x600, 0x6ff}, {0x1d00, 0x1fff}, {0x2000, 0x206f}, {0x2070, 0x2bff}, {0x3000, 0x30ff}, {0xa960, 0xa97f}, {0xac00, 0xac40}, {0xd7b0, 0xd7ff}, {0xf900, 0xfaff}, {0xfb00, 0xfdff},
		{0xfe00, 0xffff}, {0x11000, 0x111ff}, {0x1d400, 0x1d7ff}, {0x1f1e6, 0x1f1ff}, {0x1f300, 0x1faff}, {0xe0000, 0xe01ef}, {0, 0x10ffff}}
	special := []rune("\r\n\t\u200d\u200c\ufe0f\u0301\u0308ﬁ½①ｶﾞ\u0915\u094d\u0924\u00ad\u0600\U0001f3fb\u1100\u1161\u11a8 e")
	all := make([]string, n)
	for i := range all {
		var b strings.Builder
		for range 1 + r.IntN(12) {
			block := blocks[r.IntN(len(blocks))]
			for range 1 + r.IntN(3) {
				c := block[0] + rune(r.IntN(int(block[1]-block[0]+1)))
				if r.IntN(3) == 0 {
					c = special[r.IntN(len(special))]
				} else if r.IntN(3) == 0 {
					c = 'a' + rune(r.IntN(26))
				}
				if utf8.ValidRune(c) {
					b.WriteRune(c)
				}
			}
		}
		all[i] = b.String()
	}
	return all
}

// answer is what the peer makes of a text: [output, [[start, end] of each character]].
type answer struct {
	out   string
	spans [][2]int
}

func (a *answer) UnmarshalJSON(data []byte) error {
	return json.Unmarshal(data, &[]any{&a.out, &a.spans})
}

func TestPeerNormalize(t *testing.T) {
	// A rule for every ASCII letter shows where short clusters end: what follows the letter in its cluster is lost.
	rules := map[string]string{"ab": "<ab>", "\u0301\u0301": "", "é": "e", "e\u0301": "é", "\u0915": "", "\r": "\n", "c\u0301d": "longer than that"}
	for c := 'a'; c <= 'z'; c++ {
		rules[string(c)] = strings.ToUpper(string(c)) + strings.Repeat("+", int(c)%3)
	}
	var custom []byte
	testkit.Ask(t, script, []string{"sentencepiece"}, map[string]any{"do": "compile", "rules": rules}, &custom)
	for name, data := range map[string][]byte{"nmt_nfkc": published(t, "t5.spiece.model"), "nfkc": published(t, "test_model.model"), "letters": custom} {
		m, err := charsmap.Parse(data)
		if err != nil {
			t.Fatal(err)
		}
		texts := append(randomTexts(peerTexts), "ﬁ\u0301", "e\u0301", "x\u00ad\u00ady", "")
		var want []answer
		testkit.Ask(t, script, []string{"tokenizers"}, map[string]any{"do": "normalize", "map": data, "texts": texts}, &want)
		bad := 0
		for i, s := range texts {
			out, from := m.Normalize(s)
			var spans [][2]int
			for k := range string(out) {
				span := [2]int{}
				if from[k] >= 0 {
					_, n := utf8.DecodeRuneInString(s[from[k]:])
					span = [2]int{from[k], from[k] + n}
				}
				spans = append(spans, span)
			}
			if string(out) != want[i].out || !slices.Equal(spans, want[i].spans) {
				if bad++; bad <= 5 {
					t.Errorf("%s: %+q:\n have %+q %v\n want %+q %v", name, s, out, spans, want[i].out, want[i].spans)
				}
			}
		}
		if bad > 0 {
			t.Errorf("%s: %d of %d texts differ", name, bad, len(texts))
		}
	}
}
