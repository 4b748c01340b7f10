package tokenizer

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/plinth-ml/plinth/internal/file"
	"github.com/plinth-ml/plinth/tokenizer/split"
	"github.com/plinth-ml/plinth/tokenizer/spm"
)

// Open reads a tokenizer: a file, or a directory that holds one of tokenizer.json; vocab.json and merges.txt; tokenizer.model or
// spiece.model; vocab.txt (the last two with tokenizer_config.json, where there is one). A file is read by its name: *.json as
// tokenizer.json, *.model as SentencePiece's or as Llama 3's ranks, *.txt as BERT's vocabulary, CLIP's bpe_simple_vocab_16e6.txt.gz, and OpenAI's rank files
// (r50k_base.tiktoken, p50k_base.tiktoken, cl100k_base.tiktoken, o200k_base.tiktoken; others through OpenTiktoken).
func Open(path string) (*Tokenizer, error) {
	path, err := fileOf(path)
	if err != nil {
		return nil, err
	}
	t, err := openFile(path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return t, nil
}

// fileOf is the file of a tokenizer: that at path, or in the folder there.
func fileOf(path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil || !info.IsDir() {
		return path, err
	}
	for _, name := range []string{"tokenizer.json", "vocab.json", "tokenizer.model", "spiece.model", "vocab.txt"} {
		if _, err := os.Stat(filepath.Join(path, name)); !errors.Is(err, fs.ErrNotExist) {
			return filepath.Join(path, name), nil
		}
	}
	return "", fmt.Errorf("%s: tokenizer: no tokenizer.json, vocab.json, tokenizer.model, spiece.model or vocab.txt", path)
}

func openFile(path string) (*Tokenizer, error) {
	dir, name := filepath.Split(path)
	if name == "merges.txt" {
		return nil, errors.New("tokenizer: merges.txt goes with vocab.json: name that file, or the folder")
	}
	if strings.HasPrefix(name, clipName) { // the one file that comes packed
		data, err := file.Read(path, maxFile)
		if err != nil {
			return nil, err
		}
		return LoadCLIP(data)
	}
	data, err := readFile(path)
	if err != nil {
		return nil, err
	}
	switch filepath.Ext(name) {
	case ".tiktoken":
		return openRanks(name, data)
	case ".model", ".txt":
		config, err := readFile(filepath.Join(dir, "tokenizer_config.json"))
		if errors.Is(err, fs.ErrNotExist) {
			config, err = nil, nil
		}
		if err != nil {
			return nil, err
		}
		if filepath.Ext(name) == ".txt" {
			return LoadVocabText(data, config)
		}
		return openModel(data, config)
	}
	if name == "vocab.json" {
		merges, err := readFile(filepath.Join(dir, "merges.txt"))
		if err != nil {
			return nil, err
		}
		return LoadGPT2(data, merges)
	}
	return Load(data)
}

// ErrPattern is that a rank file is none of those whose split pattern is known by its name.
var ErrPattern = errors.New("its split pattern is not known")

// encoding is what a rank file does not hold.
type encoding struct {
	pattern *split.Pattern
	special map[string]int32
}

// encodings are OpenAI's, by the names of their files.
var encodings = map[string]encoding{
	"gpt2":      {split.GPT2, map[string]int32{EndOfText: 50256}},
	"r50k_base": {split.GPT2, map[string]int32{EndOfText: 50256}},
	"p50k_base": {split.GPT2, map[string]int32{EndOfText: 50256}},
	"cl100k_base": {split.CL100KTiktoken, map[string]int32{EndOfText: 100257, "<|fim_prefix|>": 100258, "<|fim_middle|>": 100259,
		"<|fim_suffix|>": 100260, "<|endofprompt|>": 100276}},
	"o200k_base": {split.O200K, map[string]int32{EndOfText: 199999, "<|endofprompt|>": 200018}},
}

func openRanks(name string, data []byte) (*Tokenizer, error) {
	e, ok := encodings[strings.TrimSuffix(name, ".tiktoken")]
	if !ok {
		return nil, fmt.Errorf("tokenizer: rank file %q is none of OpenAI's: %w", name, ErrPattern)
	}
	return LoadTiktoken(data, e.pattern, e.special)
}

// OpenTiktoken reads a rank file of any name. encoding is r50k_base, p50k_base, cl100k_base or o200k_base, whose special tokens it
// then has; or, without special tokens, the name of a pattern in split.Known, or a regular expression.
func OpenTiktoken(path, encoding string) (*Tokenizer, error) {
	e, ok := encodings[encoding]
	if i := slices.IndexFunc(split.Known, func(p *split.Pattern) bool { return p.Name == encoding }); i >= 0 && !ok {
		e.pattern, ok = split.Known[i], true
	}
	if !ok {
		var err error
		if e.pattern, err = split.ByRegex(encoding); err != nil {
			return nil, fmt.Errorf("tokenizer: %q is no encoding that is known, and as an expression: %w", encoding, err)
		}
	}
	data, err := readFile(path)
	if err != nil {
		return nil, err
	}
	t, err := LoadTiktoken(data, e.pattern, e.special)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return t, nil
}

// openModel reads a *.model file. Unless the configuration says something else, a BPE model gets its begin token, as Llama and
// Gemma do, and a Unigram model its end token, as T5 does.
func openModel(data, config []byte) (*Tokenizer, error) {
	if len(data) > 0 && data[0] != 0x0A { // no field 1 of a protocol buffer: base64
		if !utf8.Valid(data) {
			return nil, errors.New("tokenizer: neither a SentencePiece model nor a rank file")
		}
		return llama3Ranks(data)
	}
	var c struct {
		AddBOS *bool `json:"add_bos_token"`
		AddEOS *bool `json:"add_eos_token"`
	}
	if config != nil {
		if err := json.Unmarshal(config, &c); err != nil {
			return nil, fmt.Errorf("tokenizer: tokenizer_config.json: %w", err)
		}
	}
	p, err := spm.Parse(data)
	if err != nil {
		return nil, fmt.Errorf("tokenizer: %w", err)
	}
	o := SPMOptions{AddBOS: p.Trainer.ModelType == spm.BPE, AddEOS: p.Trainer.ModelType == spm.Unigram}
	if c.AddBOS != nil {
		o.AddBOS = *c.AddBOS
	}
	if c.AddEOS != nil {
		o.AddEOS = *c.AddEOS
	}
	return fromSPM(p, o)
}

// llama3Ranks reads the rank file of Llama 3 and 3.x, which Meta calls tokenizer.model.
func llama3Ranks(data []byte) (*Tokenizer, error) {
	const ranks = 128_000
	if n := bytes.Count(bytes.TrimSpace(data), []byte("\n")) + 1; n != ranks {
		return nil, fmt.Errorf("tokenizer: a rank file of %d tokens is not Llama 3's: %w", n, ErrPattern)
	}
	special := map[string]int32{}
	for i, name := range []string{"<|begin_of_text|>", "<|end_of_text|>", "<|reserved_special_token_0|>", "<|reserved_special_token_1|>",
		"<|finetune_right_pad_id|>", "<|step_id|>", "<|start_header_id|>", "<|end_header_id|>", "<|eom_id|>", "<|eot_id|>", "<|python_tag|>"} {
		special[name] = ranks + int32(i)
	}
	for i := int32(len(special)); i < 256; i++ {
		special[fmt.Sprintf("<|reserved_special_token_%d|>", i-9)] = ranks + i
	}
	return LoadTiktoken(data, split.Llama3, special)
}

func readFile(path string) ([]byte, error) {
	f, err := file.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	in := bufio.NewReader(f)
	head, err := in.Peek(9) // of a short file what there is
	if err != nil && err != io.EOF {
		return nil, err
	}
	if bytes.HasPrefix(head, []byte("\x1f\x8b")) || bytes.HasPrefix(head, []byte("\x28\xb5\x2f\xfd")) {
		return nil, errors.New("tokenizer: the file is compressed (gzip or zstd): unpack it first")
	}
	if kind := weights(head); kind != "" {
		return nil, fmt.Errorf("tokenizer: the file is %s, and holds no tokenizer; one may be in its folder", kind)
	}
	return file.ReadFrom(in, path, maxFile)
}

// weights says what a file of weights is by its beginning, "" of any other.
func weights(head []byte) string {
	switch {
	case bytes.HasPrefix(head, []byte("PK\x03\x04")):
		return "a zip archive, as PyTorch's files of weights are"
	case bytes.HasPrefix(head, []byte{0x80, 2}):
		return "a pickle, as older files of PyTorch's weights are"
	case bytes.HasPrefix(head, []byte("GGUF")):
		return "a GGUF file without that ending"
	case len(head) == 9 && head[7] == 0 && head[8] == '{':
		return "a safetensors file of weights"
	}
	return ""
}

// LoadGPT2 reads vocab.json and merges.txt with GPT-2's split pattern. <|endoftext|>, where the vocabulary has it, is special.
func LoadGPT2(vocab, merges []byte) (*Tokenizer, error) {
	m := &model{}
	if err := json.Unmarshal(vocab, &m.vocab); err != nil {
		return nil, fmt.Errorf("tokenizer: vocab.json: %w", err)
	}
	lines := bufio.NewScanner(bytes.NewReader(merges))
	lines.Buffer(nil, 2*maxToken)
	for n := 1; lines.Scan(); n++ {
		line := lines.Text()
		if line == "" || n == 1 && strings.HasPrefix(line, "#version") {
			continue
		}
		a, b, ok := strings.Cut(line, " ")
		if !ok || a == "" || b == "" || strings.Contains(b, " ") {
			return nil, fmt.Errorf("tokenizer: merges.txt:%d: %q is not two tokens", n, line)
		}
		m.merges = append(m.merges, [2]string{a, b})
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("tokenizer: merges.txt: %w", err)
	}
	if id, ok := m.vocab[EndOfText]; ok {
		m.added = []AddedToken{{ID: id, Content: EndOfText, Special: true}}
	}
	m.setSections(split.GPT2)
	return build(m)
}

// portableCL100K is split.CL100KTiktoken for tokenizer.json: Hugging Face's engine reads {1,3}+ and $ of tiktoken's spelling in
// another way.
const portableCL100K = `'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s+\z|\s*[\r\n]|\s+(?!\S)|\s`

// setSections makes the sections of a byte-level BPE that cuts by p.
func (m *model) setSections(p *split.Pattern) {
	last := &byteLevel{Type: "ByteLevel", TrimOffsets: true, UseRegex: p == split.GPT2}
	m.kind, m.bpe.Type, m.pre = BPE, BPE, last
	m.decoder = &byteLevel{Type: "ByteLevel", PrefixSpace: true, TrimOffsets: true, UseRegex: true}
	if p != split.GPT2 {
		expr := p.Regex
		if p == split.CL100KTiktoken {
			expr = portableCL100K
		}
		m.pre = &preTokenizerSequence{"Sequence", []preTokenizer{
			&splitter{Type: "Split", Pattern: pattern{Regex: &expr, compiled: p}, Behavior: isolated}, last,
		}}
	}
}

// LoadTiktoken reads a rank file: lines of a base64 token and its rank, which is its id. It encodes as tiktoken does: a piece
// that is a token is that token; otherwise any two neighbours merge whose bytes together are a token, lowest rank first.
func LoadTiktoken(data []byte, p *split.Pattern, special map[string]int32) (*Tokenizer, error) {
	ranks := map[string]int32{}
	byRank := map[int32]string{}
	n := 0
	for line := range bytes.Lines(data) {
		n++
		fields := bytes.Fields(line)
		if len(fields) == 0 {
			continue
		}
		if len(fields) != 2 {
			return nil, fmt.Errorf("tokenizer: rank file, line %d: %d fields, want 2", n, len(fields))
		}
		if string(fields[0]) == "=" { // Whisper's file holds the empty token, which no text gives
			continue
		}
		raw, err := base64.StdEncoding.DecodeString(string(fields[0]))
		if err != nil || len(raw) == 0 || len(raw) > 1024 {
			return nil, fmt.Errorf("tokenizer: rank file, line %d: %.60q is not a token in base64", n, fields[0])
		}
		id, err := strconv.ParseInt(string(fields[1]), 10, 32)
		if err != nil || id < 0 || id >= maxID {
			return nil, fmt.Errorf("tokenizer: rank file, line %d: rank %.60q is not in [0, %d)", n, fields[1], maxID)
		}
		if _, twice := ranks[string(raw)]; twice {
			return nil, fmt.Errorf("tokenizer: rank file, line %d: token %.60q appears twice", n, raw)
		}
		if old, twice := byRank[int32(id)]; twice {
			return nil, fmt.Errorf("tokenizer: rank file, line %d: rank %d is that of %q too", n, id, old)
		}
		ranks[string(raw)], byRank[int32(id)] = int32(id), string(raw)
	}
	for b := range 256 {
		if _, ok := ranks[string([]byte{byte(b)})]; !ok {
			return nil, fmt.Errorf("tokenizer: rank file: byte %#x has no rank", b)
		}
	}
	return build(tiktokenModel(ranks, p, special))
}

func tiktokenModel(ranks map[string]int32, p *split.Pattern, special map[string]int32) *model {
	m := &model{vocab: make(map[string]int32, len(ranks)), bpe: bpeSettings{IgnoreMerges: true}}
	type pair struct{ id, a, b int32 }
	var pairs []pair
	names := make(map[int32]string, len(ranks))
	for raw, id := range ranks {
		name := string(spell(nil, raw))
		m.vocab[name], names[id] = id, name
		for cut := 1; cut < len(raw); cut++ {
			if a, ok := ranks[raw[:cut]]; ok {
				if b, ok := ranks[raw[cut:]]; ok {
					pairs = append(pairs, pair{id, a, b})
				}
			}
		}
	}
	slices.SortFunc(pairs, func(x, y pair) int {
		return slices.Compare([]int32{x.id, x.a, x.b}, []int32{y.id, y.a, y.b})
	})
	for _, x := range pairs {
		m.merges = append(m.merges, [2]string{names[x.a], names[x.b]})
		m.ranks = append(m.ranks, x.id)
	}
	for name, id := range special {
		m.added = append(m.added, AddedToken{ID: id, Content: name, Special: true})
	}
	slices.SortFunc(m.added, func(x, y AddedToken) int { return int(x.ID) - int(y.ID) })
	m.setSections(p)
	return m
}
