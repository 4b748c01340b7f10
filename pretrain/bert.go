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
// whether the second text follows the first, each a mean, added. Logits are made for masked tokens only. A model without the head for next sentences takes
// single texts, and the first term is all.
type BERT struct {
	Model *bert.Model // with the heads of pre-training, or that of masked tokens alone
	Pairs *data.Pairs
}

// Params are the model's.
func (o *BERT) Params() []nn.Named { return o.Model.Params() }

// Sizes are the model's.
func (o *BERT) Sizes() model.Sizes { return o.Model.Sizes() }

// Cost is the model's, with the head for masked tokens counted for their share alone.
func (o *BERT) Cost(seq int) model.Cost {
	c, s := o.Model.Cost(seq), o.Model.Sizes()
	head := 2 * float64(s.Width) * float64(s.Width+s.Vocab) // a layer and the logits of a token
	c.Matrix -= (1 - o.Pairs.MaskShare()) * head
	return c
}

// Fingerprint is that of the pairs.
func (o *BERT) Fingerprint() string { return o.Pairs.Fingerprint() }

// TermNames are those of the metrics.
func (o *BERT) TermNames() []string {
	return []string{"masked", "next_sentence"}[:terms(o.Model)]
}

// terms is the number of terms of the loss.
func terms(m *bert.Model) int {
	if m.NSP == nil {
		return 1
	}
	return 2
}

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
	terms     []float64
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
	p.terms = append(p.terms[:0], float64(len(p.Masked)), float64(len(p.Next)))[:terms(p.m)]
	return nil
}

func (p *pairs) Tokens() int      { return len(p.IDs) }
func (p *pairs) Terms() []float64 { return p.terms }

func (p *pairs) Loss(t *tensor.Tape, of, sums []float64) {
	masked, pooled := p.features(t)
	p.lossOf(t, masked, pooled, of, sums)
}

// lossOf is Loss of the features.
func (p *pairs) lossOf(t *tensor.Tape, masked, pooled *tensor.Tensor, of, sums []float64) {
	sums[0] += total(p.m.Tokens().Loss(t, masked, tensor.CrossEntropy{Targets: tensor.IDs(p.Targets), Scale: 1 / of[0]}))
	if pooled != nil {
		sums[1] += total(p.m.NextSentence().Loss(t, pooled, tensor.CrossEntropy{Targets: tensor.IDs(p.Next), Scale: 1 / of[1]}))
	}
}

func total(losses *tensor.Tensor) (sum float64) {
	for _, v := range losses.F32() {
		sum += float64(v)
	}
	return sum
}

// features are what the two heads read: of each masked token [M, C], and of each example [B, C], nil without a head for it.
func (p *pairs) features(t *tensor.Tape) (masked, pooled *tensor.Tensor) {
	x := p.m.Encode(t, model.Input{IDs: tensor.IDs(p.IDs), Segments: tensor.IDs(p.Segments), Seqs: &p.seqs})
	if p.m.NSP != nil {
		pooled = p.m.Pool(t, t.Gather(x, tensor.IDs(p.first)))
	}
	return p.m.Cloze(t, t.Gather(x, tensor.IDs(p.Masked))), pooled
}

// Scores are how well a model does on examples that it was not trained on. Those of next sentences are 0 where the model has no head for them.
type Scores struct {
	Masked         float64 // mean loss of masked tokens, nats
	Next           float64 // mean loss of next sentences, nats
	MaskedAccuracy float64 // share of the masked tokens that get the highest score
	NextAccuracy   float64
}

// Evaluate scores the model on the first examples of o.Pairs, some at once; tokens bounds those read, 0: one epoch. The tape must not record.
func (o *BERT) Evaluate(ctx context.Context, t *tensor.Tape, once, tokens int) (Scores, error) {
	var s Scores
	var masked, next, read float64
	p := &pairs{m: o.Model}
	sums, one := make([]float64, 2), []float64{1, 1}
	batch, all := o.Pairs.Batch(), o.Pairs.Examples()
	for n := 0; n < all && (tokens == 0 || int(read) < tokens); {
		if err := ctx.Err(); err != nil {
			return s, err
		}
		from := n % batch
		to := min(from+max(once, 1), batch, from+all-n)
		if err := p.fill(o.Pairs, n/batch, from, to); err != nil {
			return s, err
		}
		t.Reset()
		x, y := p.features(t)
		p.lossOf(t, x, y, one, sums)
		s.MaskedAccuracy += hits(t, o.Model.Tokens().Logits(t, x), p.Targets)
		if y != nil {
			s.NextAccuracy += hits(t, o.Model.NextSentence().Logits(t, y), p.Next)
			next += p.terms[1]
		}
		masked, read = masked+p.terms[0], read+float64(p.Tokens())
		n += to - from
	}
	t.Reset()
	s.Masked, s.MaskedAccuracy = sums[0]/masked, s.MaskedAccuracy/masked
	if next > 0 {
		s.Next, s.NextAccuracy = sums[1]/next, s.NextAccuracy/next
	}
	return s, nil
}

// Guess is a token of a text and, where it was hidden from the model, what the model holds for the most likely there.
type Guess struct {
	ID     int32
	Masked bool
	Best   int32
}

// Guess fills the gaps of example n of o.Pairs. The tape must not record.
func (o *BERT) Guess(t *tensor.Tape, n int) ([]Guess, error) {
	p := &pairs{m: o.Model}
	if err := p.fill(o.Pairs, n/o.Pairs.Batch(), n%o.Pairs.Batch(), n%o.Pairs.Batch()+1); err != nil {
		return nil, err
	}
	t.Reset()
	x, _ := p.features(t)
	best := t.TopK(o.Model.Tokens().Logits(t, x), 1)
	list := make([]Guess, len(p.IDs))
	for i, id := range p.IDs {
		list[i].ID = id
	}
	for i, row := range p.Masked {
		list[row] = Guess{p.Targets[i], true, best[i]}
	}
	t.Reset()
	return list, nil
}

// hits counts the rows of logits [N, V] whose largest element is the target.
func hits(t *tensor.Tape, logits *tensor.Tensor, targets []int32) (n float64) {
	for i, best := range t.TopK(logits, 1) {
		if best == targets[i] {
			n++
		}
	}
	return n
}
