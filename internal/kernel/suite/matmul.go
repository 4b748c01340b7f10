package suite

import (
	"fmt"
	"testing"

	"github.com/plinth-ml/plinth/internal/kernel"
)

func matMul(t *testing.T, s *kernel.Set, d *data) {
	var sizes [][3]int // M, N, K
	for n := 1; n <= 40; n++ {
		sizes = append(sizes, [3]int{n, 1 + n*7%40, 1 + n*11%40}, [3]int{1, n, 37}, [3]int{5, 19, n})
	}
	sizes = append(sizes, [3]int{0, 5, 3}, [3]int{3, 4, 0}, [3]int{3, 0, 4}, [3]int{64, 130, 300}, [3]int{200, 48, 96}, [3]int{3, 700, 64}, [3]int{1, 300, 1025})
	for i, sz := range sizes {
		for form := range 4 {
			m := &kernel.MatMul{M: sz[0], N: sz[1], K: sz[2], TransA: form&1 != 0, TransB: form&2 != 0}
			product(t, s, d, m, i+form)
		}
	}
	for f := kernel.Identity; f <= kernel.Sigmoid; f++ {
		product(t, s, d, &kernel.MatMul{M: 9, N: 35, K: 20, TransB: true, Act: f}, 5+int(f))
	}
}

// product fills in the operands of m, in a way chosen by the bits of how, runs it, and once more with B packed.
func product(t *testing.T, s *kernel.Set, d *data, m *kernel.MatMul, how int) {
	rowsA, colsA, rowsB, colsB := m.M, m.K, m.K, m.N
	if m.TransA {
		rowsA, colsA = colsA, rowsA
	}
	if m.TransB {
		rowsB, colsB = colsB, rowsB
	}
	lda, ldb, ldc := colsA, colsB, m.N
	if how%3 == 0 {
		lda, ldb, ldc = lda+3, ldb+1, ldc+2
		m.LDA, m.LDB, m.LDC = lda, ldb, ldc
	}
	m.A, m.B = d.in(rowsA*lda), d.in(rowsB*ldb)
	m.Alpha = []float64{0, 1, -0.5, 0.125}[how%4]
	switch {
	case how%5 == 4 && m.Act == kernel.Identity:
		m.Accumulate = true
	default:
		if how&1 != 0 {
			m.Bias = d.in(m.N)
		}
		if how&2 != 0 {
			m.Residual = d.in(m.M * ldc)
		}
		if how%7 > 3 {
			m.Pre = d.out(m.M*ldc, "Pre %d of %d %d %d", how, m.M, m.N, m.K)
			if m.Act == kernel.Identity {
				m.Act = kernel.Act(1 + how%6)
			}
		}
	}
	name := fmt.Sprintf("M=%d N=%d K=%d transA=%v transB=%v ld=%d,%d,%d alpha=%v add=%v bias=%v residual=%v pre=%v act=%v", m.M, m.N, m.K,
		m.TransA, m.TransB, m.LDA, m.LDB, m.LDC, m.Alpha, m.Accumulate, !m.Bias.None(), !m.Residual.None(), !m.Pre.None(), m.Act)
	c := d.in(m.M * ldc)
	m.C = d.keep(clone(c), "%s", name)
	s.MatMul(m)
	if d.plain() {
		pre, want := plainProduct(m, floats(c), lda, ldb, ldc)
		near(t, name, floats(m.C), want, exact)
		if !m.Pre.None() {
			near(t, name+": Pre", floats(m.Pre), pre, exact)
		}
	}
	if m.LDB != 0 {
		return // Pack reads dense matrices
	}
	p := *m
	p.Packed, p.B, p.C = &kernel.Packed{}, kernel.Buf{}, clone(c)
	s.Pack(p.Packed, d.in(2*3), false, 2, 3) // of another size first: the memory is used again
	s.Pack(p.Packed, m.B, m.TransB, m.K, m.N)
	s.MatMul(&p)
	same(t, name+": packed", floats(p.C), floats(m.C))
}

// plainProduct returns what m should leave in Pre and C, given the content of C before.
func plainProduct(m *kernel.MatMul, c []float64, lda, ldb, ldc int) (pre, out []float64) {
	a, b, bias, residual := floats(m.A), floats(m.B), floats(m.Bias), floats(m.Residual)
	alpha := m.Alpha
	if alpha == 0 {
		alpha = 1
	}
	pre = floats(m.Pre)
	for i := range m.M {
		for j := range m.N {
			sum := 0.0
			for k := range m.K {
				x, y := i*lda+k, k*ldb+j
				if m.TransA {
					x = k*lda + i
				}
				if m.TransB {
					y = j*ldb + k
				}
				sum += a[x] * b[y]
			}
			sum *= alpha
			at := i*ldc + j
			if m.Accumulate {
				c[at] += sum
				continue
			}
			if bias != nil {
				sum += bias[j]
			}
			if pre != nil {
				pre[at] = sum
			}
			c[at] = plainAct(m.Act, sum)
			if residual != nil {
				c[at] += residual[at]
			}
		}
	}
	return pre, c
}
