package vec

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
