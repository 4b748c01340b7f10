package ref

import (
	"math"

	"github.com/plinth-ml/plinth/internal/quant"
)

// stored returns the numbers that b, of a storage type, stands for.
func stored[T float](b buf) []T {
	f, ok := quant.ByName(b.DType().String())
	if !ok {
		panic("ref: no storage type " + b.DType().String())
	}
	w := make([]float32, b.Len())
	f.Decode(w, b.Bytes())
	s := make([]T, len(w))
	for i, v := range w {
		s[i] = T(v)
	}
	return s
}

// wholeRow is the block of quantized that is a row, with a scale in float32.
const wholeRow = 0

// quantized returns a copy of a, rows of K numbers, ld apart, in which each block stands for its codes times its scale; see kernel.MatMul.
func quantized[T float](a []T, M, K, ld, block int) []T {
	q := make([]T, len(a))
	scaleOf := func(top float32) float32 { return activationScale(top, block) }
	if block == wholeRow {
		block = max(K, 1)
		scaleOf = func(top float32) float32 { return top / 127 }
	}
	for i := range M {
		for k := 0; k < K; k += block {
			from, to := a[i*ld+k:][:block], q[i*ld+k:][:block]
			top := 0.0
			for _, v := range from {
				top = max(top, math.Abs(float64(v))) // NaN wins
			}
			inverse := 127 / float32(top)
			scale := scaleOf(float32(top))
			for j, v := range from {
				switch {
				case math.IsNaN(top) || math.IsInf(top, 0):
					to[j] = T(math.NaN())
				case top > 0:
					to[j] = T(math.RoundToEven(float64(float32(v)*inverse)) * float64(scale))
				}
			}
		}
	}
	return q
}

// activationScale is the scale of a block whose largest magnitude is top.
func activationScale(top float32, block int) float32 {
	if block == 256 {
		return 1 / (127 / top)
	}
	var b [2]byte
	half := []float32{top / 127}
	quant.F16.Encode(b[:], half)
	if quant.F16.Decode(half, b[:]); half[0] <= math.MaxFloat32 {
		return half[0]
	}
	return top / 127
}
