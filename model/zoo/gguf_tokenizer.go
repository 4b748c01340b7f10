package zoo

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
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

// pres are those under which a tokenizer is written.
var pres = []pre{
	{"gpt-2", split.GPT2, false}, {"llama-bpe", split.Llama3, true}, {"dbrx", split.Llama3, false}, {"qwen2", split.Qwen2, false}, {"gpt-4o", split.O200K, false},
}

// jsonTokenizer is the part of a tokenizer.json that a GGUF can say.
type jsonTokenizer struct {
	Added         []tokenizer.AddedToken `json:"added_tokens"`
	Normalizer    json.RawMessage        `json:"normalizer"`
	PreTokenizer  json.RawMessage        `json:"pre_tokenizer"`
	PostProcessor json.RawMessage        `json:"post_processor"`
	Model         jsonModel              `json:"model"`
}

type jsonModel struct {
	Type         string           `json:"type"`
	Unk          *string          `json:"unk_token"`
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

// tokenizerOf makes the tokenizer of a GGUF's metadata.
func tokenizerOf(meta gguf.Metadata) (*tokenizer.Tokenizer, error) {
	var model, pre string
	if err := read(meta, "model", &model); err != nil {
		return nil, err
	}
	if err := read(meta, "pre", &pre); err != nil {
		return nil, err
	}
	if model == "" {
		return nil, fmt.Errorf("gguf: no %s", keyModel)
	}
	g := tokenizer.GGUFDefaults(model, pre)
	var charsMap []uint8
	err := cmp.Or(read(meta, "tokens", &g.Tokens), read(meta, "scores", &g.Scores), read(meta, "token_type", &g.Types), read(meta, "merges", &g.Merges),
		readID(meta, "bos", &g.BOS), readID(meta, "eos", &g.EOS), readID(meta, "unknown", &g.UNK), readID(meta, "padding", &g.PAD), readID(meta, "seperator", &g.SEP),
		read(meta, "add_bos_token", &g.AddBOS), read(meta, "add_eos_token", &g.AddEOS), read(meta, "add_space_prefix", &g.AddSpacePrefix),
		read(meta, "remove_extra_whitespaces", &g.RemoveExtraWhitespaces), read(meta, "precompiled_charsmap", &charsMap))
	if err != nil {
		return nil, err
	}
	g.CharsMap = charsMap
	return tokenizer.FromGGUF(g)
}

// read takes tokenizer.ggml.KEY into v where it is there.
func read[T any](meta gguf.Metadata, key string, v *T) error {
	got, ok, err := gguf.Lookup[T](meta, "tokenizer.ggml."+key)
	if ok {
		*v = got
	}
	return err
}

// readID takes a token's id, which may be -1.
func readID(meta gguf.Metadata, name string, id *int32) error {
	key := "tokenizer.ggml." + name + "_token_id"
	got, ok, err := gguf.Lookup[int](meta, key)
	if err != nil || !ok {
		return err
	}
	if got < -1 || got > math.MaxInt32 {
		if got != math.MaxUint32 { // -1 without a sign
			return fmt.Errorf("gguf: %s is %d", key, got)
		}
		got = -1
	}
	*id = int32(got)
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
	t, err := tokenizerOf(meta)
	if err != nil {
		return nil, err
	}
	return t.Marshal()
}
