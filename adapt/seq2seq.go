package adapt

import (
	"context"
	"fmt"
	"hash/fnv"

	"github.com/plinth-ml/plinth/data"
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
	if err := checkIDs(p.Source, size.IDs()); err != nil {
		return err
	}
	return checkIDs(p.Target, size.Vocab)
}

// Params are what is trained.
func (o *Writing) Params() []nn.Named { return trainedOf(o.Trained, o.Model) }

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
	for i := from; i < to; i++ {
		p.add(&o.Pairs[turn(o.Seed, step*o.Batch+i, len(o.Pairs))])
	}
	p.end()
	return p, nil
}

// WritingLoss is the mean loss of the pairs' target tokens, in nats. The tape must not record.
func WritingLoss(ctx context.Context, t *tensor.Tape, m model.Seq2Seq, list []Pair) (float64, error) {
	p := pairsPart(nil, m)
	return meanLoss(ctx, t, len(list), func(i int) int { return len(list[i].Source) + len(list[i].Target) }, func(from, to int) (train.Part, error) {
		p.start()
		for i, x := range list[from:to] {
			if err := checkPair(m, x); err != nil {
				return nil, fmt.Errorf("adapt: pair %d: %w", from+i, err)
			}
			p.add(&x)
		}
		p.end()
		return p, nil
	})
}

// WritingLosses are the losses of the pairs, each the sum over its target's tokens, in nats: -ln p of the target. The tape must not record.
func WritingLosses(ctx context.Context, t *tensor.Tape, m model.Seq2Seq, list []Pair) ([]float64, error) {
	sums := make([]float64, len(list))
	p := pairsPart(nil, m)
	for from := 0; from < len(list); {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		p.start()
		to := from
		for ; to < len(list) && (to == from || p.Tokens()+len(list[to].Source)+len(list[to].Target) <= batchTokens); to++ {
			if err := checkPair(m, list[to]); err != nil {
				return nil, fmt.Errorf("adapt: pair %d: %w", to, err)
			}
			p.add(&list[to])
		}
		p.end()
		t.Reset()
		losses := p.losses(t, p.features(t), 1)
		for i, n := range p.lengths {
			for _, l := range losses[:n] {
				sums[from+i] += float64(l)
			}
			losses = losses[n:]
		}
		from = to
	}
	t.Reset()
	return sums, nil
}

// pairs is a piece of a batch of sources and targets.
type pairs struct {
	m                         model.Seq2Seq
	decoder                   model.Decoder
	text                      data.Batch // of span corruption
	sources, targets, ids     []int32    // ids are the targets shifted right behind the start id
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

func (p *pairs) add(x *Pair) {
	p.sources, p.targets = append(p.sources, x.Source...), append(p.targets, x.Target...)
	p.next()
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
	for _, l := range p.losses(t, p.features(t), 1/of[0]) {
		sums[0] += float64(l)
	}
}

// features are what the decoder's head reads [N, C], of each target token.
func (p *pairs) features(t *tensor.Tape) *tensor.Tensor {
	p.cross = nn.Cross{Memory: p.m.Encode(t, model.Input{IDs: tensor.IDs(p.sources), Seqs: &p.source}), Keys: p.source.Spans}
	p.seqs.Cross = &p.cross
	return model.Features(p.decoder, t, tensor.IDs(p.ids), &p.seqs, nil)
}

// losses are those of the target tokens, in nats; their gradient is scaled.
func (p *pairs) losses(t *tensor.Tape, features *tensor.Tensor, scale float64) []float32 {
	return p.decoder.Head().Loss(t, features, tensor.CrossEntropy{Targets: tensor.IDs(p.targets), Scale: scale}).F32()
}
