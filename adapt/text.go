package adapt

import (
	"fmt"
	"slices"

	"github.com/plinth-ml/plinth/tokenizer"
)

// Texts turns texts into Examples. It counts what it cuts.
type Texts struct {
	Tokenizer  *tokenizer.Tokenizer
	Limit      int     // tokens of an example, special ones included
	KeepSecond bool    // of a pair that is longer only the first text is cut
	Virtual    []int32 // in front of each example: see model.Sizes.VirtualIDs
	Cut        int     // texts that were longer, so far
}

// Example encodes a text, or with two texts a pair, as the tokenizer's file says for a model's input: special tokens around and segments. A text
// beyond the limit loses its end, of a pair the longer text first unless KeepSecond says otherwise. A tokenizer without special tokens makes nothing of an empty text: an error.
func (x *Texts) Example(texts ...string) (Example, error) {
	e, err := x.encode(texts)
	if err != nil {
		return Example{}, err
	}
	if x.Virtual == nil {
		return Example{IDs: e.IDs, Segments: segments(e)}, nil
	}
	of := segments(e)
	if of != nil {
		of = slices.Concat(make([]int32, len(x.Virtual)), of)
	}
	return Example{IDs: slices.Concat(x.Virtual, e.IDs), Segments: of}, nil
}

func (x *Texts) encode(texts []string) (e *tokenizer.Encoding, err error) {
	o := tokenizer.EncodeOptions{AddSpecial: true, MaxTokens: x.room(), KeepSecond: x.KeepSecond}
	switch len(texts) {
	case 1:
		e, err = x.Tokenizer.EncodeOffsets(texts[0], o)
	case 2:
		e, err = x.Tokenizer.EncodePair(texts[0], texts[1], o)
	default:
		return nil, fmt.Errorf("adapt: %d texts in an example, not 1 or 2", len(texts))
	}
	if err != nil {
		return nil, err
	}
	if len(e.IDs) == 0 {
		return nil, fmt.Errorf("adapt: an empty text")
	}
	if e.Cut > 0 {
		x.Cut++
	}
	return e, nil
}

// room is the most tokens beside the virtual ones; 0: no limit.
func (x *Texts) room() int {
	if x.Limit == 0 {
		return 0
	}
	return max(1, x.Limit-len(x.Virtual))
}

// segments are the type ids, nil where all are 0.
func segments(e *tokenizer.Encoding) []int32 {
	var list []int32
	for i, id := range e.TypeIDs {
		if id != 0 && list == nil {
			list = make([]int32, len(e.TypeIDs))
		}
		if id != 0 {
			list[i] = int32(id)
		}
	}
	return list
}
