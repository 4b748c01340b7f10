// Package eval measures what a model knows.
package eval

import (
	"context"
	"fmt"
	"math"

	"github.com/plinth-ml/plinth/internal/kernel"
	"github.com/plinth-ml/plinth/model"
	"github.com/plinth-ml/plinth/nn"
	"github.com/plinth-ml/plinth/tensor"
)

// Perplexity sums the losses of documents. The zero value of Seq means the model's context, of Stride no overlap.
type Perplexity struct {
	Model  model.Decoder
	Seq    int // tokens of a window
	Stride int // tokens between the starts of two windows; a target is counted in the first window that reaches it
	Tape   *tensor.Tape

	Loss   float64 // sum of -ln p over the counted targets
	Tokens int     // counted targets: every token of a document but its first
	Bytes  int     // bytes of text that the counted targets stand for

	ids, targets, positions []int32
	lengths                 []int
	seqs                    nn.Seqs
}

// windowRows is the number of rows computed at once.
const windowRows = 2048

// NewPerplexity checks the sizes.
func NewPerplexity(m model.Decoder, k *kernel.Set, seq, stride int) (*Perplexity, error) {
	if seq == 0 {
		seq = m.Sizes().Context
	}
	if stride == 0 {
		stride = seq
	}
	if seq < 2 || seq > m.Sizes().Context {
		return nil, fmt.Errorf("eval: sequences of %d tokens: the model's context is %d", seq, m.Sizes().Context)
	}
	if stride < 1 || stride > seq {
		return nil, fmt.Errorf("eval: stride %d is not within 1 to %d", stride, seq)
	}
	return &Perplexity{Model: m, Seq: seq, Stride: stride, Tape: tensor.Evaluation(k)}, nil
}

// Add counts one document. size gives the bytes of text that an id stands for.
func (p *Perplexity) Add(ctx context.Context, doc []int32, size func(id int32) int) error {
	for i, id := range doc {
		if id < 0 || int(id) >= p.Model.Sizes().Vocab {
			return fmt.Errorf("eval: token %d of the document is id %d, the vocabulary has %d", i, id, p.Model.Sizes().Vocab)
		}
	}
	counted := 1 // targets [1, counted) of the document are done
	for start := 0; counted < len(doc); start += p.Stride {
		end := min(start+p.Seq, len(doc)-1) // inputs [start, end), targets one further
		p.ids = append(p.ids, doc[start:end]...)
		for i := start; i < end; i++ {
			if target := i + 1; target < counted {
				p.targets = append(p.targets, -1)
			} else {
				p.targets = append(p.targets, doc[target])
				p.Tokens++
				p.Bytes += size(doc[target])
			}
		}
		counted = end + 1
		p.lengths = append(p.lengths, end-start)
		if len(p.ids) >= windowRows {
			if err := p.Flush(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// Flush computes what Add has gathered; call it before reading the sums.
func (p *Perplexity) Flush(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	if len(p.ids) == 0 {
		return nil
	}
	p.seqs.Set(p.lengths, &p.positions)
	x := model.Features(p.Model, p.Tape, tensor.IDs(p.ids), &p.seqs, nil)
	for _, l := range p.Model.Head().Loss(p.Tape, x, tensor.CrossEntropy{Targets: tensor.IDs(p.targets)}).F32() {
		p.Loss += float64(l)
	}
	p.Tape.Reset()
	p.ids, p.targets, p.lengths = p.ids[:0], p.targets[:0], p.lengths[:0]
	return nil
}

// Mean is the loss in nats per token.
func (p *Perplexity) Mean() float64 { return p.Loss / float64(p.Tokens) }

// BitsPerByte is the loss in bits per byte of text.
func (p *Perplexity) BitsPerByte() float64 { return p.Loss / math.Ln2 / float64(p.Bytes) }
