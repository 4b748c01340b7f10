package nn

import (
	"errors"
	"fmt"

	"github.com/plinth-ml/plinth/tensor"
)

// ErrFull is Begin's error when no page is left.
var ErrFull = errors.New("nn: the cache is full")

// KVOptions say what a cache keeps. The zero value is exact and grows without bound.
type KVOptions struct {
	Type tensor.DType // of stored keys and values: F32, F16 or Q8_0
	Page int          // positions of a page, rounded up to a multiple of 128; 0: 128. As large as the context, a sequence lies in one piece
	Max  int          // most positions of all sequences, rounded up to whole pages; 0: no bound
}

// KV is a cache of keys and values. A sequence has a slot, a list of pages that grows with it; pages hold the keys and values of all layers for a run
// of positions. Slots may share pages where their sequences begin alike: who writes into a shared page copies it first.
type KV struct {
	cache tensor.Cache
	part  int     // elements of a page
	most  int     // pages
	users []int32 // slots that have each page
	free  []int32 // pages without users
	slots []slot
	idle  []int // slots without a sequence

	active, counts []int         // the batch being computed: slots and new tokens
	keys           []tensor.Span // positions of each
}

// slot is a sequence's place.
type slot struct {
	pages  []int32
	length int // positions filled
}

// NewKV returns an empty cache for layers with the given number of key heads of the given size.
func NewKV(layers, heads, headDim int, o KVOptions) *KV {
	rows := roundUp(max(o.Page, 1), tensor.KeyTile)
	c := &KV{cache: tensor.Cache{DType: o.Type, Heads: heads, HeadDim: headDim, Rows: rows}}
	c.part, c.most = layers*c.cache.Part(), roundUp(o.Max, rows)/rows
	return c
}

func roundUp(n, multiple int) int { return (n + multiple - 1) / multiple * multiple }

// Slot returns an empty slot.
func (c *KV) Slot() int {
	if n := len(c.idle); n > 0 {
		s := c.idle[n-1]
		c.idle = c.idle[:n-1]
		return s
	}
	c.slots = append(c.slots, slot{})
	return len(c.slots) - 1
}

// Release gives a slot and its pages back.
func (c *KV) Release(s int) {
	c.Truncate(s, 0)
	c.idle = append(c.idle, s)
}

// Len is the number of positions filled in a slot.
func (c *KV) Len(s int) int { return c.slots[s].length }

// Truncate forgets a slot's positions from n on.
func (c *KV) Truncate(s, n int) {
	x := &c.slots[s]
	x.length = min(n, x.length)
	keep := c.pages(x.length)
	for _, p := range x.pages[keep:] {
		c.drop(p)
	}
	x.pages = x.pages[:keep]
}

// Share makes the first n positions of slot from those of the empty slot to as well.
func (c *KV) Share(to, from, n int) {
	x, y := &c.slots[to], &c.slots[from]
	if x.length != 0 || n > y.length {
		panic(fmt.Sprintf("nn: %d of %d positions shared with a slot of %d", n, y.length, x.length))
	}
	x.pages, x.length = append(x.pages[:0], y.pages[:c.pages(n)]...), n
	for _, p := range x.pages {
		c.users[p]++
	}
}

// Max is the bound on positions of all sequences, 0 for none.
func (c *KV) Max() int { return c.most * c.cache.Rows }

// Bytes is the memory of the pages, free ones included.
func (c *KV) Bytes() int { return len(c.cache.Pages) * c.cache.DType.Bytes(c.part) }

// Begin prepares for a batch whose sequence i has newTokens[i] new tokens in slot slots[i], and appends the position of each to positions. Every slot
// may occur once. With ErrFull nothing has changed.
func (c *KV) Begin(slots, newTokens []int, positions []int32) ([]int32, error) {
	need := 0
	for i, s := range slots {
		need += c.pages(c.slots[s].length+newTokens[i]) - len(c.slots[s].pages)
		if newTokens[i] > 0 && c.shares(s) {
			need++
		}
	}
	if c.most > 0 && need > c.most-len(c.cache.Pages)+len(c.free) {
		return positions, ErrFull
	}
	c.active, c.counts = append(c.active[:0], slots...), append(c.counts[:0], newTokens...)
	c.keys, c.cache.Tables = c.keys[:0], c.cache.Tables[:0]
	for i, s := range slots {
		x := &c.slots[s]
		if newTokens[i] > 0 && c.shares(s) {
			last := len(x.pages) - 1
			p := c.take()
			copy(c.cache.Pages[p].Bytes(), c.cache.Pages[x.pages[last]].Bytes())
			c.drop(x.pages[last])
			x.pages[last] = p
		}
		for p := range newTokens[i] {
			positions = append(positions, int32(x.length+p))
		}
		for len(x.pages) < c.pages(x.length+newTokens[i]) {
			x.pages = append(x.pages, c.take())
		}
		c.keys = append(c.keys, tensor.Span{Len: x.length + newTokens[i]})
		c.cache.Tables = append(c.cache.Tables, x.pages)
	}
	return positions, nil
}

// End makes the new tokens of the batch part of their slots.
func (c *KV) End() {
	for i, s := range c.active {
		c.slots[s].length += c.counts[i]
	}
}

// layer is the cache as a layer's attention takes it, and the positions of each sequence of the batch.
func (c *KV) layer(l int) (*tensor.Cache, []tensor.Span) {
	c.cache.Layer = l
	return &c.cache, c.keys
}

// pages is the number of pages of n positions.
func (c *KV) pages(n int) int { return (n + c.cache.Rows - 1) / c.cache.Rows }

// shares reports whether the next token of a slot goes into a page that others use too.
func (c *KV) shares(s int) bool {
	x := &c.slots[s]
	return x.length%c.cache.Rows != 0 && c.users[x.pages[len(x.pages)-1]] > 1
}

// take returns a page with one user.
func (c *KV) take() int32 {
	if n := len(c.free); n > 0 {
		p := c.free[n-1]
		c.free = c.free[:n-1]
		c.users[p] = 1
		return p
	}
	c.cache.Pages = append(c.cache.Pages, tensor.NewBuf(c.cache.DType, c.part))
	c.users = append(c.users, 1)
	return int32(len(c.users) - 1)
}

// drop takes one user from a page.
func (c *KV) drop(p int32) {
	if c.users[p]--; c.users[p] == 0 {
		c.free = append(c.free, p)
	}
}
