package pretrain

import (
	"context"
	"fmt"

	"github.com/plinth-ml/plinth/data"
	"github.com/plinth-ml/plinth/model"
	"github.com/plinth-ml/plinth/model/bert"
	"github.com/plinth-ml/plinth/nn"
	"github.com/plinth-ml/plinth/tensor"
	"github.com/plinth-ml/plinth/train"
)

// BERT is its pre-training on sentence pairs (Devlin et al. 2019, section 3.1): a train.Objective of two terms, the cross-entropy of masked tokens and that of
// whether the second text follows the first, each a mean, added. Logits are made for masked tokens only.
type BERT struct {
	Model *bert.Model // with the heads of pre-training
	Pairs *data.Pairs
}

// Params are the model's.
func (o *BERT) Params() []nn.Named { return o.Model.Params() }

// Sizes are the model's.
func (o *BERT) Sizes() model.Sizes { return o.Model.Sizes() }

// Cost is the model's.
func (o *BERT) Cost(seq int) model.Cost { return o.Model.Cost(seq) }

// Fingerprint is that of the pairs.
func (o *BERT) Fingerprint() string { return o.Pairs.Fingerprint() }

// TermNames are those of the metrics.
func (o *BERT) TermNames() []string { return []string{"masked", "next_sentence"} }

// Part returns examples [from, to) of the batch of a step.
func (o *BERT) Part(reuse train.Part, step, from, to int) (train.Part, error) {
	p, _ := reuse.(*pairs)
	if p == nil {
		p = &pairs{m: o.Model}
	}
	return p, p.fill(o.Pairs, step, from, to)
}

// pairs is a piece of a step's batch of sentence pairs.
type pairs struct {
	m *bert.Model
	data.PairBatch
	seqs      nn.Seqs
	positions []int32
	first     []int32 // row of each example's [CLS]
	terms     [2]float64
}

func (p *pairs) fill(s *data.Pairs, step, from, to int) error {
	if err := s.Fill(&p.PairBatch, step, from, to); err != nil {
		return err
	}
	z := p.m.Sizes()
	for _, n := range p.Lengths {
		if n > z.Context {
			return fmt.Errorf("pretrain: an example of %d tokens, the model's context is %d", n, z.Context)
		}
	}
	for _, id := range p.IDs {
		if int(id) >= z.Vocab {
			return fmt.Errorf("pretrain: id %d is not in the model's vocabulary of %d", id, z.Vocab)
		}
	}
	p.seqs.Set(p.Lengths, &p.positions)
	p.first = p.first[:0]
	for _, s := range p.seqs.Spans {
		p.first = append(p.first, int32(s.Start))
	}
	p.terms = [2]float64{float64(len(p.Masked)), float64(len(p.Next))}
	return nil
}

func (p *pairs) Tokens() int      { return len(p.IDs) }
func (p *pairs) Terms() []float64 { return p.terms[:] }

func (p *pairs) Loss(t *tensor.Tape, of, sums []float64) {
	masked, pooled := p.features(t)
	for i, l := range [2]*tensor.Tensor{
		p.m.Tokens().Loss(t, masked, tensor.CrossEntropy{Targets: tensor.IDs(p.Targets), Scale: 1 / of[0]}),
		p.m.NextSentence().Loss(t, pooled, tensor.CrossEntropy{Targets: tensor.IDs(p.Next), Scale: 1 / of[1]}),
	} {
		for _, v := range l.F32() {
			sums[i] += float64(v)
		}
	}
}

// features are what the two heads read: of each masked token [M, C], and of each example [B, C].
func (p *pairs) features(t *tensor.Tape) (masked, pooled *tensor.Tensor) {
	x := p.m.Encode(t, model.Input{IDs: tensor.IDs(p.IDs), Segments: tensor.IDs(p.Segments), Seqs: &p.seqs})
	return p.m.Cloze(t, t.Gather(x, tensor.IDs(p.Masked))), p.m.Pool(t, t.Gather(x, tensor.IDs(p.first)))
}

// Scores are how well a model does on examples that it was not trained on.
type Scores struct {
	Masked         float64 // mean loss of masked tokens, nats
	Next           float64 // mean loss of next sentences, nats
	MaskedAccuracy float64 // share of the masked tokens that get the highest score
	NextAccuracy   float64
}

// Evaluate scores the model on the first examples of o.Pairs, a batch after the other; tokens bounds those read, 0: one epoch. The tape must not record.
func (o *BERT) Evaluate(ctx context.Context, t *tensor.Tape, batch, tokens int) (Scores, error) {
	var s Scores
	var masked, next, read float64
	p := &pairs{m: o.Model}
	sums := make([]float64, 2)
	for step, left := 0, o.Pairs.Examples(); left > 0 && (tokens == 0 || int(read) < tokens); step, left = step+1, left-batch {
		if err := ctx.Err(); err != nil {
			return s, err
		}
		if err := p.fill(o.Pairs, step, 0, min(left, batch)); err != nil {
			return s, err
		}
		t.Reset()
		p.Loss(t, []float64{1, 1}, sums)
		t.Reset()
		x, y := p.features(t)
		s.MaskedAccuracy += hits(o.Model.Tokens().Logits(t, x), p.Targets)
		s.NextAccuracy += hits(o.Model.NextSentence().Logits(t, y), p.Next)
		masked, next, read = masked+p.terms[0], next+p.terms[1], read+float64(p.Tokens())
	}
	t.Reset()
	s.Masked, s.Next = sums[0]/masked, sums[1]/next
	s.MaskedAccuracy, s.NextAccuracy = s.MaskedAccuracy/masked, s.NextAccuracy/next
	return s, nil
}

// hits counts the rows of logits [N, V] whose largest element is the target.
func hits(logits *tensor.Tensor, targets []int32) float64 {
	_, V := logits.Dims2()
	n := 0.0
	for i, target := range targets {
		row := logits.F32()[i*V : (i+1)*V]
		best := 0
		for j, v := range row {
			if v > row[best] {
				best = j
			}
		}
		if best == int(target) {
			n++
		}
	}
	return n
}
