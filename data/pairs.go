package data

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"

	"github.com/plinth-ml/plinth/internal/random"
	"github.com/plinth-ml/plinth/tokenizer"
)

// PairOptions are the settings of sentence pairs (Devlin et al. 2019, appendix A.2).
type PairOptions struct {
	Seq        int     // most tokens of an example, [CLS] and both [SEP] among them
	Batch      int     // examples of a step
	Short      float64 // share of the documents whose examples are shorter, of a length drawn from 2 to Seq; 0: 0.1, negative: none
	Mask       float64 // share of an example's tokens that are to be predicted; 0: 0.15
	MaxMasked  int     // most of them in an example; 0: no bound but Mask
	WholeWords bool    // the pieces of a word are predicted together
	Single     bool    // an example is one text: [CLS] text [SEP], without a next sentence (Liu et al. 2019, DOC-SENTENCES)
	Seed       uint64
}

// Marks are what sentence pairs need to know of a vocabulary.
type Marks struct {
	CLS, SEP, Mask int32
	ends           []bool // by id: ends a sentence
	closes         []bool // by id: belongs to the sentence that ended before it, as a closing quote does
	inside         []bool // by id: continues a word
}

// MarksOf finds [CLS], [SEP] and [MASK] in a WordPiece tokenizer. Sentences end with a full stop, a question mark or an exclamation mark.
func MarksOf(tok *tokenizer.Tokenizer) (Marks, error) {
	n := tok.VocabSize()
	m := Marks{ends: make([]bool, n), closes: make([]bool, n), inside: make([]bool, n)}
	for _, mark := range []struct {
		name string
		to   *int32
	}{{"[CLS]", &m.CLS}, {"[SEP]", &m.SEP}, {"[MASK]", &m.Mask}} {
		id, ok := tok.SpecialID(mark.name)
		if !ok {
			return m, fmt.Errorf("data: the tokenizer has no %s: sentence pairs need one of BERT's kind (plinth tokenizer train --type wordpiece)", mark.name)
		}
		*mark.to = id
	}
	for id := range n {
		s := tok.Name(int32(id))
		m.ends[id] = slices.Contains([]string{".", "!", "?", "。", "！", "？"}, s)
		m.closes[id] = slices.Contains([]string{`"`, "'", ")", "]", "”", "’", "»"}, s)
		m.inside[id] = strings.HasPrefix(s, "##")
	}
	return m, nil
}

// MaskShare is the share of the tokens that are to be predicted.
func (p *Pairs) MaskShare() float64 { return p.o.Mask }

// longSentence ends a sentence that has no end: tables, code, verse.
const longSentence = 64

// sentence is a run of tokens of one document.
type sentence struct {
	start uint64
	n     uint32
}

// example is a pair in the plan of an epoch: na sentences from a on, then nb from b on.
type example struct {
	a, b   uint32
	na, nb uint32
	random bool // b is from elsewhere
}

// Pairs makes the examples of BERT's pre-training from the documents of a split. Every epoch goes through all documents, each cut into examples as
// the paper's create_pretraining_data does: sentences are gathered until they fill an example, and cut at random in two; half of the time the second
// is put back, and sentences from another document take its place. It is safe for concurrent use.
type Pairs struct {
	split     *Split
	marks     Marks
	o         PairOptions
	sentences []sentence
	docs      []uint32 // first sentence of each document, and the number of all

	mu    sync.Mutex
	first []uint64 // number of the first example of each epoch whose plan has been made, and of the one after
	plans [2]struct {
		epoch int
		list  []example
	}
}

// PairBatch is examples, one after the other: [CLS] first text [SEP] second text [SEP].
type PairBatch struct {
	IDs      []int32 // [N], with [MASK], or another token, in place of some that are to be predicted
	Segments []int32 // [N], 0 up to the first [SEP], 1 behind
	Lengths  []int   // rows of each example
	Masked   []int32 // rows to be predicted, ascending
	Targets  []int32 // what stood in each
	Next     []int32 // of each example: 0 where the second text follows the first, 1 where it is from elsewhere; none of single texts

	a, b, order []int32 // scratch: the texts; a permutation of words, and where each begins
	words       []int32
}

// NewPairs finds the sentences of all documents. The split must have two documents at least, one for single texts.
func NewPairs(p *Split, m Marks, o PairOptions) (*Pairs, error) {
	for _, f := range []struct {
		v *float64
		d float64
	}{{&o.Short, 0.1}, {&o.Mask, 0.15}} {
		if *f.v == 0 {
			*f.v = f.d
		}
	}
	switch {
	case o.Seq < 5 || o.Batch < 1:
		return nil, fmt.Errorf("data: sentence pairs of %d tokens in batches of %d", o.Seq, o.Batch)
	case !(o.Short <= 1) || !(o.Mask > 0 && o.Mask <= 1) || o.MaxMasked < 0:
		return nil, fmt.Errorf("data: a share %v of short pairs, %v of the tokens and at most %d masked", o.Short, o.Mask, o.MaxMasked)
	case len(m.ends) != p.vocab:
		return nil, fmt.Errorf("data: a tokenizer of %d ids for a split of %d", len(m.ends), p.vocab)
	}
	s := &Pairs{split: p, marks: m, o: o, first: []uint64{0}}
	s.plans[0].epoch, s.plans[1].epoch = -1, -1
	if err := s.findSentences(); err != nil {
		return nil, fmt.Errorf("data: %w", err)
	}
	if n := len(s.docs) - 1; n < 1 || n < 2 && !o.Single {
		return nil, fmt.Errorf("data: sentence pairs need two documents at least, there are %d", n)
	}
	return s, nil
}

// findSentences cuts all documents.
func (s *Pairs) findSentences() error {
	var ids []int32
	for at := uint64(0); at < s.split.Info.Tokens; {
		end, err := s.split.shard(at).docEnd(at)
		if err != nil {
			return err
		}
		if ids, err = s.split.tokens(ids[:0], at, end-at); err != nil {
			return err
		}
		if n := len(ids); n > 0 && ids[n-1] == s.marks.SEP { // the end of the document
			ids = ids[:n-1]
		}
		if len(s.sentences)+len(ids) > math.MaxUint32 {
			return errors.New("more sentences than 2^32")
		}
		if len(ids) > 0 {
			s.docs = append(s.docs, uint32(len(s.sentences)))
		}
		from, ended := 0, false
		for i, id := range ids {
			last := i+1 == len(ids)
			ended = s.marks.ends[id] || ended && s.marks.closes[id]
			if last || i+1-from == longSentence || ended && !s.marks.closes[ids[i+1]] && !s.marks.ends[ids[i+1]] {
				s.sentences = append(s.sentences, sentence{at + uint64(from), uint32(i + 1 - from)})
				from, ended = i+1, false
			}
		}
		at = end
	}
	s.docs = append(s.docs, uint32(len(s.sentences)))
	return nil
}

// Fingerprint names content, settings and order.
func (s *Pairs) Fingerprint() string {
	h := sha256.Sum256(fmt.Appendf(nil, "%s pairs %+v", s.split.id, s.o))
	return fmt.Sprintf("%x", h[:16])
}

// Batch is the number of examples of a step.
func (s *Pairs) Batch() int { return s.o.Batch }

// Examples is the number of examples of the first epoch.
func (s *Pairs) Examples() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.plan(0)
	return int(s.first[1])
}

// Fill sets b to examples [from, to) of the batch of a step: a pure function of these and of the seed. Once b has room it takes memory for the plan of
// a new epoch only.
func (s *Pairs) Fill(b *PairBatch, step, from, to int) error {
	if step < 0 || from < 0 || from > to || to > s.o.Batch {
		return fmt.Errorf("data: step %d, examples %d to %d of a batch of %d", step, from, to, s.o.Batch)
	}
	b.IDs, b.Segments, b.Lengths, b.Masked, b.Targets, b.Next = b.IDs[:0], b.Segments[:0], b.Lengths[:0], b.Masked[:0], b.Targets[:0], b.Next[:0]
	for i := from; i < to; i++ {
		n := uint64(step)*uint64(s.o.Batch) + uint64(i)
		if err := s.add(b, s.example(n), &draws{key: random.NewKey(s.o.Seed, n).Named("pair")}); err != nil {
			return fmt.Errorf("data: %w", err)
		}
	}
	return nil
}

// example returns number n of the endless row of epochs.
func (s *Pairs) example(n uint64) example {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.first[len(s.first)-1] <= n {
		s.plan(len(s.first) - 1)
	}
	epoch, found := slices.BinarySearch(s.first, n)
	if !found {
		epoch--
	}
	list := s.plan(epoch)
	size := uint64(len(list))
	return list[random.NewPerm(size, random.NewKey(s.o.Seed, uint64(epoch)).Named("order")).At(n-s.first[epoch])]
}

// plan returns the examples of an epoch in the order of the documents, and notes how many they are.
func (s *Pairs) plan(epoch int) []example {
	p := &s.plans[epoch%2]
	if p.epoch == epoch {
		return p.list
	}
	p.epoch, p.list = epoch, p.list[:0]
	for doc := range len(s.docs) - 1 {
		p.list = s.cut(p.list, doc, &draws{key: random.NewKey(s.o.Seed, uint64(epoch), uint64(doc)).Named("document")})
	}
	if epoch+1 == len(s.first) {
		s.first = append(s.first, s.first[epoch]+uint64(len(p.list)))
	}
	return p.list
}

// cut appends the examples of a document.
func (s *Pairs) cut(list []example, doc int, r *draws) []example {
	most := s.o.Seq - 3
	target := most
	if r.chance(s.o.Short) {
		target = r.between(2, most)
	}
	begin, end := s.docs[doc], s.docs[doc+1]
	if s.o.Single {
		return s.cutSingle(list, begin, end, target)
	}
	for begin < end {
		chunk, length := uint32(0), 0
		for begin+chunk < end && length < target {
			length += int(s.sentences[begin+chunk].n)
			chunk++
		}
		e := example{a: begin, na: 1}
		if chunk > 1 {
			e.na = uint32(r.between(1, int(chunk)-1))
		}
		if e.random = chunk == 1 || r.chance(0.5); e.random {
			room := target
			for i := range e.na {
				room -= int(s.sentences[begin+i].n)
			}
			e.b, e.nb = s.elsewhere(doc, room, r)
			begin += e.na // the rest of the chunk is put back
		} else {
			e.b, e.nb = begin+e.na, chunk-e.na
			begin += chunk
		}
		list = append(list, e)
	}
	return list
}

// cutSingle appends examples of one text each: as many whole sentences as fit into target tokens, one at least.
func (s *Pairs) cutSingle(list []example, begin, end uint32, target int) []example {
	for begin < end {
		e, length := example{a: begin, na: 1}, int(s.sentences[begin].n)
		for begin++; begin < end && length+int(s.sentences[begin].n) <= target; begin++ {
			length += int(s.sentences[begin].n)
			e.na++
		}
		list = append(list, e)
	}
	return list
}

// elsewhere returns sentences of another document, as many as fill room, one at least.
func (s *Pairs) elsewhere(doc, room int, r *draws) (first, n uint32) {
	other := r.between(0, len(s.docs)-3)
	if other >= doc {
		other++
	}
	end := s.docs[other+1]
	first = uint32(r.between(int(s.docs[other]), int(end)-1))
	for length := 0; first+n < end && (n == 0 || length < room); n++ {
		length += int(s.sentences[first+n].n)
	}
	return first, n
}

// add appends an example to b and masks it.
func (s *Pairs) add(b *PairBatch, e example, r *draws) error {
	var err error
	if b.a, err = s.text(b.a[:0], e.a, e.na); err != nil {
		return err
	}
	if b.b = b.b[:0]; !s.o.Single {
		if b.b, err = s.text(b.b, e.b, e.nb); err != nil {
			return err
		}
	}
	x, y := b.a, b.b
	for len(x)+len(y) > s.o.Seq-3 { // of the longer one the first token or the last goes
		longer := &y
		if len(x) > len(y) {
			longer = &x
		}
		if r.chance(0.5) {
			*longer = (*longer)[1:]
		} else {
			*longer = (*longer)[:len(*longer)-1]
		}
	}
	row := len(b.IDs)
	b.IDs = append(b.IDs, s.marks.CLS)
	b.IDs = append(append(b.IDs, x...), s.marks.SEP)
	for range len(x) + 2 {
		b.Segments = append(b.Segments, 0)
	}
	if !s.o.Single {
		b.IDs = append(append(b.IDs, y...), s.marks.SEP)
		for range len(y) + 1 {
			b.Segments = append(b.Segments, 1)
		}
		next := int32(0)
		if e.random {
			next = 1
		}
		b.Next = append(b.Next, next)
	}
	b.Lengths = append(b.Lengths, len(b.IDs)-row)
	s.mask(b, row, r)
	return nil
}

// text appends the tokens of n sentences from one on.
func (s *Pairs) text(ids []int32, first, n uint32) ([]int32, error) {
	last := s.sentences[first+n-1]
	from := s.sentences[first].start
	return s.split.tokens(ids, from, last.start+uint64(last.n)-from)
}

// mask chooses the tokens of the example from row on that are to be predicted, words in random order until there are enough, and puts [MASK] in place of
// 80 % of them, any token in place of 10 %.
func (s *Pairs) mask(b *PairBatch, row int, r *draws) {
	b.words = b.words[:0]
	for i, id := range b.IDs[row:] {
		special := id == s.marks.CLS || id == s.marks.SEP
		if special || s.o.WholeWords && s.marks.inside[id] && len(b.words) > 0 && i > 0 && b.IDs[row+i-1] != s.marks.SEP && b.IDs[row+i-1] != s.marks.CLS {
			continue
		}
		b.words = append(b.words, int32(row+i))
	}
	b.order = b.order[:0]
	for i := range b.words {
		b.order = append(b.order, int32(i))
	}
	for i := len(b.order) - 1; i > 0; i-- {
		j := r.between(0, i)
		b.order[i], b.order[j] = b.order[j], b.order[i]
	}
	want := max(1, int(math.RoundToEven(float64(len(b.IDs)-row)*s.o.Mask)))
	if s.o.MaxMasked > 0 {
		want = min(want, s.o.MaxMasked)
	}
	start := len(b.Masked)
	for _, w := range b.order {
		from, to := b.words[w], b.words[w]+1
		for s.o.WholeWords && s.marks.inside[b.IDs[to]] { // a text ends with [SEP]
			to++
		}
		if len(b.Masked)-start+int(to-from) > want {
			continue
		}
		for i := from; i < to; i++ {
			b.Masked = append(b.Masked, i)
		}
	}
	slices.Sort(b.Masked[start:])
	for _, i := range b.Masked[start:] {
		b.Targets = append(b.Targets, b.IDs[i])
		switch x := r.float(); {
		case x < 0.8:
			b.IDs[i] = s.marks.Mask
		case x >= 0.9:
			b.IDs[i] = int32(r.between(0, s.split.vocab-1))
		}
	}
}

// draws are random numbers in order.
type draws struct {
	key random.Key
	n   uint64
}

func (d *draws) float() float64        { d.n++; return d.key.Float64(d.n) }
func (d *draws) chance(p float64) bool { return d.float() < p }

// between returns a number from lo to hi, both among them.
func (d *draws) between(lo, hi int) int { d.n++; return lo + d.key.IntN(d.n, hi-lo+1) }
