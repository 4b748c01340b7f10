package quant

import (
	"encoding/binary"
	"math"
	"unsafe"

	"github.com/plinth-ml/plinth/internal/vec"
)

// half is the value of the half-precision number at the start of b.
func half(b []byte) float32 { return vec.F16(binary.LittleEndian.Uint16(b)) }

// putHalf stores x at the start of b, rounded to half precision, and returns what it became.
func putHalf(b []byte, x float32) float32 {
	h := vec.ToF16(x)
	binary.LittleEndian.PutUint16(b, h)
	return vec.F16(h)
}

// convert is the number of elements that go through a small buffer at once where memory cannot be read as it lies.
const convert = 256

// littleEndian tells whether this machine's integers lie in memory as in files.
var littleEndian = binary.NativeEndian.Uint16([]byte{1, 0}) == 1

// words returns b as numbers of 16 bits, nil where it does not lie in memory as such.
func words(b []byte) []uint16 {
	p := unsafe.Pointer(unsafe.SliceData(b))
	if !littleEndian || uintptr(p)%2 != 0 {
		return nil
	}
	return unsafe.Slice((*uint16)(p), len(b)/2)
}

func decode16(dst []float32, src []byte, widen func(y []float32, x []uint16)) {
	if w := words(src); w != nil {
		widen(dst, w)
		return
	}
	var buf [convert]uint16
	for len(dst) > 0 {
		n := min(convert, len(dst))
		for i := range n {
			buf[i] = binary.LittleEndian.Uint16(src[2*i:])
		}
		widen(dst[:n], buf[:n])
		dst, src = dst[n:], src[2*n:]
	}
}

func encode16(dst []byte, src []float32, narrow func(y []uint16, x []float32)) {
	if w := words(dst); w != nil {
		narrow(w, src)
		return
	}
	var buf [convert]uint16
	for len(src) > 0 {
		n := min(convert, len(src))
		narrow(buf[:n], src[:n])
		for i, h := range buf[:n] {
			binary.LittleEndian.PutUint16(dst[2*i:], h)
		}
		dst, src = dst[2*n:], src[n:]
	}
}

func decodeF16(dst []float32, src []byte)  { decode16(dst, src, vec.F32FromF16) }
func decodeBF16(dst []float32, src []byte) { decode16(dst, src, vec.F32FromBF16) }
func encodeF16(dst []byte, src []float32)  { encode16(dst, src, vec.F16FromF32) }
func encodeBF16(dst []byte, src []float32) { encode16(dst, src, vec.BF16FromF32) }

// f32 is the float32 at the start of b.
func f32(b []byte) float32 { return math.Float32frombits(binary.LittleEndian.Uint32(b)) }
