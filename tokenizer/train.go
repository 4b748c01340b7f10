package tokenizer

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"runtime"

	"github.com/plinth-ml/plinth/tokenizer/learn"
	"github.com/plinth-ml/plinth/tokenizer/split"
)

// TieBreak says which of two pairs with the same count merges first.
type TieBreak int

const (
	HuggingFace  TieBreak = iota // the smaller pair of ids
	GreatestPair                 // the pair whose bytes are greater, as in Stanford's CS336
)

// TrainOptions are the settings of Train.
type TrainOptions struct {
	VocabSize    int            // with bytes and special tokens; 0: 8192. Fewer where the text has no more pairs.
	Pattern      *split.Pattern // nil: split.GPT2
	Special      []string       // special tokens, which get the first ids; nil: EndOfText alone
	Threads      int            // 0: all processors. The result does not depend on it.
	MinFrequency int64          // merge no pair that is rarer; 0: any pair that occurs
	TieBreak     TieBreak
}

// Train makes a vocabulary from documents, which are cut one by one and may be reused by docs after they were yielded. Ids are
// the special tokens, the 256 bytes in the order of their characters, then the merges, the most frequent pair first. The
// result is that of Hugging Face's BpeTrainer with ByteLevel(add_prefix_space=False) and the initial alphabet of ByteLevel.
func Train(ctx context.Context, docs iter.Seq[[]byte], o TrainOptions) (*Tokenizer, error) {
	if o.VocabSize == 0 {
		o.VocabSize = 8192
	}
	if o.Pattern == nil {
		o.Pattern = split.GPT2
	}
	if o.Special == nil {
		o.Special = []string{EndOfText}
	}
	if o.Threads <= 0 {
		o.Threads = runtime.GOMAXPROCS(0)
	}
	if least := 256 + len(o.Special); o.VocabSize < least || o.VocabSize > maxID {
		return nil, fmt.Errorf("tokenizer: vocabulary size %d is not in [%d, %d]", o.VocabSize, least, maxID)
	}
	words, err := countPieces(ctx, docs, cutBy(o.Pattern), o.Threads)
	if err != nil {
		return nil, err
	}
	tr := &trainer{ids: map[string]int32{}}
	m := &model{vocab: map[string]int32{}}
	for i, name := range o.Special {
		if name == "" || len(name) > maxToken {
			return nil, fmt.Errorf("tokenizer: special token %d has %d bytes", i, len(name))
		}
		raw, ok := unspell(name)
		if !ok {
			raw = name
		}
		if _, twice := tr.ids[raw]; twice || ok && len(raw) == 1 {
			return nil, fmt.Errorf("tokenizer: special token %q appears twice or is a byte", name)
		}
		m.added = append(m.added, AddedToken{ID: tr.add(raw), Content: name, Special: true})
		m.vocab[name] = m.added[i].ID
	}
	var byteID [256]int32
	for _, b := range alphabet() {
		byteID[b] = tr.add(string([]byte{b}))
	}
	var text learn.Words
	var symbols []int32
	for _, w := range words {
		symbols = symbols[:0]
		for i := range len(w.piece) {
			symbols = append(symbols, byteID[w.piece[i]])
		}
		text.Add(symbols, w.count)
	}
	rules := learn.Rules{Minimum: o.MinFrequency, Join: tr.join, Full: func() bool { return len(tr.tokens) >= o.VocabSize }}
	if o.TieBreak == GreatestPair {
		rules.Before = tr.greater
	}
	merges, err := text.Merges(ctx, rules)
	if err != nil {
		return nil, err
	}
	names := make([]string, len(tr.tokens))
	for id, raw := range tr.tokens {
		names[id] = string(spell(nil, raw))
		if id < len(o.Special) {
			names[id] = o.Special[id]
		}
		m.vocab[names[id]] = int32(id)
	}
	for _, p := range merges {
		m.merges = append(m.merges, [2]string{names[p.Left()], names[p.Right()]})
	}
	m.setSections(o.Pattern)
	return build(m)
}

// maxTrained bounds the bytes of a token that training makes; a byte is spelled in up to two, and a file's tokens are bounded too.
const maxTrained = maxToken / 2

// trainer is the vocabulary that grows.
type trainer struct {
	tokens []string // bytes by id
	ids    map[string]int32
}

func (tr *trainer) add(raw string) int32 {
	id := int32(len(tr.tokens))
	tr.tokens = append(tr.tokens, raw)
	tr.ids[raw] = id
	return id
}

// join returns the token of a pair, which is new or not.
func (tr *trainer) join(p learn.Pair) (int32, bool) {
	a, b := tr.tokens[p.Left()], tr.tokens[p.Right()]
	if len(a)+len(b) > maxTrained {
		return 0, false
	}
	if id, ok := tr.ids[a+b]; ok {
		return id, true
	}
	return tr.add(a + b), true
}

// greater is the order of GreatestPair.
func (tr *trainer) greater(x, y learn.Pair) bool {
	c := cmp.Or(cmp.Compare(tr.tokens[x.Left()], tr.tokens[y.Left()]), cmp.Compare(tr.tokens[x.Right()], tr.tokens[y.Right()]))
	return c > 0
}
