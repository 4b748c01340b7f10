package tensor

import (
	"fmt"
	"strings"

	"github.com/plinth-ml/plinth/internal/kernel"
)

// Aliases of the kernel's vocabulary, so that packages above need not import it.
type (
	Buf   = kernel.Buf
	DType = kernel.DType
	Span  = kernel.Span
	Act   = kernel.Act
	Cache = kernel.Cache
)

// KeyTile is the multiple that the pages of a Cache have as their size.
const KeyTile = kernel.KeyTile

// Element types and activation functions; see package kernel.
const (
	F32  = kernel.F32
	F64  = kernel.F64
	I32  = kernel.I32
	BF16 = kernel.BF16
	F16  = kernel.F16
	NF4  = kernel.NF4
	FP4  = kernel.FP4
	Q8_0 = kernel.Q8_0
	Q4_0 = kernel.Q4_0
	Q4_K = kernel.Q4_K
	Q5_K = kernel.Q5_K
	Q6_K = kernel.Q6_K

	Identity  = kernel.Identity
	GELU      = kernel.GELU
	GELUTanh  = kernel.GELUTanh
	ReLU      = kernel.ReLU
	SiLU      = kernel.SiLU
	Tanh      = kernel.Tanh
	Sigmoid   = kernel.Sigmoid
	QuickGELU = kernel.QuickGELU
)

// Shape is up to four sizes, outermost first; none is a single number.
type Shape []int

// Elements is the product of the sizes.
func (s Shape) Elements() int {
	n := 1
	for _, d := range s {
		n *= d
	}
	return n
}

// String is "[2, 3]".
func (s Shape) String() string {
	parts := make([]string, len(s))
	for i, d := range s {
		parts[i] = fmt.Sprint(d)
	}
	return "[" + strings.Join(parts, ", ") + "]"
}

// Tensor is a dense row-major array. A leaf (weights, inputs) is made by New or FromF32 and lives as long as it is referenced;
// what a Tape's op returns belongs to the tape and is valid until its Reset, or until Backward has passed it.
type Tensor struct {
	Data Buf // the values; none while the tensor is only a shape
	Grad Buf // the gradient; for a parameter it is there from Alloc on, otherwise only during Backward

	dims    [4]int
	rank    int
	needs   bool  // a gradient flows through it
	read    bool  // a gradient needs its values: known at the end of a Scope
	gradSet bool  // Grad holds a value: the next contribution adds
	node    int   // index of the tape node that made it, -1 for a leaf
	dtype   DType // that a tape made it in

	version int // of a weight's values: see Changed
}

// New returns a leaf that is only a shape; Alloc gives it memory.
func New(shape ...int) *Tensor {
	x := &Tensor{node: -1}
	x.setShape(shape)
	return x
}

// FromF32 returns a constant leaf over s, whose length must match the shape.
func FromF32(s []float32, shape ...int) *Tensor { return fromBuf(kernel.OfF32(s), shape) }

// FromF64 returns a constant float64 leaf over s, for gradient checks.
func FromF64(s []float64, shape ...int) *Tensor { return fromBuf(kernel.OfF64(s), shape) }

// Bind makes b, of as many elements, the values of a weight: memory of a file, say, in any type that products take. It has no gradient.
func (x *Tensor) Bind(b Buf) {
	if b.Len() != x.Len() {
		panic(fmt.Sprintf("tensor: %d elements for shape %v", b.Len(), x.Shape()))
	}
	x.SetTrain(false)
	x.Data = b
	x.Changed()
}

// NewBuf returns n elements of memory, zeroed.
func NewBuf(d DType, n int) Buf { return kernel.Alloc(d, n) }

// IDs returns a buffer over token ids, positions or labels.
func IDs(s []int32) Buf { return kernel.OfI32(s) }

func fromBuf(b Buf, shape []int) *Tensor {
	x := New(shape...)
	if b.Len() != x.Len() {
		panic(fmt.Sprintf("tensor: %d elements for shape %v", b.Len(), Shape(shape)))
	}
	x.Data = b
	return x
}

func (x *Tensor) setShape(shape []int) {
	if len(shape) > len(x.dims) {
		panic(fmt.Sprintf("tensor: rank %d is above %d", len(shape), len(x.dims)))
	}
	x.rank = copy(x.dims[:], shape)
}

// Alloc gives a shape memory, zeroed, with a gradient when train is true. It does nothing to a tensor that has memory,
// but for adding the gradient.
func (x *Tensor) Alloc(d DType, train bool) {
	if x.Data.None() {
		x.Data = kernel.Alloc(d, x.Len())
	}
	x.SetTrain(train)
}

// Memory gives a shape float32 memory, zeroed, and returns it.
func (x *Tensor) Memory() Buf {
	x.Alloc(F32, false)
	return x.Data
}

// SetTrain turns the gradient of a leaf on (zeroed) or off: a frozen parameter has none.
func (x *Tensor) SetTrain(train bool) {
	x.needs, x.gradSet = train, train
	if !train {
		x.Grad = Buf{}
	} else if x.Grad.None() {
		x.Grad = kernel.Alloc(x.Data.DType(), x.Len())
	}
}

// Trains reports whether a gradient is wanted.
func (x *Tensor) Trains() bool { return x.needs }

// Changed must be called after the values of a weight were changed: it drops copies kept in a packed layout.
func (x *Tensor) Changed() { x.version++ }

// Version counts the calls of Changed.
func (x *Tensor) Version() int { return x.version }

// Shape is a copy of the sizes.
func (x *Tensor) Shape() Shape { return append(Shape(nil), x.dims[:x.rank]...) }

// Rank is the number of sizes.
func (x *Tensor) Rank() int { return x.rank }

// Len is the number of elements.
func (x *Tensor) Len() int { return Shape(x.dims[:x.rank]).Elements() }

// Dims2 returns the sizes of a matrix [N, C]. A tensor of more sizes, such as the weight of a convolution, is one of N rows; one of fewer is no matrix, and it panics.
func (x *Tensor) Dims2() (n, c int) {
	if x.rank < 2 {
		panic(fmt.Sprintf("tensor: shape %v is not a matrix", x.Shape()))
	}
	return x.dims[0], Shape(x.dims[1:x.rank]).Elements()
}

// rowLen is the length of a row of x as a table of rows: a vector is one row.
func (x *Tensor) rowLen() int {
	if x.rank == 1 {
		return x.dims[0]
	}
	_, C := x.Dims2()
	return C
}

// Dims4 returns the sizes of a convolution's weight [O, C, KH, KW]; it panics on another rank.
func (x *Tensor) Dims4() (o, c, kh, kw int) {
	if x.rank != 4 {
		panic(fmt.Sprintf("tensor: shape %v is not that of a convolution's weight", x.Shape()))
	}
	return x.dims[0], x.dims[1], x.dims[2], x.dims[3]
}

// F32 returns the values of a host float32 tensor.
func (x *Tensor) F32() []float32 { return x.Data.F32() }
