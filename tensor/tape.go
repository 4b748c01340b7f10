package tensor

import (
	"fmt"
	"math/bits"

	"github.com/plinth-ml/plinth/internal/kernel"
)

// Tape runs ops on one kernel set. It is used by one goroutine at a time.
type Tape struct {
	k         *kernel.Set
	recording bool
	pack      bool // keep weights in packed form: they do not change

	nodes   []node
	live    []Buf            // every buffer handed out and not yet returned
	free    [2]map[int][]Buf // per dtype (F32, F64): idle buffers by rounded size
	headers []*Tensor        // reused tensor headers
	used    int              // headers handed out
	bytes   int              // memory held by the tape, live and idle
}

// node is one recorded op.
type node struct {
	out      *Tensor
	from, to int // its buffers in live
	keep     bool
	back     func()
}

// Training returns a tape that records, for Forward, Backward, Reset in turn.
func Training(k *kernel.Set) *Tape { return newTape(k, true) }

// Evaluation returns a tape that does not record, for weights that change between runs.
func Evaluation(k *kernel.Set) *Tape { return newTape(k, false) }

// Inference returns a tape that does not record and keeps weights in the layout that products read fastest.
func Inference(k *kernel.Set) *Tape {
	t := newTape(k, false)
	t.pack = true
	return t
}

func newTape(k *kernel.Set, recording bool) *Tape {
	t := &Tape{k: k, recording: recording}
	for i := range t.free {
		t.free[i] = map[int][]Buf{}
	}
	return t
}

// Kernels is the set that the tape runs on.
func (t *Tape) Kernels() *kernel.Set { return t.k }

// Recording reports whether ops leave gradients behind.
func (t *Tape) Recording() bool { return t.recording }

// Bytes is the memory that the tape holds for activations and their gradients.
func (t *Tape) Bytes() int { return t.bytes }

// Reset takes back everything that ops returned since the last Reset.
func (t *Tape) Reset() {
	for _, b := range t.live {
		t.release(b)
	}
	for _, x := range t.headers[:t.used] { // gradients of a step that was given up
		t.release(x.Grad)
		x.Grad = Buf{}
	}
	t.live, t.used = t.live[:0], 0
	clear(t.nodes)
	t.nodes = t.nodes[:0]
}

// Scope runs f and takes back every buffer that f's ops took, but that of the tensor it returns.
// On a recording tape it is just f(): Backward takes the buffers back.
func (t *Tape) Scope(f func() *Tensor) *Tensor {
	if t.recording {
		return f()
	}
	mark := len(t.live)
	y := f()
	kept := t.live[:mark]
	for _, b := range t.live[mark:] {
		if b.SameMemory(y.Data) {
			kept = append(kept, b)
		} else {
			t.release(b)
		}
	}
	t.live = kept
	return y
}

// Backward computes the gradient of the sum of all losses recorded so far into every leaf that wants one (adding to what is there),
// and takes the activations back. What a loss op returned stays valid until Reset.
func (t *Tape) Backward() {
	if !t.recording {
		panic("tensor: Backward on a tape that does not record")
	}
	t.backward(0)
}

// Seed makes the sum of y's elements a loss: its gradient starts as ones.
func (t *Tape) Seed(y *Tensor) {
	if dy, acc := t.grad(y); !acc {
		t.k.Fill(dy, 1)
	} else {
		panic("tensor: Seed of a tensor that has a gradient")
	}
}

// backward passes the nodes from the last down to base, and drops them.
func (t *Tape) backward(base int) {
	for i := len(t.nodes) - 1; i >= base; i-- {
		if back := t.nodes[i].back; back != nil {
			back() // may record and pass further nodes behind i
		}
		t.retire(&t.nodes[i])
	}
	t.nodes = t.nodes[:base]
}

// retire returns the buffers of a node whose gradient is done.
func (t *Tape) retire(n *node) {
	if n.out != nil && !n.out.Grad.None() {
		t.release(n.out.Grad)
		n.out.Grad = Buf{}
	}
	if !n.keep {
		for j := n.from; j < n.to; j++ {
			t.release(t.live[j])
			t.live[j] = Buf{}
		}
	}
	*n = node{}
}

// record files how y's gradient flows on; from is the mark taken before the op's first buffer. Without recording, or when
// no input wants a gradient, nothing is kept but the buffers.
func (t *Tape) record(y *Tensor, from int, back func()) {
	y.needs = true
	y.node = len(t.nodes)
	t.nodes = append(t.nodes, node{out: y, from: from, to: len(t.live), back: func() {
		if y.gradSet { // otherwise nothing downstream used y
			back()
		}
	}})
}

// wants reports whether a gradient must be recorded for an op with these inputs; absent ones are nil.
func (t *Tape) wants(inputs ...*Tensor) bool {
	if !t.recording {
		return false
	}
	for _, x := range inputs {
		if x != nil && x.needs {
			return true
		}
	}
	return false
}

// mark is where the buffers of an op begin.
func (t *Tape) mark() int { return len(t.live) }

// tensor returns an uninitialised activation of the given shape.
func (t *Tape) tensor(d DType, shape ...int) *Tensor {
	y := t.header(shape)
	y.Data = t.scratch(d, y.Len())
	return y
}

// header returns a tensor without memory.
func (t *Tape) header(shape []int) *Tensor {
	if t.used == len(t.headers) {
		t.headers = append(t.headers, new(Tensor))
	}
	y := t.headers[t.used]
	t.used++
	*y = Tensor{node: -1}
	y.setShape(shape)
	return y
}

// like returns an uninitialised activation of x's shape.
func (t *Tape) like(x *Tensor) *Tensor { return t.tensor(x.Data.DType(), x.dims[:x.rank]...) }

// scratch returns n uninitialised elements that live until Reset or until Backward has passed the op that took them.
func (t *Tape) scratch(d DType, n int) Buf {
	b := t.take(d, n)
	t.live = append(t.live, b)
	return b
}

// roundUp bounds the number of distinct sizes: an eighth of the leading power of two.
func roundUp(n int) int {
	if n <= 64 {
		return 64
	}
	step := 1 << (bits.Len(uint(n-1)) - 4)
	return (n + step - 1) / step * step
}

func (t *Tape) take(d DType, n int) Buf {
	size := roundUp(n)
	idle := t.free[d][size]
	if k := len(idle); k > 0 {
		b := idle[k-1]
		t.free[d][size] = idle[:k-1]
		return b.Slice(0, n)
	}
	t.bytes += size * d.Size()
	return kernel.Alloc(d, size).Slice(0, n)
}

func (t *Tape) release(b Buf) {
	if b.None() {
		return
	}
	size := roundUp(b.Len())
	b = b.Full(size)
	t.free[b.DType()][size] = append(t.free[b.DType()][size], b)
}

// grad returns where to put a contribution to x's gradient, and whether to add to what is there.
// It returns none when x wants no gradient.
func (t *Tape) grad(x *Tensor) (dx Buf, acc bool) {
	if x == nil || !x.needs {
		return Buf{}, false
	}
	if x.Grad.None() {
		x.Grad = t.take(x.Data.DType(), x.Len())
	}
	acc, x.gradSet = x.gradSet, true
	return x.Grad, acc
}

// sumGrad is grad for a contribution that can only be added: a fresh gradient starts at zero.
func (t *Tape) sumGrad(x *Tensor) Buf {
	dx, acc := t.grad(x)
	if !dx.None() && !acc {
		t.k.Fill(dx, 0)
	}
	return dx
}

// give adds the whole of dy to x's gradient; when x has none yet it takes the buffer over from y, whose backward must be its last user.
func (t *Tape) give(x, y *Tensor) {
	if x == nil || !x.needs {
		return
	}
	if x.node >= 0 && !x.gradSet && x.Grad.None() {
		x.Grad, y.Grad = y.Grad, Buf{}
		x.gradSet = true
		return
	}
	dx, acc := t.grad(x)
	t.addTo(dx, y.Grad, acc)
}

// addTo puts a contribution where grad said; it ignores none.
func (t *Tape) addTo(dx, from Buf, acc bool) {
	switch {
	case dx.None():
	case acc:
		t.k.Axpy(dx, 1, from)
	default:
		t.k.Copy(dx, from)
	}
}

func mustMatch(op string, a, b *Tensor) {
	if a.dims != b.dims || a.rank != b.rank {
		panic(fmt.Sprintf("tensor: %s of %v and %v", op, a.Shape(), b.Shape()))
	}
}
