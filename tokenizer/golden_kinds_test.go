package tokenizer

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
)

// bertFiles returns BERT's uncased tokenizer from each kind of file.
func bertFiles(t *testing.T) map[string]*Tokenizer {
	return map[string]*Tokenizer{
		"tokenizer.json": openData(t, "tokenizers", "hf-json", "bert-base-uncased.tokenizer.json"),
		"vocab.txt":      openData(t, "tokenizers", "bert-uncased"),
	}
}

func t5Files(t *testing.T) map[string]*Tokenizer {
	return map[string]*Tokenizer{
		"tokenizer.json": openData(t, "tokenizers", "hf-json", "t5-small.tokenizer.json"),
		"spiece.model":   openData(t, "tokenizers", "sentencepiece", "t5.spiece.model"),
	}
}

func llama2Files(t *testing.T) map[string]*Tokenizer {
	return map[string]*Tokenizer{"tokenizer.model": openData(t, "tokenizers", "sentencepiece", "llama2.tokenizer.model")}
}

// TestGoldenBERT tokenizes the 10,570 questions of SQuAD.
func TestGoldenBERT(t *testing.T) {
	var questions []struct {
		Original  string
		WordPiece []string
	}
	var ids [][]int32
	for file, into := range map[string]any{"question_tokens.json": &questions, "tokenized_questions.json": &ids} {
		if err := json.Unmarshal(readData(t, "tokenizers", "hf-golden", file), into); err != nil {
			t.Fatal(err)
		}
	}
	if len(questions) != 10570 || len(ids) != len(questions) {
		t.Fatalf("%d questions, %d answers", len(questions), len(ids))
	}
	for name, tok := range bertFiles(t) {
		bad := 0
		for i, q := range questions {
			e, err := tok.EncodeOffsets(q.Original, EncodeOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(e.Tokens, q.WordPiece) || !slices.Equal(e.IDs, ids[i]) || !slices.Equal(tok.Encode(q.Original), ids[i]) {
				if bad++; bad < 5 {
					t.Errorf("%s: %q:\n have %q\n want %q", name, q.Original, e.Tokens, q.WordPiece)
				}
			}
		}
		if bad > 0 {
			t.Errorf("%s: %d questions differ", name, bad)
		}
	}
}

// TestGoldenTexts encodes and decodes one text per model.
func TestGoldenTexts(t *testing.T) {
	for file, c := range map[string]struct {
		files map[string]*Tokenizer
		whole bool // the ids are with special tokens
	}{
		"bert_uncased_encoded.json": {bertFiles(t), true}, "t5_base_encoded.json": {t5Files(t), true}, "llama_encoded.json": {llama2Files(t), true},
	} {
		var g struct {
			Text    string
			Tokens  []string `json:"bpe_tokens"`
			IDs     []int32  `json:"token_ids"`
			Decoded string   `json:"decoded_text"`
		}
		if err := json.Unmarshal(readData(t, "tokenizers", "hf-golden", file), &g); err != nil {
			t.Fatal(err)
		}
		for name, tok := range c.files {
			e, err := tok.EncodeOffsets(g.Text, EncodeOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(e.Tokens, g.Tokens) {
				t.Errorf("%s, %s:\n have %q\n want %q", file, name, e.Tokens, g.Tokens)
			}
			if ids := tok.AddSpecial(tok.EncodeSpecial(g.Text)); !slices.Equal(ids, g.IDs) {
				t.Errorf("%s, %s:\n have %v\n want %v", file, name, ids, g.IDs)
			}
		}
	}
}

// TestGoldenMany encodes and decodes short texts of several models.
func TestGoldenMany(t *testing.T) {
	var cases map[string][]struct {
		Input   string
		Encoded struct {
			IDs   []int32 `json:"input_ids"`
			Types []int   `json:"token_type_ids"`
		}
		With    string `json:"decoded_with_special"`
		Without string `json:"decoded_without_special"`
	}
	if err := json.Unmarshal(readData(t, "tokenizers", "hf-golden", "tokenizer_tests.json"), &cases); err != nil {
		t.Fatal(err)
	}
	for model, files := range map[string]map[string]*Tokenizer{
		"bert-base-uncased": bertFiles(t), "google-bert/bert-base-uncased": bertFiles(t), "distilgpt2": gpt2(t), "t5-base": t5Files(t),
		"coreml-projects/Llama-2-7b-chat-coreml": llama2Files(t),
	} {
		if len(cases[model]) < 15 {
			t.Errorf("%s: %d cases", model, len(cases[model]))
		}
		for name, tok := range files {
			for _, c := range cases[model] {
				e, err := tok.EncodeOffsets(c.Input, EncodeOptions{AddSpecial: true, ParseSpecial: true})
				if err != nil {
					t.Fatal(err)
				}
				if !slices.Equal(e.IDs, c.Encoded.IDs) {
					t.Errorf("%s, %s: %q:\n have %v %q\n want %v", model, name, c.Input, e.IDs, e.Tokens, c.Encoded.IDs)
				}
				if c.Encoded.Types != nil && !slices.Equal(e.TypeIDs, c.Encoded.Types) {
					t.Errorf("%s, %s: %q: types %v, want %v", model, name, c.Input, e.TypeIDs, c.Encoded.Types)
				}
				tidy := cleanUp // transformers does it with the whole text, but for Llama; tokenizers only where a decoder says so
				if name == "tokenizer.model" {
					tidy = strings.Clone
				}
				if have := tidy(tok.Decode(c.Encoded.IDs)); have != c.With {
					t.Errorf("%s, %s: decodes to %q, want %q", model, name, have, c.With)
				}
				if have := tidy(tok.DecodeText(c.Encoded.IDs)); have != c.Without {
					t.Errorf("%s, %s: decodes to %q, want %q", model, name, have, c.Without)
				}
			}
		}
	}
}
