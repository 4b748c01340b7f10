package tokenizer

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"maps"
	"runtime"
	"slices"

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
	words, err := countPieces(ctx, docs, o.Pattern, o.Threads)
	if err != nil {
		return nil, err
	}
	tr := &trainer{ids: map[string]int32{}, minimum: max(1, o.MinFrequency), tie: o.TieBreak, counts: map[uint64]int64{}}
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
	tr.load(words, &byteID)
	if err := tr.run(ctx, o.VocabSize); err != nil {
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
	for _, p := range tr.merges {
		m.merges = append(m.merges, [2]string{names[p[0]], names[p[1]]})
	}
	m.setSections(o.Pattern)
	return build(m)
}

// maxTrained bounds the bytes of a token that training makes; a byte is spelled in up to two, and a file's tokens are bounded too.
const maxTrained = maxToken / 2

// trainer merges the most frequent pair again and again, keeping counts up to date where words change.
type trainer struct {
	tokens  []string // bytes by id
	ids     map[string]int32
	merges  [][2]int32
	minimum int64
	tie     TieBreak

	symbols []int32 // of all words
	words   []trainWord
	counts  map[uint64]int64 // of pairs
	heap    []trainPair
}

// trainWord is symbols[from:to], which occurs count times.
type trainWord struct {
	from, to int
	count    int64
}

// trainPair is a pair to be merged in some words. Its count may be out of date.
type trainPair struct {
	key   uint64
	count int64
	in    []int32 // words
}

func (tr *trainer) add(raw string) int32 {
	id := int32(len(tr.tokens))
	tr.tokens = append(tr.tokens, raw)
	tr.ids[raw] = id
	return id
}

// load makes words of the pieces and counts all pairs.
func (tr *trainer) load(pieces []counted, byteID *[256]int32) {
	where := map[uint64][]int32{}
	for i, p := range pieces {
		w := trainWord{len(tr.symbols), len(tr.symbols) + len(p.piece), p.count}
		for j := range len(p.piece) {
			tr.symbols = append(tr.symbols, byteID[p.piece[j]])
		}
		tr.words = append(tr.words, w)
		s := tr.symbols[w.from:w.to]
		for j := range len(s) - 1 {
			key := pairKey(s[j], s[j+1])
			tr.counts[key] += w.count
			if in := where[key]; len(in) == 0 || in[len(in)-1] != int32(i) {
				where[key] = append(in, int32(i))
			}
		}
	}
	for _, key := range slices.Sorted(maps.Keys(where)) {
		tr.push(trainPair{key, tr.counts[key], where[key]})
	}
}

// run merges until the vocabulary has size tokens or no pair is left. It follows Hugging Face's trainer step by step, also in
// that a token which two pairs make has both in the merges.
func (tr *trainer) run(ctx context.Context, size int) error {
	made := map[uint64][]int32{} // words by pair that the merge made
	var order []uint64
	for len(tr.tokens) < size && len(tr.heap) > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		top := tr.pop()
		if now := tr.counts[top.key]; top.count != now {
			top.count = now
			tr.push(top)
			continue
		}
		if top.count < tr.minimum {
			break
		}
		a, b := int32(top.key>>32), int32(uint32(top.key))
		if len(tr.tokens[a])+len(tr.tokens[b]) > maxTrained {
			continue
		}
		raw := tr.tokens[a] + tr.tokens[b]
		id, ok := tr.ids[raw]
		if !ok {
			id = tr.add(raw)
		}
		tr.merges = append(tr.merges, [2]int32{a, b})
		clear(made)
		order = order[:0]
		for _, i := range top.in {
			tr.mergeWord(i, a, b, id, func(key uint64) {
				in, ok := made[key]
				if !ok {
					order = append(order, key)
				}
				if len(in) == 0 || in[len(in)-1] != i {
					made[key] = append(in, i)
				}
			})
		}
		for _, key := range order {
			if n := tr.counts[key]; n > 0 {
				tr.push(trainPair{key, n, made[key]})
			}
		}
	}
	return nil
}

// mergeWord replaces a, b by id in word i, counts, and calls made for each pair that comes into being.
func (tr *trainer) mergeWord(i, a, b, id int32, made func(uint64)) {
	w := &tr.words[i]
	s := tr.symbols[w.from:w.to]
	out := 0
	for in := 0; in < len(s); in++ {
		if s[in] != a || in+1 == len(s) || s[in+1] != b {
			s[out] = s[in]
			out++
			continue
		}
		if out > 0 {
			tr.counts[pairKey(s[out-1], a)] -= w.count
			key := pairKey(s[out-1], id)
			tr.counts[key] += w.count
			made(key)
		}
		if in+2 < len(s) {
			tr.counts[pairKey(b, s[in+2])] -= w.count
			key := pairKey(id, s[in+2])
			tr.counts[key] += w.count
			made(key)
		}
		s[out] = id
		out++
		in++
	}
	w.to = w.from + out
}

// before is the order of the heap.
func (tr *trainer) before(x, y *trainPair) bool {
	if x.count != y.count {
		return x.count > y.count
	}
	if tr.tie == GreatestPair && x.key != y.key {
		c := cmp.Compare(tr.tokens[x.key>>32], tr.tokens[y.key>>32])
		if c == 0 {
			c = cmp.Compare(tr.tokens[uint32(x.key)], tr.tokens[uint32(y.key)])
		}
		return c > 0
	}
	return x.key < y.key
}

func (tr *trainer) push(p trainPair) {
	tr.heap = append(tr.heap, p)
	h := tr.heap
	for i := len(h) - 1; i > 0; {
		up := (i - 1) / 2
		if !tr.before(&h[i], &h[up]) {
			break
		}
		h[i], h[up] = h[up], h[i]
		i = up
	}
}

func (tr *trainer) pop() trainPair {
	h := tr.heap
	top, last := h[0], len(h)-1
	h[0], h[last] = h[last], trainPair{}
	tr.heap = h[:last]
	h = tr.heap
	for i := 0; ; {
		best := i
		for k := 2*i + 1; k <= 2*i+2 && k < len(h); k++ {
			if tr.before(&h[k], &h[best]) {
				best = k
			}
		}
		if best == i {
			return top
		}
		h[i], h[best] = h[best], h[i]
		i = best
	}
}
