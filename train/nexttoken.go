package train

import (
	"fmt"

	"github.com/plinth-ml/plinth/data"
	"github.com/plinth-ml/plinth/model"
	"github.com/plinth-ml/plinth/nn"
	"github.com/plinth-ml/plinth/tensor"
)

// nextToken is the objective of a decoder: the cross-entropy of the token that follows, mean over those that count.
type nextToken struct {
	m      model.Decoder
	src    data.Source
	zloss  float64
	layers *layers
}

func (o *nextToken) Params() []nn.Named  { return o.m.Params() }
func (o *nextToken) Sizes() model.Sizes  { return o.m.Sizes() }
func (o *nextToken) Fingerprint() string { return o.src.Fingerprint() }

func (o *nextToken) Part(reuse Part, step, from, to int) (Part, error) {
	b, _ := reuse.(*micro)
	if b == nil {
		b = &micro{o: o}
	}
	if err := o.src.Fill(&b.Batch, step, from, to); err != nil {
		return nil, err
	}
	n, err := checkBatch(&b.Batch, o.m.Sizes())
	if err != nil {
		return nil, err
	}
	b.terms[0] = float64(n)
	b.seqs.Set(b.Lengths, &b.positions)
	return b, nil
}

// micro is a part of a step's batch of text.
type micro struct {
	o *nextToken
	data.Batch
	seqs      nn.Seqs
	positions []int32
	terms     [1]float64 // counted targets
}

func (b *micro) Tokens() int      { return len(b.IDs) }
func (b *micro) Terms() []float64 { return b.terms[:] }

func (b *micro) Loss(t *tensor.Tape, of, sums []float64) {
	x := b.o.layers.features(t, tensor.IDs(b.IDs), &b.seqs)
	losses := b.o.m.Head().Loss(t, x, tensor.CrossEntropy{Targets: tensor.IDs(b.Targets), Scale: 1 / of[0], ZLoss: b.o.zloss})
	for _, v := range losses.F32() {
		sums[0] += float64(v)
	}
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

// layers runs a decoder's layers on a tape, and where asked computes the activations inside a layer again in the backward pass.
type layers struct {
	m      model.Decoder
	t      *tensor.Tape // of the pass at hand
	seqs   *nn.Seqs
	blocks []func(x *tensor.Tensor) *tensor.Tensor // with recomputation: layer i on the rows of seqs. Kept, because the tape holds on to them
}

func newLayers(m model.Decoder, n int, recompute bool) *layers {
	l := &layers{m: m}
	for i := range n {
		if recompute {
			l.blocks = append(l.blocks, func(x *tensor.Tensor) *tensor.Tensor { return m.Body(l.t, x, l.seqs, nil, i, i+1) })
		}
	}
	return l
}

// features is model.Features.
func (l *layers) features(t *tensor.Tape, ids tensor.Buf, seqs *nn.Seqs) *tensor.Tensor {
	return l.m.Norm(t, l.body(t, l.m.Embed(t, ids, seqs), seqs, l.m.Sizes().Layers))
}

func (l *layers) body(t *tensor.Tape, x *tensor.Tensor, seqs *nn.Seqs, n int) *tensor.Tensor {
	if len(l.blocks) == 0 {
		return l.m.Body(t, x, seqs, nil, 0, n)
	}
	l.t, l.seqs = t, seqs
	for _, block := range l.blocks[:n] {
		x = t.Recompute(x, block)
	}
	return x
}
