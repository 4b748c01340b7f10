package tokenizer

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/plinth-ml/plinth/tokenizer/split"
)

// sections are the parts of tokenizer.json that are written back as they were read.
type sections struct {
	truncation, padding, normalizer, preTokenizer, postProcessor, decoder json.RawMessage
	model                                                                 json.RawMessage // all but vocab and merges
}

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

// jsonModel holds the settings of a BPE model in the order in which they are written.
type jsonModel struct {
	Type         string   `json:"type"`
	Dropout      *float64 `json:"dropout"`
	Unk          *string  `json:"unk_token"`
	Prefix       *string  `json:"continuing_subword_prefix"`
	Suffix       *string  `json:"end_of_word_suffix"`
	FuseUnk      bool     `json:"fuse_unk"`
	ByteFallback bool     `json:"byte_fallback"`
	IgnoreMerges bool     `json:"ignore_merges"`
	*jsonModelTables
}

type jsonModelTables struct {
	Vocab  map[string]int32 `json:"vocab"`
	Merges jsonMerges       `json:"merges"`
}

type jsonByteLevel struct {
	Type        string `json:"type"`
	PrefixSpace bool   `json:"add_prefix_space"`
	TrimOffsets bool   `json:"trim_offsets"`
	UseRegex    bool   `json:"use_regex"`
}

type jsonSplit struct {
	Type     string            `json:"type"`
	Pattern  map[string]string `json:"pattern"`
	Behavior string            `json:"behavior"`
	Invert   bool              `json:"invert"`
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

// Load reads a tokenizer.json. Its model must be byte-level BPE, without a normalizer; anything that Plinth does not
// implement is an error that names the field. Truncation and padding are kept for Marshal and not applied.
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
	m := &model{added: f.Added}
	m.sections.truncation, m.sections.padding = f.Truncation, f.Padding
	if err := m.readModel(f.Model); err != nil {
		return nil, err
	}
	if typ := kind(f.Normalizer); typ != "" {
		return nil, fmt.Errorf("tokenizer: normalizer: type %q is not supported", typ)
	}
	var err error
	if m.sections.preTokenizer, err = m.readPreTokenizer("pre_tokenizer", f.PreTokenizer); err != nil {
		return nil, err
	}
	if m.sections.postProcessor, err = m.readPostProcessor("post_processor", f.PostProcessor); err != nil {
		return nil, err
	}
	if m.sections.decoder, err = readByteLevel("decoder", f.Decoder, &jsonByteLevel{}); err != nil {
		return nil, err
	}
	return build(m)
}

// strict decodes data and refuses unknown fields. where names the section.
func strict(where string, data []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	err := d.Decode(into)
	if err == nil && d.More() {
		err = errors.New("more than one JSON value")
	}
	if err != nil {
		return fmt.Errorf("tokenizer: %s%w", where, err)
	}
	return nil
}

// kind returns the type of a section, "" where it is null or absent.
func kind(raw json.RawMessage) string {
	if len(raw) == 0 || string(raw) == "null" {
		return ""
	}
	var head struct{ Type string }
	if json.Unmarshal(raw, &head) != nil || head.Type == "" {
		return "?"
	}
	return head.Type
}

func (m *model) readModel(raw json.RawMessage) error {
	j := jsonModel{jsonModelTables: &jsonModelTables{}}
	if len(raw) == 0 {
		return errors.New("tokenizer: model: missing")
	}
	if typ := kind(raw); typ != "BPE" && typ != "?" { // older files do not say
		return fmt.Errorf("tokenizer: model: type %q is not supported", typ)
	}
	if err := strict("model: ", raw, &j); err != nil {
		return err
	}
	switch {
	case j.Vocab == nil || j.Merges == nil && !bytes.Contains(raw, []byte(`"merges"`)):
		return errors.New("tokenizer: model: vocab or merges missing")
	case j.Dropout != nil && *j.Dropout != 0:
		return fmt.Errorf("tokenizer: model.dropout: %g is not supported", *j.Dropout)
	case j.Prefix != nil && *j.Prefix != "":
		return fmt.Errorf("tokenizer: model.continuing_subword_prefix: %q is not supported", *j.Prefix)
	case j.Suffix != nil && *j.Suffix != "":
		return fmt.Errorf("tokenizer: model.end_of_word_suffix: %q is not supported", *j.Suffix)
	case j.ByteFallback:
		return errors.New("tokenizer: model.byte_fallback: not supported")
	}
	if j.Unk != nil {
		for b, r := range byteRune {
			if _, ok := j.Vocab[string(r)]; !ok {
				return fmt.Errorf("tokenizer: model.unk_token: %q with byte %#x missing is not supported", *j.Unk, b)
			}
		}
	}
	m.vocab, m.merges, m.ignoreMerges = j.Vocab, j.Merges, j.IgnoreMerges
	j.Type, j.jsonModelTables = "BPE", nil
	m.sections.model = marshal(j)
	return nil
}

// readByteLevel reads a ByteLevel section into b and returns it as it is written now.
func readByteLevel(where string, raw json.RawMessage, b *jsonByteLevel) (json.RawMessage, error) {
	if typ := kind(raw); typ != "ByteLevel" {
		return nil, fmt.Errorf("tokenizer: %s: type %q is not supported, want ByteLevel", where, typ)
	}
	b.TrimOffsets, b.UseRegex = true, true
	if err := strict(where+": ", raw, b); err != nil {
		return nil, err
	}
	return marshal(b), nil
}

func (m *model) readPreTokenizer(where string, raw json.RawMessage) (json.RawMessage, error) {
	parts := []json.RawMessage{raw}
	var seq struct {
		Type string            `json:"type"`
		Pre  []json.RawMessage `json:"pretokenizers"`
	}
	isSeq := kind(raw) == "Sequence"
	if isSeq {
		if err := strict(where+": ", raw, &seq); err != nil {
			return nil, err
		}
		parts = seq.Pre
	}
	if len(parts) == 0 || len(parts) > 64 {
		return nil, fmt.Errorf("tokenizer: %s: %d parts", where, len(parts))
	}
	for i, p := range parts {
		at := where
		if isSeq {
			at = fmt.Sprintf("%s.pretokenizers[%d]", where, i)
		}
		var err error
		if i == len(parts)-1 {
			var b jsonByteLevel
			if parts[i], err = readByteLevel(at, p, &b); err != nil {
				return nil, err
			}
			if b.PrefixSpace && i > 0 {
				return nil, fmt.Errorf("tokenizer: %s.add_prefix_space: not supported behind a Split", at)
			}
			m.prefixSpace = b.PrefixSpace
			if b.UseRegex {
				m.stages = append(m.stages, split.GPT2)
			}
		} else if parts[i], err = m.readSplit(at, p); err != nil {
			return nil, err
		}
	}
	if isSeq {
		seq.Pre = parts
		return marshal(seq), nil
	}
	return parts[0], nil
}

func (m *model) readSplit(where string, raw json.RawMessage) (json.RawMessage, error) {
	if typ := kind(raw); typ != "Split" {
		return nil, fmt.Errorf("tokenizer: %s: type %q is not supported", where, typ)
	}
	var s jsonSplit
	if err := strict(where+": ", raw, &s); err != nil {
		return nil, err
	}
	expr, ok := s.Pattern["Regex"]
	if !ok || len(s.Pattern) != 1 {
		return nil, fmt.Errorf("tokenizer: %s.pattern: want one Regex", where)
	}
	if s.Behavior != "Isolated" || s.Invert {
		return nil, fmt.Errorf("tokenizer: %s: behavior %q, invert %t is not supported", where, s.Behavior, s.Invert)
	}
	if expr == portableCL100K {
		m.stages = append(m.stages, split.CL100KTiktoken)
		return marshal(s), nil
	}
	p, err := split.ByRegex(expr)
	if err != nil {
		return nil, fmt.Errorf("tokenizer: %s.pattern: %w", where, err)
	}
	m.stages = append(m.stages, p)
	return marshal(s), nil
}

// readPostProcessor finds what a post-processor adds before and after a single text.
func (m *model) readPostProcessor(where string, raw json.RawMessage) (json.RawMessage, error) {
	var err error
	switch typ := kind(raw); typ {
	case "":
		return nil, nil
	case "ByteLevel":
		return readByteLevel(where, raw, &jsonByteLevel{})
	case "TemplateProcessing":
		err = m.readTemplate(where, raw)
	case "RobertaProcessing", "BertProcessing":
		var r struct {
			Type        string
			Sep, Cls    [2]any
			TrimOffsets bool `json:"trim_offsets"`
			PrefixSpace bool `json:"add_prefix_space"`
		}
		if err = strict(where+": ", raw, &r); err == nil {
			cls, ok1 := r.Cls[1].(float64)
			sep, ok2 := r.Sep[1].(float64)
			if !ok1 || !ok2 || cls < 0 || cls >= maxID || sep < 0 || sep >= maxID {
				return nil, fmt.Errorf("tokenizer: %s: cls or sep is not a token and its id", where)
			}
			m.before, m.after = append([]int32{int32(cls)}, m.before...), append(m.after, int32(sep))
		}
	case "Sequence":
		var seq struct {
			Type       string            `json:"type"`
			Processors []json.RawMessage `json:"processors"`
		}
		if err = strict(where+": ", raw, &seq); err != nil {
			return nil, err
		}
		for i, p := range seq.Processors {
			at := fmt.Sprintf("%s.processors[%d]", where, i)
			if kind(p) == "Sequence" || kind(p) == "" {
				return nil, fmt.Errorf("tokenizer: %s: type %q is not supported", at, kind(p))
			}
			if seq.Processors[i], err = m.readPostProcessor(at, p); err != nil {
				return nil, err
			}
		}
		return marshal(seq), nil
	default:
		return nil, fmt.Errorf("tokenizer: %s: type %q is not supported", where, typ)
	}
	return raw, err
}

func (m *model) readTemplate(where string, raw json.RawMessage) error {
	type item struct {
		ID   string `json:"id"`
		Type int    `json:"type_id"`
	}
	var j struct {
		Type         string
		Single, Pair []struct {
			SpecialToken *item
			Sequence     *item
		}
		Special map[string]struct {
			ID     string
			IDs    []int32
			Tokens []string
		} `json:"special_tokens"`
	}
	if err := strict(where+": ", raw, &j); err != nil {
		return err
	}
	var before, after []int32
	texts := 0
	for i, s := range j.Single {
		switch {
		case s.Sequence != nil:
			texts++
		case s.SpecialToken != nil:
			token, ok := j.Special[s.SpecialToken.ID]
			if !ok {
				return fmt.Errorf("tokenizer: %s.single[%d]: %q is not in special_tokens", where, i, s.SpecialToken.ID)
			}
			if texts == 0 {
				before = append(before, token.IDs...)
			} else {
				after = append(after, token.IDs...)
			}
		}
	}
	if texts != 1 {
		return fmt.Errorf("tokenizer: %s.single: %d texts, want one", where, texts)
	}
	m.before, m.after = append(before, m.before...), append(m.after, after...)
	return nil
}
