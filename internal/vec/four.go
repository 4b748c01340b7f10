package vec

import (
	"encoding/binary"
	"math"
)

// F32From4 widens blocks of 64 elements in 36 bytes, a float32 scale and 4-bit codes, two in a byte, the first in its upper half: y is
// table[code] * scale. len(y) is a multiple of 64.
func F32From4(y []float32, x []byte, table *[16]float32) {
	need("F32From4", "x", len(x), len(y)/64*36)
	active.f32From4(y[:len(y)/64*64], x, table)
}

func f32From4Go(y []float32, x []byte, table *[16]float32) {
	for ; len(y) > 0; y, x = y[64:], x[36:] {
		scale := math.Float32frombits(binary.LittleEndian.Uint32(x))
		for i, c := range x[4:36] {
			y[2*i], y[2*i+1] = table[c>>4]*scale, table[c&15]*scale
		}
	}
}
