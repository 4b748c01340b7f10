package tensor

import (
	"math/bits"

	"github.com/plinth-ml/plinth/internal/kernel"
)

// arena hands out buffers and takes them back. What is idle waits for the next request of its type and size: a training step asks for
// the same sizes as the step before it, so that from the second step on no memory is taken.
type arena struct {
	idle  [kernel.DTypes]map[int][]Buf // by rounded size
	bytes int                          // of all buffers, handed out and idle
	out   int                          // bytes handed out
	most  int                          // that ever were handed out at once
}

// roundUp bounds the number of distinct sizes: an eighth of the leading power of two. The sizes of models, few bits long, stay as they are.
func roundUp(n int) int {
	if n <= 64 {
		return 64
	}
	step := 1 << (bits.Len(uint(n-1)) - 4)
	return (n + step - 1) / step * step
}

// take returns n elements with any content.
func (a *arena) take(d DType, n int) Buf {
	size := roundUp(n)
	a.out += d.Bytes(size)
	a.most = max(a.most, a.out)
	idle := a.idle[d][size]
	if k := len(idle); k > 0 {
		b := idle[k-1]
		a.idle[d][size] = idle[:k-1]
		return b.Slice(0, n)
	}
	a.bytes += d.Bytes(size)
	return kernel.Alloc(d, size).Slice(0, n)
}

// release takes b back; none is ignored.
func (a *arena) release(b Buf) {
	if b.None() {
		return
	}
	size := roundUp(b.Len())
	a.out -= b.DType().Bytes(size)
	if a.idle[b.DType()] == nil {
		a.idle[b.DType()] = map[int][]Buf{}
	}
	a.idle[b.DType()][size] = append(a.idle[b.DType()][size], b.Full(size))
}

// slack is what an arena may hold beside twice what was handed out at once, in bytes.
const slack = 1 << 20

// trim drops what is idle when that is as much again as was ever handed out at once: steps whose sizes keep changing would otherwise leave buffers of every size behind.
func (a *arena) trim() {
	if a.bytes <= 2*a.most+slack {
		return
	}
	for d := range a.idle {
		clear(a.idle[d])
	}
	a.bytes = a.out
}
