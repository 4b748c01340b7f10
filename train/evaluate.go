package train

import (
	"context"
	"fmt"
	"math"

	"github.com/plinth-ml/plinth/data"
	"github.com/plinth-ml/plinth/model"
	"github.com/plinth-ml/plinth/tensor"
)

// Split is held-out data in fixed order, such as *data.Val.
type Split interface {
	Sequences() int
	FillAt(b *data.Batch, from, to int) error
}

// Score is what Evaluate measures.
type Score struct {
	Loss        float64 // nats per token
	BitsPerByte float64 // 0 where the split does not know its bytes
	Tokens      int     // counted targets
}

// Evaluate returns the mean loss over all of a split, batch sequences at once. t must not record and not keep packed weights
// (tensor.Evaluation) where training goes on afterwards.
func Evaluate(ctx context.Context, t *tensor.Tape, m model.Decoder, s Split, batch int) (Score, error) {
	var b micro
	var nll float64
	var score Score
	bytes, n := 0, s.Sequences()
	for from := 0; from < n; from += max(1, batch) {
		if ctx.Err() != nil {
			return score, context.Cause(ctx)
		}
		if err := s.FillAt(&b.Batch, from, min(n, from+max(1, batch))); err != nil {
			return score, fmt.Errorf("train: held-out sequence %d: %w", from, err)
		}
		counted, err := checkBatch(&b.Batch, m.Sizes())
		if err != nil {
			return score, fmt.Errorf("train: held-out sequence %d: %w", from, err)
		}
		if counted == 0 {
			continue
		}
		b.seqs.Set(b.Lengths, &b.positions)
		x := model.Features(m, t, tensor.IDs(b.IDs), &b.seqs, nil)
		for _, v := range m.Head().Loss(t, x, tensor.CrossEntropy{Targets: tensor.IDs(b.Targets), NoGrad: true}).F32() {
			nll += float64(v)
		}
		t.Reset()
		score.Tokens += counted
		bytes += b.Bytes
	}
	if score.Tokens == 0 {
		return score, fmt.Errorf("train: the held-out split has no target that counts")
	}
	score.Loss = nll / float64(score.Tokens)
	if bytes > 0 {
		score.BitsPerByte = nll / math.Ln2 / float64(bytes)
	}
	return score, nil
}
