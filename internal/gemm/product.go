package gemm

import (
	"fmt"

	"github.com/plinth-ml/plinth/internal/quant"
)

// Product describes C = Act(Alpha·op(A)·op(B) + Bias) + Residual, all row-major. C must not overlap the operands.
type Product struct {
	M, N, K    int
	A          []float32 // op(A) is [M,K]; with TransA, A is stored [K,M]
	Patches    *Patches  // op(A) made of pictures, or nil; A is then not read
	B          []float32 // op(B) is [K,N]; with TransB, B is stored [N,K]
	C          []float32 // [M,N]
	LDA        int       // row strides of A, B and C as stored; 0 means dense
	LDB        int
	LDC        int
	TransA     bool
	TransB     bool
	Packed     *Packed              // packed beforehand, its first K rows and N columns are op(B); B is then not read
	Stored     []byte               // op(B)ᵀ [N,K], dense, rows of whole blocks of Format, at any address; B is then not read
	Format     quant.Format         // of Stored: F16, BF16, NF4 or FP4
	Alpha      float32              // 0 means 1
	Accumulate bool                 // C += product; excludes Bias, Act, Pre and Residual
	Bias       []float32            // [N] or nil
	Act        func(y, x []float32) // elementwise, y may be x; or nil
	Pre        []float32            // when not nil, receives the value before Act, [M,N] with stride LDC
	Residual   []float32            // [M,N] with stride LDC, added after Act, or nil
	ActLast    bool                 // Residual is added before Act, which excludes Pre
}

// resolve fills in the defaults and panics where sizes disagree.
func (m *Product) resolve(nr int) {
	if m.M < 0 || m.N < 0 || m.K < 0 {
		panic(fmt.Sprintf("gemm: product of size M=%d N=%d K=%d", m.M, m.N, m.K))
	}
	if m.Alpha == 0 {
		m.Alpha = 1
	}
	if m.LDC == 0 {
		m.LDC = m.N
	}
	ar, ac := m.M, m.K
	if m.TransA {
		ar, ac = ac, ar
	}
	if m.LDA == 0 {
		m.LDA = ac
	}
	if m.Patches != nil {
		m.Patches.resolve(m)
	} else {
		m.need("A", len(m.A), ar, ac, m.LDA)
	}
	if m.Packed != nil {
		if p := m.Packed; p.k < m.K || p.n < m.N || p.nr != nr {
			panic(fmt.Sprintf("gemm: packed B is [%d,%d] in panels of %d, less than the product M=%d N=%d K=%d needs in panels of %d",
				p.k, p.n, p.nr, m.M, m.N, m.K, nr))
		}
	} else if m.Stored != nil {
		if elements, _ := m.Format.Block(); m.Format > quant.FP4 || m.K%elements != 0 || len(m.Stored) < m.Format.Bytes(m.N*m.K) {
			panic(fmt.Sprintf("gemm: B has %d bytes of %s, needs [%d,%d] (product M=%d N=%d K=%d)", len(m.Stored), m.Format, m.N, m.K, m.M, m.N, m.K))
		}
	} else {
		br, bc := m.K, m.N
		if m.TransB {
			br, bc = bc, br
		}
		if m.LDB == 0 {
			m.LDB = bc
		}
		m.need("B", len(m.B), br, bc, m.LDB)
	}
	m.need("C", len(m.C), m.M, m.N, m.LDC)
	if m.Accumulate && (m.Bias != nil || m.Act != nil || m.Pre != nil || m.Residual != nil) {
		panic("gemm: Accumulate excludes Bias, Act, Pre and Residual")
	}
	if m.ActLast && m.Pre != nil {
		panic("gemm: ActLast excludes Pre")
	}
	if m.Bias != nil && len(m.Bias) < m.N {
		panic(fmt.Sprintf("gemm: bias of %d elements for N=%d", len(m.Bias), m.N))
	}
	if m.Pre != nil {
		m.need("Pre", len(m.Pre), m.M, m.N, m.LDC)
	}
	if m.Residual != nil {
		m.need("Residual", len(m.Residual), m.M, m.N, m.LDC)
	}
}

// need panics unless n elements hold rows x cols with stride ld.
func (m *Product) need(name string, n, rows, cols, ld int) {
	if rows == 0 || cols == 0 {
		return
	}
	if ld < cols || n < (rows-1)*ld+cols {
		panic(fmt.Sprintf("gemm: %s has %d elements with stride %d, needs [%d,%d] (product M=%d N=%d K=%d)",
			name, n, ld, rows, cols, m.M, m.N, m.K))
	}
}

// sub returns the product for rows [i, i+rows) and columns [j, j+cols); m is resolved. Packed is kept whole.
func (m *Product) sub(i, rows, j, cols int) Product {
	s := *m
	s.M, s.N = rows, cols
	if m.TransA {
		s.A = from(m.A, i)
	} else {
		s.A = from(m.A, i*m.LDA)
	}
	if m.Stored != nil {
		s.Stored = m.Stored[m.Format.Bytes(j*m.K):]
	} else if m.TransB {
		s.B = from(m.B, j*m.LDB)
	} else {
		s.B = from(m.B, j)
	}
	at := i*m.LDC + j
	s.C, s.Pre, s.Residual = from(m.C, at), from(m.Pre, at), from(m.Residual, at)
	s.Bias = from(m.Bias, j)
	return s
}

// from is s[i:], or s when it ends before i: absent, or of size zero.
func from(s []float32, i int) []float32 {
	if i > len(s) {
		return s
	}
	return s[i:]
}
