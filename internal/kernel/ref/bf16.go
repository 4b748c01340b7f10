package ref

import (
	"math"

	"github.com/plinth-ml/plinth/internal/kernel"
)

// convert copies between F32 and BF16 buffers, rounding to nearest even.
func convert(y, x buf) {
	want("Copy", "x", x, y.Len())
	switch {
	case y.DType() == kernel.BF16 && x.DType() == kernel.BF16:
		copy(y.BF16(), x.BF16())
	case y.DType() == kernel.BF16:
		for i, v := range of[float32](x) {
			y.BF16()[i] = toBF16(v, 0x7fff+math.Float32bits(v)>>16&1)
		}
	default:
		for i, h := range x.BF16() {
			of[float32](y)[i] = fromBF16(h)
		}
	}
}

// fromBF16 is the value of bfloat16 bits, the upper half of a float32's.
func fromBF16(h uint16) float32 { return math.Float32frombits(uint32(h) << 16) }

// toBF16 returns the upper half of v's bits after adding up to the lower half; a NaN stays one and becomes quiet.
func toBF16(v float32, up uint32) uint16 {
	b := math.Float32bits(v)
	if v != v {
		return uint16(b>>16) | 0x40
	}
	return uint16((b + up) >> 16)
}
