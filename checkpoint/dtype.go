package checkpoint

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
)

// DType is the element type of a tensor, by its safetensors name.
type DType string

// The element types, sizes in bytes 8, 4, 2 and 1.
const (
	F64    DType = "F64"
	I64    DType = "I64"
	U64    DType = "U64"
	F32    DType = "F32"
	I32    DType = "I32"
	U32    DType = "U32"
	F16    DType = "F16"
	BF16   DType = "BF16"
	I16    DType = "I16"
	U16    DType = "U16"
	F8E4M3 DType = "F8_E4M3"
	F8E5M2 DType = "F8_E5M2"
	I8     DType = "I8"
	U8     DType = "U8"
	Bool   DType = "BOOL"
)

// order is the reference's, from which a writer lays tensors out, last first.
var order = []DType{Bool, U8, I8, F8E5M2, F8E4M3, I16, U16, F16, BF16, I32, U32, F32, F64, I64, U64}

// Size returns the bytes of one element, 0 for an unknown type.
func (d DType) Size() int {
	switch i := slices.Index(order, d); {
	case i < 0:
		return 0
	case i < 5:
		return 1
	case i < 9:
		return 2
	case i < 12:
		return 4
	}
	return 8
}

// Block returns the elements of the smallest piece that can be addressed and its bytes, zeros for an unknown type.
func (d DType) Block() (elements, bytes int) {
	if n := d.Size(); n > 0 {
		return 1, n
	}
	return 0, 0
}

// float says whether Float32 takes the type.
func (d DType) float() bool { return slices.Contains([]DType{F64, F32, F16, BF16}, d) }

// Tensor is a named array. Data is little-endian, rows first.
type Tensor struct {
	Name  string
	DType DType
	Shape []int
	Data  []byte
}

// Float32 converts F64, F32, F16 or BF16 elements into dst, whose length must be the number of elements.
func (t Tensor) Float32(dst []float32) error {
	size := t.DType.Size()
	if size == 0 || len(t.Data) != len(dst)*size {
		return fmt.Errorf("checkpoint: tensor %q: %d bytes of %s do not fill %d values", t.Name, len(t.Data), t.DType, len(dst))
	}
	for i := range dst {
		switch p := t.Data[i*size:]; t.DType {
		case F64:
			dst[i] = float32(math.Float64frombits(binary.LittleEndian.Uint64(p)))
		case F32:
			dst[i] = math.Float32frombits(binary.LittleEndian.Uint32(p))
		case BF16:
			dst[i] = math.Float32frombits(uint32(binary.LittleEndian.Uint16(p)) << 16)
		case F16:
			dst[i] = half(binary.LittleEndian.Uint16(p))
		default:
			return fmt.Errorf("checkpoint: tensor %q: %s is not a float type that converts to float32", t.Name, t.DType)
		}
	}
	return nil
}

func half(h uint16) float32 {
	sign, exp, frac := uint32(h>>15)<<31, uint32(h>>10&31), uint32(h&1023)
	switch exp {
	case 0:
		f := float32(frac) * (1.0 / (1 << 24))
		return math.Float32frombits(math.Float32bits(f) | sign)
	case 31:
		return math.Float32frombits(sign | 0x7f800000 | frac<<13)
	}
	return math.Float32frombits(sign | (exp+112)<<23 | frac<<13)
}
