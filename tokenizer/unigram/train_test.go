package unigram

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/plinth-ml/plinth/internal/testkit"
)

// wordsOf cuts text before its spaces, which become U+2581 as SentencePiece writes them.
func wordsOf(lines []string) (texts []string, words []Count) {
	for _, line := range lines {
		fields := strings.Fields(line)
		for i, w := range fields {
			fields[i] = "▁" + w
			words = append(words, Count{fields[i], 1})
		}
		texts = append(texts, strings.Join(fields, "\n"))
	}
	return texts, words
}

// corpus returns the lines of a file of the test data, cut to n bytes.
func corpus(t testing.TB, name string, n int) []string {
	data, err := os.ReadFile(testkit.Data(t, "corpora/"+name))
	if err != nil {
		t.Fatal(err)
	}
	return slices.Collect(strings.Lines(strings.ToValidUTF8(string(data[:min(n, len(data))]), "")))
}

// perChar is the log-likelihood of words under a vocabulary, per character.
func perChar(t *testing.T, vocab []Token, special int, words []Count) float64 {
	pieces := []scored{{"", math.NaN()}}
	for _, token := range vocab[special:] {
		pieces = append(pieces, scored{token.Text, token.Score})
	}
	e, err := newEstimate(pieces)
	if err != nil {
		t.Fatal(err)
	}
	_, sum := e.expect(words, 2)
	n := 0
	for _, w := range words {
		n += int(w.N) * chars(w.Word)
	}
	return sum / float64(n)
}

type pair struct {
	text  string
	score float64
}

func (p *pair) UnmarshalJSON(data []byte) error {
	return json.Unmarshal(data, &[]any{&p.text, &p.score})
}

func TestPeerTrain(t *testing.T) {
	lines := corpus(t, "wiki_demo.txt", trainBytes)
	held := lines[len(lines)*9/10:]
	lines = lines[:len(lines)*9/10]
	texts, words := wordsOf(lines)
	_, heldWords := wordsOf(held)
	for _, o := range []TrainOptions{
		{VocabSize: 4000, Special: []string{"<s>", "</s>"}, Unk: "<unk>"},
		{VocabSize: 2000, Special: []string{"<pad>", "<unk>"}, Unk: "<unk>", InitialAlphabet: []rune("é中")},
		{VocabSize: 1000, Special: []string{"<pad>", "<unk>"}, Unk: "<unk>"},
		{VocabSize: 3000, Special: []string{"<pad>", "<unk>"}, Unk: "<unk>"},
	} {
		initial := []string{}
		for _, r := range o.InitialAlphabet {
			initial = append(initial, string(r))
		}
		var want struct {
			Vocab   []pair
			Seconds float64
		}
		testkit.Ask(t, "testdata/peer.py", []string{"tokenizers"},
			map[string]any{"do": "train", "texts": texts, "size": o.VocabSize, "special": o.Special, "unk": o.Unk, "initial": initial}, &want)
		start := time.Now()
		have, unk, err := Train(t.Context(), words, o)
		if err != nil {
			t.Fatal(err)
		}
		seconds := time.Since(start).Seconds()
		theirs := map[string]float64{}
		var vocab []Token
		for _, p := range want.Vocab {
			theirs[p.text] = p.score
			vocab = append(vocab, Token{Text: p.text, Score: p.score})
		}
		special := 2
		if unk == 0 {
			special = 3
		}
		same, far := 0, 0.0
		for i, token := range have {
			if score, ok := theirs[token.Text]; ok {
				same++
				far = max(far, math.Abs(score-token.Score))
			} else if i < special {
				t.Errorf("token %d, %q, is not theirs", i, token.Text)
			}
		}
		a, b := perChar(t, have, special, heldWords), perChar(t, vocab, special, heldWords)
		t.Logf("%d tokens, theirs %d, in both %d, scores at most %.2g apart; held-out log-likelihood per character %.6f, theirs %.6f; %.2f s, theirs %.2f s",
			len(have), len(vocab), same, far, a, b, seconds, want.Seconds)
		if len(have) != len(vocab) || same < len(have)*90/100 {
			t.Errorf("%d tokens of which %d are among their %d", len(have), same, len(vocab))
		}
		if a < b-1e-6 { // of rounding, where nothing was cut and all scores are theirs
			t.Errorf("log-likelihood per character %v, theirs %v", a, b)
		}
	}
}

func TestTrainThreads(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 0))
	syllables := strings.Fields("ka lo mi ster ing e u 中 th ar")
	var words []Count
	for range 3000 {
		w := "▁"
		for range 1 + r.IntN(5) {
			w += syllables[min(r.IntN(10), r.IntN(10))]
		}
		words = append(words, Count{w, int64(1 + r.IntN(50))})
	}
	var first []Token
	for _, threads := range []int{1, 2, 5} {
		vocab, unk, err := Train(t.Context(), words, TrainOptions{VocabSize: 200, Unk: "<unk>", Special: []string{"<s>"}, Threads: threads})
		if err != nil {
			t.Fatal(err)
		}
		if unk != 0 || vocab[0].Text != "<unk>" || vocab[1].Text != "<s>" || len(vocab) != 200 {
			t.Fatalf("unk %d of %d tokens, want 200: %v", unk, len(vocab), vocab[:5])
		}
		if first == nil {
			first = vocab
		}
		if !slices.Equal(vocab, first) {
			t.Errorf("%d threads: other tokens", threads)
		}
		slices.Reverse(words)
	}
	if _, _, err := Train(t.Context(), words, TrainOptions{VocabSize: 10}); err == nil || !strings.Contains(err.Error(), "10 is too small") {
		t.Errorf("small vocabulary: %v", err)
	}
	if vocab, unk, err := Train(t.Context(), nil, TrainOptions{}); err != nil || unk != -1 || len(vocab) != 0 {
		t.Errorf("no words: %v %d %v", vocab, unk, err)
	}
}

// TestSeeds compares with counting all substrings.
func TestSeeds(t *testing.T) {
	words := []Count{{"banana", 2}, {"bandana", 1}, {"ananas", 1}, {"nabab", 5}, {"b", 1}, {"aaaaaaa", 1}}
	const maxLen = 5
	places := map[string]int{}
	follow := map[string]map[string]bool{}
	for _, w := range words {
		s := w.Word + "\x00"
		for i := range len(w.Word) {
			for j := i + 1; j < len(s); j++ {
				sub := s[i:j]
				places[sub]++
				if follow[sub] == nil {
					follow[sub] = map[string]bool{}
				}
				follow[sub][s[j:j+1]] = true
			}
		}
	}
	want := map[string]float64{}
	for sub, n := range places {
		if len(sub) >= 2 && len(sub) <= maxLen && len(follow[sub]) > 1 {
			want[sub] = float64(n * len(sub))
		}
	}
	have := map[string]float64{}
	for _, p := range seeds(words, 1000, maxLen) {
		if len(p.text) > 1 {
			have[p.text] = p.score
		}
	}
	if len(have) != len(want) {
		t.Errorf("%v, want %v", have, want)
	}
	for s, n := range want {
		if have[s] != n {
			t.Errorf("%q: %v, want %v", s, have[s], n)
		}
	}
	if all := seeds(words, 8, maxLen); len(all) != 8 || all[0].text != "a" {
		t.Errorf("8 seeds: %v", all)
	}
}

// TestMarginals compares with all segmentations, one by one.
func TestMarginals(t *testing.T) {
	e, err := newEstimate([]scored{{"", math.NaN()}, {"a", -1}, {"b", -2}, {"ab", -1.5}, {"ba", -2.5}, {"aba", -3}, {"é", -4}})
	if err != nil {
		t.Fatal(err)
	}
	for _, word := range []string{"a", "abab", "abaxbé", "xx"} {
		var l lattice
		l.fill(e, word)
		want := make([]float64, len(e.pieces))
		sum, best := 0.0, math.Inf(-1)
		var walk func(at int32, score float64, ids []int32)
		walk = func(at int32, score float64, ids []int32) {
			if int(at) == len(word) {
				sum += math.Exp(score)
				best = max(best, score)
				for _, id := range ids {
					want[id] += 3 * math.Exp(score)
				}
			}
			for _, d := range l.edges {
				if d.from == at {
					walk(d.to, score+d.score, append(slices.Clone(ids), d.id))
				}
			}
		}
		walk(0, 0, nil)
		have := make([]float64, len(e.pieces))
		if z := l.marginals(word, 3, have); math.Abs(z-math.Log(sum)) > 1e-12*math.Abs(z) {
			t.Errorf("%q: log-likelihood %v, want %v", word, z, math.Log(sum))
		}
		for id := range want {
			if math.Abs(have[id]-want[id]/sum) > 1e-12 {
				t.Errorf("%q: %v of piece %d, want %v", word, have[id], id, want[id]/sum)
			}
		}
		if score := l.viterbi(word, true, func(int32) {}); math.Abs(score-best) > 1e-12 {
			t.Errorf("%q: best score %v, want %v", word, score, best)
		}
	}
}

func TestDigamma(t *testing.T) {
	for x, want := range map[float64]float64{1: -0.5772156649015329, 0.5: -1.9635100260214235, 10: 2.251752589066721} {
		if have := digamma(x); math.Abs(have-want) > 1e-9 {
			t.Errorf("digamma(%v) = %v, want %v", x, have, want)
		}
	}
}
