// Package model says what the engine asks of a model family, and counts parameters and arithmetic. Each family is a sub-package.
package model

import (
	"fmt"
	"strings"

	"github.com/plinth-ml/plinth/nn"
	"github.com/plinth-ml/plinth/tensor"
)

// Decoder is a causal language model.
type Decoder interface {
	// Params lists the parameters under their checkpoint names.
	Params() []nn.Named
	// Embed maps ids I32 [N] to [N, C].
	Embed(t *tensor.Tape, ids tensor.Buf, seqs *nn.Seqs) *tensor.Tensor
	// Body runs layers [from, to) on x [N, C]. kv is nil, or the cache that holds the earlier positions (see nn.KV).
	Body(t *tensor.Tape, x *tensor.Tensor, seqs *nn.Seqs, kv *nn.KV, from, to int) *tensor.Tensor
	// Norm is the final norm: it maps x [N, C] to the features [N, C] that heads read.
	Norm(t *tensor.Tape, x *tensor.Tensor) *tensor.Tensor
	// Head maps features to logits.
	Head() nn.Head
	// Sizes are the facts that callers plan with.
	Sizes() Sizes
}

// Sizes of a decoder.
type Sizes struct {
	Layers, Width, Heads, KVHeads, HeadDim int
	Vocab, Context                         int
	Window                                 int  // of locally banded layers, 0 for none
	Switch                                 int  // longest sequence whose cache holds for its own length only: see nn.RopeConfig.Switch; 0 for none
	Grows                                  bool // sequences may be longer than Context: see nn.RopeConfig.Grows
	Virtual                                int  // tokens of a trained prompt: see nn.Embedding.Prompt; 0 for none
}

// IDs is the number of ids that the model reads: those of the vocabulary, then those of its virtual tokens, which it never writes.
func (s Sizes) IDs() int { return s.Vocab + s.Virtual }

// VirtualIDs are the ids of the virtual tokens, in the order in which they stand in front of an input.
func (s Sizes) VirtualIDs() []int32 {
	var ids []int32
	for i := range s.Virtual {
		ids = append(ids, int32(s.Vocab+i))
	}
	return ids
}

// Features runs the whole decoder up to the final norm: ids I32 [N] to [N, C].
func Features(d Decoder, t *tensor.Tape, ids tensor.Buf, seqs *nn.Seqs, kv *nn.KV) *tensor.Tensor {
	x := d.Embed(t, ids, seqs)
	return d.Norm(t, d.Body(t, x, seqs, kv, 0, d.Sizes().Layers))
}

// Block is a layer of a decoder on x [N, C]; layer is its number, and its place in the cache.
type Block interface {
	Forward(t *tensor.Tape, x *tensor.Tensor, seqs *nn.Seqs, kv *nn.KV, layer int) *tensor.Tensor
}

// Body runs blocks [from, to) on x [N, C], each in a scope of its own: see Decoder.
func Body[B Block](t *tensor.Tape, x *tensor.Tensor, blocks []B, seqs *nn.Seqs, kv *nn.KV, from, to int) *tensor.Tensor {
	for l := from; l < to; l++ {
		x = t.Scope(func() *tensor.Tensor { return blocks[l].Forward(t, x, seqs, kv, l) })
	}
	return x
}

// NewKV returns an empty cache for the decoder.
func NewKV(d Decoder, o nn.KVOptions) *nn.KV {
	s := d.Sizes()
	return nn.NewKV(s.Layers, s.KVHeads, s.HeadDim, o)
}

// Cost is the arithmetic of one token, in floating-point operations (a multiply-add is two), for sequences of a given length.
// Attention is counted for the score and value products that a causal (or banded) mask leaves, recomputation is not counted.
type Cost struct {
	Params    int64   // parameters, embeddings included
	Matrix    float64 // forward, products with weights, the head included
	Attention float64 // forward, scores and values, average over the sequence
}

// Train is the cost of forward and backward: three times forward.
func (c Cost) Train() float64 { return 3 * (c.Matrix + c.Attention) }

// SizeByName returns the size of that name from a family's list; an error names those that there are.
func SizeByName[S any](sizes []S, nameOf func(S) string, name string) (S, error) {
	var names []string
	for _, s := range sizes {
		if nameOf(s) == name {
			return s, nil
		}
		names = append(names, nameOf(s))
	}
	var none S
	return none, fmt.Errorf("size %q is unknown; known: %s", name, strings.Join(names, ", "))
}
