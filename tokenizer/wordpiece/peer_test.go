package wordpiece

import (
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/plinth-ml/plinth/internal/testkit"
)

const script = "testdata/peer.py"

// bert is BERT's vocabulary.
func bert(t testing.TB) map[string]int32 {
	data, err := os.ReadFile(testkit.Data(t, "tokenizers/bert-uncased/vocab.txt"))
	if err != nil {
		t.Fatal(err)
	}
	vocab := map[string]int32{}
	for i, line := range strings.Split(strings.TrimSuffix(string(data), "\n"), "\n") {
		vocab[line] = int32(i)
	}
	return vocab
}

// randomWords are tokens, parts of tokens and characters put together.
func randomWords(vocab map[string]int32, n int) []string {
	r := rand.New(rand.NewPCG(1, 0))
	var tokens []string
	for token := range vocab {
		tokens = append(tokens, token)
	}
	slices.Sort(tokens)
	words := make([]string, n)
	for i := range words {
		var b strings.Builder
		for range 1 + r.IntN(5) {
			token := []rune(tokens[r.IntN(len(tokens))])
			switch r.IntN(8) {
			case 0, 1, 2:
				b.WriteString(strings.TrimPrefix(string(token), "##"))
			case 3, 4:
				b.WriteString(string(token))
			case 5:
				b.WriteString(string(token[:r.IntN(len(token)+1)]))
			case 6:
				b.WriteRune(rune(' ' + r.IntN(0x500)))
			default:
				b.WriteString(strings.Repeat(string(token[:1]), r.IntN(40)))
			}
		}
		words[i] = b.String()
	}
	return words
}

func TestPeerTokenize(t *testing.T) {
	big := bert(t)
	for name, c := range map[string]struct {
		vocab map[string]int32
		o     Options
	}{
		"bert":      {big, Options{Unk: "[UNK]", Prefix: "##", MaxChars: 100}},
		"short":     {big, Options{Unk: "[PAD]", Prefix: "##", MaxChars: 7}},
		"no prefix": {big, Options{Unk: "[UNK]", NoPrefix: true, MaxChars: 100}},
		"odd":       {map[string]int32{"u": 5, "a": 0, "_a": 1, "_ab": 2, "ab": 3, "_": 4, "__": 6, "": 7}, Options{Unk: "u", Prefix: "_", MaxChars: 30}},
	} {
		m, err := New(c.vocab, c.o)
		if err != nil {
			t.Fatal(err)
		}
		words := append(randomWords(c.vocab, peerWords), "", "_", "a_a", "ab_a_ab", "###", "a##", "中", "\u0301")
		job := map[string]any{"do": "tokenize", "vocab": c.vocab, "words": words, "unk": c.o.Unk, "prefix": c.o.Prefix, "max": c.o.MaxChars}
		var want [][][3]int
		testkit.Ask(t, script, []string{"tokenizers"}, job, &want)
		bad := 0
		for i, w := range words {
			have := [][3]int{}
			for _, p := range m.Tokenize(nil, w) {
				have = append(have, [3]int{int(p.ID), p.Start, p.End})
			}
			if !slices.Equal(have, want[i]) {
				if bad++; bad < 5 {
					t.Errorf("%s: %q:\n have %v\n want %v", name, w, have, want[i])
				}
			}
		}
		if bad > 0 {
			t.Errorf("%s: %d of %d words differ", name, bad, len(words))
		}
	}
}

// noTie returns the greatest limit up to the given one at which no two characters of equal counts are told apart.
func noTie(words []Count, limit int) int {
	counts := map[rune]int64{}
	for _, w := range words {
		for _, r := range w.Word {
			counts[r] += w.N
		}
	}
	sorted := slices.Sorted(maps.Values(counts))
	slices.Reverse(sorted)
	for sorted[limit-1] == sorted[limit] {
		limit--
	}
	return limit
}

// TestPeerTrain compares vocabularies; the order of the prefixed characters, which is up to chance in theirs, is taken from it.
func TestPeerTrain(t *testing.T) {
	data, err := os.ReadFile(testkit.Data(t, "corpora/wiki_demo.txt"))
	if err != nil {
		t.Fatal(err)
	}
	text := strings.ToValidUTF8(string(data[:min(len(data), peerWords*10)]), "")
	var texts []string
	for line := range strings.Lines(text) {
		texts = append(texts, strings.Join(strings.Fields(line), "\n"))
	}
	var words []Count
	for _, s := range texts {
		for w := range strings.SplitSeq(s, "\n") {
			if w != "" {
				words = append(words, Count{w, 1})
			}
		}
	}
	for _, o := range []TrainOptions{
		{VocabSize: 3000, Special: []string{"[UNK]", "[CLS]"}},
		{VocabSize: 900, Special: []string{"[UNK]", "e"}, MinFrequency: 20, InitialAlphabet: []rune("é中")},
		{VocabSize: 2000, Special: []string{"<u>"}, Prefix: "_", LimitAlphabet: noTie(words, 40)},
	} {
		prefix, special := o.Prefix, o.Special
		if prefix == "" {
			prefix = "##"
		}
		initial := []string{}
		for _, r := range o.InitialAlphabet {
			initial = append(initial, string(r))
		}
		job := map[string]any{"do": "train", "texts": texts, "size": o.VocabSize, "special": special, "minimum": o.MinFrequency,
			"limit": o.LimitAlphabet, "initial": initial, "prefix": prefix}
		var want []string
		testkit.Ask(t, script, []string{"tokenizers"}, job, &want)
		ours, err := Train(t.Context(), words, o)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range want {
			if rest, ok := strings.CutPrefix(s, prefix); ok && len([]rune(rest)) == 1 {
				o.continuing = append(o.continuing, s)
			}
		}
		have, err := Train(t.Context(), words, o)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(have, want) {
			i := 0
			for i < min(len(have), len(want)) && have[i] == want[i] {
				i++
			}
			t.Errorf("%+v: %d tokens, want %d; from %d on %q, want %q", o, len(have), len(want), i, have[i:min(len(have), i+9)], want[i:min(len(want), i+9)])
		}
		same := 0
		for _, s := range ours {
			if slices.Contains(want, s) {
				same++
			}
		}
		t.Logf("in our own order: %d of %d tokens are theirs", same, len(want))
	}
}
