package gemm

import (
	"fmt"
	"slices"
	"unsafe"

	"github.com/plinth-ml/plinth/internal/quant"
)

// widenFunc transposes halfRows rows of numbers of 16 bits, ld bytes apart, into a panel: dst[p*nr+i] is number p of row i, as float32. k is a
// multiple of halfUnit. Meanwhile what lies ahead bytes further is fetched into the cache.
type widenFunc func(dst *float32, src *byte, ld, k, ahead int)

// dotFunc computes C = alpha·(A·B) + (C when load, else 0) for one row of A and halfRows rows of numbers of 16 or 32 bits, with the sums of a tileFunc and
// the arguments of a widenFunc. k is a multiple of the numbers in a line of the cache.
type dotFunc func(a *float32, b *byte, ld, k, ahead int, c *float32, alpha float32, load bool)

const (
	lineBytes = 64            // of a line of the cache
	halfUnit  = lineBytes / 2 // numbers of 16 bits in it
	halfRows  = 16            // more streams at once are slower: 64 rows, 8 GB/s on one thread, 32 rows 10, 16 rows 13
)

// half holds the functions of a variant for one format of 16 bits; nil: everything goes through quant's Decode.
type half struct {
	widen widenFunc
	dot   dotFunc
}

// halfFuncs are those of all formats that are widened; the ones in blocks have none.
type halfFuncs [quant.FP4 + 1]half

// decodedColumns is how many columns are decoded before they are transposed: whole blocks of every format, which stay in the first-level cache.
const decodedColumns = 64

// stripStored stores kk columns, whole blocks, of w <= nr rows of src, ld numbers apart, as strip does when across.
func (k *Kernel) stripStored(s *Scratch, dst []float32, src []byte, f quant.Format, ld, w, kk, ahead int) {
	dst = dst[:kk*k.nr]
	h, done := &k.half[f], 0
	if h.widen != nil && w >= halfRows && kk >= halfUnit {
		if w < k.nr {
			clear(dst)
		}
		done = kk / halfUnit * halfUnit
		_ = src[2*((w-1)*ld+done)-1]
		for i := 0; i < w; i += halfRows {
			i = min(i, w-halfRows) // the last rows may overlap those before
			h.widen(&dst[i], &src[2*i*ld], 2*ld, done, ahead)
		}
	}
	for done < kk {
		n := min(decodedColumns, kk-done)
		s.wide = grow(s.wide, w*n)
		for i := range w {
			f.Decode(s.wide[i*n:(i+1)*n], src[f.Bytes(i*ld+done):][:f.Bytes(n)])
		}
		k.strip(dst[done*k.nr:], k.nr, s.wide, n, true, w, n)
		done += n
	}
}

// ReadsRows tells that a product of one row with TransB reads B from memory as fast as a packed one.
func (k *Kernel) ReadsRows() bool { return k.dot32 != nil }

// ahead is how many bytes behind block k0 of a row of B, numbers of so many bytes in rows ld bytes apart, lies what is needed next: the following block, or the
// first of the row that is so many rows further.
func (j *job) ahead(rows, k0, size, ld int) int {
	if k0+KC < j.K {
		return size * KC
	}
	return rows*ld - size*k0
}

// dots computes row i of C over as many rows of B, [N,K] in 16 or 32 bits, as dot takes and returns the first column that is left: all in other formats.
func (j *job) dots(i, n0, n1 int, s *Scratch) int {
	dot, size, ld, b := j.k.dot32, 4, 4*j.LDB, unsafe.Pointer(unsafe.SliceData(j.B))
	if j.Stored != nil {
		dot, size, ld, b = j.k.half[j.Format].dot, 2, 2*j.K, unsafe.Pointer(unsafe.SliceData(j.Stored))
	}
	if dot == nil || j.TransA {
		return n0
	}
	unit := lineBytes / size
	for ; n0+halfRows <= n1; n0 += halfRows {
		for k0 := 0; k0 < j.K; k0 += KC {
			if kc := min(KC, j.K-k0); kc%unit == 0 {
				dot(&j.A[i*j.LDA+k0], (*byte)(unsafe.Add(b, n0*ld+size*k0)), ld, kc, j.ahead(halfRows, k0, size, ld), &j.C[i*j.LDC+n0], j.Alpha, j.Accumulate || k0 > 0)
			} else {
				j.column(i, i+1, n0, halfRows, k0, kc, nil, s)
			}
		}
	}
	return n0
}

// checkHalf compares products of small integers with those in float32, one row and several, whole lines of K and a tail.
func (k *Kernel) checkHalf(s *Scratch) error {
	M, N, K := k.mr+1, 2*k.nr+3, KC+halfUnit+3
	a, b, bytes := make([]float32, M*K), make([]float32, N*K), make([]byte, 2*N*K)
	for i := range a {
		a[i] = float32(i%7 - 3)
	}
	for i := range b {
		b[i] = float32(i%11 - 5)
	}
	for _, f := range []quant.Format{quant.F16, quant.BF16} {
		f.Encode(bytes, b)
		for _, m := range []int{1, M} {
			for _, kk := range []int{KC + halfUnit, K} {
				got, want := make([]float32, m*N), make([]float32, m*N)
				k.Serial(s, &Product{M: m, N: N, K: kk, A: a[:m*kk], B: b[:N*kk], TransB: true, C: want})
				k.Serial(s, &Product{M: m, N: N, K: kk, A: a[:m*kk], Stored: bytes[:2*N*kk], Format: f, C: got})
				if !slices.Equal(got, want) {
					return fmt.Errorf("gemm: %s: product of %d rows with %s, K %d, differs from float32", k.name, m, f, kk)
				}
			}
		}
	}
	return nil
}
