package vec

//go:noescape
func roundBF16x8(y *uint16, x *float32, n int, k0, k1, from, shift uint32)

func roundBF16AVX2(y []uint16, x []float32, k0, k1, from, shift uint32) {
	n := len(y) &^ 7
	if n > 0 {
		roundBF16x8(&y[0], &x[0], n, k0, k1, from, shift)
	}
	roundBF16Go(y[n:], x[n:], k0, k1, from+uint32(n), shift)
}
