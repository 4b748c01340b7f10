package tokenizer

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"runtime"
	"slices"

	"github.com/plinth-ml/plinth/tokenizer/unigram"
	"github.com/plinth-ml/plinth/tokenizer/wordpiece"
)

// WordOptions are the settings of TrainWordPiece and TrainUnigram.
type WordOptions struct {
	VocabSize    int      // with special tokens and, for Unigram, bytes; 0: 8192. Fewer where the text has no more pieces.
	Special      []string // get the first ids; nil: those of BERT ([PAD] [UNK] [CLS] [SEP] [MASK]) or of T5 (<pad> </s> <unk>)
	Cased        bool     // WordPiece: keep capitals and accents
	MinFrequency int64    // WordPiece: merge no pair that is rarer; 0: any pair that occurs
	NoBytes      bool     // Unigram: unknown characters are <unk>, not spelled by tokens <0x00> to <0xFF>
	Reserve      int      // Unigram: ids of VocabSize that are left for special tokens which are added later
	Threads      int      // 0: all processors. The result does not depend on it.
}

func (o *WordOptions) fill(special []string) error {
	if o.VocabSize == 0 {
		o.VocabSize = 8192
	}
	if o.Special == nil {
		o.Special = special
	}
	if o.Threads <= 0 {
		o.Threads = runtime.GOMAXPROCS(0)
	}
	for _, name := range special[:3] {
		if !slices.Contains(o.Special, name) && name != "<pad>" && name != "[PAD]" {
			return fmt.Errorf("tokenizer: special tokens %q lack %s", o.Special, name)
		}
	}
	if o.VocabSize <= len(o.Special) || o.VocabSize > maxID {
		return fmt.Errorf("tokenizer: vocabulary size %d is not in [%d, %d]", o.VocabSize, len(o.Special)+1, maxID)
	}
	return nil
}

// TrainWordPiece makes a WordPiece vocabulary of BERT's kind from documents: words are what BertNormalizer and BertPreTokenizer
// make of them.
func TrainWordPiece(ctx context.Context, docs iter.Seq[[]byte], o WordOptions) (*Tokenizer, error) {
	if err := o.fill([]string{"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"}); err != nil {
		return nil, err
	}
	m := &model{vocab: map[string]int32{}}
	m.bert("[UNK]", bertNormalizer{Clean: true, Chinese: true, Lower: !o.Cased})
	words, err := m.words(ctx, docs, o.Threads)
	if err != nil {
		return nil, err
	}
	counts := make([]wordpiece.Count, len(words))
	for i, w := range words {
		counts[i] = wordpiece.Count{Word: w.piece, N: w.count}
	}
	names, err := wordpiece.Train(ctx, counts, wordpiece.TrainOptions{VocabSize: o.VocabSize, Special: o.Special, MinFrequency: o.MinFrequency})
	if err != nil {
		return nil, fmt.Errorf("tokenizer: %w", err)
	}
	for id, name := range names {
		m.vocab[name] = int32(id)
	}
	m.addSpecial(o.Special)
	if _, ok := m.vocab["[CLS]"]; ok {
		m.bertPairs("[CLS]", "[SEP]")
	}
	return build(m)
}

// TrainUnigram makes a Unigram vocabulary of T5's kind from documents, with NFKC and one space for several.
func TrainUnigram(ctx context.Context, docs iter.Seq[[]byte], o WordOptions) (*Tokenizer, error) {
	if err := o.fill([]string{"<pad>", "</s>", "<unk>"}); err != nil {
		return nil, err
	}
	bytes := 256
	if o.NoBytes {
		bytes = 0
	}
	runs, scheme, split := " {2,}", prependAlways, true
	meta := &metaspace{Type: "Metaspace", Replacement: '▁', Prepend: &scheme, Split: &split}
	m := &model{kind: Unigram, byteFallback: !o.NoBytes, pre: meta, decoder: meta, normalizer: &normalizerSequence{"Sequence", []normalizer{
		&normalForm{simple{"NFKC"}, true, true}, &replace{"Replace", pattern{Regex: &runs}, " "},
	}}}
	if err := m.normalizer.prepare("normalizer"); err != nil {
		return nil, err
	}
	if !o.NoBytes {
		m.decoder = &decoderSequence{"Sequence", []decoder{&byteFallback{simple{"ByteFallback"}}, meta}}
	}
	words, err := m.words(ctx, docs, o.Threads)
	if err != nil {
		return nil, err
	}
	counts := make([]unigram.Count, len(words))
	for i, w := range words {
		counts[i] = unigram.Count{Word: w.piece, N: w.count}
	}
	pieces := max(1, o.VocabSize-o.Reserve-bytes)
	tokens, unk, err := unigram.Train(ctx, counts, unigram.TrainOptions{VocabSize: pieces, Special: o.Special, Unk: "<unk>", Threads: o.Threads})
	if small := (*unigram.SizeError)(nil); errors.As(err, &small) {
		return nil, fmt.Errorf("tokenizer: vocabulary size %d, want %d at least: %d special tokens, %d bytes and the text's %d characters",
			o.VocabSize, small.Special+o.Reserve+bytes+small.Characters, small.Special+o.Reserve, bytes, small.Characters)
	}
	if err != nil {
		return nil, fmt.Errorf("tokenizer: %w", err)
	}
	m.unigramUnk = unk
	m.vocab = map[string]int32{}
	for id, t := range tokens {
		// The score is the one that a file will give: see peerFloat.
		m.scored = append(m.scored, jsonScore{t.Text, peerFloat(string(appendFloat(nil, t.Score)), t.Score)})
		m.vocab[t.Text] = int32(id)
	}
	for b := range bytes {
		m.scored = append(m.scored, jsonScore{byteToken(byte(b)), 0})
	}
	m.addSpecial(o.Special)
	return build(m.around(-1, m.vocab["</s>"]))
}

func (m *model) addSpecial(names []string) {
	for _, name := range names {
		m.added = append(m.added, AddedToken{ID: m.vocab[name], Content: name, Special: true})
	}
}

// words counts the pieces that the normalizer and the pre-tokenizer make of documents.
func (m *model) words(ctx context.Context, docs iter.Seq[[]byte], threads int) ([]counted, error) {
	t := &Tokenizer{model: *m}
	return countPieces(ctx, docs, func() cutter {
		e := &Encoder{t: t}
		return func(doc []byte, add func([]byte)) error {
			return e.walk(t.newText(doc, false), false, func(piece text, _ int32) error {
				add(piece.norm)
				return nil
			})
		}
	}, threads)
}
