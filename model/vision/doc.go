// Package vision is what turns pictures into vectors: the Vision Transformer (Dosovitskiy et al. 2021, An Image is Worth 16x16 Words) as CLIP has it, and
// the layer that both of CLIP's towers are made of.
package vision

import (
	"fmt"

	"github.com/plinth-ml/plinth/tensor"
)

// Images is a batch of pictures as a tower takes them.
type Images struct {
	Side   int       // of each picture, in pixels
	Pixels []float32 // [B, 3, Side, Side], normalised: what media.Preprocess writes
	Keep   [][]int32 // of each picture the patches that are seen, ascending and at least one (Li et al. 2023, FLIP); nil: all
}

// Len is the number of pictures.
func (in Images) Len() int { return len(in.Pixels) / (3 * in.Side * in.Side) }

// check panics where a batch does not fit a tower of so many pixels a side.
func (in Images) check(side int) {
	if in.Side != side || len(in.Pixels)%(3*side*side) != 0 {
		panic(fmt.Sprintf("vision: %d numbers of pictures of %d pixels a side, the tower takes %d", len(in.Pixels), in.Side, side))
	}
}

// Tower maps each picture of a batch to a vector: [B, Width].
type Tower interface {
	Encode(t *tensor.Tape, in Images) *tensor.Tensor
	Width() int
	Side() int // pixels
}
