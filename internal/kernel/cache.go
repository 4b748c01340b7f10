package kernel

import "fmt"

// KeyTile is the number of keys that attention takes at once. Tiles start at multiples of it, counted from a sequence's first key, so that a
// query's result does not depend on where its chunk, its batch or a page begins.
const KeyTile = 128

// Cache is keys and values that stay from call to call, in pages of Rows positions: position i of sequence s stands in row i%Rows of page
// Tables[s][i/Rows]. One page per sequence makes it contiguous.
//
// A page holds the parts of all layers, one after the other; a part holds for each key head its keys and then its values. Keys are transposed,
// [Width, Rows], values are [Rows, Width], so that both products of attention read along rows. In Q8_0 a value's row is blocks as ggml's;
// of keys, each 32 rows of the transposed matrix are Rows scales, F16, and then 32 x Rows codes: the same bytes in another order. Where one of 32 numbers is not finite, the scale and so all 32 are NaN.
type Cache struct {
	DType          DType // F32, F16 or Q8_0; what is stored is rounded to it once
	Layer          int   // that a call stores and reads
	Heads, HeadDim int   // of keys
	Rows           int   // of a page, a multiple of KeyTile
	Pages          []Buf
	Tables         [][]int32 // of the sequences of a call
}

// Width is HeadDim rounded up to whole blocks of the type.
func (c *Cache) Width() int {
	n, _ := c.DType.Block()
	return (c.HeadDim + n - 1) / n * n
}

// Part is the elements of one layer in a page.
func (c *Cache) Part() int { return 2 * c.Heads * c.Rows * c.Width() }

// Head returns the keys [Width, Rows] and the values [Rows, Width] of a head in a page.
func (c *Cache) Head(page int32, head int) (keys, values Buf) {
	n := c.Rows * c.Width()
	at := c.Layer*c.Part() + 2*head*n
	return c.Pages[page].Slice(at, at+n), c.Pages[page].Slice(at+n, at+2*n)
}

// Check panics when the cache does not fit an attention call of op, whose keys it is to hold.
func (c *Cache) Check(op string, a *Attention) {
	if c.Heads != a.KVHeads || c.HeadDim != a.HeadDim || c.Rows <= 0 || c.Rows%KeyTile != 0 || c.Layer < 0 || len(c.Tables) != len(a.Keys) {
		panic(fmt.Sprintf("%s: a cache of %d heads of %d in pages of %d, %d sequences, layer %d; the call has %d heads of %d, %d sequences",
			op, c.Heads, c.HeadDim, c.Rows, len(c.Tables), c.Layer, a.KVHeads, a.HeadDim, len(a.Keys)))
	}
	for s, k := range a.Keys {
		if !a.K.None() && a.Queries[s].Len > k.Len || k.Len > len(c.Tables[s])*c.Rows {
			panic(fmt.Sprintf("%s: sequence %d has %d queries and %d keys in %d pages of %d", op, s, a.Queries[s].Len, k.Len, len(c.Tables[s]), c.Rows))
		}
		for _, p := range c.Tables[s] {
			if b := c.Pages[p]; b.DType() != c.DType || b.Len() < (c.Layer+1)*c.Part() {
				panic(fmt.Sprintf("%s: page %d has %d elements of %s; %d layers of %d of %s are wanted", op, p, b.Len(), b.DType(), c.Layer+1, c.Part(), c.DType))
			}
		}
	}
}
