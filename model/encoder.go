package model

import (
	"github.com/plinth-ml/plinth/nn"
	"github.com/plinth-ml/plinth/tensor"
)

// Input is a batch of texts as tokens, one text after the other.
type Input struct {
	IDs      tensor.Buf // I32 [N]
	Segments tensor.Buf // I32 [N], which text of a pair a token belongs to, from 0; none: all 0. Decoders do not look at it
	Seqs     *nn.Seqs
}

// Encoder maps tokens to features, one row per token, whatever each token may see. It is what tasks build on.
type Encoder interface {
	// Params lists the parameters under their checkpoint names.
	Params() []nn.Named
	// Encode maps the N tokens of in to [N, C].
	Encode(t *tensor.Tape, in Input) *tensor.Tensor
	// Sizes are the facts that callers plan with.
	Sizes() Sizes
}

// AsEncoder is a decoder as an encoder: its features are those after the final norm, each of which has seen the tokens up to its own.
func AsEncoder(d Decoder) Encoder { return decoderEncoder{d} }

type decoderEncoder struct{ Decoder }

func (e decoderEncoder) Encode(t *tensor.Tape, in Input) *tensor.Tensor {
	return Features(e.Decoder, t, in.IDs, in.Seqs, nil)
}
