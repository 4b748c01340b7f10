package constrain

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/plinth-ml/plinth/internal/testkit"
	"github.com/plinth-ml/plinth/tokenizer"
)

// gemmaLike is a tokenizer of Gemma's kind: pieces with a mark for the space, bytes for what no piece has, no space put in front, runs of spaces and lines of their own.
func gemmaLike(t *testing.T) *tokenizer.Tokenizer {
	t.Helper()
	names := []string{"<pad>", "<eos>", "<bos>", "<unk>"}
	var added []map[string]any
	for i, name := range append(names, "<start_of_turn>", "<end_of_turn>") {
		added = append(added, map[string]any{"id": i, "content": name, "special": true, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false})
	}
	names = append(names, "<start_of_turn>", "<end_of_turn>")
	for i := range 256 {
		names = append(names, fmt.Sprintf("<0x%02X>", i))
	}
	for n := 1; n < 9; n++ {
		names = append(names, strings.Repeat("▁", n), strings.Repeat("\n", n))
	}
	names = append(names, strings.Fields(`{ } [ ] : , " {" ": ▁" ", "▁ "} ▁{ ▁name name ▁tags true false ▁true null ▁null 0 1 2 3 4 5 6 7 8 9 12 123 a b c d e f n t u é 日本 \\ \n \" ▁the the abc`)...)
	vocab := map[string]int{}
	for _, n := range names {
		if _, ok := vocab[n]; !ok {
			vocab[n] = len(vocab)
		}
	}
	data, err := json.Marshal(map[string]any{"version": "1.0", "added_tokens": added,
		"normalizer": map[string]any{"type": "Replace", "pattern": map[string]string{"String": " "}, "content": "▁"}, "pre_tokenizer": nil, "post_processor": nil,
		"decoder": map[string]any{"type": "Sequence", "decoders": []any{map[string]any{"type": "Replace", "pattern": map[string]string{"String": "▁"}, "content": " "}, map[string]any{"type": "ByteFallback"}, map[string]any{"type": "Fuse"}}},
		"model":   map[string]any{"type": "BPE", "unk_token": "<unk>", "fuse_unk": true, "byte_fallback": true, "vocab": vocab, "merges": []string{}}})
	if err != nil {
		t.Fatal(err)
	}
	tok, err := tokenizer.Load(data)
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

// TestVocabularies: texts under schemas over vocabularies of SentencePiece with bytes for what has no piece, with and without a space in front, are decoded by the
// tokenizer to what the constraint has read, and are JSON that jsonschema finds valid. A vocabulary without braces says so.
func TestVocabularies(t *testing.T) {
	type job struct {
		Schema json.RawMessage `json:"schema"`
		Texts  []string        `json:"texts"`
	}
	var jobs []job
	for name, open := range map[string]func(t *testing.T) *tokenizer.Tokenizer{
		"Gemma's kind": gemmaLike,
		"Llama 2":      published("tokenizers/sentencepiece/llama2.tokenizer.model"),
		"T5":           published("tokenizers/sentencepiece/t5.spiece.model"),
	} {
		t.Run(name, func(t *testing.T) {
			tok := open(t)
			texts, special := tok.Texts()
			v, err := NewVocabulary(texts, special)
			if err != nil {
				t.Fatal(err)
			}
			prompt, err := tok.AppendIDs(nil, []byte("é {\n"), false) // what follows keeps a space in front
			if err != nil {
				t.Fatal(err)
			}
			rng := rand.New(rand.NewPCG(1, 2))
			ended := 0
			for _, source := range schemas {
				g, err := ParseSchema(source)
				if err != nil {
					t.Fatal(err)
				}
				c, err := g.Compile(v)
				if name == "T5" && strings.Contains(source, "object") {
					if err == nil || !strings.Contains(err.Error(), "cannot spell \"{\"") {
						t.Errorf("%s: %v", source, err)
					}
					continue
				}
				if err != nil {
					t.Fatalf("%s: %v", source, err)
				}
				j := job{json.RawMessage(source), []string{}}
				for range 5 {
					text, ids := sampleIDs(t, c, rng)
					if ids == nil {
						continue
					}
					stream, shown := tok.StreamAfter(prompt), ""
					for _, id := range ids {
						shown += stream.Push(id)
					}
					if shown += stream.Flush(); shown != text {
						t.Errorf("%s: the tokenizer decodes %q, the constraint has read %q", source, shown, text)
					}
					if !json.Valid([]byte(text)) {
						t.Errorf("%s: %q is no JSON", source, text)
					}
					j.Texts = append(j.Texts, text)
				}
				ended += len(j.Texts)
				jobs = append(jobs, j)
			}
			if t.Logf("%d texts ended", ended); ended < 15 {
				t.Errorf("%d texts ended", ended)
			}
		})
	}
	var answer struct{ Errors []string }
	testkit.Ask(t, "testdata/validate.py", []string{"jsonschema"}, map[string]any{"jobs": jobs}, &answer)
	for _, e := range answer.Errors {
		t.Error(e)
	}
}

// published opens a tokenizer of the shared test data.
func published(rel string) func(t *testing.T) *tokenizer.Tokenizer {
	return func(t *testing.T) *tokenizer.Tokenizer {
		t.Helper()
		tok, err := tokenizer.Open(testkit.Data(t, rel))
		if err != nil {
			t.Fatal(err)
		}
		return tok
	}
}

// sampleIDs is a random text of at most 300 tokens, which hurries to its end after 40; no ids where it does not end.
func sampleIDs(t testing.TB, c *Constraint, rng *rand.Rand) (string, []int32) {
	t.Helper()
	m := c.Start()
	var text []byte
	var ids []int32
	for step := range 300 {
		if may, must := m.Complete(), m.Ended(); len(ids) > 0 && (must || may && (step > 40 || rng.IntN(3) == 0)) {
			return string(text), ids
		}
		mask, err := m.Mask(nil)
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		best, id := -1, int32(-1)
		for range 40 { // the best of some
			i := int32(rng.IntN(c.Vocab()))
			for !mask.Has(i) {
				i = (i + 1) % int32(c.Vocab())
			}
			if n := strings.Count(string(c.vocab.tokens[i]), `"`) + strings.Count(string(c.vocab.tokens[i]), "}") + strings.Count(string(c.vocab.tokens[i]), "]"); step <= 40 || n > best {
				best, id = n, i
			}
			if step <= 40 {
				break
			}
		}
		if err := m.Advance(id); err != nil {
			t.Fatal(err)
		}
		text, ids = append(text, c.vocab.tokens[id]...), append(ids, id)
	}
	return "", nil
}
