package adapt

import (
	"fmt"

	"github.com/plinth-ml/plinth/tokenizer"
)

// Texts turns texts into Examples. It counts what it cuts.
type Texts struct {
	Tokenizer  *tokenizer.Tokenizer
	Limit      int  // tokens of an example, special ones included
	KeepSecond bool // of a pair that is longer only the first text is cut
	Cut        int  // texts that were longer, so far
}

// Example encodes a text, or with two texts a pair, as the tokenizer's file says for a model's input: special tokens around and segments. A text
// beyond the limit loses its end, of a pair the longer text first unless KeepSecond says otherwise. A tokenizer without special tokens makes nothing of an empty text: an error.
func (x *Texts) Example(texts ...string) (Example, error) {
	e, err := x.encode(texts)
	if err != nil {
		return Example{}, err
	}
	return Example{IDs: e.IDs, Segments: segments(e)}, nil
}

func (x *Texts) encode(texts []string) (e *tokenizer.Encoding, err error) {
	o := tokenizer.EncodeOptions{AddSpecial: true, MaxTokens: x.Limit, KeepSecond: x.KeepSecond}
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
