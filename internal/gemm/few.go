package gemm

import "fmt"

// Stored is how the right side of a product of few rows lies in memory.
type Stored uint8

const (
	F16      Stored = iota // rows of half-precision numbers
	Q8Keys                 // groups of 32 rows: a scale for each column, half precision, then the rows of 8-bit codes
	Q8Values               // rows of blocks of 32 columns: a scale, half precision, then 8-bit codes
)

// fewFunc computes C[m,n] = alpha*(A·B), or A·B + C when load, for one tile, k at most KC: the sums of a tileFunc on B widened to float32.
// b is the tile's first byte, ldb the bytes between rows (the columns of Q8Keys). m is at most fewRows, n what cut allows.
type fewFunc func(k int, a *float32, lda int, b *byte, ldb int, c *float32, ldc, m, n int, alpha float32, load bool)

// few holds the functions of a variant for right sides that are not widened.
type few struct {
	rows, cols int // of a tile; n may also be 32
	f16        fewFunc
	values     fewFunc
	keys       func(k int, a *float32, lda int, b *byte, ldb int, c *float32, ldc, m, n int, alpha float32, load bool, col int) // b is the first group, col the tile's first column
}

// Few is a product of few rows with a narrow right side: C [M,N] = Alpha·A·B, or A·B + C. Its bits are those of the product with B in float32.
type Few struct {
	M, N, K       int // N is a multiple of 32, K at most KC; for Q8Keys a multiple of 32
	A, C          []float32
	LDA, LDC, LDB int // LDB is the bytes between rows of B; the columns of Q8Keys
	B             []byte
	Stored        Stored
	Col           int // of B's first column, in the rows of Q8Keys: B begins at column 0
	Alpha         float32
	Accumulate    bool // C += A·B; Alpha is then 1
}

// HasFew reports whether the variant can do such products of m rows faster than by widening B.
func (k *Kernel) HasFew(m int) bool { return k.few.f16 != nil && m <= 8 }

// Few computes p on the calling goroutine.
func (k *Kernel) Few(p *Few) {
	bytes := 0 // of B
	switch p.Stored {
	case F16:
		bytes = (p.K-1)*p.LDB + 2*p.N
	case Q8Values:
		bytes = (p.K-1)*p.LDB + p.N/32*34
	case Q8Keys:
		bytes = (p.K+p.K/16-1)*p.LDB + p.Col + p.N
	}
	if p.M < 1 || p.N < 1 || p.N%32 != 0 || p.K < 1 || p.K > KC || p.Stored == Q8Keys && p.K%32 != 0 ||
		len(p.B) < bytes || len(p.A) < (p.M-1)*p.LDA+p.K || len(p.C) < (p.M-1)*p.LDC+p.N {
		panic(fmt.Sprintf("gemm: few rows: [%d,%d] times [%d,%d] of %d bytes", p.M, p.K, p.K, p.N, len(p.B)))
	}
	f := &k.few
	for j := 0; j < p.N; j += f.cols {
		n := min(f.cols, p.N-j)
		for i := 0; i < p.M; i += f.rows {
			m, a, c := min(f.rows, p.M-i), &p.A[i*p.LDA], &p.C[i*p.LDC+j]
			switch p.Stored {
			case F16:
				f.f16(p.K, a, p.LDA, &p.B[2*j], p.LDB, c, p.LDC, m, n, p.Alpha, p.Accumulate)
			case Q8Values:
				f.values(p.K, a, p.LDA, &p.B[j/32*34], p.LDB, c, p.LDC, m, n, p.Alpha, p.Accumulate)
			case Q8Keys:
				f.keys(p.K, a, p.LDA, &p.B[0], p.LDB, c, p.LDC, m, n, p.Alpha, p.Accumulate, p.Col+j)
			}
		}
	}
}
