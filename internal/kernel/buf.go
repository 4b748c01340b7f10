package kernel

import (
	"fmt"
	"unsafe"

	"github.com/plinth-ml/plinth/internal/pages"
)

// DType is the type of a buffer's elements.
type DType uint8

const (
	F32  DType = iota // float32: values, gradients, optimiser state
	F64               // float64: gradient checks; the reference set alone computes in it
	I32               // int32: token ids, positions, labels
	BF16              // bfloat16, the upper half of a float32: stored moments, activations and weights
	F16               // IEEE half precision: stored weights, keys and values

	// Weights in bitsandbytes' types, products of which are in float32: rows of whole blocks.
	NF4 // 64 elements, 36 bytes: a float32 scale and 4-bit codes of NormalFloat's numbers
	FP4 // 64 elements, 36 bytes: a float32 scale and 4-bit floats

	// Weights in ggml's block formats: rows of whole blocks.
	Q8_0 // 32 elements, 34 bytes: an F16 scale and 8-bit codes
	Q4_0 // 32 elements, 18 bytes: an F16 scale and 4-bit codes
	Q4_K // 256 elements, 144 bytes: 8 sub-blocks with 6-bit scales and minima, 4-bit codes
	Q5_K // 256 elements, 176 bytes: as Q4_K with 5-bit codes
	Q6_K // 256 elements, 210 bytes: 16 sub-blocks with 8-bit scales, 6-bit codes

	DTypes // the number of types
)

// layouts is each type's name, the elements of a block and its bytes.
var layouts = [DTypes]struct {
	name            string
	elements, bytes int
}{{"f32", 1, 4}, {"f64", 1, 8}, {"i32", 1, 4}, {"bf16", 1, 2}, {"f16", 1, 2}, {"nf4", 64, 36}, {"fp4", 64, 36}, {"q8_0", 32, 34}, {"q4_0", 32, 18}, {"q4_k", 256, 144}, {"q5_k", 256, 176}, {"q6_k", 256, 210}}

// String returns the name used in error messages: "f32", "q4_k".
func (d DType) String() string { return layouts[d].name }

// Stored tells whether the type is one of weights as files hold them: the table of Gather and the right side of a product A·Bᵀ may have it,
// nothing else computes with it.
func (d DType) Stored() bool { return d >= BF16 && d < DTypes }

// ActivationBlock is the length of the blocks in which a product quantises the rows that it multiplies with weights of the type; 0 for those whose
// products are in float32.
func (d DType) ActivationBlock() int {
	switch d {
	case Q8_0, Q4_0, Q4_K, Q5_K, Q6_K:
		elements, _ := d.Block()
		return elements
	}
	return 0
}

// Block is the elements of the smallest piece that can be addressed, and its bytes; 1 element where the type has no blocks.
func (d DType) Block() (elements, bytes int) { return layouts[d].elements, layouts[d].bytes }

// Bytes is the memory of n elements, a multiple of the block.
func (d DType) Bytes(n int) int {
	l := &layouts[d]
	if n%l.elements != 0 {
		panic(fmt.Sprintf("kernel: %d elements are not whole blocks of %s", n, d))
	}
	return n / l.elements * l.bytes
}

// Buf is a handle to consecutive elements of one dtype in a device's memory; it is passed by value and owns nothing.
// The zero Buf is "none". Element access as a Go slice (F32, F64, I32, BF16) is for host memory only.
type Buf struct {
	ptr   unsafe.Pointer
	n     int
	dtype DType
}

// Alloc returns a zeroed buffer of n elements in host memory.
func Alloc(d DType, n int) Buf {
	switch d {
	case F64:
		return OfF64(make([]float64, n))
	case I32:
		return OfI32(make([]int32, n))
	case BF16:
		return OfBF16(make([]uint16, n))
	}
	if d == F32 {
		return OfF32(pages.Floats(n))
	}
	return OfBytes(d, make([]byte, d.Bytes(n)))
}

// OfBytes returns a handle to elements as a file holds them, little-endian; the two share memory, which may be mapped read-only. It panics when s
// is not whole blocks, or not aligned to an element of a type without blocks.
func OfBytes(d DType, s []byte) Buf {
	elements, size := d.Block()
	p := unsafe.Pointer(unsafe.SliceData(s))
	if len(s)%size != 0 || elements == 1 && uintptr(p)%uintptr(size) != 0 {
		panic(fmt.Sprintf("kernel: %d bytes at %p are no buffer of %s", len(s), p, d))
	}
	return Buf{p, len(s) / size * elements, d}
}

// OfF32 returns a handle to s; the two share memory.
func OfF32(s []float32) Buf { return Buf{unsafe.Pointer(unsafe.SliceData(s)), len(s), F32} }

// OfF64 returns a handle to s; the two share memory.
func OfF64(s []float64) Buf { return Buf{unsafe.Pointer(unsafe.SliceData(s)), len(s), F64} }

// OfI32 returns a handle to s; the two share memory.
func OfI32(s []int32) Buf { return Buf{unsafe.Pointer(unsafe.SliceData(s)), len(s), I32} }

// OfBF16 returns a handle to s, the bits of bfloat16 numbers; the two share memory.
func OfBF16(s []uint16) Buf { return Buf{unsafe.Pointer(unsafe.SliceData(s)), len(s), BF16} }

// Bytes returns the memory of the elements.
func (b Buf) Bytes() []byte { return unsafe.Slice((*byte)(b.ptr), b.dtype.Bytes(b.n)) }

// Len is the number of elements.
func (b Buf) Len() int { return b.n }

// DType is the type of the elements.
func (b Buf) DType() DType { return b.dtype }

// None reports whether b is the zero handle: an optional operand that is absent.
func (b Buf) None() bool { return b.ptr == nil && b.n == 0 }

// F32 returns the elements; nil for none. It panics when the dtype is another.
func (b Buf) F32() []float32 {
	b.check(F32)
	return unsafe.Slice((*float32)(b.ptr), b.n)
}

// F64 returns the elements; nil for none. It panics when the dtype is another.
func (b Buf) F64() []float64 {
	b.check(F64)
	return unsafe.Slice((*float64)(b.ptr), b.n)
}

// I32 returns the elements; nil for none. It panics when the dtype is another.
func (b Buf) I32() []int32 {
	b.check(I32)
	return unsafe.Slice((*int32)(b.ptr), b.n)
}

// BF16 returns the bits of the elements; nil for none. It panics when the dtype is another.
func (b Buf) BF16() []uint16 {
	b.check(BF16)
	return unsafe.Slice((*uint16)(b.ptr), b.n)
}

func (b Buf) check(d DType) {
	if b.dtype != d && !b.None() {
		panic(fmt.Sprintf("kernel: buffer of %s read as %s", b.dtype, d))
	}
}

// F16 returns the bits of the elements; nil for none. It panics when the dtype is another.
func (b Buf) F16() []uint16 {
	b.check(F16)
	return unsafe.Slice((*uint16)(b.ptr), b.n)
}

// Slice returns elements [from, to), whole blocks.
func (b Buf) Slice(from, to int) Buf {
	if from < 0 || to < from || to > b.n {
		panic(fmt.Sprintf("kernel: slice [%d:%d] of a buffer of %d", from, to, b.n))
	}
	n := to - from
	if n == 0 {
		from = 0 // no pointer may stand behind the end of its memory
	}
	return Buf{unsafe.Add(b.ptr, b.dtype.Bytes(from)), n, b.dtype}
}

// SameMemory reports whether the two handles start at one address.
func (b Buf) SameMemory(c Buf) bool { return b.ptr == c.ptr }

// Full returns the handle with n elements from the same start, for an allocator that hands out shorter slices of
// the buffers it made; the memory must be that long.
func (b Buf) Full(n int) Buf { return Buf{b.ptr, n, b.dtype} }
