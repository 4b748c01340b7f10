package tokenizer

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// LoadVocabText reads BERT's vocab.txt, a token a line, with the settings of tokenizer_config.json (do_lower_case,
// tokenize_chinese_chars, strip_accents and the names of special tokens), which may be nil. Without do_lower_case the text is
// lower-cased unless a token has one of the letters A to Z.
func LoadVocabText(vocab, config []byte) (*Tokenizer, error) {
	m := &model{vocab: map[string]int32{}}
	capitals := false
	n := int32(0)
	for line := range bytes.Lines(vocab) {
		name := strings.TrimRightFunc(string(line), unicode.IsSpace)
		if !utf8.ValidString(name) {
			return nil, fmt.Errorf("tokenizer: vocab.txt:%d: %.60q is not UTF-8", n+1, name)
		}
		if n == maxID {
			return nil, fmt.Errorf("tokenizer: vocab.txt: more than %d lines", maxID)
		}
		m.vocab[name] = n // where one repeats, the last one counts
		capitals = capitals || !strings.HasPrefix(name, "[") && strings.ContainsAny(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ")
		n++
	}
	c := struct {
		Lower   *bool           `json:"do_lower_case"`
		Chinese *bool           `json:"tokenize_chinese_chars"`
		Accents *bool           `json:"strip_accents"`
		Unk     json.RawMessage `json:"unk_token"`
		Sep     json.RawMessage `json:"sep_token"`
		Pad     json.RawMessage `json:"pad_token"`
		Cls     json.RawMessage `json:"cls_token"`
		Mask    json.RawMessage `json:"mask_token"`
	}{}
	if config != nil {
		if err := json.Unmarshal(config, &c); err != nil {
			return nil, fmt.Errorf("tokenizer: tokenizer_config.json: %w", err)
		}
	}
	var names [5]string
	for i, t := range []struct {
		given json.RawMessage
		usual string
	}{{c.Unk, "[UNK]"}, {c.Sep, "[SEP]"}, {c.Pad, "[PAD]"}, {c.Cls, "[CLS]"}, {c.Mask, "[MASK]"}} {
		names[i] = tokenName(t.given, t.usual)
		if id, ok := m.vocab[names[i]]; ok && !slices.Contains(names[:i], names[i]) {
			m.added = append(m.added, AddedToken{ID: id, Content: names[i], Special: true})
		}
	}
	for _, i := range []int{0, 1, 3} {
		if _, ok := m.vocab[names[i]]; !ok {
			return nil, fmt.Errorf("tokenizer: vocab.txt: no %s among %d lines: not a vocabulary of BERT's", names[i], n)
		}
	}
	lower := !capitals
	if c.Lower != nil {
		lower = *c.Lower
	}
	m.bert(names[0], bertNormalizer{Clean: true, Chinese: c.Chinese == nil || *c.Chinese, Accents: c.Accents, Lower: lower})
	return build(m.bertPairs(names[3], names[1]))
}

// tokenName reads a token of tokenizer_config.json: a string or an object with its content.
func tokenName(raw json.RawMessage, usual string) string {
	var name string
	var object struct{ Content string }
	switch {
	case json.Unmarshal(raw, &name) == nil && name != "":
		return name
	case json.Unmarshal(raw, &object) == nil && object.Content != "":
		return object.Content
	}
	return usual
}

// bert sets the parts that BERT has but for the post-processor.
func (m *model) bert(unk string, n bertNormalizer) {
	n.Type = "BertNormalizer"
	m.kind, m.normalizer, m.pre = WordPiece, &n, &bertPreTokenizer{simple{"BertPreTokenizer"}}
	m.decoder = &wordPieceDecoder{"WordPiece", "##", true}
	m.wordPiece = wordPieceSettings{WordPiece, unk, "##", 100}
}

// bertPairs sets the post-processor for cls a sep and cls a sep b sep.
func (m *model) bertPairs(cls, sep string) *model {
	tokens := map[string]templateToken{}
	for _, name := range []string{cls, sep} {
		tokens[name] = templateToken{name, []int32{m.vocab[name]}, []string{name}}
	}
	begin, a, end := piece{SpecialToken: &pieceID{cls, 0}}, piece{Sequence: &pieceID{"A", 0}}, piece{SpecialToken: &pieceID{sep, 0}}
	b, last := piece{Sequence: &pieceID{"B", 1}}, piece{SpecialToken: &pieceID{sep, 1}}
	m.post = &template{"TemplateProcessing", []piece{begin, a, end}, []piece{begin, a, end, b, last}, tokens}
	return m
}
