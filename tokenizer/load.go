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

// most bounds how much room is made at once for as many entries as a file seems to have.
const most = 1 << 17

// jsonVocab is a map of JSON that does not grow step by step.
type jsonVocab map[string]int32

func (v *jsonVocab) UnmarshalJSON(data []byte) error {
	*v = make(jsonVocab, min(bytes.Count(data, []byte(`":`)), most))
	return json.Unmarshal(data, (*map[string]int32)(v))
}

// jsonMerges reads both spellings of merges, "a b" and ["a", "b"].
type jsonMerges [][2]string

func (m *jsonMerges) UnmarshalJSON(data []byte) error {
	list := make([]jsonMerge, 0, min(bytes.Count(data, []byte(`",`)), most)+1)
	if err := json.Unmarshal(data, &list); err != nil {
		return err
	}
	*m = make(jsonMerges, len(list))
	for i, p := range list {
		if p[0] == "" {
			return fmt.Errorf("merges[%d]: %.100s is not two tokens", i, p[1])
		}
		(*m)[i] = p
	}
	return nil
}

// jsonMerge is a merge; nothing and the JSON where that is none.
type jsonMerge [2]string

func (p *jsonMerge) UnmarshalJSON(data []byte) error {
	*p = jsonMerge{"", string(data)}
	if inner, ok := list(data); ok {
		a, rest, ok := cutString(inner)
		rest, comma := bytes.CutPrefix(rest, []byte(","))
		b, end, ok2 := cutString(rest)
		if ok && comma && ok2 && len(end) == 0 && a != "" {
			*p = jsonMerge{a, b}
		}
		return nil
	}
	line, _, _ := cutString(data)
	if a, b, ok := strings.Cut(line, " "); ok && a != "" && b != "" && !strings.Contains(b, " ") {
		*p = jsonMerge{a, b}
	}
	return nil
}

// list returns what is between the brackets of a JSON array.
func list(data []byte) (inner []byte, ok bool) {
	inner, ok = bytes.CutPrefix(data, []byte("["))
	return bytes.TrimSuffix(inner, []byte("]")), ok
}

// cutString returns the string at the start of valid JSON and what is behind it, without white space. It allocates nothing but the
// string, as files have 100,000 of them.
func cutString(data []byte) (s string, rest []byte, ok bool) {
	data = bytes.TrimSpace(data)
	if len(data) == 0 || data[0] != '"' {
		return "", data, false
	}
	end, escapes := 1, false
	for data[end] != '"' {
		if data[end] == '\\' {
			escapes = true
			end++
		}
		end++
	}
	rest = bytes.TrimSpace(data[end+1:])
	if !escapes {
		return string(data[1:end]), rest, true
	}
	err := json.Unmarshal(data[:end+1], &s)
	return s, rest, err == nil
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
	if _, err := fill("", data, &f); err != nil {
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
			Vocab jsonVocab `json:"vocab"`
		}
		j.Type = WordPiece
		err := decodeModel(raw, &j, "unk_token", "continuing_subword_prefix", "max_input_chars_per_word", "vocab")
		m.wordPiece, m.vocab = j.wordPieceSettings, j.Vocab
		return err
	case WordLevel:
		var j struct {
			Type  string    `json:"type"`
			Vocab jsonVocab `json:"vocab"`
			Unk   string    `json:"unk_token"`
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
	fields, err := fill("model", raw, into)
	if err != nil {
		return err
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
		Vocab  jsonVocab  `json:"vocab"`
		Merges jsonMerges `json:"merges"`
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
		Type         string     `json:"type"`
		Unk          *int32     `json:"unk_id"`
		Vocab        jsonScores `json:"vocab"`
		ByteFallback bool       `json:"byte_fallback"`
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
	inner, ok := list(data)
	text, rest, isText := cutString(inner)
	number, comma := bytes.CutPrefix(rest, []byte(","))
	number = bytes.TrimSpace(number)
	score, err := strconv.ParseFloat(string(number), 64)
	if !ok || !isText || !comma || err != nil {
		return fmt.Errorf("%.100s is not a token and its score", data)
	}
	*s = jsonScore{text, peerFloat(string(number), score)}
	return nil
}

// jsonScores are the tokens of a Unigram model.
type jsonScores []jsonScore

func (s *jsonScores) UnmarshalJSON(data []byte) error {
	*s = make(jsonScores, 0, min(bytes.Count(data, []byte(`",`)), most)+1)
	return json.Unmarshal(data, (*[]jsonScore)(s))
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
