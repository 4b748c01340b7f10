package vec

import "math"

// MulI8 is y = x * s, of 8-bit codes and their scales.
func MulI8(y []float32, x []int8, s []float32) {
	need("MulI8", "x", len(x), len(y))
	need("MulI8", "s", len(s), len(y))
	active.mulI8(y, x[:len(y)], s[:len(y)])
}

// F32FromQ8 widens blocks of 32 elements in 34 bytes, an F16 scale and 8-bit codes (ggml's Q8_0): y is scale * code. len(y) is a multiple of 32.
func F32FromQ8(y []float32, x []byte) {
	need("F32FromQ8", "x", len(x), len(y)/32*34)
	active.f32FromQ8(y[:len(y)/32*32], x)
}

// Q8FromF32 rounds at most 32 numbers to codes and their scale, F16, as ggml's reference does for Q8_0: the scale is the largest magnitude over
// 127, the codes are the quotients by it before it was rounded, halves away from zero.
func Q8FromF32(codes []int8, x []float32) (scale uint16) {
	need("Q8FromF32", "codes", len(codes), len(x))
	top := float32(0)
	for _, v := range x {
		top = max(top, v, -v)
	}
	d, inverse := top/127, float32(0)
	if d != 0 {
		inverse = 1 / d
	}
	for i, v := range x {
		q := float64(v * inverse) // exact sums, so that adding a half and truncating rounds
		codes[i] = int8(q + math.Copysign(0.5, q))
	}
	return narrow16(d)
}

func mulI8Go(y []float32, x []int8, s []float32) {
	for i := range y {
		y[i] = float32(x[i]) * s[i]
	}
}

func f32FromQ8Go(y []float32, x []byte) {
	for b := 0; b < len(y)/32; b++ {
		block, y := x[b*34:][:34], y[b*32:][:32]
		d := widen16(uint16(block[0]) | uint16(block[1])<<8)
		for i, code := range block[2:] {
			y[i] = float32(int8(code)) * d
		}
	}
}
