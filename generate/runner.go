package generate

import (
	"github.com/plinth-ml/plinth/internal/kernel"
	"github.com/plinth-ml/plinth/model"
	"github.com/plinth-ml/plinth/nn"
	"github.com/plinth-ml/plinth/tensor"
)

// runner computes batches of one model over its cache: clear, add and want, begin, run.
type runner struct {
	model     model.Decoder
	tape      *tensor.Tape
	kv        *nn.KV
	logitRows int // at once
	shelf
	version int // of the weights that the shelf was computed with

	slots, counts    []int // of each sequence of the batch: slot and new tokens
	input, positions []int32
	seqs             nn.Seqs
	rows             []int32   // whose logits are wanted
	rowsGiven        []float32 // [n, C] in the place of embeddings
}

// logitElements bounds the logits held at once.
const logitElements = 1 << 22

func newRunner(m model.Decoder, k *kernel.Set, o EngineOptions) *runner {
	r := &runner{model: m, tape: tensor.Inference(k), logitRows: max(1, logitElements/max(m.Sizes().Vocab, 1))}
	if o.Unpacked {
		r.tape = tensor.Evaluation(k)
	}
	cache := o.Cache
	if cache.Max == 0 {
		page := max(cache.Page, tensor.KeyTile)
		cache.Max = o.Slots * ((o.MaxContext + page - 1) / page * page)
	}
	r.kv = model.NewKV(m, cache)
	r.shelf.kv = r.kv
	return r
}

// clear begins a batch.
func (r *runner) clear() {
	r.slots, r.counts, r.input, r.rows = r.slots[:0], r.counts[:0], r.input[:0], r.rows[:0]
	r.seqs.Spans, r.seqs.Lens = r.seqs.Spans[:0], r.seqs.Lens[:0]
	r.seqs.Given, r.rowsGiven = nil, r.rowsGiven[:0]
}

// add appends the next ids of a slot, which is to hold whole ids in the end, to the batch, and returns the first one's row. The ids of a slot are added one
// after the other.
func (r *runner) add(slot int, ids []int32, whole int) (row int) {
	row = len(r.input)
	r.input = append(r.input, ids...)
	if last := len(r.slots) - 1; last >= 0 && r.slots[last] == slot {
		r.counts[last] += len(ids)
		r.seqs.Spans[last].Len += len(ids)
		return row
	}
	r.slots, r.counts = append(r.slots, slot), append(r.counts, len(ids))
	r.seqs.Spans, r.seqs.Lens = append(r.seqs.Spans, tensor.Span{Start: row, Len: len(ids)}), append(r.seqs.Lens, whole)
	return row
}

// want asks for the logits of a row; rows ascend.
func (r *runner) want(row int) { r.rows = append(r.rows, int32(row)) }

// begin takes the pages that the batch needs; with nn.ErrFull nothing has changed.
func (r *runner) begin() (err error) {
	r.positions, err = r.kv.Begin(r.slots, r.counts, r.positions[:0])
	return err
}

// run computes the batch. take gets the logits [n, V] of the wanted rows, some at a time, from the one of the given number on.
func (r *runner) run(take func(from int, logits *tensor.Tensor) error) (err error) {
	r.seqs.Positions = tensor.IDs(r.positions)
	t := r.tape
	t.Reset()
	x := r.model.Embed(t, tensor.IDs(r.input), &r.seqs)
	x = r.model.Body(t, x, &r.seqs, r.kv, 0, r.model.Sizes().Layers)
	r.kv.End()
	for from := 0; from < len(r.rows) && err == nil; from += r.logitRows {
		t.Scope(func() *tensor.Tensor {
			rows := tensor.IDs(r.rows[from:min(from+r.logitRows, len(r.rows))])
			err = take(from, r.model.Head().Logits(t, r.model.Norm(t, t.Gather(x, rows)))) // [len(rows), V]
			return x
		})
	}
	return err
}

// refresh forgets what was computed with other weights. Weights in training may change unnoticed.
func (r *runner) refresh(training bool) {
	version := 0
	for _, p := range r.model.Params() {
		version += p.T().Version()
	}
	if training || version != r.version {
		for r.forget() {
		}
	}
	r.version = version
}

// leave releases a slot that holds first ids of a sequence, or shelves it for others.
func (r *runner) leave(slot int, scope scope, ids []int32, keep bool) {
	if n := r.kv.Len(slot); keep && n > 0 {
		r.keep(slot, scope, ids[:n])
		return
	}
	r.kv.Release(slot)
}
