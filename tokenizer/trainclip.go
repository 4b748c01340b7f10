package tokenizer

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"runtime"

	"github.com/plinth-ml/plinth/tokenizer/learn"
)

// CLIPStart and CLIPEnd are what CLIP's texts begin and end with.
const (
	CLIPStart = "<|startoftext|>"
	CLIPEnd   = "<|endoftext|>"
)

// clipFile is a tokenizer.json of CLIP's kind (Radford et al. 2021, section 2.4) as transformers has it.
const clipFile = `{"version": "1.0", "truncation": null, "padding": null,
"added_tokens": [
 {"id": %[1]d, "special": true, "content": "<|startoftext|>", "single_word": false, "lstrip": false, "rstrip": false, "normalized": true},
 {"id": %[2]d, "special": true, "content": "<|endoftext|>", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false}],
"normalizer": {"type": "Sequence", "normalizers": [{"type": "NFC"}, {"type": "Replace", "pattern": {"Regex": "\\s+"}, "content": " "}, {"type": "Lowercase"}]},
"pre_tokenizer": {"type": "Sequence", "pretokenizers": [
 {"type": "Split", "pattern": {"Regex": "<\\|startoftext\\|>|<\\|endoftext\\|>|'s|'t|'re|'ve|'m|'ll|'d|[\\p{L}]+|[\\p{N}]|[^\\s\\p{L}\\p{N}]+"}, "behavior": "Removed", "invert": true},
 {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true}]},
"post_processor": {"type": "RobertaProcessing", "sep": ["<|endoftext|>", %[2]d], "cls": ["<|startoftext|>", %[1]d], "trim_offsets": false, "add_prefix_space": false},
"decoder": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true},
"model": {"type": "BPE", "dropout": null, "unk_token": "<|endoftext|>", "continuing_subword_prefix": "", "end_of_word_suffix": "</w>", "fuse_unk": false, "vocab": %[3]s, "merges": %[4]s}}`

// wordEnd marks the last symbol of a word.
const wordEnd = "</w>"

// TrainCLIP makes a tokenizer of CLIP's kind from documents: lower case, words whose last symbol is another one than the same inside a word. Ids are the
// 256 bytes, the 256 that end words, the merges, the most frequent pair first, and the marks of start and end. Of o, VocabSize, MinFrequency and Threads count.
func TrainCLIP(ctx context.Context, docs iter.Seq[[]byte], o WordOptions) (*Tokenizer, error) {
	const least = 2*256 + 2
	if o.VocabSize == 0 {
		o.VocabSize = 8192
	}
	if o.Threads <= 0 {
		o.Threads = runtime.GOMAXPROCS(0)
	}
	if o.VocabSize < least || o.VocabSize > maxID {
		return nil, fmt.Errorf("tokenizer: vocabulary size %d is not in [%d, %d]", o.VocabSize, least, maxID)
	}
	tr := &trainer{ids: map[string]int32{}}
	for _, end := range []string{"", wordEnd} {
		for _, b := range alphabet() {
			tr.add(string(spell(nil, string([]byte{b}))) + end)
		}
	}
	plain, err := tr.clip(nil)
	if err != nil {
		return nil, err
	}
	words, err := plain.words(ctx, docs, o.Threads)
	if err != nil {
		return nil, err
	}
	var text learn.Words
	var symbols []int32
	for _, w := range words {
		symbols = symbols[:0]
		runes := []rune(w.piece)
		for i, r := range runes {
			name := string(r)
			if i == len(runes)-1 {
				name += wordEnd
			}
			symbols = append(symbols, tr.ids[name])
		}
		text.Add(symbols, w.count)
	}
	merges, err := text.Merges(ctx, learn.Rules{Minimum: o.MinFrequency, Join: tr.join, Full: func() bool { return len(tr.tokens) >= o.VocabSize-2 }})
	if err != nil {
		return nil, err
	}
	return tr.clip(merges)
}

// clip is the tokenizer of the tokens so far.
func (tr *trainer) clip(merges []learn.Pair) (*Tokenizer, error) {
	n := int32(len(tr.tokens))
	vocab := map[string]int32{CLIPStart: n, CLIPEnd: n + 1}
	for id, name := range tr.tokens {
		vocab[name] = int32(id)
	}
	pairs := make([][2]string, len(merges))
	for i, p := range merges {
		pairs[i] = [2]string{tr.tokens[p.Left()], tr.tokens[p.Right()]}
	}
	v, err := json.Marshal(vocab)
	if err != nil {
		return nil, err
	}
	m, err := json.Marshal(pairs)
	if err != nil {
		return nil, err
	}
	return Load(fmt.Appendf(nil, clipFile, n, n+1, v, m))
}
