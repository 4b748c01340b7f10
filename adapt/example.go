package adapt

import (
	"context"
	"fmt"

	"github.com/plinth-ml/plinth/model"
	"github.com/plinth-ml/plinth/nn"
	"github.com/plinth-ml/plinth/tensor"
)

// Example is a text, or a pair of texts, as token ids, with what a task wants of it: one of the fields below.
type Example struct {
	IDs      []int32
	Segments []int32 // which text of a pair each token belongs to; nil: all 0

	Label      int       // class, from 0
	Targets    []float32 // [K]: 0 or 1 for each of several labels, or the one number of a regression
	Tags       []int32   // [tokens]: class of each token, -1 where it does not count
	Start, End int       // first and last token of the answer
	Teacher    []float32 // [K]: a teacher's scores, beside Label: see FineTuning.Distil
}

// Labels are the labels of texts.
func Labels(texts []Example) []int {
	labels := make([]int, len(texts))
	for i, x := range texts {
		labels[i] = x.Label
	}
	return labels
}

// batchTokens bounds the tokens that are computed at once.
const batchTokens = 4096

// batch is several texts, one after the other, as a model takes them; its memory is reused.
type batch struct {
	ids, segments, positions []int32
	lengths                  []int
	seqs                     nn.Seqs
}

func (b *batch) set(texts []Example) model.Input {
	b.ids, b.segments, b.lengths = b.ids[:0], b.segments[:0], b.lengths[:0]
	pairs := false
	for _, x := range texts {
		b.ids = append(b.ids, x.IDs...)
		b.lengths = append(b.lengths, len(x.IDs))
		if x.Segments != nil {
			pairs = true
			b.segments = append(b.segments, x.Segments...)
		} else {
			for range x.IDs {
				b.segments = append(b.segments, 0)
			}
		}
	}
	b.seqs.Set(b.lengths, &b.positions)
	in := model.Input{IDs: tensor.IDs(b.ids), Seqs: &b.seqs}
	if pairs {
		in.Segments = tensor.IDs(b.segments)
	}
	return in
}

// checkTexts reports the first text that the model cannot take.
func checkTexts(s model.Sizes, texts []Example) error {
	for i, x := range texts {
		if len(x.IDs) == 0 || len(x.IDs) > s.Context {
			return fmt.Errorf("adapt: text %d has %d tokens, not 1 to the model's context of %d", i, len(x.IDs), s.Context)
		}
		if x.Segments != nil && len(x.Segments) != len(x.IDs) {
			return fmt.Errorf("adapt: text %d has %d tokens and %d segments", i, len(x.IDs), len(x.Segments))
		}
		if err := checkIDs(x.IDs, s.IDs()); err != nil {
			return fmt.Errorf("adapt: text %d: %w", i, err)
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
			return context.Cause(ctx)
		}
		f(from, to)
		from = to
	}
	return nil
}

// Features returns the encoder's pooled features of every text: [texts][C]. t must not record.
func Features(ctx context.Context, t *tensor.Tape, m model.Encoder, texts []Example, pool model.Pool) ([][]float32, error) {
	if err := checkTexts(m.Sizes(), texts); err != nil {
		return nil, err
	}
	rows := make([][]float32, len(texts))
	var b batch
	var spans []tensor.Span
	err := chunks(ctx, texts, func(from, to int) {
		in := b.set(texts[from:to])
		spans = pool.Spans(spans[:0], in.Seqs)
		y := t.SeqMean(m.Encode(t, in), spans)
		_, C := y.Dims2()
		for i := range to - from {
			rows[from+i] = append([]float32(nil), y.F32()[i*C:(i+1)*C]...)
		}
		t.Reset()
	})
	return rows, err
}

// Scores returns what the head makes of every text: the scores [K] of a model.SequenceTask, or those of all tokens, [tokens·K]. t must not
// record.
func Scores(ctx context.Context, t *tensor.Tape, m model.Tasked, texts []Example) ([][]float32, error) {
	if err := checkTexts(m.Sizes(), texts); err != nil {
		return nil, err
	}
	all := make([][]float32, len(texts))
	var b batch
	err := chunks(ctx, texts, func(from, to int) {
		z := m.Scorer().Logits(t, m.Read(t, b.set(texts[from:to])))
		_, K := z.Dims2()
		rest := z.F32()
		for i := from; i < to; i++ {
			n := K
			if m.Task() != model.SequenceTask {
				n *= len(texts[i].IDs)
			}
			all[i] = append([]float32(nil), rest[:n]...)
			rest = rest[n:]
		}
		t.Reset()
	})
	return all, err
}

// Predict returns the class of every text: that of the highest score, the first of equal ones. t must not record.
func Predict(ctx context.Context, t *tensor.Tape, m model.Tasked, texts []Example) ([]int, error) {
	scores, err := Scores(ctx, t, m, texts)
	if err != nil {
		return nil, err
	}
	classes := make([]int, len(texts))
	for i, s := range scores {
		classes[i] = Argmax(s)
	}
	return classes, nil
}

// Argmax is the place of the largest element, the first of equal ones.
func Argmax(s []float32) int {
	best := 0
	for i, v := range s {
		if v > s[best] {
			best = i
		}
	}
	return best
}

// Accuracy is the share of predictions that equal the label.
func Accuracy(predicted []int, texts []Example) float64 {
	right := 0
	for i, c := range predicted {
		if c == texts[i].Label {
			right++
		}
	}
	return float64(right) / float64(max(1, len(texts)))
}
