package tokenizer

import (
	"fmt"
	"slices"
	"strings"

	"github.com/plinth-ml/plinth/tokenizer/split"
	"github.com/plinth-ml/plinth/tokenizer/spm"
)

// GGUF is the vocabulary inside a GGUF file, its keys tokenizer.ggml.*. GGUFDefaults has the values of keys that are absent.
type GGUF struct {
	Model  string // llama (SentencePiece BPE), gpt2 (byte-level BPE), bert (WordPiece), t5 (Unigram)
	Pre    string // for gpt2: which split pattern
	Tokens []string
	Scores []float32 // for llama and t5
	Types  []int32   // 1 normal, 2 unknown, 3 control, 4 user-defined, 5 unused, 6 byte; nil: all normal
	Merges []string  // for gpt2, "a b"

	BOS, EOS, UNK, PAD, SEP int32 // -1: absent; for bert BOS is [CLS]
	AddBOS, AddEOS          bool
	AddSpacePrefix          bool
	RemoveExtraWhitespaces  bool   // for t5
	CharsMap                []byte // precompiled_charsmap, for t5
	Lowercase, StripAccents bool   // for bert
}

// GGUFDefaults returns what a file means that does not say it.
func GGUFDefaults(model, pre string) GGUF {
	g := GGUF{Model: model, Pre: pre, BOS: -1, EOS: -1, UNK: -1, PAD: -1, SEP: -1}
	switch model {
	case "llama":
		g.BOS, g.EOS, g.UNK, g.AddBOS, g.AddSpacePrefix = 1, 2, 0, true, true
	case "gpt2":
		g.BOS, g.EOS = 11, 11
		g.AddBOS = preTypes[pre].bos
	case "bert":
		g.BOS, g.UNK, g.PAD, g.SEP, g.AddBOS, g.AddEOS, g.Lowercase, g.StripAccents = 101, 100, 0, 102, true, true, true, true
	case "t5":
		g.EOS, g.UNK, g.PAD, g.AddEOS, g.AddSpacePrefix = 1, 2, 0, true, true
	}
	return g
}

// FromGGUF makes the tokenizer of a GGUF file. A model or a pre-tokenizer that is not known is an error that names it.
func FromGGUF(g GGUF) (*Tokenizer, error) {
	if err := g.check(); err != nil {
		return nil, err
	}
	var m *model
	var err error
	switch g.Model {
	case "llama", "t5", "unigram":
		m, err = g.pieces()
	case "gpt2":
		m, err = g.byteLevel()
	case "bert":
		m, err = g.wordPiece()
	default:
		return nil, fmt.Errorf("tokenizer: tokenizer.ggml.model %q is not supported", g.Model)
	}
	if err != nil {
		return nil, err
	}
	bos, eos := g.BOS, g.EOS
	if !g.AddBOS {
		bos = -1
	}
	if !g.AddEOS {
		eos = -1
	}
	if g.Model == "bert" && bos >= 0 && g.SEP >= 0 {
		return build(m.bertPairs(g.Tokens[bos], g.Tokens[g.SEP]))
	}
	return build(m.around(bos, eos))
}

// check compares lengths and ids.
func (g *GGUF) check() error {
	n := len(g.Tokens)
	switch {
	case n == 0 || n > maxID:
		return fmt.Errorf("tokenizer: tokenizer.ggml.tokens: %d tokens", n)
	case g.Types != nil && len(g.Types) != n:
		return fmt.Errorf("tokenizer: tokenizer.ggml.token_type: %d types of %d tokens", len(g.Types), n)
	case len(g.Scores) != n && g.Model != "gpt2" && g.Model != "bert":
		return fmt.Errorf("tokenizer: tokenizer.ggml.scores: %d scores of %d tokens", len(g.Scores), n)
	}
	for _, s := range []struct {
		name string
		id   int32
		used bool
	}{
		{"bos", g.BOS, g.AddBOS}, {"eos", g.EOS, g.AddEOS && g.Model != "bert"}, {"seperator", g.SEP, g.AddEOS && g.Model == "bert"},
		{"unknown", g.UNK, g.UNK >= 0},
	} {
		if s.used && (s.id < 0 || int(s.id) >= n) {
			return fmt.Errorf("tokenizer: tokenizer.ggml.%s_token_id: %d is not among %d tokens", s.name, s.id, n)
		}
	}
	return nil
}

func (g *GGUF) typ(id int) spm.Type {
	if g.Types == nil {
		return spm.Normal
	}
	return spm.Type(g.Types[id])
}

// pieces reads the vocabulary of a SentencePiece model.
func (g *GGUF) pieces() (*model, error) {
	p := &spm.Model{}
	for id, text := range g.Tokens {
		p.Pieces = append(p.Pieces, spm.Piece{Text: text, Score: g.Scores[id], Type: g.typ(id)})
	}
	p.Trainer.ModelType, p.Trainer.UnkID = spm.Unigram, g.UNK
	if g.Model == "llama" {
		p.Trainer.ModelType = spm.BPE
	}
	for _, piece := range p.Pieces {
		p.Trainer.ByteFallback = p.Trainer.ByteFallback || piece.Type == spm.Byte
	}
	p.Normalizer = spm.Normalizer{CharsMap: g.CharsMap, AddDummyPrefix: g.AddSpacePrefix, RemoveExtraWhitespaces: g.RemoveExtraWhitespaces}
	return fromPieces(p)
}

// listed returns the vocabulary, each token as spell spells it, with the tokens that are found in text.
func (g *GGUF) listed(spell func(id int, text string) string) (*model, error) {
	m := &model{vocab: make(map[string]int32, len(g.Tokens))}
	for id, text := range g.Tokens {
		text = spell(id, text)
		if old, twice := m.vocab[text]; twice {
			return nil, fmt.Errorf("tokenizer: tokenizer.ggml.tokens: %d and %d are both %q", old, id, text)
		}
		m.vocab[text] = int32(id)
		switch t := g.typ(id); t {
		case spm.Unknown, spm.Control, spm.UserDefined:
			m.added = append(m.added, AddedToken{ID: int32(id), Content: text, Special: t != spm.UserDefined})
		}
	}
	return m, nil
}

// wordPiece reads WordPiece as GGUF spells it: ▁ begins a word, where BERT's ## goes on with one.
func (g *GGUF) wordPiece() (*model, error) {
	m, err := g.listed(func(id int, text string) string {
		if word, ok := strings.CutPrefix(text, metaSpace); ok {
			return word
		}
		if t := g.typ(id); t == spm.Control || t == spm.Unknown || strings.HasPrefix(text, "[") && strings.HasSuffix(text, "]") && len(text) > 2 {
			return text
		}
		return "##" + text
	})
	if err != nil {
		return nil, err
	}
	unk := "[UNK]"
	if g.UNK >= 0 {
		unk = g.Tokens[g.UNK]
	}
	m.bert(unk, bertNormalizer{Clean: true, Chinese: true, Accents: &g.StripAccents, Lower: g.Lowercase})
	return m, nil
}

// byteLevel reads byte-level BPE.
func (g *GGUF) byteLevel() (*model, error) {
	pre, ok := preTypes[g.Pre]
	if !ok {
		return nil, fmt.Errorf("tokenizer: tokenizer.ggml.pre %q is not supported", g.Pre)
	}
	m, err := g.listed(func(_ int, text string) string { return text })
	if err != nil {
		return nil, err
	}
	for i, line := range g.Merges {
		at := strings.IndexByte(line[min(1, len(line)):], ' ') + 1
		if at == 0 || at+1 == len(line) {
			return nil, fmt.Errorf("tokenizer: tokenizer.ggml.merges[%d]: %q is not two tokens", i, line)
		}
		m.merges = append(m.merges, [2]string{line[:at], line[at+1:]})
	}
	m.setSections(split.GPT2)
	m.bpe.IgnoreMerges = pre.whole
	if len(pre.exprs) == 1 && pre.exprs[0] == split.GPT2.Regex {
		return m, nil
	}
	var parts []preTokenizer
	for _, expr := range pre.exprs {
		s := &splitter{Type: "Split", Pattern: pattern{Regex: &expr}, Behavior: isolated}
		if err := s.prepare("tokenizer.ggml.pre"); err != nil {
			return nil, err
		}
		parts = append(parts, s)
	}
	m.pre = &preTokenizerSequence{"Sequence", append(parts, &byteLevel{Type: "ByteLevel", TrimOffsets: true})}
	return m, nil
}

// preType is how a value of tokenizer.ggml.pre splits text: by one expression after the other.
type preType struct {
	exprs []string
	whole bool // a piece that is a token is that token
	bos   bool // a begin token is added unless the file says no
}

// preTypes are the pre-tokenizers of models that Plinth runs, and of others that split as they do.
var preTypes = func() map[string]preType {
	digit, digits := `\p{N}`, `\p{N}{1,3}`
	gpt2, llama3, qwen2, o200k := split.GPT2.Regex, split.CL100K.Regex, split.Qwen2.Regex, split.O200K.Regex
	cjk := "[一-龥぀-ゟ゠-ヿ]+"
	kinds := []struct {
		names string
		preType
	}{
		{"gpt-2 phi-2 jina-es jina-de gigachat jina-v2-es jina-v2-de a.x-4.0 mellum modern-bert mpt olmo jais trillion granite-docling " +
			"exaone4 jina-v1-en jina-v2-code roberta-bpe", preType{exprs: []string{gpt2}}},
		{"llama3 llama-v3 llama-bpe falcon3 falcon-h1 pixtral midm-2.0 lfm2 jina-v5-nano", preType{[]string{llama3}, true, true}},
		{"dbrx smaug-bpe chatglm-bpe", preType{exprs: []string{llama3}}},
		{"glm4 glm5", preType{exprs: []string{llama3}, whole: true}},
		{"qwen2 deepseek-r1-qwen kormo f2llmv2 megrez stablelm2 hunyuan solar-open grok-2", preType{exprs: []string{qwen2}}},
		{"qwen35", preType{exprs: []string{`(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`}}},
		{"gpt-4o llama4 kanana2 talkie minimax-m2", preType{exprs: []string{o200k}}},
		{"starcoder refact command-r smollm codeshell exaone minerva-7b mellum2", preType{exprs: []string{digit, gpt2}}},
		{"falcon", preType{exprs: []string{"[\\p{P}\\$\\+<=>\\^~\\|`]+", gpt2, "[0-9][0-9][0-9]"}}},
		{"tekken", preType{[]string{`[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+`}, true, true}},
		{"deepseek-llm", preType{exprs: []string{
			"[\r\n]", deepseekLetters, `\s?[!-/:-~！-／：-～‘-‟　-。]+`, `\s+$`, "[一-龥ࠀ-一가-퟿]+", `\p{N}+`,
		}}},
		{"deepseek-coder", preType{exprs: []string{"[\r\n]", `\s?\p{L}+`, `\s?\p{P}+`, "[一-龥ࠀ-一가-퟿]+", digit}}},
		{"deepseek-v3 hunyuan-dense joyai-llm hy_v4", preType{exprs: []string{digits, cjk,
			"[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
		}}},
		{"bloom gpt3-finnish poro-chat", preType{exprs: []string{` ?[^(\s|.,!?…。，、।۔،)]+`}}},
		{"viking", preType{exprs: []string{` ?[^(\s|.,!?…。，、।۔،)]+`, digit}}},
		{"bailingmoe bailingmoe2 llada-moe", preType{exprs: []string{`'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+`}}},
		{"seed-coder", preType{exprs: []string{`(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}\r\n]+|\s*[\r\n]+|\s+(?!\S)|\s+`}}},
		{"default", preType{exprs: []string{`[\p{P}\$\+<=>\^~\|]+`, gpt2, `\p{N}+`, "[0-9][0-9][0-9]"}}},
	}
	all := map[string]preType{"": {exprs: []string{gpt2}}}
	for _, k := range kinds {
		for _, name := range strings.Fields(k.names) {
			all[name] = k.preType
		}
	}
	all[""] = all["default"]
	return all
}()

// deepseekLetters are the cased letters of DeepSeek LLM's pattern.
const deepseekLetters = `\s?[A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-ϵϷ-ҁҊ-ԯԱ-ՖႠ-ჅᎠ-Ᏽᏸ-ᏽᲐ-ᲺᲽ-Ჿᴀ-ᴫᵫ-ᵷᵹ-ᶚḀ-ἕἘ-Ἕἠ-ὅὈ-Ὅὐ-ὗὙὛὝὟ-\u1F7Dᾀ-ᾴᾶ-ᾼ\u1FBEῂ-ῄῆ-ῌῐ-\u1FD3ῖ-\u1FDBῠ-Ῥῲ-ῴῶ-ῼℂℇℊ-ℓℕℙ-ℝℤ\u2126ℨ\u212A-ℭℯ-ℴℹℼ-ℿⅅ-ⅉⅎↃↄⰀ-ⱻⱾ-ⳤⳫ-ⳮⳲⳳꙀ-ꙭꚀ-ꚛꜢ-ꝯꝱ-ꞇꞋ-ꞎꭰ-ꮿﬀ-ﬆﬓ-ﬗＡ-Ｚａ-ｚ𐐀-𐑏𐒰-𐓓𐓘-𐓻𐲀-𐲲𐳀-𐳲𑢠-𑣟𞤀-𞥃]+`

// PreTypes lists the values of GGUF.Pre that FromGGUF knows.
func PreTypes() []string {
	var names []string
	for name := range preTypes {
		if name != "" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
