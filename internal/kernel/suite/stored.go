package suite

import (
	"fmt"
	"math"
	"testing"

	"github.com/plinth-ml/plinth/internal/kernel"
	"github.com/plinth-ml/plinth/internal/quant"
	"github.com/plinth-ml/plinth/internal/vec"
)

// storageTypes are the types that the right side of a product may have; FP4 is NF4 with another table.
var storageTypes = []kernel.DType{kernel.BF16, kernel.F16, kernel.NF4, kernel.Q8_0, kernel.Q4_0, kernel.Q4_K, kernel.Q5_K, kernel.Q6_K}

// weights returns n random numbers of unit size in a storage type, at an address that is a multiple of 2 only when odd is set.
func (d *data) weights(dtype kernel.DType, n int, odd bool) kernel.Buf {
	f, ok := quant.ByName(dtype.String())
	if !ok {
		panic("suite: no storage type " + dtype.String())
	}
	s := make([]float32, n)
	for i := range s {
		s[i] = float32(d.r.NormFloat64())
	}
	b := make([]byte, f.Bytes(n)+2)
	if odd {
		b = b[2:]
	} else {
		b = b[:len(b)-2]
	}
	f.Encode(b, s)
	return kernel.OfBytes(dtype, b)
}

// decoded returns the numbers that b stands for.
func decoded(b kernel.Buf) []float64 {
	f, _ := quant.ByName(b.DType().String())
	w := make([]float32, b.Len())
	f.Decode(w, b.Bytes())
	s := make([]float64, len(w))
	for i, v := range w {
		s[i] = float64(v)
	}
	return s
}

// storedA is what the rows of A stand for in a product with weights of dtype; see kernel.MatMul.
func storedA(a []float64, M, K, lda int, dtype kernel.DType) []float64 {
	block := dtype.ActivationBlock()
	if block == 0 {
		return a
	}
	a = append([]float64(nil), a...)
	for i := range M {
		for k := 0; k < K; k += block {
			x := a[i*lda+k:][:block]
			top := float32(0)
			for _, v := range x {
				top = max(top, float32(math.Abs(v)))
			}
			scale := vec.F16(vec.ToF16(top / 127)) // numbers here are not too large
			if block == 256 {
				scale = 1 / (127 / top)
			}
			for j, v := range x {
				x[j] = math.RoundToEven(float64(float32(v)*(127/top))) * float64(scale)
			}
		}
	}
	return a
}

// stored tests products with weights of storage types and rows of tables of them.
func stored(t *testing.T, s *kernel.Set, d *data) {
	storedChains(t, s, d)
	for _, dtype := range storageTypes {
		unit, _ := dtype.Block()
		if unit == 1 {
			unit = 5
		}
		for i, sz := range [][3]int{ // M, N, blocks of K
			{0, 5, 1}, {1, 0, 1}, {1, 1, 1}, {1, 5, 2}, {1, 17, 3}, {2, 16, 1}, {3, 33, 2}, {4, 4, 5}, {5, 21, 1}, {7, 15, 3}, {8, 32, 2}, {9, 31, 4}, {13, 48, 1}, {17, 3, 2},
			{33, 70, 3}, {1, 300, 9}, {70, 130, 2},
		} {
			M, N, K := sz[0], sz[1], sz[2]*unit
			m := &kernel.MatMul{M: M, N: N, K: K, TransB: true, Act: kernel.Act(i % 4), Alpha: []float64{0, 1, -0.5}[i%3]}
			lda, ldc := K, N
			if i%3 == 0 {
				lda, ldc = K+3, N+2
				m.LDA, m.LDC = lda, ldc
			}
			m.A, m.B = d.in(M*lda), d.weights(dtype, N*K, i%2 == 1)
			if i&1 != 0 {
				m.Bias = d.in(N)
			}
			if i&2 != 0 {
				m.Residual = d.in(M * ldc)
			}
			if i%5 == 2 {
				m.Pre = d.out(M*ldc, "%s: Pre %v", dtype, sz)
			}
			name := fmt.Sprintf("%s: M=%d N=%d K=%d ld=%d,%d act=%v", dtype, M, N, K, m.LDA, m.LDC, m.Act)
			c := d.in(M * ldc)
			m.C = d.keep(clone(c), "%s", name)
			s.MatMul(m)
			if d.plain() {
				plain := *m
				plain.A, plain.B = kernel.OfF64(storedA(floats(m.A), M, K, lda, dtype)), kernel.OfF64(decoded(m.B))
				pre, want := plainProduct(&plain, floats(c), lda, K, ldc)
				near(t, name, floats(m.C), want, exact)
				if !m.Pre.None() {
					near(t, name+": Pre", floats(m.Pre), pre, exact)
				}
			}
		}
		for i, sz := range [][3]int{{0, 1, 4}, {1, 1, 1}, {3, 2, 0}, {5, 1, 300}, {7, 3, 33}, {70, 2, 260}, {33, 1, 530}} { // M, blocks of N, K
			M, N, K := sz[0], sz[1]*unit, sz[2]
			m := &kernel.MatMul{M: M, N: N, K: K, A: d.in(M * (K + 3)), LDA: K + 3, LDC: N + 2, B: d.weights(dtype, K*N, i%2 == 1), Alpha: []float64{0, -0.5}[i%2], Accumulate: i%3 == 0}
			name := fmt.Sprintf("%s: A·B M=%d N=%d K=%d acc %v", dtype, M, N, K, m.Accumulate)
			c := d.in(M * m.LDC)
			m.C = d.keep(clone(c), "%s", name)
			s.MatMul(m)
			if d.plain() {
				plain := *m
				plain.B = kernel.OfF64(decoded(m.B))
				_, want := plainProduct(&plain, floats(c), m.LDA, N, m.LDC)
				near(t, name, floats(m.C), want, exact)
			}
		}
		const V = 19
		for _, N := range []int{0, 1, 7, 100} {
			for _, acc := range []bool{false, true} {
				C := 3 * unit
				w, ids := d.weights(dtype, V*C, N == 7), d.ids(N, 0, V)
				y := d.out(N*C, "%s: Gather %d, acc %v", dtype, N, acc)
				before := floats(y)
				s.Gather(y, w, ids, C, acc)
				if d.plain() {
					W := decoded(w)
					near(t, "Gather", floats(y), each(func(i int) float64 {
						v := W[int(ids.I32()[i/C])*C+i%C]
						if acc {
							v += before[i]
						}
						return v
					}, N*C), exact)
				}
			}
		}
	}
}

// storedChains: products chained to one another are the products, to the bit; their types differ.
func storedChains(t *testing.T, s *kernel.Set, d *data) {
	for _, M := range []int{0, 1, 5, 70} {
		const K = 512
		a := d.in(M * K)
		var chain []*kernel.MatMul
		for i, dtype := range storageTypes {
			N := 40 + 30*i
			m := &kernel.MatMul{M: M, N: N, K: K, TransB: true, A: a, B: d.weights(dtype, N*K, false), Bias: d.in(N), C: d.out(M*N, "%s in a chain, M=%d", dtype, M)}
			if i > 0 {
				chain[i-1].Next = m
			}
			chain = append(chain, m)
		}
		s.MatMul(chain[0])
		for i, m := range chain {
			alone := *m
			alone.Next, alone.C = nil, clone(m.C)
			s.MatMul(&alone)
			same(t, fmt.Sprintf("%s in a chain, M=%d", storageTypes[i], M), floats(m.C), floats(alone.C))
		}
	}
}

// storedRows: a row has the same bits for M from 1 to 64, wherever it stands; and one with a NaN or an infinity is NaN, alone.
func storedRows(t *testing.T, s *kernel.Set, others []*kernel.Set) {
	d := newData(kernel.F32)
	const M = 64
	for _, dtype := range storageTypes {
		unit, _ := dtype.Block()
		if unit == 1 {
			unit = 129
		}
		for _, nk := range [][2]int{{37, unit}, {50, 3 * unit}} {
			N, K := nk[0], nk[1]
			a, b, bias, residual := d.in(M*K), d.weights(dtype, N*K, true), d.in(N), d.in(M*N)
			run := func(s *kernel.Set, i, n int) kernel.Buf {
				c := kernel.Alloc(kernel.F32, n*N)
				s.MatMul(&kernel.MatMul{M: n, N: N, K: K, A: a.Slice(i*K, (i+n)*K), B: b, TransB: true, C: c, Bias: bias,
					Residual: residual.Slice(i*N, (i+n)*N)})
				return c
			}
			all := run(s, 0, M)
			name := fmt.Sprintf("%s: product N=%d K=%d", dtype, N, K)
			for n := 1; n <= M; n++ {
				equal(t, name, run(s, 0, n), all, 0, n, N)
				equal(t, name, run(s, M-n, n), all, M-n, n, N)
			}
			for _, o := range others {
				same(t, fmt.Sprintf("%s: %d threads", name, o.Threads), floats(run(o, 0, M)), floats(all))
			}
			for i, bad := range []float64{math.NaN(), inf(1), inf(-1)} {
				a.F32()[(10*i+3)*K+K-1-i] = float32(bad)
			}
			got := floats(run(s, 0, M))
			for i := range M {
				wild := i == 3 || i == 13 || i == 23
				for j, v := range got[i*N : (i+1)*N] {
					finite := !math.IsNaN(v) && !math.IsInf(v, 0)
					if finite == wild || dtype.ActivationBlock() > 0 && wild && !math.IsNaN(v) {
						t.Fatalf("%s: row %d with a number that is not finite (%v) has %v in column %d", name, i, wild, v, j)
					}
				}
				if !wild {
					same(t, name+" beside rows that are not finite", got[i*N:(i+1)*N], floats(all.Slice(i*N, (i+1)*N)))
				}
			}
		}
	}
}
