package adapt

import (
	"fmt"
	"hash/fnv"

	"github.com/plinth-ml/plinth/data"
	"github.com/plinth-ml/plinth/internal/random"
	"github.com/plinth-ml/plinth/model"
	"github.com/plinth-ml/plinth/nn"
	"github.com/plinth-ml/plinth/tensor"
	"github.com/plinth-ml/plinth/train"
)

// Pair is a source and what is to be written from it. A target ends with one of the model's Ends.
type Pair struct{ Source, Target []int32 }

// Writing trains an encoder-decoder to write the targets of pairs, each token after the true ones before it: a train.Objective. Each epoch takes the
// pairs in an order of its own.
type Writing struct {
	Model   model.Seq2Seq
	Pairs   []Pair
	Batch   int        // pairs per step
	Trained []nn.Named // what is trained; nil: all of Model.Params
	Seed    uint64     // of the order, and of what a model with dropout drops
}

// NewWriting checks the pairs.
func NewWriting(m model.Seq2Seq, pairs []Pair, batch int, seed uint64) (*Writing, error) {
	o := &Writing{Model: m, Pairs: pairs, Batch: batch, Seed: seed}
	if len(pairs) == 0 || batch < 1 {
		return nil, fmt.Errorf("adapt: %d pairs in batches of %d", len(pairs), batch)
	}
	for i, p := range pairs {
		if err := checkPair(m, p); err != nil {
			return nil, fmt.Errorf("adapt: pair %d: %w", i, err)
		}
	}
	return o, nil
}

func checkPair(m model.Seq2Seq, p Pair) error {
	size := m.Decoder().Sizes()
	if len(p.Source) == 0 || len(p.Target) == 0 || len(p.Target) > size.Context {
		return fmt.Errorf("%d source tokens and %d target tokens; both must be there, and the decoder's context is %d", len(p.Source), len(p.Target), size.Context)
	}
	for _, list := range [][]int32{p.Source, p.Target} {
		for _, id := range list {
			if id < 0 || int(id) >= size.Vocab {
				return fmt.Errorf("id %d is not in the vocabulary of %d", id, size.Vocab)
			}
		}
	}
	return nil
}

// Params are what is trained.
func (o *Writing) Params() []nn.Named {
	if o.Trained != nil {
		return o.Trained
	}
	return o.Model.Params()
}

// Sizes are the model's, with the longest pair as the context: that bounds how much is computed at once.
func (o *Writing) Sizes() model.Sizes {
	s := o.Model.Sizes()
	s.Context = 1
	for _, p := range o.Pairs {
		s.Context = max(s.Context, len(p.Source)+len(p.Target))
	}
	return s
}

// Fingerprint tells these pairs from others.
func (o *Writing) Fingerprint() string {
	h := fnv.New64a()
	fmt.Fprintln(h, o.Seed, o.Pairs)
	return fmt.Sprintf("writing of %d pairs %016x", len(o.Pairs), h.Sum64())
}

// Part returns pairs [from, to) of the batch of a step.
func (o *Writing) Part(reuse train.Part, step, from, to int) (train.Part, error) {
	p := pairsPart(reuse, o.Model)
	p.start()
	N := uint64(len(o.Pairs))
	for i := from; i < to; i++ {
		n := uint64(step*o.Batch + i)
		x := &o.Pairs[random.NewPerm(N, random.NewKey(o.Seed, n/N).Named("order")).At(n%N)]
		p.sources, p.targets = append(p.sources, x.Source...), append(p.targets, x.Target...)
		p.next()
	}
	p.end()
	return p, nil
}

// SpanCorruption pre-trains an encoder-decoder on running text as T5 does: a train.Objective. A sequence of Data, whatever documents it holds, is one
// source and one target; packed in data.Spans.TokensFor tokens, sources are full.
type SpanCorruption struct {
	Model model.Seq2Seq
	Data  data.Source
	Seq   int // tokens of a sequence of Data
	Spans data.Spans
	Seed  uint64 // of the spans, and of what a model with dropout drops
}

// NewSpanCorruption checks that the model can take the sequences.
func NewSpanCorruption(m model.Seq2Seq, src data.Source, seq int, spans data.Spans, seed uint64) (*SpanCorruption, error) {
	size := m.Decoder().Sizes()
	if err := spans.Check(seq, size.Vocab); err != nil {
		return nil, err
	}
	if _, target := spans.Lengths(seq); target > size.Context {
		return nil, fmt.Errorf("adapt: span corruption of %d tokens has targets of %d, the decoder's context is %d", seq, target, size.Context)
	}
	return &SpanCorruption{m, src, seq, spans, seed}, nil
}

// Params are all of the model's.
func (o *SpanCorruption) Params() []nn.Named { return o.Model.Params() }

// Sizes are the model's, with a source and its target as the context.
func (o *SpanCorruption) Sizes() model.Sizes {
	s := o.Model.Sizes()
	source, target := o.Spans.Lengths(o.Seq)
	s.Context = source + target
	return s
}

// Fingerprint names the data and the spans.
func (o *SpanCorruption) Fingerprint() string {
	return fmt.Sprintf("span corruption %+v seed %d of %s", o.Spans, o.Seed, o.Data.Fingerprint())
}

// Part returns sequences [from, to) of the batch of a step.
func (o *SpanCorruption) Part(reuse train.Part, step, from, to int) (train.Part, error) {
	p := pairsPart(reuse, o.Model)
	p.start()
	vocab := int32(o.Model.Sizes().Vocab)
	for i := from; i < to; i++ {
		if err := o.Data.Fill(&p.text, step, i, i+1); err != nil {
			return nil, err
		}
		if len(p.text.IDs) != o.Seq {
			return nil, fmt.Errorf("adapt: a sequence of %d tokens, not %d", len(p.text.IDs), o.Seq)
		}
		for _, id := range p.text.IDs {
			if id < 0 || id >= vocab {
				return nil, fmt.Errorf("adapt: id %d is not in the vocabulary of %d", id, vocab)
			}
		}
		p.sources, p.targets = o.Spans.Corrupt(p.sources, p.targets, p.text.IDs, random.NewKey(o.Seed, uint64(step), uint64(i)).Named("spans"))
		p.next()
	}
	p.end()
	return p, nil
}

// pairs is a piece of a batch of sources and targets.
type pairs struct {
	m                         model.Seq2Seq
	decoder                   model.Decoder
	text                      data.Batch
	sources, targets, ids     []int32 // ids are the targets shifted right behind the start id
	sourceLengths, lengths    []int
	sourcePositions, position []int32
	source, seqs              nn.Seqs
	cross                     nn.Cross
	terms                     [1]float64
}

func pairsPart(reuse train.Part, m model.Seq2Seq) *pairs {
	if p, ok := reuse.(*pairs); ok {
		return p
	}
	return &pairs{m: m, decoder: m.Decoder()}
}

func (p *pairs) start() {
	p.sources, p.targets, p.ids = p.sources[:0], p.targets[:0], p.ids[:0]
	p.sourceLengths, p.lengths = p.sourceLengths[:0], p.lengths[:0]
}

// next closes the pair whose tokens were appended.
func (p *pairs) next() {
	s, n := len(p.sources), len(p.targets)
	for _, k := range p.sourceLengths {
		s -= k
	}
	for _, k := range p.lengths {
		n -= k
	}
	p.sourceLengths, p.lengths = append(p.sourceLengths, s), append(p.lengths, n)
	p.ids = append(append(p.ids, p.m.Start()), p.targets[len(p.targets)-n:len(p.targets)-1]...)
}

func (p *pairs) end() {
	p.source.Set(p.sourceLengths, &p.sourcePositions)
	p.seqs.Set(p.lengths, &p.position)
	p.terms[0] = float64(len(p.targets))
}

// Tokens is the rows of sources and targets.
func (p *pairs) Tokens() int { return len(p.sources) + len(p.targets) }

// Terms is the number of target tokens.
func (p *pairs) Terms() []float64 { return p.terms[:] }

// Loss is the cross-entropy of the targets' tokens.
func (p *pairs) Loss(t *tensor.Tape, of, sums []float64) {
	p.cross = nn.Cross{Memory: p.m.Encode(t, model.Input{IDs: tensor.IDs(p.sources), Seqs: &p.source}), Keys: p.source.Spans}
	p.seqs.Cross = &p.cross
	x := model.Features(p.decoder, t, tensor.IDs(p.ids), &p.seqs, nil)
	for _, l := range p.decoder.Head().Loss(t, x, tensor.CrossEntropy{Targets: tensor.IDs(p.targets), Scale: 1 / of[0]}).F32() {
		sums[0] += float64(l)
	}
}
