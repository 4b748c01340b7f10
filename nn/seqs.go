package nn

import "github.com/plinth-ml/plinth/tensor"

// Seqs tells which rows of a ragged activation x [N, C] belong together. Attention never crosses a sequence, so a document mask
// is a sequence boundary and there is no padding.
type Seqs struct {
	Spans     []tensor.Span  // rows of each sequence, in order
	Positions tensor.Buf     // I32 [N], position of each row in its sequence
	Lens      []int          // of whole sequences, where a span is a part that is followed by more: nil, or one for each span; Rope chooses frequencies by it
	Given     *tensor.Tensor // rows [n, C] in the place of embeddings, which ids behind the vocabulary name (see Embedding.Forward); nil: none
	Cross     *Cross         // of an encoder-decoder's decoder: the sources
}

// NewSeqs returns sequences of the given lengths, one after the other, each with positions from 0.
func NewSeqs(lengths ...int) *Seqs {
	s := new(Seqs)
	var positions []int32
	s.Set(lengths, &positions)
	return s
}

// Set makes s describe sequences of the given lengths from position 0, reusing its memory and that of *positions.
func (s *Seqs) Set(lengths []int, positions *[]int32) {
	s.Spans, s.Lens, *positions = s.Spans[:0], nil, (*positions)[:0]
	row := 0
	for _, n := range lengths {
		s.Spans = append(s.Spans, tensor.Span{Start: row, Len: n})
		for p := range n {
			*positions = append(*positions, int32(p))
		}
		row += n
	}
	s.Positions = tensor.IDs(*positions)
}

// Rows is the number of rows of all sequences.
func (s *Seqs) Rows() int {
	if len(s.Spans) == 0 {
		return 0
	}
	return s.Spans[len(s.Spans)-1].End()
}
