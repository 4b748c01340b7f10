package adapt

import (
	"context"
	"fmt"
	"hash/fnv"

	"github.com/plinth-ml/plinth/model"
	"github.com/plinth-ml/plinth/nn"
	"github.com/plinth-ml/plinth/tensor"
	"github.com/plinth-ml/plinth/train"
)

// Demonstration is a text that shows a decoder what to write: a prompt with its answer, or a conversation.
type Demonstration struct {
	IDs   []int32
	Learn []bool // [len(IDs)]: tokens that the decoder is to write, such as the answers; the others it reads only. The first cannot be one
}

// Answered is a prompt and what is to be written behind it, the token that ends it included.
func Answered(prompt, answer []int32) Demonstration {
	d := Demonstration{Learn: make([]bool, len(prompt)+len(answer))}
	d.IDs = append(append(d.IDs, prompt...), answer...)
	for i := len(prompt); i < len(d.IDs); i++ {
		d.Learn[i] = true
	}
	return d
}

// Supervised trains a decoder on demonstrations: the cross-entropy of the tokens to learn, each after all before it, mean over them. It is a train.Objective;
// each epoch takes the demonstrations in an order of its own.
type Supervised struct {
	Model          model.Decoder
	Demonstrations []Demonstration
	Batch          int        // demonstrations per step
	Trained        []nn.Named // what is trained; nil: all of Model.Params
	Seed           uint64     // of the order
}

// NewSupervised checks the demonstrations.
func NewSupervised(m model.Decoder, list []Demonstration, batch int, seed uint64) (*Supervised, error) {
	if len(list) == 0 || batch < 1 {
		return nil, fmt.Errorf("adapt: %d demonstrations in batches of %d", len(list), batch)
	}
	for i, d := range list {
		if err := d.check(m.Sizes()); err != nil {
			return nil, fmt.Errorf("adapt: demonstration %d: %w", i, err)
		}
	}
	return &Supervised{Model: m, Demonstrations: list, Batch: batch, Seed: seed}, nil
}

func (d Demonstration) check(s model.Sizes) error {
	if len(d.IDs) < 2 || len(d.IDs) > s.Context+1 { // the last token is not read
		return fmt.Errorf("%d tokens, not 2 to %d", len(d.IDs), s.Context+1)
	}
	if len(d.Learn) != len(d.IDs) {
		return fmt.Errorf("%d tokens, of %d is said whether they are to be learned", len(d.IDs), len(d.Learn))
	}
	if err := checkIDs(d.IDs, s.IDs()); err != nil {
		return err
	}
	learned := 0
	for i, learn := range d.Learn {
		if !learn {
			continue
		}
		if learned++; int(d.IDs[i]) >= s.Vocab {
			return fmt.Errorf("token %d is to be learned and is a virtual one", i)
		}
	}
	if learned == 0 || d.Learn[0] {
		return fmt.Errorf("%d tokens to learn; one at least, and not the first, which follows nothing", learned)
	}
	return nil
}

// Params are what is trained.
func (o *Supervised) Params() []nn.Named { return trainedOf(o.Trained, o.Model) }

// Sizes are the model's, with the longest demonstration as the context: that bounds how much is computed at once.
func (o *Supervised) Sizes() model.Sizes {
	s := o.Model.Sizes()
	s.Context = 1
	for _, d := range o.Demonstrations {
		s.Context = max(s.Context, len(d.IDs)-1)
	}
	return s
}

// Fingerprint tells these demonstrations from others.
func (o *Supervised) Fingerprint() string {
	h := fnv.New64a()
	fmt.Fprintln(h, o.Seed, o.Demonstrations)
	return fmt.Sprintf("%d demonstrations %016x", len(o.Demonstrations), h.Sum64())
}

// Part returns demonstrations [from, to) of the batch of a step.
func (o *Supervised) Part(reuse train.Part, step, from, to int) (train.Part, error) {
	p, _ := reuse.(*demonstrated)
	if p == nil {
		p = &demonstrated{m: o.Model}
	}
	p.start()
	for i := from; i < to; i++ {
		p.add(&o.Demonstrations[turn(o.Seed, step*o.Batch+i, len(o.Demonstrations))])
	}
	p.end()
	return p, nil
}

// DemonstrationLoss is the mean loss of the tokens to learn, in nats. The tape must not record.
func DemonstrationLoss(ctx context.Context, t *tensor.Tape, m model.Decoder, list []Demonstration) (float64, error) {
	p := &demonstrated{m: m}
	return meanLoss(ctx, t, len(list), func(i int) int { return len(list[i].IDs) }, func(from, to int) (train.Part, error) {
		p.start()
		for i := range list[from:to] {
			d := &list[from+i]
			if err := d.check(m.Sizes()); err != nil {
				return nil, fmt.Errorf("adapt: demonstration %d: %w", from+i, err)
			}
			p.add(d)
		}
		p.end()
		return p, nil
	})
}

// meanLoss is the sum of the losses of n texts divided by the sum of their terms, some texts at once; length is that of a text.
func meanLoss(ctx context.Context, t *tensor.Tape, n int, length func(i int) int, part func(from, to int) (train.Part, error)) (float64, error) {
	sums, of, terms := []float64{0}, []float64{1}, 0.0
	for from := 0; from < n; {
		if ctx.Err() != nil {
			return 0, context.Cause(ctx)
		}
		to, tokens := from+1, length(from)
		for to < n && tokens+length(to) <= batchTokens {
			tokens += length(to)
			to++
		}
		p, err := part(from, to)
		if err != nil {
			return 0, err
		}
		t.Reset()
		p.Loss(t, of, sums)
		terms += p.Terms()[0]
		from = to
	}
	t.Reset()
	if terms == 0 {
		return 0, fmt.Errorf("adapt: no examples")
	}
	return sums[0] / terms, nil
}

// demonstrated is a piece of a batch of demonstrations; it satisfies train.Part.
type demonstrated struct {
	m                       model.Decoder
	ids, targets, positions []int32
	lengths                 []int
	seqs                    nn.Seqs
	terms                   [1]float64
}

func (p *demonstrated) start() {
	p.ids, p.targets, p.lengths, p.terms[0] = p.ids[:0], p.targets[:0], p.lengths[:0], 0
}

func (p *demonstrated) add(d *Demonstration) {
	n := len(d.IDs) - 1
	p.ids, p.lengths = append(p.ids, d.IDs[:n]...), append(p.lengths, n)
	for i := 1; i <= n; i++ {
		target := int32(-1)
		if d.Learn[i] {
			target = d.IDs[i]
			p.terms[0]++
		}
		p.targets = append(p.targets, target)
	}
}

func (p *demonstrated) end() { p.seqs.Set(p.lengths, &p.positions) }

func (p *demonstrated) Tokens() int      { return len(p.ids) }
func (p *demonstrated) Terms() []float64 { return p.terms[:] }

func (p *demonstrated) Loss(t *tensor.Tape, of, sums []float64) {
	x := model.Features(p.m, t, tensor.IDs(p.ids), &p.seqs, nil)
	for _, l := range p.m.Head().Loss(t, x, tensor.CrossEntropy{Targets: tensor.IDs(p.targets), Scale: 1 / of[0]}).F32() {
		sums[0] += float64(l)
	}
}
