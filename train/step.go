package train

import (
	"fmt"
	"math"

	"github.com/plinth-ml/plinth/internal/random"
)

// dropoutKey tells the random numbers of dropout from others of the same seed.
const dropoutKey = 0x64726f70

// stepResult is what a step is known by.
type stepResult struct {
	loss    float64   // the sum of the terms, each a mean, nats
	terms   []float64 // each by itself, valid until the next step
	norm    float64   // of the gradient, before clipping
	tokens  int       // rows
	lr      float64
	seconds float64
}

// compute makes the batch of the next step and leaves its loss's gradient in the parameters. Nothing else changes.
func (l *Loop) compute() (stepResult, error) {
	var s stepResult
	if l.parts == nil {
		l.parts = make([]Part, (l.o.Batch+l.o.Micro-1)/l.o.Micro)
	}
	at := l.pos.Step + l.pos.DataOffset
	l.of = l.of[:0]
	for i, old := range l.parts {
		from := i * l.o.Micro
		p, err := l.obj.Part(old, at, from, min(from+l.o.Micro, l.o.Batch))
		if err != nil {
			return s, fmt.Errorf("train: batch %d of step %d: %w", at, l.pos.Step+1, err)
		}
		l.parts[i] = p
		s.tokens += p.Tokens()
		for j, n := range p.Terms() {
			if j == len(l.of) {
				l.of = append(l.of, 0)
			}
			l.of[j] += n
		}
	}
	counted := 0.0
	l.sums = l.sums[:0]
	for _, n := range l.of {
		counted += n
		l.sums = append(l.sums, 0)
	}
	if counted == 0 {
		return s, fmt.Errorf("train: batch %d of step %d: no target counts", at, l.pos.Step+1)
	}
	if j, ok := l.obj.(Joint); ok && len(l.parts) > 1 {
		j.Join(l.apart, l.parts)
		l.apart.Reset()
	}
	for i, p := range l.parts {
		if p.Tokens() == 0 {
			continue
		}
		l.tape.DropoutKey(random.NewKey(l.o.Seed, dropoutKey, uint64(at), uint64(i)).Uint64(0))
		p.Loss(l.tape, l.of, l.sums)
		l.tape.Backward()
		l.tape.Reset()
	}
	if l.corrupt != nil {
		l.corrupt(l)
	}
	for i, n := range l.of {
		if n > 0 {
			l.sums[i] /= n
			s.loss += l.sums[i]
		}
	}
	s.terms = l.sums
	s.norm = l.gradNorm()
	return s, nil
}

// apply steps the optimiser with the gradients there are, and counts the step.
func (l *Loop) apply(s *stepResult) {
	s.lr = l.o.Rate(l.pos.Step)
	l.opt.step(l.pos.Step+1, s.lr, clipScale(s.norm, l.o.Clip))
	if b, ok := l.obj.(Settled); ok {
		b.Settle()
	}
	l.opt.average(l.pos.Step + 1)
	l.pos.Step++
	l.pos.Tokens += int64(s.tokens)
	l.pos.Loss = s.loss
	if len(l.pos.Losses) >= l.o.SpikeWindow {
		l.pos.Losses = l.pos.Losses[:copy(l.pos.Losses, l.pos.Losses[len(l.pos.Losses)-l.o.SpikeWindow+1:])]
	}
	l.pos.Losses = append(l.pos.Losses, s.loss)
}

// dropGradients forgets the gradients of a step that is not taken.
func (l *Loop) dropGradients() {
	for _, p := range l.params {
		l.k.Fill(p.T().Grad, 0)
	}
}

func finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }
