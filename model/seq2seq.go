package model

import (
	"github.com/plinth-ml/plinth/nn"
	"github.com/plinth-ml/plinth/tensor"
)

// Seq2Seq is an encoder and a decoder that attends to what the encoder makes of a source. Its parameters and sizes are those of the whole.
type Seq2Seq interface {
	Encoder
	// Decoder writes targets. Its sequences must name their sources: nn.Seqs.Cross.
	Decoder() Decoder
	// Remember fills a cache of the decoder's cross-attention from the features memory [M, C] of sources whose rows are spans; Begin has named
	// their slots, and End is the caller's.
	Remember(t *tensor.Tape, memory *tensor.Tensor, spans []tensor.Span, cross *nn.KV)
	// Start is the id that a target begins with.
	Start() int32
	// Ends are the ids that a target ends with.
	Ends() []int32
	// PairCost is the arithmetic of a source and a target of so many tokens, divided by the tokens of both.
	PairCost(source, target int) Cost
}

// Decode maps the ids I32 [N] of targets, each shifted right behind Start, to features [N, C] for the decoder's head. The targets' sources stand in
// the same order as spans of memory [M, C].
func Decode(m Seq2Seq, t *tensor.Tape, ids tensor.Buf, seqs *nn.Seqs, memory *tensor.Tensor, spans []tensor.Span) *tensor.Tensor {
	with := *seqs
	with.Cross = &nn.Cross{Memory: memory, Keys: spans}
	return Features(m.Decoder(), t, ids, &with, nil)
}
