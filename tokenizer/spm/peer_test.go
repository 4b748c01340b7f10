package spm

import (
	"encoding/json"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/plinth-ml/plinth/internal/testkit"
)

const script = "testdata/peer.py"

// randomTexts are made of pieces, spaces and characters that normalisers know.
func randomTexts(m *Model, n int) []string {
	r := rand.New(rand.NewPCG(5, 0))
	odd := []rune(" \t\n\u00a0\u3000\u200b\u2581ﬁ½①ｶﾞé\u0301Å\u0000\u0007中🦙\u0e33\ufdfa")
	all := []string{"", " ", "  ", "\u2581", " \u2581 a", "a  ", "　a　"}
	for len(all) < n {
		var b strings.Builder
		for range r.IntN(14) {
			piece := m.Pieces[r.IntN(len(m.Pieces))].Text
			switch r.IntN(6) {
			case 0, 1:
				b.WriteString(strings.ReplaceAll(piece, space, " "))
			case 2:
				b.WriteString(strings.Repeat(piece, r.IntN(3)))
			case 3:
				b.WriteRune(rune(0x20 + r.IntN(0x2ff0)))
			default:
				b.WriteRune(odd[r.IntN(len(odd))])
			}
		}
		all = append(all, strings.ToValidUTF8(b.String(), "?"))
	}
	return all
}

// cleaned is what the peer makes of a text.
type cleaned struct {
	out    []byte
	places []int
}

func (c *cleaned) UnmarshalJSON(data []byte) error {
	return json.Unmarshal(data, &[]any{&c.out, &c.places})
}

// TestPeerClean compares with the peer, which reads what Marshal writes.
func TestPeerClean(t *testing.T) {
	for _, name := range published {
		_, m := open(t, name)
		for i := range m.Pieces { // SentencePiece leaves these as they are
			if m.Pieces[i].Type == Normal && i%500 == 499 {
				m.Pieces[i].Type = UserDefined
			}
		}
		texts := randomTexts(m, peerTexts)
		for variant := range 6 {
			m.Normalizer.AddDummyPrefix = variant&1 == 0
			m.Normalizer.RemoveExtraWhitespaces = variant < 2 || variant == 5
			m.Normalizer.EscapeWhitespaces = variant < 4
			m.Trainer.TreatWhitespaceAsSuffix = variant == 0 || variant == 4
			c, err := m.Cleaner()
			if err != nil {
				t.Fatal(err)
			}
			var want []cleaned
			testkit.Ask(t, script, []string{"sentencepiece"}, map[string]any{"do": "normalize", "model": m.Marshal(), "texts": texts}, &want)
			bad := 0
			for i, s := range texts {
				out, from := c.Clean(s)
				if len(want[i].places) == 0 { // theirs has no place of the end where nothing is left
					from = nil
				}
				if string(out) != string(want[i].out) || !slices.Equal(from, want[i].places) {
					if bad++; bad <= 3 {
						t.Errorf("%s, variant %d: %+q:\n have %+q %v\n want %+q %v", name, variant, s, out, from, want[i].out, want[i].places)
					}
				}
			}
			if bad > 0 {
				t.Errorf("%s, variant %d: %d of %d texts differ", name, variant, bad, len(texts))
			}
		}
	}
}

// TestPeerMerges compares with transformers' conversions.
func TestPeerMerges(t *testing.T) {
	for _, name := range []string{"hf-test_sentencepiece_bpe.model", "llama2.tokenizer.model"} {
		_, m := open(t, name)
		var want [2][][2]int32
		testkit.Ask(t, script, []string{"sentencepiece", "transformers"}, map[string]any{"do": "merges", "model": m.Marshal()}, &want)
		for k, merges := range [][]Merge{m.Merges(), m.MergesByScore()} {
			var have [][2]int32
			for _, p := range merges {
				have = append(have, [2]int32{p.Left, p.Right})
			}
			if !slices.Equal(have, want[k]) {
				t.Errorf("%s, order %d: %d merges, want %d, or in another order", name, k, len(have), len(want[k]))
			}
		}
	}
}

// bpe does what the comment on Ranks says, without haste.
func bpe(m *Model, ids map[string]int32, ranks []int32, text string) []int32 {
	var parts []string
	for _, r := range text {
		parts = append(parts, string(r))
	}
	for {
		best, at := int32(-1), -1
		for i := range max(0, len(parts)-1) {
			if id, ok := ids[parts[i]+parts[i+1]]; ok && (at < 0 || ranks[id] < ranks[best]) {
				best, at = id, i
			}
		}
		if at < 0 {
			break
		}
		parts = slices.Replace(parts, at, at+2, parts[at]+parts[at+1])
	}
	bytes := m.ByteIDs()
	var out []int32
	for _, s := range parts {
		id, ok := ids[s]
		switch {
		case ok:
			out = append(out, id)
		case m.Trainer.ByteFallback:
			for i := range len(s) {
				out = append(out, bytes[s[i]])
			}
		case len(out) == 0 || out[len(out)-1] != m.Trainer.UnkID:
			out = append(out, m.Trainer.UnkID)
		}
	}
	return out
}

// TestPeerBPE compares ids of BPE models: what Cleaner and Ranks say is all that it takes.
func TestPeerBPE(t *testing.T) {
	for _, name := range []string{"hf-test_sentencepiece_bpe.model", "llama2.tokenizer.model"} {
		data, m := open(t, name)
		c, err := m.Cleaner()
		if err != nil {
			t.Fatal(err)
		}
		ids := map[string]int32{}
		for id, p := range m.Pieces {
			if p.Type == Normal {
				ids[p.Text] = int32(id)
			}
		}
		ranks := m.Ranks()
		texts := randomTexts(m, peerTexts)
		var want, again [][]int32
		testkit.Ask(t, script, []string{"sentencepiece"}, map[string]any{"do": "encode", "model": data, "texts": texts}, &want)
		testkit.Ask(t, script, []string{"sentencepiece"}, map[string]any{"do": "encode", "model": m.Marshal(), "texts": texts}, &again)
		bad := 0
		for i, s := range texts {
			out, _ := c.Clean(s)
			if have := bpe(m, ids, ranks, string(out)); !slices.Equal(have, want[i]) {
				if bad++; bad <= 3 {
					t.Errorf("%s: %+q:\n have %v\n want %v", name, s, have, want[i])
				}
			}
			if !slices.Equal(want[i], again[i]) {
				t.Fatalf("%s: %+q: %v after writing, %v before", name, s, again[i], want[i])
			}
		}
		if bad > 0 {
			t.Errorf("%s: %d of %d texts differ", name, bad, len(texts))
		}
	}
}
