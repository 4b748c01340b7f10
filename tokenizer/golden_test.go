package tokenizer

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/plinth-ml/plinth/internal/testkit"
)

// dataFile returns the path of a file of the shared test data; the test is skipped where there is none.
func dataFile(t testing.TB, parts ...string) string {
	t.Helper()
	return testkit.Data(t, filepath.Join(parts...))
}

func readData(t testing.TB, parts ...string) []byte {
	t.Helper()
	data, err := os.ReadFile(dataFile(t, parts...))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func openData(t testing.TB, parts ...string) *Tokenizer {
	t.Helper()
	tok, err := Open(dataFile(t, parts...))
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

// gpt2 returns GPT-2's tokenizer from each kind of file.
func gpt2(t *testing.T) map[string]*Tokenizer {
	return map[string]*Tokenizer{
		"vocab.json":     openData(t, "tokenizers", "gpt2"),
		"tokenizer.json": openData(t, "tokenizers", "hf-json", "gpt2.tokenizer.json"),
		"rank file":      openData(t, "tokenizers", "tiktoken", "r50k_base.tiktoken"),
	}
}

func TestGoldenGPT2(t *testing.T) {
	for _, file := range []string{"gpt2/encoded_tokens.json", "hf-golden/gpt2_encoded_tokens.json"} {
		var g struct {
			Text   string
			Tokens []string `json:"bpe_tokens"`
			IDs    []int32  `json:"token_ids"`
		}
		if err := json.Unmarshal(readData(t, "tokenizers", file), &g); err != nil {
			t.Fatal(err)
		}
		if len(g.IDs) < 100 {
			t.Fatalf("%s: %d ids", file, len(g.IDs))
		}
		for name, tok := range gpt2(t) {
			ids := tok.Encode(g.Text)
			if !slices.Equal(ids, g.IDs) {
				t.Errorf("%s, %s:\n have %v\n want %v", name, file, ids, g.IDs)
			}
			if text := tok.Decode(ids); text != g.Text {
				t.Errorf("%s: decoded %q", name, text)
			}
		}
	}
}

// TestGoldenLlamaCpp reads llama.cpp's texts and ids.
func TestGoldenLlamaCpp(t *testing.T) {
	inputs, want := llamaCpp(t, "gpt-2")
	for name, tok := range gpt2(t) {
		for i, text := range inputs {
			if ids := tok.Encode(text); !slices.Equal(ids, want[i]) {
				t.Errorf("%s: %q:\n have %v\n want %v", name, text, ids, want[i])
			}
		}
	}
}

// TestGoldenCS336 compares with the reference vocabulary of Stanford's CS336, whose ties go to the greatest pair.
func TestGoldenCS336(t *testing.T) {
	docs := strings.Split(string(readData(t, "tokenizers", "bpe-training", "corpus.en")), EndOfText)
	tok, err := Train(t.Context(), texts(docs), TrainOptions{VocabSize: 500, TieBreak: GreatestPair})
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(readData(t, "tokenizers", "bpe-training", "train-bpe-reference-merges.txt"))), "\n")
	if len(lines) != len(tok.ranked) {
		t.Fatalf("%d merges, want %d", len(tok.ranked), len(lines))
	}
	for i, m := range tok.ranked {
		if have := tok.Name(m[0]) + " " + tok.Name(m[1]); have != lines[i] {
			t.Fatalf("merge %d is %q, want %q", i, have, lines[i])
		}
	}
	var vocab map[string]int32
	if err := json.Unmarshal(readData(t, "tokenizers", "bpe-training", "train-bpe-reference-vocab.json"), &vocab); err != nil {
		t.Fatal(err)
	}
	if len(vocab) != tok.VocabSize() {
		t.Errorf("%d tokens, want %d", tok.VocabSize(), len(vocab))
	}
	for name := range vocab { // the reference gives the bytes other ids
		if _, ok := tok.ID(name); !ok {
			t.Errorf("no token %q", name)
		}
	}
}
