package vec

// F32FromF16 widens the half-precision bits x into y, exactly; a signalling NaN becomes quiet.
func F32FromF16(y []float32, x []uint16) {
	need("F32FromF16", "x", len(x), len(y))
	active.f32FromF16(y, x[:len(y)])
}

// F16FromF32 rounds x to half precision, to nearest even; too large is infinite, too small is subnormal or 0.
func F16FromF32(y []uint16, x []float32) {
	need("F16FromF32", "x", len(x), len(y))
	active.f16FromF32(y, x[:len(y)])
}

// F32FromBF16 widens the bfloat16 bits x into y, exactly.
func F32FromBF16(y []float32, x []uint16) {
	need("F32FromBF16", "x", len(x), len(y))
	active.f32FromBF16(y, x[:len(y)])
}

// BF16FromF32 rounds x to bfloat16, to nearest even; a NaN stays a NaN and becomes quiet.
func BF16FromF32(y []uint16, x []float32) {
	need("BF16FromF32", "x", len(x), len(y))
	active.bf16FromF32(y, x[:len(y)])
}

// RoundBF16 rounds x to bfloat16 up or down at random, so that the expected value of y[i] is x[i]; a NaN stays a NaN and becomes quiet. The
// random number of element i is a function of key, from+i and shift alone: bits [shift, shift+16) of 32 (Wellons' lowbias32 of the counter
// with the key mixed in). shift is at most 16.
func RoundBF16(y []uint16, x []float32, key uint64, from uint32, shift int) {
	need("RoundBF16", "x", len(x), len(y))
	active.roundBF16(y, x[:len(y)], uint32(key), uint32(key>>32), from, uint32(shift))
}

// F16 is the value of half-precision bits, as F32FromF16.
func F16(h uint16) float32 { return widen16(h) }

// ToF16 rounds x to half precision, as F16FromF32.
func ToF16(x float32) uint16 { return narrow16(x) }
