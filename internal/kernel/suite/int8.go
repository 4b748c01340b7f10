package suite

import (
	"fmt"
	"math"
	"testing"

	"github.com/plinth-ml/plinth/internal/kernel"
)

// rounded8 returns the rows of a [rows, K], ld apart, as 8 bits with one scale each give them; see kernel.MatMul.
func rounded8(a []float64, rows, K, ld int) []float64 {
	a = append([]float64(nil), a...)
	for i := range rows {
		row, top := a[i*ld:][:K], float32(0)
		for _, v := range row {
			top = max(top, float32(math.Abs(v)))
		}
		for j, v := range row {
			row[j] = math.RoundToEven(float64(float32(v)*(127/top))) * float64(top/127)
		}
	}
	return a
}

// int8Products tests products with right sides that are packed in 8 bits, alone and chained.
func int8Products(t *testing.T, s *kernel.Set, d *data) {
	for i, sz := range [][3]int{{1, 1, 1}, {1, 33, 20}, {3, 40, 16}, {12, 32, 48}, {13, 70, 35}, {100, 96, 64}, {230, 130, 33}} {
		M, N, K := sz[0], sz[1], sz[2]
		lda, ldc := K+i%2*3, N+i%3
		m := &kernel.MatMul{M: M, N: N, K: K, LDA: lda, LDC: ldc, TransB: i%2 == 0, Act: kernel.Act(i % 4), Alpha: []float64{0, 1, -0.5}[i%3], A: d.in(M * lda)}
		b, c := d.in(N*K), d.in(M*ldc)
		if i&1 != 0 {
			m.Bias = d.in(N)
		}
		if i&2 != 0 {
			m.Residual = d.in(M * ldc)
		}
		name := fmt.Sprintf("8 bits: %v", sz)
		if i%5 == 4 {
			m.Pre = d.out(M*ldc, "%s: Pre", name)
		}
		m.Packed = &kernel.Packed{}
		s.PackInt8(m.Packed, d.in(2*3), false, 2, 3) // of another size first: the memory is used again
		s.PackInt8(m.Packed, b, m.TransB, K, N)
		m.C = d.keep(clone(c), "%s", name)
		chained := *m
		chained.C, chained.Pre = clone(c), kernel.Buf{}
		m.Next = &chained
		s.MatMul(m)
		same(t, name+": chained", floats(chained.C), floats(m.C))
		if !d.plain() {
			continue
		}
		w := floats(b) // columns of op(B) as rows
		if !m.TransB {
			w = make([]float64, N*K)
			for k := range K {
				for n := range N {
					w[n*K+k] = floats(b)[k*N+n]
				}
			}
		}
		plain := *m
		plain.TransB, plain.A, plain.B = true, kernel.OfF64(rounded8(floats(m.A), M, K, lda)), kernel.OfF64(rounded8(w, N, K, K))
		_, want := plainProduct(&plain, floats(c), lda, K, ldc)
		near(t, name, floats(m.C), want, exact)
	}
}
