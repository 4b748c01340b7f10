package nn

import (
	"math"
	"slices"
	"sync"

	"github.com/plinth-ml/plinth/tensor"
)

// Rope turns queries and keys by their positions (Su et al. 2021, RoFormer, section 3.2.2). Frequencies, angles and tables are computed in
// float32 as transformers does, so that far positions agree with it too. Tables grow with the positions that are asked for.
//
// The dynamic and the longrope scaling choose frequencies by a sequence's length once it passes a limit. Here the length is that of each
// sequence, up to its last row in the batch or what Seqs.Lens says; keys that are in a cache already keep the frequencies they were turned with. So
// who computes a sequence in steps says its length with the first, and computes it anew when it passes the limit (RopeConfig.Switch).
type Rope struct {
	headDim, dims int
	pairs         bool
	freqs         []float32 // [dims/2], radians per position
	scale         float32   // factor of cosines and sines
	limit         int       // longest sequence with freqs, 0 where all have them
	stretched     func(length int) []float32

	mu      sync.Mutex
	table   *tensor.RopeTable // rows are positions
	rows    int               // of table
	special special           // of the last batch beyond the limit: all layers ask for the same
}

// special is a table with a row for each row of one batch.
type special struct {
	table     *tensor.RopeTable
	rows      []int32 // 0, 1, 2, ...
	spans     []tensor.Span
	lens      []int // of their sequences
	positions []int32
}

// NewRope returns the rotation of heads of headDim elements in models of the given context. The configuration must have passed Check.
func NewRope(c RopeConfig, headDim, context int, pairs bool) *Rope {
	r := &Rope{headDim: headDim, dims: c.dims(headDim), pairs: pairs, scale: float32(c.attentionScale(context))}
	r.freqs, r.limit, r.stretched = c.frequencies(r.dims, context)
	return r
}

// Of returns the table for a batch and the row of it that each of the batch's rows needs.
func (r *Rope) Of(seqs *Seqs) (*tensor.RopeTable, tensor.Buf) {
	r.mu.Lock()
	defer r.mu.Unlock()
	positions := seqs.Positions.I32()
	if r.limit > 0 {
		if lens := lengths(seqs, positions); len(lens) > 0 && slices.Max(lens) > r.limit {
			return r.batch(seqs.Spans, lens, positions)
		}
	}
	need := 1
	for _, p := range positions {
		need = max(need, int(p)+1)
	}
	if need > r.rows {
		for r.rows = max(r.rows, 256); r.rows < need; r.rows *= 2 {
		}
		r.table = tensor.NewRopeTable(tensor.F32, r.headDim, r.dims, r.pairs, r.rows, func(p, i int) (cos, sin float64) {
			return r.turn(r.freqs, p, i)
		})
	}
	return r.table, seqs.Positions
}

// lengths are those of the sequences: what Lens says, or the positions up to the last row.
func lengths(seqs *Seqs, positions []int32) []int {
	lens := make([]int, len(seqs.Spans))
	for i, s := range seqs.Spans {
		if s.Len > 0 {
			lens[i] = int(positions[s.End()-1]) + 1
		}
		if seqs.Lens != nil {
			lens[i] = max(lens[i], seqs.Lens[i])
		}
	}
	return lens
}

// batch is Of where a sequence is beyond the limit.
func (r *Rope) batch(spans []tensor.Span, lens []int, positions []int32) (*tensor.RopeTable, tensor.Buf) {
	if s := &r.special; s.table == nil || !slices.Equal(s.spans, spans) || !slices.Equal(s.lens, lens) || !slices.Equal(s.positions, positions) {
		freqs := make([][]float32, len(positions)) // of each row
		rows := make([]int32, len(positions))
		for i := range freqs {
			freqs[i], rows[i] = r.freqs, int32(i)
		}
		for i, span := range spans {
			if lens[i] > r.limit {
				f := r.stretched(lens[i])
				for i := span.Start; i < span.End(); i++ {
					freqs[i] = f
				}
			}
		}
		table := tensor.NewRopeTable(tensor.F32, r.headDim, r.dims, r.pairs, len(positions), func(row, i int) (cos, sin float64) {
			return r.turn(freqs[row], int(positions[row]), i)
		})
		*s = special{table, rows, slices.Clone(spans), lens, slices.Clone(positions)}
	}
	return r.special.table, tensor.IDs(r.special.rows)
}

// turn is the cosine and the sine of pair i at position p.
func (r *Rope) turn(freqs []float32, p, i int) (cos, sin float64) {
	sin, cos = math.Sincos(float64(float32(p) * freqs[i]))
	return float64(float32(cos) * r.scale), float64(float32(sin) * r.scale)
}
