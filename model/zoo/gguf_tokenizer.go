package zoo

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/plinth-ml/plinth/checkpoint/gguf"
	"github.com/plinth-ml/plinth/tokenizer"
	"github.com/plinth-ml/plinth/tokenizer/split"
	"github.com/plinth-ml/plinth/tokenizer/spm"
)

// Keys of a tokenizer in a GGUF.
const (
	keyModel    = "tokenizer.ggml.model"
	keyPre      = "tokenizer.ggml.pre"
	keyTokens   = "tokenizer.ggml.tokens"
	keyScores   = "tokenizer.ggml.scores"
	keyTypes    = "tokenizer.ggml.token_type"
	keyMerges   = "tokenizer.ggml.merges"
	keyTemplate = "tokenizer.chat_template"
)

// pre is one of llama.cpp's ways to cut text, under its name there.
type pre struct {
	name    string
	pattern *split.Pattern
	whole   bool // a piece that is a token is not merged
}

// pres are those that tokenizer/split has too, for each what is written first.
var pres = []pre{
	{"gpt-2", split.GPT2, false}, {"llama-bpe", split.Llama3, true}, {"dbrx", split.Llama3, false}, {"qwen2", split.Qwen2, false}, {"gpt-4o", split.O200K, false},
	{"phi-2", split.GPT2, false}, {"mpt", split.GPT2, false}, {"olmo", split.GPT2, false}, {"jais", split.GPT2, false}, {"modern-bert", split.GPT2, false},
	{"llama3", split.Llama3, true}, {"llama-v3", split.Llama3, true}, {"falcon3", split.Llama3, true}, {"pixtral", split.Llama3, true}, {"lfm2", split.Llama3, true},
	{"smaug-bpe", split.Llama3, false}, {"stablelm2", split.Qwen2, false}, {"deepseek-r1-qwen", split.Qwen2, false}, {"hunyuan", split.Qwen2, false},
}

// jsonTokenizer is the part of a tokenizer.json that a GGUF can say.
type jsonTokenizer struct {
	Version       string          `json:"version"`
	Added         []jsonAdded     `json:"added_tokens"`
	Normalizer    json.RawMessage `json:"normalizer"`
	PreTokenizer  json.RawMessage `json:"pre_tokenizer"`
	PostProcessor json.RawMessage `json:"post_processor"`
	Decoder       json.RawMessage `json:"decoder"`
	Model         jsonModel       `json:"model"`
}

type jsonAdded struct {
	ID         int32  `json:"id"`
	Content    string `json:"content"`
	SingleWord bool   `json:"single_word"`
	LStrip     bool   `json:"lstrip"`
	RStrip     bool   `json:"rstrip"`
	Normalized bool   `json:"normalized"`
	Special    bool   `json:"special"`
}

type jsonModel struct {
	Type         string           `json:"type"`
	Unk          *string          `json:"unk_token"`
	FuseUnk      bool             `json:"fuse_unk"`
	ByteFallback bool             `json:"byte_fallback"`
	IgnoreMerges bool             `json:"ignore_merges"`
	Vocab        map[string]int32 `json:"vocab"`
	Merges       []jsonMerge      `json:"merges"`
}

// jsonMerge is a pair, which older files write as one text.
type jsonMerge [2]string

func (m *jsonMerge) UnmarshalJSON(b []byte) error {
	var text string
	if json.Unmarshal(b, &text) == nil {
		left, right, ok := strings.Cut(text, " ")
		if !ok {
			return fmt.Errorf("tokenizer.json: merge %q", text)
		}
		*m = jsonMerge{left, right}
		return nil
	}
	var pair [2]string
	err := json.Unmarshal(b, &pair)
	*m = pair
	return err
}

// tokenizerOf makes the tokenizer of a GGUF's metadata, and its tokenizer.json.
func tokenizerOf(meta gguf.Metadata) (*tokenizer.Tokenizer, []byte, error) {
	kind, ok, err := gguf.Lookup[string](meta, keyModel)
	if err != nil || !ok {
		return nil, nil, orMissing(err, keyModel)
	}
	tokens, ok, err := gguf.Lookup[[]string](meta, keyTokens)
	if err != nil || !ok {
		return nil, nil, orMissing(err, keyTokens)
	}
	types, _, err := gguf.Lookup[[]int32](meta, keyTypes)
	if err != nil {
		return nil, nil, err
	}
	if types == nil {
		types = slices.Repeat([]int32{int32(spm.Normal)}, len(tokens))
	}
	if len(types) != len(tokens) {
		return nil, nil, fmt.Errorf("gguf: %d values of %s for %d tokens", len(types), keyTypes, len(tokens))
	}
	j := jsonTokenizer{Version: "1.0", Model: jsonModel{Type: "BPE", Vocab: map[string]int32{}}}
	for id, t := range tokens {
		switch spm.Type(types[id]) {
		case spm.Control, spm.UserDefined, spm.Unknown:
			j.Added = append(j.Added, jsonAdded{ID: int32(id), Content: t, Special: spm.Type(types[id]) != spm.UserDefined})
		}
		if _, twice := j.Model.Vocab[t]; twice {
			return nil, nil, fmt.Errorf("gguf: %s holds %q twice", keyTokens, t)
		}
		j.Model.Vocab[t] = int32(id)
	}
	addBOS, _, err := gguf.Lookup[bool](meta, "tokenizer.ggml.add_bos_token")
	switch {
	case err != nil:
		return nil, nil, err
	case kind == "gpt2":
		err = j.byteLevel(meta)
	case kind == "llama":
		if meta.Get("tokenizer.ggml.add_bos_token") == nil {
			addBOS = true
		}
		err = j.sentencePiece(meta, tokens, types)
	default:
		err = fmt.Errorf("gguf: %s %q is not implemented; implemented: gpt2, llama", keyModel, kind)
	}
	if err != nil {
		return nil, nil, err
	}
	if bos, ok, err := gguf.Lookup[int](meta, "tokenizer.ggml.bos_token_id"); err != nil {
		return nil, nil, err
	} else if ok && addBOS {
		if bos < 0 || bos >= len(tokens) {
			return nil, nil, fmt.Errorf("gguf: tokenizer.ggml.bos_token_id is %d of %d tokens", bos, len(tokens))
		}
		j.PostProcessor = template(tokens[bos], bos)
	}
	data, err := json.Marshal(j)
	if err != nil {
		return nil, nil, err
	}
	t, err := tokenizer.Load(data)
	return t, data, err
}

func orMissing(err error, key string) error {
	if err != nil {
		return err
	}
	return fmt.Errorf("gguf: no %s", key)
}

// template puts a token before the text.
func template(token string, id int) json.RawMessage {
	b, _ := json.Marshal(map[string]any{
		"type":           "TemplateProcessing",
		"single":         []any{map[string]any{"SpecialToken": map[string]any{"id": token, "type_id": 0}}, map[string]any{"Sequence": map[string]any{"id": "A", "type_id": 0}}},
		"pair":           []any{map[string]any{"SpecialToken": map[string]any{"id": token, "type_id": 0}}, map[string]any{"Sequence": map[string]any{"id": "A", "type_id": 0}}, map[string]any{"Sequence": map[string]any{"id": "B", "type_id": 1}}},
		"special_tokens": map[string]any{token: map[string]any{"id": token, "ids": []int{id}, "tokens": []string{token}}},
	})
	return b
}

// byteLevel fills in GPT-2's kind.
func (j *jsonTokenizer) byteLevel(meta gguf.Metadata) error {
	name, ok, err := gguf.Lookup[string](meta, keyPre)
	if err != nil {
		return err
	}
	if !ok || name == "default" {
		name = "gpt-2"
	}
	i := slices.IndexFunc(pres, func(p pre) bool { return p.name == name })
	if i < 0 {
		return fmt.Errorf("gguf: %s %q is not implemented", keyPre, name)
	}
	merges, ok, err := gguf.Lookup[[]string](meta, keyMerges)
	if err != nil || !ok {
		return orMissing(err, keyMerges)
	}
	for _, m := range merges {
		left, right, ok := strings.Cut(m, " ")
		if !ok {
			return fmt.Errorf("gguf: %s holds %q", keyMerges, m)
		}
		j.Model.Merges = append(j.Model.Merges, jsonMerge{left, right})
	}
	j.Model.IgnoreMerges = pres[i].whole
	regex, err := json.Marshal(pres[i].pattern.Regex)
	if err != nil {
		return err
	}
	j.PreTokenizer = json.RawMessage(`{"type":"Sequence","pretokenizers":[{"type":"Split","pattern":{"Regex":` + string(regex) +
		`},"behavior":"Isolated","invert":false},{"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":false}]}`)
	if pres[i].pattern == split.GPT2 {
		j.PreTokenizer = json.RawMessage(`{"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":true}`)
	}
	j.Decoder = json.RawMessage(`{"type":"ByteLevel","add_prefix_space":true,"trim_offsets":true,"use_regex":true}`)
	return nil
}

// sentencePiece fills in Llama 2's kind: pieces with scores, from which the merges follow.
func (j *jsonTokenizer) sentencePiece(meta gguf.Metadata, tokens []string, types []int32) error {
	scores, ok, err := gguf.Lookup[[]float32](meta, keyScores)
	if err != nil || !ok || len(scores) != len(tokens) {
		if err == nil && ok {
			err = fmt.Errorf("gguf: %d values of %s for %d tokens", len(scores), keyScores, len(tokens))
		}
		return orMissing(err, keyScores)
	}
	m := spm.Model{}
	for id, t := range tokens {
		p := spm.Piece{Text: t, Score: scores[id], Type: spm.Type(types[id])}
		if p.Type != spm.Normal {
			p.Text = "" // which nothing merges to
		}
		if p.Type == spm.Unknown && j.Model.Unk == nil {
			j.Model.Unk = &t
		}
		j.Model.ByteFallback = j.Model.ByteFallback || p.Type == spm.Byte
		m.Pieces = append(m.Pieces, p)
	}
	for _, merge := range m.MergesByScore() {
		j.Model.Merges = append(j.Model.Merges, jsonMerge{tokens[merge.Left], tokens[merge.Right]})
	}
	j.Model.FuseUnk = true
	prefix, ok, err := gguf.Lookup[bool](meta, "tokenizer.ggml.add_space_prefix")
	if err != nil {
		return err
	}
	normalizer, strip := `{"type":"Replace","pattern":{"String":" "},"content":"▁"}`, ""
	if prefix || !ok {
		normalizer = `{"type":"Sequence","normalizers":[{"type":"Prepend","prepend":"▁"},` + normalizer + `]}`
		strip = `,{"type":"Strip","content":" ","start":1,"stop":0}`
	}
	j.Normalizer = json.RawMessage(normalizer)
	j.Decoder = json.RawMessage(`{"type":"Sequence","decoders":[{"type":"Replace","pattern":{"String":"▁"},"content":" "},{"type":"ByteFallback"},{"type":"Fuse"}` + strip + `]}`)
	return nil
}

// setTokenizer says in meta what a tokenizer.json says, for a model of vocab rows. bos and eos are -1 for none.
func setTokenizer(meta *gguf.Metadata, data []byte, vocab, bos, eos int) error {
	var j jsonTokenizer
	if err := json.Unmarshal(data, &j); err != nil {
		return fmt.Errorf("tokenizer.json: %w", err)
	}
	if j.Model.Type != "BPE" && j.Model.Type != "" {
		return fmt.Errorf("tokenizer.json: a model of type %q has no GGUF form here", j.Model.Type)
	}
	tokens, types := make([]string, vocab), slices.Repeat([]int32{int32(spm.Unused)}, vocab)
	for i := range tokens {
		tokens[i] = fmt.Sprintf("[PAD%d]", i)
	}
	set := func(id int32, text string, t spm.Type) error {
		if id < 0 || int(id) >= vocab {
			return fmt.Errorf("tokenizer.json: id %d of %q in a model of %d", id, text, vocab)
		}
		tokens[id], types[id] = text, int32(t)
		return nil
	}
	for text, id := range j.Model.Vocab {
		if err := set(id, text, spm.Normal); err != nil {
			return err
		}
	}
	for _, a := range j.Added {
		t := spm.UserDefined
		if a.Special {
			t = spm.Control
		}
		if err := set(a.ID, a.Content, t); err != nil {
			return err
		}
	}
	for key, id := range map[string]int{"tokenizer.ggml.bos_token_id": bos, "tokenizer.ggml.eos_token_id": eos} {
		if id >= 0 {
			meta.Set(key, uint32(id))
		}
	}
	meta.Set("tokenizer.ggml.add_bos_token", strings.Contains(string(j.PostProcessor), "TemplateProcessing") && bos >= 0)
	meta.Set(keyTokens, tokens)
	if j.Model.ByteFallback {
		meta.Set(keyModel, "llama")
		meta.Set(keyPre, "default")
		meta.Set(keyScores, scoresOf(j.Model, tokens))
		for id, t := range tokens {
			if len(t) == 6 && strings.HasPrefix(t, "<0x") && t[5] == '>' && types[id] == int32(spm.Normal) {
				types[id] = int32(spm.Byte)
			}
		}
		if j.Model.Unk != nil {
			if err := set(j.Model.Vocab[*j.Model.Unk], *j.Model.Unk, spm.Unknown); err != nil {
				return err
			}
			meta.Set("tokenizer.ggml.unknown_token_id", uint32(j.Model.Vocab[*j.Model.Unk]))
		}
		meta.Set("tokenizer.ggml.add_space_prefix", strings.Contains(string(j.Normalizer), "Prepend") || strings.Contains(string(j.PreTokenizer), `"prepend_scheme":"first"`))
		meta.Set(keyTypes, types)
		return nil
	}
	pre, err := preOf(j.PreTokenizer, j.Model.IgnoreMerges)
	if err != nil {
		return err
	}
	merges := make([]string, len(j.Model.Merges))
	for i, m := range j.Model.Merges {
		merges[i] = m[0] + " " + m[1]
	}
	meta.Set(keyModel, "gpt2")
	meta.Set(keyPre, pre)
	meta.Set(keyTypes, types)
	meta.Set(keyMerges, merges)
	return nil
}

// scoresOf gives each piece minus the place of the first merge that makes it, for SentencePiece merges what has the greatest score first.
func scoresOf(m jsonModel, tokens []string) []float32 {
	first := map[string]int{}
	for i, merge := range m.Merges {
		if piece := merge[0] + merge[1]; first[piece] == 0 {
			first[piece] = i + 1
		}
	}
	scores := make([]float32, len(tokens))
	for id, t := range tokens {
		scores[id] = -float32(first[t])
	}
	return scores
}

// preOf names the way in which a byte-level tokenizer cuts text.
func preOf(pre json.RawMessage, whole bool) (string, error) {
	type step struct {
		Type    string `json:"type"`
		Regex   *bool  `json:"use_regex"`
		Prefix  bool   `json:"add_prefix_space"`
		Pattern struct{ Regex string }
	}
	var p struct {
		step
		Steps []step `json:"pretokenizers"`
	}
	if err := json.Unmarshal(pre, &p); err != nil {
		return "", fmt.Errorf("tokenizer.json: pre_tokenizer: %w", err)
	}
	steps := p.Steps
	if p.Type != "Sequence" {
		steps = []step{p.step}
	}
	regex, bytes := "", false
	for _, s := range steps {
		switch {
		case s.Type == "ByteLevel" && !s.Prefix:
			if bytes = true; s.Regex == nil || *s.Regex {
				if regex != "" {
					return "", fmt.Errorf("tokenizer.json: pre_tokenizer cuts twice, which has no GGUF form")
				}
				regex = split.GPT2.Regex
			}
		case s.Type == "Split" && regex == "" && !bytes:
			regex = s.Pattern.Regex
		default:
			return "", fmt.Errorf("tokenizer.json: pre_tokenizer %s has no GGUF form", s.Type)
		}
	}
	pattern, err := split.ByRegex(regex)
	if err != nil || !bytes {
		return "", fmt.Errorf("tokenizer.json: pre_tokenizer without ByteLevel, or with an unknown pattern, has no GGUF form")
	}
	for _, k := range pres {
		if k.pattern.Regex == pattern.Regex && k.whole == whole {
			return k.name, nil
		}
	}
	return "", fmt.Errorf("tokenizer.json: pattern %q is none that llama.cpp knows", regex)
}

// TokenizerJSON returns the tokenizer.json that says what a GGUF's metadata say.
func TokenizerJSON(meta gguf.Metadata) ([]byte, error) {
	_, data, err := tokenizerOf(meta)
	return data, err
}
