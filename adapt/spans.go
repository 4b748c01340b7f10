package adapt

import (
	"context"
	"errors"
	"fmt"

	"github.com/plinth-ml/plinth/data"
	"github.com/plinth-ml/plinth/internal/random"
	"github.com/plinth-ml/plinth/model"
	"github.com/plinth-ml/plinth/nn"
	"github.com/plinth-ml/plinth/tensor"
	"github.com/plinth-ml/plinth/train"
)

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
	return &SpanCorruption{Model: m, Data: src, Seq: seq, Spans: spans, Seed: seed}, nil
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

// Cost is the arithmetic of a source and its target, divided by the tokens of both.
func (o *SpanCorruption) Cost(int) model.Cost { return o.Model.PairCost(o.Spans.Lengths(o.Seq)) }

// Fingerprint names the data and the spans.
func (o *SpanCorruption) Fingerprint() string {
	return fmt.Sprintf("span corruption %+v seed %d of %s", o.Spans, o.Seed, o.Data.Fingerprint())
}

// Part returns sequences [from, to) of the batch of a step.
func (o *SpanCorruption) Part(reuse train.Part, step, from, to int) (train.Part, error) {
	p := pairsPart(reuse, o.Model)
	p.start()
	for i := from; i < to; i++ {
		if err := o.Data.Fill(&p.text, step, i, i+1); err != nil {
			return nil, err
		}
		if len(p.text.IDs) != o.Seq {
			return nil, fmt.Errorf("adapt: a sequence of %d tokens, not %d", len(p.text.IDs), o.Seq)
		}
		if err := o.add(p, random.NewKey(o.Seed, uint64(step), uint64(i))); err != nil {
			return nil, err
		}
	}
	p.end()
	return p, nil
}

// add adds the source and the target of p.text.
func (o *SpanCorruption) add(p *pairs, key random.Key) error {
	if err := checkIDs(p.text.IDs, o.Model.Sizes().Vocab); err != nil {
		return fmt.Errorf("adapt: %w", err)
	}
	p.sources, p.targets = o.Spans.Corrupt(p.sources, p.targets, p.text.IDs, key.Named("spans"))
	p.next()
	return nil
}

// SpanScores say how well gaps in text that was not trained on are filled, each token after the true ones before it.
type SpanScores struct {
	Loss     float64 // mean loss of all tokens of targets, which is what is trained, in nats
	Text     float64 // mean loss of those that stand in the text: without the sentinels and what ends a target
	Accuracy float64 // share of the latter that get the highest score, that of the sentinel that would end the span included
	Tokens   int     // that stand in the text
}

// Evaluate scores the model on the sequences of splits, once at a time; each is cut into spans of its own, always the same. The tape must not record.
func (o *SpanCorruption) Evaluate(ctx context.Context, t *tensor.Tape, splits []train.Split, once int) (SpanScores, error) {
	var s SpanScores
	tokens := 0
	p := pairsPart(nil, o.Model)
	for i, split := range splits {
		for from, n := 0, split.Sequences(); from < n; from += max(once, 1) {
			if ctx.Err() != nil {
				return s, context.Cause(ctx)
			}
			p.start()
			for at := from; at < min(from+max(once, 1), n); at++ {
				if err := o.held(p, split, i, at); err != nil {
					return s, err
				}
			}
			p.end()
			tokens += len(p.targets)
			if len(p.targets) > 0 {
				o.score(t, p, &s)
			}
		}
	}
	if s.Tokens == 0 {
		return s, errors.New("adapt: nothing is held out: a sequence of two tokens at least is needed")
	}
	s.Loss, s.Text, s.Accuracy = s.Loss/float64(tokens), s.Text/float64(s.Tokens), s.Accuracy/float64(s.Tokens)
	return s, nil
}

// held adds sequence n of split number i to p, unless it is too short for a span.
func (o *SpanCorruption) held(p *pairs, split train.Split, i, n int) error {
	if err := split.FillAt(&p.text, n, n+1); err != nil {
		return err
	}
	if len(p.text.IDs) < 2 {
		return nil
	}
	return o.add(p, random.NewKey(o.Seed, uint64(i), uint64(n)).Named("held out"))
}

// Held is the source and the target that Evaluate makes of sequence n of the first split.
func (o *SpanCorruption) Held(split train.Split, n int) (Pair, error) {
	p := pairsPart(nil, o.Model)
	p.start()
	err := o.held(p, split, 0, n)
	return Pair{p.sources, p.targets}, err
}

// score adds the sums of a part to s.
func (o *SpanCorruption) score(t *tensor.Tape, p *pairs, s *SpanScores) {
	t.Reset()
	x := p.features(t)
	best := t.TopK(p.decoder.Head().Logits(t, x), 1)
	_, spans := o.Spans.Count(o.Seq)
	for i, l := range p.losses(t, x, 1) {
		s.Loss += float64(l)
		if id := p.targets[i]; id == o.Spans.EOS || id <= o.Spans.Sentinel && int(o.Spans.Sentinel-id) < spans {
			continue
		}
		s.Text += float64(l)
		s.Tokens++
		if best[i] == p.targets[i] {
			s.Accuracy++
		}
	}
	t.Reset()
}
