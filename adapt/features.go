package adapt

import (
	"context"
	"fmt"

	"github.com/plinth-ml/plinth/model"
	"github.com/plinth-ml/plinth/nn"
	"github.com/plinth-ml/plinth/tensor"
)

// Example is a text as token ids, with its class.
type Example struct {
	IDs   []int32
	Label int // from 0
}

// Pool says how the features of a text's tokens become one vector.
type Pool int

const (
	Mean Pool = iota // the mean over the tokens
	Last             // that of the last token, which has seen all others
)

// batchTokens bounds the tokens computed at once.
const batchTokens = 4096

// pooled runs the decoder on texts and returns one row of features per text: [texts, C].
func pooled(t *tensor.Tape, m model.Decoder, texts []Example, pool Pool, b *batch) *tensor.Tensor {
	b.set(texts, pool)
	return t.SeqMean(model.Features(m, t, tensor.IDs(b.ids), &b.seqs, nil), b.spans)
}

// batch is the ids of several texts, one after the other; its memory is reused.
type batch struct {
	ids, positions []int32
	lengths        []int
	seqs           nn.Seqs
	spans          []tensor.Span // rows that are averaged
}

func (b *batch) set(texts []Example, pool Pool) {
	b.ids, b.lengths = b.ids[:0], b.lengths[:0]
	for _, x := range texts {
		b.ids = append(b.ids, x.IDs...)
		b.lengths = append(b.lengths, len(x.IDs))
	}
	b.seqs.Set(b.lengths, &b.positions)
	b.spans = append(b.spans[:0], b.seqs.Spans...)
	if pool == Last {
		for i, s := range b.spans {
			b.spans[i] = tensor.Span{Start: s.End() - 1, Len: 1}
		}
	}
}

// checkTexts reports the first text that the decoder cannot take.
func checkTexts(m model.Decoder, texts []Example) error {
	s := m.Sizes()
	for i, x := range texts {
		if len(x.IDs) == 0 || len(x.IDs) > s.Context {
			return fmt.Errorf("adapt: text %d has %d tokens, not 1 to the model's context of %d", i, len(x.IDs), s.Context)
		}
		for _, id := range x.IDs {
			if id < 0 || int(id) >= s.Vocab {
				return fmt.Errorf("adapt: text %d: id %d is not within the vocabulary of %d", i, id, s.Vocab)
			}
		}
	}
	return nil
}

// chunks calls f with runs of texts [from, to) of at most batchTokens tokens, or one text.
func chunks(ctx context.Context, texts []Example, f func(from, to int)) error {
	for from := 0; from < len(texts); {
		to, tokens := from, 0
		for to < len(texts) && (to == from || tokens+len(texts[to].IDs) <= batchTokens) {
			tokens += len(texts[to].IDs)
			to++
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		f(from, to)
		from = to
	}
	return nil
}

// Features returns the decoder's pooled features of every text: [texts][C]. t must not record.
func Features(ctx context.Context, t *tensor.Tape, m model.Decoder, texts []Example, pool Pool) ([][]float64, error) {
	if err := checkTexts(m, texts); err != nil {
		return nil, err
	}
	rows := make([][]float64, len(texts))
	var b batch
	err := chunks(ctx, texts, func(from, to int) {
		t.Reset()
		y := pooled(t, m, texts[from:to], pool, &b)
		_, C := y.Dims2()
		for i, v := range y.F32() {
			rows[from+i/C] = append(rows[from+i/C], float64(v))
		}
	})
	t.Reset()
	return rows, err
}
