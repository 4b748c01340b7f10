package quant

import "fmt"

// Format is a way to store rows of numbers. All are little-endian.
type Format uint8

const (
	F16  Format = iota // IEEE half precision
	BF16               // bfloat16
	NF4                // blocks of 64: a float32 scale, 4-bit codes of NormalFloat's numbers
	FP4                // blocks of 64: a float32 scale, 4-bit floats
	Q8_0               // blocks of 32: an F16 scale, 8-bit codes
	Q4_0               // blocks of 32: an F16 scale, 4-bit codes
	Q4_K               // blocks of 256: sub-blocks of 32 with 6-bit scales and minima, 4-bit codes
	Q5_K               // as Q4_K with 5-bit codes
	Q6_K               // blocks of 256: sub-blocks of 16 with 8-bit scales, 6-bit codes

	// Formats of older files: no product takes them, and all but Q5_0 and Q5_1, to which rows that are not whole blocks of 256 fall back, can be read only.
	Q4_1 // blocks of 32: F16 scale and minimum, 4-bit codes
	Q5_0 // blocks of 32: an F16 scale, 5-bit codes
	Q5_1 // blocks of 32: F16 scale and minimum, 5-bit codes
	Q2_K // blocks of 256: sub-blocks of 16 with 4-bit scales and minima, 2-bit codes
	Q3_K // blocks of 256: sub-blocks of 16 with 6-bit scales, 3-bit codes
	Q8_K // blocks of 256: a float32 scale, 8-bit codes, sums of 16

	Formats // their number
)

// block is the number of elements of the larger blocks.
const block = 256

// layout describes a format.
type layout struct {
	name            string
	elements, bytes int                             // of a block
	unpack          func(u *unpacked, b []byte)     // of the formats that products take, and some more
	decode          func(dst []float32, src []byte) // nil: by unpack
	encode          func(dst []byte, src []float32) // nil: read only
}

var layouts = [Formats]layout{
	F16:  {"f16", 1, 2, nil, decodeF16, encodeF16},
	BF16: {"bf16", 1, 2, nil, decodeBF16, encodeBF16},
	NF4:  {"nf4", 64, 36, nil, nf4.decode, nf4.encode},
	FP4:  {"fp4", 64, 36, nil, fp4.decode, fp4.encode},
	Q8_0: {"q8_0", 32, 34, unpackQ8_0, nil, encodeQ8_0},
	Q4_0: {"q4_0", 32, 18, unpackQ4_0, nil, encodeQ4_0},
	Q4_K: {"q4_k", block, 144, unpackQ4_K, nil, encodeQ4_K},
	Q5_K: {"q5_k", block, 176, unpackQ5_K, nil, encodeQ5_K},
	Q6_K: {"q6_k", block, 210, unpackQ6_K, nil, encodeQ6_K},
	Q4_1: {"q4_1", 32, 20, nil, decodeQ4_1, nil},
	Q5_0: {"q5_0", 32, 22, nil, decodeQ5_0, encodeQ5_0},
	Q5_1: {"q5_1", 32, 24, nil, decodeQ5_1, encodeQ5_1},
	Q2_K: {"q2_k", block, 84, unpackQ2_K, nil, nil},
	Q3_K: {"q3_k", block, 110, unpackQ3_K, nil, nil},
	Q8_K: {"q8_k", block, 292, nil, decodeQ8_K, nil},
}

// ByName returns the format whose String is name.
func ByName(name string) (f Format, ok bool) {
	for f := range Formats {
		if layouts[f].name == name {
			return f, true
		}
	}
	return 0, false
}

// String is the lower-case name: "q4_k".
func (f Format) String() string { return layouts[f].name }

// Block is the elements of a block and its bytes; 1 element for F16 and BF16.
func (f Format) Block() (elements, bytes int) { return layouts[f].elements, layouts[f].bytes }

// CanEncode tells whether Encode knows the format.
func (f Format) CanEncode() bool { return layouts[f].encode != nil }

// Bytes is the size of n elements; it panics when they are not whole blocks.
func (f Format) Bytes(n int) int {
	l := &layouts[f]
	if n < 0 || n%l.elements != 0 {
		panic(fmt.Sprintf("quant: %d elements are not whole blocks of %s", n, f))
	}
	return n / l.elements * l.bytes
}

// Decode writes the numbers stored in src to dst, whole blocks of as many elements.
func (f Format) Decode(dst []float32, src []byte) {
	f.check("Decode", len(dst), len(src))
	if d := layouts[f].decode; d != nil {
		d(dst, src)
		return
	}
	layouts[f].decodeCodes(dst, src)
}

// Encode stores src in dst, whole blocks of as many elements. It panics for a format that can only be read. Blocks do not depend on each other, so rows may
// be encoded in pieces, on several goroutines.
func (f Format) Encode(dst []byte, src []float32) {
	if !f.CanEncode() {
		panic(fmt.Sprintf("quant: %s can be read only", f))
	}
	f.check("Encode", len(src), len(dst))
	layouts[f].encode(dst, src)
}

func (f Format) check(op string, elements, bytes int) {
	if f.Bytes(elements) != bytes {
		panic(fmt.Sprintf("quant: %s: %d elements of %s are %d bytes, not %d", op, elements, f, f.Bytes(elements), bytes))
	}
}
