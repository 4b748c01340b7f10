package checkpoint

import (
	"encoding/binary"
	"fmt"
	"math"
	"strings"

	"github.com/plinth-ml/plinth/internal/quant"
)

// DType is the element type of a tensor, by its safetensors name; block types by ggml's name in capitals.
type DType string

// The element types of safetensors, sizes in bytes 8, 4, 2 and 1.
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

// The block types that Plinth computes with: bitsandbytes', which Unpack4Bit makes of a file's tensors, and those that GGUF files hold.
const (
	NF4  DType = "NF4"
	FP4  DType = "FP4"
	Q8_0 DType = "Q8_0"
	Q4_0 DType = "Q4_0"
	Q4_K DType = "Q4_K"
	Q5_K DType = "Q5_K"
	Q6_K DType = "Q6_K"
)

// order is the reference's, from which a safetensors writer lays tensors out, last first.
var order = []DType{Bool, U8, I8, F8E5M2, F8E4M3, I16, U16, F16, BF16, I32, U32, F32, F64, I64, U64}

// layouts are the elements of a type's smallest piece and its bytes.
var layouts = map[DType]struct{ elements, bytes int }{
	Bool: {1, 1}, U8: {1, 1}, I8: {1, 1}, F8E5M2: {1, 1}, F8E4M3: {1, 1}, I16: {1, 2}, U16: {1, 2}, F16: {1, 2}, BF16: {1, 2}, I32: {1, 4}, U32: {1, 4}, F32: {1, 4},
	F64: {1, 8}, I64: {1, 8}, U64: {1, 8},

	NF4: {quant.FourBlock, quant.FourBytes}, FP4: {quant.FourBlock, quant.FourBytes},

	Q4_0: {32, 18}, "Q4_1": {32, 20}, "Q5_0": {32, 22}, "Q5_1": {32, 24}, Q8_0: {32, 34}, "Q8_1": {32, 36},
	"Q2_K": {256, 84}, "Q3_K": {256, 110}, Q4_K: {256, 144}, Q5_K: {256, 176}, Q6_K: {256, 210}, "Q8_K": {256, 292},
	"IQ2_XXS": {256, 66}, "IQ2_XS": {256, 74}, "IQ2_S": {256, 82}, "IQ3_XXS": {256, 98}, "IQ3_S": {256, 110}, "IQ1_S": {256, 50}, "IQ1_M": {256, 56},
	"IQ4_NL": {32, 18}, "IQ4_XS": {256, 136}, "TQ1_0": {256, 54}, "TQ2_0": {256, 66}, "MXFP4": {32, 17}, "NVFP4": {64, 36}, "Q1_0": {128, 18}, "Q2_0": {64, 18},
}

// Block returns the elements of the smallest piece that can be addressed and its bytes, zeros for an unknown type.
func (d DType) Block() (elements, bytes int) {
	l := layouts[d]
	return l.elements, l.bytes
}

// Size returns the bytes of one element, 0 for an unknown type and for one in blocks.
func (d DType) Size() int {
	if l := layouts[d]; l.elements == 1 {
		return l.bytes
	}
	return 0
}

// decoders turn elements of a type into float32; package quant has the others.
var decoders = map[DType]func(dst []float32, src []byte){
	F64: func(dst []float32, src []byte) {
		for i := range dst {
			dst[i] = float32(math.Float64frombits(binary.LittleEndian.Uint64(src[8*i:])))
		}
	},
	F32: func(dst []float32, src []byte) {
		for i := range dst {
			dst[i] = math.Float32frombits(binary.LittleEndian.Uint32(src[4*i:]))
		}
	},
	F8E5M2: func(dst []float32, src []byte) {
		for i := range dst {
			quant.F16.Decode(dst[i:i+1], []byte{0, src[i]})
		}
	},
	F8E4M3: func(dst []float32, src []byte) {
		for i := range dst {
			dst[i] = e4m3(src[i])
		}
	},
}

// decoder returns what turns whole blocks of d into float32, nil where nothing does.
func (d DType) decoder() func(dst []float32, src []byte) {
	if f, ok := quant.ByName(strings.ToLower(string(d))); ok {
		return f.Decode
	}
	return decoders[d]
}

// Tensor is a named array. Data is little-endian, rows first.
type Tensor struct {
	Name  string
	DType DType
	Shape []int
	Data  []byte
}

// Float32 converts elements of a float type into dst, whose length must be the number of elements.
func (t Tensor) Float32(dst []float32) error {
	decode := t.DType.decoder()
	if decode == nil {
		return fmt.Errorf("checkpoint: tensor %q: %s is not a type that converts to float32", t.Name, t.DType)
	}
	elements, size := t.DType.Block()
	if len(dst)%elements != 0 || len(t.Data) != len(dst)/elements*size {
		return fmt.Errorf("checkpoint: tensor %q: %d bytes of %s do not fill %d values", t.Name, len(t.Data), t.DType, len(dst))
	}
	decode(dst, t.Data)
	return nil
}

// e4m3 is the "FN" variant of Micikevicius et al. 2022: no infinities, all ones is NaN.
func e4m3(b uint8) float32 {
	sign, exp, frac := uint32(b>>7)<<31, uint32(b>>3&15), uint32(b&7)
	switch {
	case b&0x7f == 0x7f:
		return math.Float32frombits(sign | 0x7fc00000)
	case exp == 0:
		f := float32(frac) * (1.0 / (1 << 9))
		return math.Float32frombits(math.Float32bits(f) | sign)
	}
	return math.Float32frombits(sign | (exp+120)<<23 | frac<<20)
}
