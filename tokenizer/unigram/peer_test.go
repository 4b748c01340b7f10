package unigram_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/plinth-ml/plinth/internal/testkit"
	"github.com/plinth-ml/plinth/tokenizer/spm"
	"github.com/plinth-ml/plinth/tokenizer/unigram"
)

const script = "testdata/peer.py"

// published returns the vocabulary of a model file, with U+2581 for spaces.
func published(t testing.TB, name string) *spm.Model {
	data, err := os.ReadFile(testkit.Data(t, "tokenizers/sentencepiece/"+name))
	if err != nil {
		t.Fatal(err)
	}
	m, err := spm.Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// tied is a small vocabulary with many tokens of the same score and some of every kind.
func tied(r *rand.Rand, fallback bool) *spm.Model {
	m := &spm.Model{Trainer: spm.DefaultTrainer(), Normalizer: spm.DefaultNormalizer()}
	m.Trainer.ByteFallback = fallback
	m.Pieces = []spm.Piece{{Text: "<unk>", Type: spm.Unknown}, {Text: "<s>", Type: spm.Control}, {Text: "ab", Score: -1, Type: spm.Control}}
	if fallback {
		for b := range 256 {
			m.Pieces = append(m.Pieces, spm.Piece{Text: fmt.Sprintf("<0x%02X>", b), Type: spm.Byte})
		}
	}
	seen := map[string]bool{}
	for len(seen) < 300 {
		var b strings.Builder
		for range 1 + r.IntN(6) {
			b.WriteString([]string{"a", "b", "c", "é", "中", " "}[r.IntN(6)])
		}
		p := spm.Piece{Text: b.String(), Score: -float32(r.IntN(8)) / 4, Type: spm.Normal}
		switch r.IntN(30) {
		case 0:
			p.Type = spm.UserDefined
		case 1:
			p.Type = spm.Unused
		case 2:
			p.Score = -30 * float32(len(p.Text)) // unknown is better
		}
		if !seen[p.Text] {
			m.Pieces = append(m.Pieces, p)
		}
		seen[p.Text] = true
	}
	return m
}

// tokensOf returns the vocabulary as package unigram wants it.
func tokensOf(m *spm.Model) []unigram.Token {
	kinds := map[spm.Type]unigram.Kind{spm.Normal: unigram.Normal, spm.UserDefined: unigram.User, spm.Unused: unigram.Unused}
	tokens := make([]unigram.Token, len(m.Pieces))
	for i, p := range m.Pieces {
		kind, ok := kinds[p.Type]
		if !ok {
			kind = unigram.Reserved
		}
		tokens[i] = unigram.Token{Text: p.Text, Score: float64(p.Score), Kind: kind}
	}
	return tokens
}

// randomTexts are made of tokens, parts of tokens and other characters.
func randomTexts(r *rand.Rand, m *spm.Model, n int) []string {
	all := make([]string, n)
	for i := range all {
		var b strings.Builder
		for range 1 + r.IntN(15) {
			token := []rune(m.Pieces[r.IntN(len(m.Pieces))].Text)
			switch r.IntN(6) {
			case 0, 1, 2:
				b.WriteString(string(token))
			case 3:
				b.WriteString(string(token[r.IntN(len(token)):]))
			case 4:
				b.WriteString(strings.Repeat(string(token), r.IntN(5)))
			default:
				b.WriteRune([]rune("\x00\nxyzß语🦙a中")[r.IntN(10)])
			}
		}
		all[i] = b.String()
	}
	return all
}

func compare(t *testing.T, name string, m *unigram.Model, texts []string, want [][][3]int, ids bool) {
	t.Helper()
	bad := 0
	for i, s := range texts {
		have := [][3]int{}
		for _, p := range m.Tokenize(nil, s) {
			have = append(have, [3]int{int(p.ID), p.Start, p.End})
		}
		w := want[i]
		if ids { // SentencePiece's offsets come from its normaliser
			for k := range w {
				w[k][1], w[k][2] = 0, 0
			}
			for k := range have {
				have[k][1], have[k][2] = 0, 0
			}
		}
		if !slices.Equal(have, w) {
			if bad++; bad <= 3 {
				t.Errorf("%s: %q:\n have %v\n want %v", name, s, have, w)
			}
		}
	}
	if bad > 0 {
		t.Errorf("%s: %d of %d texts differ", name, bad, len(texts))
	}
}

func TestPeerTokenize(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 0))
	for name, m := range map[string]*spm.Model{"t5": published(t, "t5.spiece.model"), "small": published(t, "test_model.model"),
		"tied": tied(r, false), "tied with bytes": tied(r, true)} {
		texts := append(randomTexts(r, m, peerTexts), "", "é", strings.Repeat("ab c é 中中 xyb", 5000))
		tokens := tokensOf(m)
		unk := int32(slices.IndexFunc(m.Pieces, func(p spm.Piece) bool { return p.Type == spm.Unknown }))

		vocab := make([][2]any, len(tokens))
		for i, token := range tokens {
			vocab[i] = [2]any{token.Text, token.Score}
		}
		var want [][][3]int
		job := map[string]any{"do": "tokenizers", "vocab": vocab, "unk": unk, "fallback": m.Trainer.ByteFallback, "texts": texts}
		testkit.Ask(t, script, []string{"tokenizers"}, job, &want)
		ours, err := unigram.New(tokens, unigram.Options{Unk: unk, ByteFallback: m.Trainer.ByteFallback})
		if err != nil {
			t.Fatal(err)
		}
		compare(t, name, ours, texts, want, false)

		m.Normalizer = spm.Normalizer{Name: "identity"}
		job = map[string]any{"do": "sentencepiece", "model": m.Marshal(), "texts": texts}
		want = nil
		testkit.Ask(t, script, []string{"sentencepiece"}, job, &want)
		ours, err = unigram.New(tokens, unigram.Options{Unk: unk, ByteFallback: m.Trainer.ByteFallback, SentencePiece: true})
		if err != nil {
			t.Fatal(err)
		}
		compare(t, name+", SentencePiece", ours, texts, want, true)
	}
}
