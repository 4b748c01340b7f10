package tokenizer

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

type jsonFile struct {
	Version       string          `json:"version"`
	Truncation    json.RawMessage `json:"truncation"`
	Padding       json.RawMessage `json:"padding"`
	Added         []AddedToken    `json:"added_tokens"`
	Normalizer    json.RawMessage `json:"normalizer"`
	PreTokenizer  json.RawMessage `json:"pre_tokenizer"`
	PostProcessor json.RawMessage `json:"post_processor"`
	Decoder       json.RawMessage `json:"decoder"`
	Model         json.RawMessage `json:"model"`
}

// The types of models.
const (
	BPE       = "BPE"
	WordPiece = "WordPiece"
	Unigram   = "Unigram"
	WordLevel = "WordLevel"
)

// bpeSettings are the settings of a BPE model in the order in which they are written.
type bpeSettings struct {
	Type         string   `json:"type"`
	Dropout      *float64 `json:"dropout"`
	Unk          *string  `json:"unk_token"`
	Prefix       *string  `json:"continuing_subword_prefix"`
	Suffix       *string  `json:"end_of_word_suffix"`
	FuseUnk      bool     `json:"fuse_unk"`
	ByteFallback bool     `json:"byte_fallback"`
	IgnoreMerges bool     `json:"ignore_merges"`
}

// jsonMerges reads both spellings of merges, "a b" and ["a", "b"].
type jsonMerges [][2]string

func (m *jsonMerges) UnmarshalJSON(data []byte) error {
	var lines []string
	if json.Unmarshal(data, &lines) == nil {
		for i, line := range lines {
			a, b, ok := strings.Cut(line, " ")
			if !ok || a == "" || b == "" || strings.Contains(b, " ") {
				return fmt.Errorf("model.merges[%d]: %q is not two tokens", i, line)
			}
			*m = append(*m, [2]string{a, b})
		}
		return nil
	}
	var pairs [][]string
	if err := json.Unmarshal(data, &pairs); err != nil {
		return fmt.Errorf("model.merges: %w", err)
	}
	for i, p := range pairs {
		if len(p) != 2 {
			return fmt.Errorf("model.merges[%d]: %d tokens, not two", i, len(p))
		}
		*m = append(*m, [2]string{p[0], p[1]})
	}
	return nil
}

// Load reads a tokenizer.json, all kinds of it. What Hugging Face tokenizers does not know either, and random merging (dropout), is an
// error that names the field. Truncation and padding are kept for Marshal and not applied.
func Load(data []byte) (*Tokenizer, error) {
	if len(data) > maxFile {
		return nil, fmt.Errorf("tokenizer: a file of %d bytes, more than %d", len(data), maxFile)
	}
	if !utf8.Valid(data) {
		return nil, errors.New("tokenizer: the file is not valid UTF-8")
	}
	var f jsonFile
	if err := strict("", data, &f); err != nil {
		return nil, err
	}
	if f.Version != "1.0" {
		return nil, fmt.Errorf("tokenizer: version %q, want \"1.0\"", f.Version)
	}
	m := &model{added: f.Added, truncation: f.Truncation, padding: f.Padding}
	if err := m.readModel(f.Model); err != nil {
		return nil, err
	}
	var err error
	if m.normalizer, err = normalizers.read("normalizer", f.Normalizer, 0); err != nil {
		return nil, err
	}
	if m.pre, err = preTokenizers.read("pre_tokenizer", f.PreTokenizer, 0); err != nil {
		return nil, err
	}
	if m.post, err = postProcessors.read("post_processor", f.PostProcessor, 0); err != nil {
		return nil, err
	}
	if m.decoder, err = decoders.read("decoder", f.Decoder, 0); err != nil {
		return nil, err
	}
	return build(m)
}

func (m *model) readModel(raw json.RawMessage) error {
	if len(raw) == 0 {
		return errors.New("tokenizer: model: missing")
	}
	switch m.kind = modelKind(raw); m.kind {
	case BPE:
		return m.readBPE(raw)
	case WordPiece:
		var j struct {
			wordPieceSettings
			Vocab map[string]int32 `json:"vocab"`
		}
		j.Type = WordPiece
		err := decodeModel(raw, &j, "unk_token", "continuing_subword_prefix", "max_input_chars_per_word", "vocab")
		m.wordPiece, m.vocab = j.wordPieceSettings, j.Vocab
		return err
	case WordLevel:
		var j struct {
			Type  string           `json:"type"`
			Vocab map[string]int32 `json:"vocab"`
			Unk   string           `json:"unk_token"`
		}
		err := decodeModel(raw, &j, "unk_token", "vocab")
		m.wordLevelUnk, m.vocab = j.Unk, j.Vocab
		return err
	case Unigram:
		return m.readUnigram(raw)
	}
	return fmt.Errorf("tokenizer: model: type %q is not supported", m.kind)
}

// modelKind returns the type of a model; older files do not say it.
func modelKind(raw json.RawMessage) string {
	if typ := kind(raw); typ != "?" {
		return typ
	}
	fields := map[string]json.RawMessage{}
	_ = json.Unmarshal(raw, &fields)
	has := func(key string) bool { _, ok := fields[key]; return ok }
	switch {
	case has("merges"):
		return BPE
	case has("max_input_chars_per_word"):
		return WordPiece
	case bytes.HasPrefix(bytes.TrimSpace(fields["vocab"]), []byte("[")):
		return Unigram
	case has("unk_token") && len(fields) <= 3:
		return WordLevel
	}
	return BPE
}

// decodeModel decodes a model and checks that it has the keys.
func decodeModel(raw json.RawMessage, into any, keys ...string) error {
	if err := strict("model: ", raw, into); err != nil {
		return err
	}
	fields := map[string]json.RawMessage{}
	if err := json.Unmarshal(raw, &fields); err != nil {
		return fmt.Errorf("tokenizer: model: %w", err)
	}
	for _, key := range keys {
		if v, ok := fields[key]; !ok || string(v) == "null" {
			return fmt.Errorf("tokenizer: model.%s: missing", key)
		}
	}
	return nil
}

func (m *model) readBPE(raw json.RawMessage) error {
	var j struct {
		bpeSettings
		Vocab  map[string]int32 `json:"vocab"`
		Merges jsonMerges       `json:"merges"`
	}
	if err := decodeModel(raw, &j, "vocab", "merges"); err != nil {
		return err
	}
	if j.Dropout != nil && *j.Dropout != 0 {
		return fmt.Errorf("tokenizer: model.dropout: %g is not supported", *j.Dropout)
	}
	j.Type = BPE
	m.bpe, m.vocab, m.merges = j.bpeSettings, j.Vocab, j.Merges
	return nil
}

func (m *model) readUnigram(raw json.RawMessage) error {
	var j struct {
		Type         string      `json:"type"`
		Unk          *int32      `json:"unk_id"`
		Vocab        []jsonScore `json:"vocab"`
		ByteFallback bool        `json:"byte_fallback"`
	}
	if err := decodeModel(raw, &j, "vocab"); err != nil {
		return err
	}
	m.unigramUnk, m.byteFallback = -1, j.ByteFallback
	if j.Unk != nil {
		if *j.Unk < 0 || int(*j.Unk) >= len(j.Vocab) {
			return fmt.Errorf("tokenizer: model.unk_id: %d is not among %d tokens", *j.Unk, len(j.Vocab))
		}
		m.unigramUnk = *j.Unk
	}
	m.scored = j.Vocab
	return nil
}

// jsonScore is a token of a Unigram model and its log-probability, written as an array.
type jsonScore struct {
	text  string
	score float64
}

func (s *jsonScore) UnmarshalJSON(data []byte) error {
	var fields []json.RawMessage
	if err := json.Unmarshal(data, &fields); err != nil {
		return err
	}
	if len(fields) != 2 || json.Unmarshal(fields[0], &s.text) != nil || json.Unmarshal(fields[1], &s.score) != nil {
		return fmt.Errorf("vocab: %.100s is not a token and its score", data)
	}
	s.score = peerFloat(string(fields[1]), s.score)
	return nil
}

// peerFloat returns a JSON number as Hugging Face tokenizers reads it: the digits as a float64, divided by a power of ten, which may
// be off by a last bit that decides ties between segmentations. exact is the number itself, returned where there are other than
// digits and a point or more digits than uint64 takes.
func peerFloat(number string, exact float64) float64 {
	whole, fraction, _ := strings.Cut(strings.TrimPrefix(number, "-"), ".")
	digits, err := strconv.ParseUint(whole+fraction, 10, 64)
	if err != nil {
		return exact
	}
	power, _ := strconv.ParseFloat("1e"+strconv.Itoa(len(fraction)), 64)
	return math.Copysign(float64(digits)/power, exact)
}

// wordPieceSettings are the settings of a WordPiece model in the order in which they are written.
type wordPieceSettings struct {
	Type     string `json:"type"`
	Unk      string `json:"unk_token"`
	Prefix   string `json:"continuing_subword_prefix"`
	MaxChars int    `json:"max_input_chars_per_word"`
}
