package nn

import (
	"fmt"

	"github.com/plinth-ml/plinth/tensor"
)

// KV is a cache of keys and values: a fixed number of slots, each for one sequence of at most Max positions.
type KV struct {
	Max    int
	layers []struct{ k, v tensor.Buf } // each [slots·Max, width]
	width  int
	length []int // filled positions of each slot

	active []int         // slots of the batch being computed, one per sequence
	keys   []tensor.Span // rows of each active slot, the new tokens included
}

// NewKV returns an empty cache of float32 rows of the given width (key heads x head dim).
func NewKV(layers, slots, max, width int) *KV {
	c := &KV{Max: max, width: width, length: make([]int, slots)}
	c.layers = make([]struct{ k, v tensor.Buf }, layers)
	for i := range c.layers {
		c.layers[i].k = tensor.New(slots*max, width).Memory()
		c.layers[i].v = tensor.New(slots*max, width).Memory()
	}
	return c
}

// Len is the number of positions filled in a slot.
func (c *KV) Len(slot int) int { return c.length[slot] }

// Truncate forgets a slot's positions from n on; Truncate(slot, 0) frees it for another sequence.
func (c *KV) Truncate(slot, n int) { c.length[slot] = min(n, c.length[slot]) }

// Begin prepares for a batch whose sequence i has the given number of new tokens in slot slots[i], and returns the
// position of each new token. Every slot may occur once.
func (c *KV) Begin(slots, newTokens []int, positions []int32) ([]int32, error) {
	c.active, c.keys = append(c.active[:0], slots...), c.keys[:0]
	for i, s := range slots {
		have := c.length[s]
		if have+newTokens[i] > c.Max {
			return nil, fmt.Errorf("nn: %d tokens do not fit: the cache holds %d positions", have+newTokens[i], c.Max)
		}
		for p := range newTokens[i] {
			positions = append(positions, int32(have+p))
		}
		c.keys = append(c.keys, tensor.Span{Start: s * c.Max, Len: have + newTokens[i]})
	}
	return positions, nil
}

// End makes the new tokens of the batch part of their slots.
func (c *KV) End() {
	for i, s := range c.active {
		c.length[s] = c.keys[i].Len
	}
}

// Append stores the keys and values of a layer's new tokens, whose rows are those of the sequences given to Begin, in order.
func (c *KV) Append(layer int, k, v tensor.Cols, seqs []tensor.Span) {
	c.store(c.layers[layer].k, k, seqs)
	c.store(c.layers[layer].v, v, seqs)
}

func (c *KV) store(to tensor.Buf, from tensor.Cols, seqs []tensor.Span) {
	_, ld := from.X.Dims2()
	dst, src := to.F32(), from.X.F32()
	for i, span := range seqs {
		row := c.keys[i].End() - span.Len
		for r := range span.Len {
			copy(dst[(row+r)*c.width:][:c.width], src[(span.Start+r)*ld+from.From:])
		}
	}
}

// Layer returns the keys and values of a layer and the rows of each active sequence.
func (c *KV) Layer(layer int) (k, v tensor.Buf, keys []tensor.Span) {
	return c.layers[layer].k, c.layers[layer].v, c.keys
}
