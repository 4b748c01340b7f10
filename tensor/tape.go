package tensor

import (
	"fmt"

	"github.com/plinth-ml/plinth/internal/kernel"
)

// Tape runs ops on one kernel set. It is used by one goroutine at a time. A step that repeats the ops and sizes of the one before it
// takes nothing from Go's heap.
type Tape struct {
	k         *kernel.Set
	training  bool // made by Training: what only training does happens, such as dropout
	recording bool // training, and not within a pass that is only for its result
	pack      bool // keep weights in packed form where that pays: they do not change
	packs     *packs
	int8      bool // packed in 8 bits
	keep      Keep // of Scopes, for Backward
	drops     drops

	mem    arena
	made   []*Tensor // tensors of ops, the first live of them in use: results, and what gradients need
	live   int
	nodes  []node   // the ops recorded; beyond the length, those of the last step, whose records are used again
	scopes []scope  // not kept as they were
	call   struct { // arguments of the kernels, here because they would escape to the heap
		product       kernel.MatMul
		products      [3]kernel.MatMul
		attention     kernel.Attention
		attentionGrad kernel.AttentionGrad
		entropy       kernel.CrossEntropy
		rope          kernel.Rope
		conv          kernel.Conv
		convGrad      kernel.ConvGrad
		batchNorm     kernel.BatchNorm
		batchNormGrad kernel.BatchNormGrad
	}
}

// op is what an op's gradient needs.
type op interface {
	back(t *Tape) // adds to the gradients of the op's inputs what follows from that of its result
	reads()       // marks the tensors whose values back uses, given that those are marked that later ops use
}

// read marks tensors whose values a gradient needs; absent ones are nil.
func read(xs ...*Tensor) {
	for _, x := range xs {
		if x != nil {
			x.read = true
		}
	}
}

// needs says whether a gradient flows through x, which may be nil. A shape without memory stands for a weight that is trained, where a run is only estimated.
func needs(x *Tensor) bool { return x != nil && (x.needs || x.Data.None()) }

// node is one recorded op.
type node struct {
	op       op
	out      *Tensor
	from, to int // its tensors in made
}

// Training returns a tape that records, for Forward, Backward, Reset in turn.
func Training(k *kernel.Set) *Tape { return &Tape{k: k, training: true, recording: true} }

// Rehearsal returns a tape that computes what Training's does, with the statistics of batches and dropout, but does not record.
func Rehearsal(k *kernel.Set) *Tape { return &Tape{k: k, training: true} }

// Evaluation returns a tape that does not record, for weights that change between runs.
func Evaluation(k *kernel.Set) *Tape { return &Tape{k: k} }

// Inference returns a tape that does not record and, where that pays, keeps weights in the layout that products read fastest.
func Inference(k *kernel.Set) *Tape { return &Tape{k: k, pack: true, packs: new(packs)} }

// InferenceInt8 is Inference with the weights of linear layers in 8 bits, a scale for each output, and what they are multiplied with in 8 bits too, a
// scale for each row: several times as fast where the set has instructions for it, and not exact.
func InferenceInt8(k *kernel.Set) *Tape {
	return &Tape{k: k, pack: true, int8: true, packs: new(packs)}
}

// Beside returns a tape as t is, made by Inference or InferenceInt8, for another goroutine with a set of its own of the same variant: they share the packed weights.
func (t *Tape) Beside(k *kernel.Set) *Tape {
	return &Tape{k: k, pack: true, int8: t.int8, packs: t.packs}
}

// Kernels is the set that the tape runs on.
func (t *Tape) Kernels() *kernel.Set { return t.k }

// Recording reports whether ops leave gradients behind.
func (t *Tape) Recording() bool { return t.recording }

// Bytes is the memory that the tape holds for activations and their gradients.
func (t *Tape) Bytes() int { return t.mem.bytes }

// Reset takes back everything that ops returned since the last Reset.
func (t *Tape) Reset() {
	t.takeBack(0)
	t.drops = drops{}
	t.nodes, t.scopes = t.nodes[:0], t.scopes[:0]
	if !t.training {
		t.mem.trim()
	}
}

// takeBack takes back the tensors made since the mark.
func (t *Tape) takeBack(mark int) {
	for _, x := range t.made[mark:t.live] {
		t.drop(&x.Data)
		t.drop(&x.Grad)
	}
	t.live = mark
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
		t.widen(i)
		n := t.nodes[i]
		if n.out.gradSet { // otherwise nothing downstream used the result
			n.op.back(t) // may record and pass further nodes behind i
		}
		t.drop(&n.out.Grad)
		for _, x := range t.made[n.from:n.to] {
			t.drop(&x.Data)
		}
	}
	t.nodes = t.nodes[:base]
}

// record files an op that returned y; from is the mark taken before its first tensor. Step after step, node i is the same kind of op: its
// record is used again.
func record[T any, P interface {
	*T
	op
}](t *Tape, y *Tensor, from int, o T) {
	y.needs = true
	y.node = len(t.nodes)
	if y.node < cap(t.nodes) {
		t.nodes = t.nodes[:y.node+1]
	} else {
		t.nodes = append(t.nodes, node{})
	}
	n := &t.nodes[y.node]
	kept, ok := n.op.(P)
	if !ok {
		kept = new(T)
	}
	*kept = o
	*n = node{op: kept, out: y, from: from, to: t.live}
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

// mark is where the tensors of an op begin.
func (t *Tape) mark() int { return t.live }

// tensor returns an uninitialised tensor of the given shape, which lives until Reset or until Backward has passed the op that made it.
// One that is no op's result, but kept for the gradient, is a vector where it must stay as exact as it is.
func (t *Tape) tensor(d DType, shape ...int) *Tensor {
	y := t.shell(d, shape...)
	y.Data = t.mem.take(d, y.Len())
	return y
}

// shell is tensor without memory.
func (t *Tape) shell(d DType, shape ...int) *Tensor {
	if t.live == len(t.made) {
		t.made = append(t.made, new(Tensor))
	}
	y := t.made[t.live]
	t.live++
	*y = Tensor{node: -1, dtype: d}
	y.setShape(shape)
	return y
}

// like returns an uninitialised activation of x's shape.
func (t *Tape) like(x *Tensor) *Tensor { return t.tensor(x.Data.DType(), x.dims[:x.rank]...) }

// scratch returns n uninitialised elements, to be dropped by the caller.
func (t *Tape) scratch(d DType, n int) Buf { return t.mem.take(d, n) }

// drop takes a buffer back before its time; none is ignored.
func (t *Tape) drop(b *Buf) {
	t.mem.release(*b)
	*b = Buf{}
}

// grad returns where to put a contribution to x's gradient, and whether to add to what is there.
// It returns none when x wants no gradient.
func (t *Tape) grad(x *Tensor) (dx Buf, acc bool) {
	if x == nil || !x.needs {
		return Buf{}, false
	}
	if x.Grad.None() {
		d := x.dtype // of a result whose values nobody needed any more
		if !x.Data.None() {
			d = x.Data.DType()
		}
		x.Grad = t.mem.take(d, x.Len())
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

// data is the values of an operand that may be absent.
func data(x *Tensor) Buf {
	if x == nil {
		return Buf{}
	}
	return x.Data
}

func mustMatch(op string, a, b *Tensor) {
	if a.dims != b.dims || a.rank != b.rank {
		panic(fmt.Sprintf("tensor: %s of %v and %v", op, a.Shape(), b.Shape()))
	}
}
