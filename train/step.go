package train

import (
	"fmt"
	"math"

	"github.com/plinth-ml/plinth/data"
	"github.com/plinth-ml/plinth/model"
	"github.com/plinth-ml/plinth/nn"
	"github.com/plinth-ml/plinth/tensor"
)

// micro is a part of a step's batch that is computed at once.
type micro struct {
	data.Batch
	seqs      nn.Seqs
	positions []int32
}

// stepResult is what a step is known by.
type stepResult struct {
	loss    float64 // mean over the counted targets, nats
	norm    float64 // of the gradient, before clipping
	tokens  int     // rows
	lr      float64
	seconds float64
}

// compute fills the batch of the next step and leaves its loss's gradient in the parameters. Nothing else changes.
func (l *Loop) compute() (stepResult, error) {
	var s stepResult
	counted := 0
	if l.micros == nil {
		l.micros = make([]micro, (l.o.Batch+l.o.Micro-1)/l.o.Micro)
	}
	at := l.pos.Step + l.pos.DataOffset
	for i := range l.micros {
		b := &l.micros[i]
		from := i * l.o.Micro
		if err := l.src.Fill(&b.Batch, at, from, min(from+l.o.Micro, l.o.Batch)); err != nil {
			return s, fmt.Errorf("train: batch %d of step %d: %w", at, l.pos.Step+1, err)
		}
		n, err := checkBatch(&b.Batch, l.m.Sizes())
		if err != nil {
			return s, fmt.Errorf("train: batch %d of step %d: %w", at, l.pos.Step+1, err)
		}
		counted += n
		s.tokens += len(b.IDs)
		b.seqs.Set(b.Lengths, &b.positions)
	}
	if counted == 0 {
		return s, fmt.Errorf("train: batch %d of step %d: no target counts", at, l.pos.Step+1)
	}
	nll := 0.0
	for i := range l.micros {
		b := &l.micros[i]
		if len(b.IDs) == 0 {
			continue
		}
		x := l.layers.features(tensor.IDs(b.IDs), &b.seqs)
		losses := l.m.Head().Loss(l.tape, x, tensor.CrossEntropy{Targets: tensor.IDs(b.Targets), Scale: 1 / float64(counted), ZLoss: l.o.ZLoss})
		l.tape.Backward()
		for _, v := range losses.F32() {
			nll += float64(v)
		}
		l.tape.Reset()
	}
	if l.corrupt != nil {
		l.corrupt(l)
	}
	s.loss = nll / float64(counted)
	s.norm = l.gradNorm()
	return s, nil
}

// checkBatch returns the number of counted targets; an error where the model cannot take the batch.
func checkBatch(b *data.Batch, s model.Sizes) (counted int, err error) {
	if len(b.IDs) != len(b.Targets) {
		return 0, fmt.Errorf("%d tokens and %d targets", len(b.IDs), len(b.Targets))
	}
	for i, id := range b.IDs {
		if target := b.Targets[i]; id < 0 || int(id) >= s.Vocab || int(target) >= s.Vocab {
			return 0, fmt.Errorf("token %d: id %d or target %d is not in the vocabulary of %d", i, id, target, s.Vocab)
		} else if target >= 0 {
			counted++
		}
	}
	rows := 0
	for _, n := range b.Lengths {
		if n < 1 || n > s.Context {
			return 0, fmt.Errorf("a piece of %d tokens, the model's context is %d", n, s.Context)
		}
		rows += n
	}
	if rows != len(b.IDs) {
		return 0, fmt.Errorf("pieces of %d tokens in all, but %d tokens", rows, len(b.IDs))
	}
	return counted, nil
}

// layers runs a model's layers on a tape.
type layers struct {
	m      model.Decoder
	t      *tensor.Tape
	seqs   *nn.Seqs
	blocks []func(x *tensor.Tensor) *tensor.Tensor // with recomputation: layer i on the rows of seqs. Kept, because the tape holds on to them
}

func newLayers(m model.Decoder, t *tensor.Tape, n int, o Options) *layers {
	l := &layers{m: m, t: t}
	switch o.Activations {
	case "lean":
		t.Keep(tensor.KeepLean)
	case "bf16":
		t.Keep(tensor.KeepBF16)
	}
	for i := range n {
		if o.Recompute {
			l.blocks = append(l.blocks, func(x *tensor.Tensor) *tensor.Tensor { return m.Body(t, x, l.seqs, nil, i, i+1) })
		}
	}
	return l
}

// features is model.Features, layer by layer when the activations inside layers are to be computed again in the backward pass.
func (l *layers) features(ids tensor.Buf, seqs *nn.Seqs) *tensor.Tensor {
	return l.m.Norm(l.t, l.body(l.m.Embed(l.t, ids, seqs), seqs, l.m.Sizes().Layers))
}

func (l *layers) body(x *tensor.Tensor, seqs *nn.Seqs, n int) *tensor.Tensor {
	if len(l.blocks) == 0 {
		return l.m.Body(l.t, x, seqs, nil, 0, n)
	}
	l.seqs = seqs
	for _, block := range l.blocks[:n] {
		x = l.t.Recompute(x, block)
	}
	return x
}

// apply steps the optimiser with the gradients there are, and counts the step.
func (l *Loop) apply(s *stepResult) {
	s.lr = l.o.Rate(l.pos.Step)
	l.opt.step(l.pos.Step+1, s.lr, clipScale(s.norm, l.o.Clip))
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
