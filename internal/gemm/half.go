package gemm

import "github.com/plinth-ml/plinth/internal/quant"

// widenFunc transposes some rows of numbers of 16 bits, ld bytes apart, into a panel: dst[p*nr+i] is number p of row i, as float32. k is a multiple
// of halfUnit. Meanwhile what lies ahead bytes further is fetched into the cache.
type widenFunc func(dst *float32, src *byte, ld, k, ahead int)

// dotFunc computes C = alpha·(A·B) + (C when load, else 0) for one row of A and groups of rows of numbers of 16 bits, at most dotRows in all,
// with the sums of a tileFunc. k is a multiple of halfUnit.
type dotFunc func(k int, a *float32, b *byte, ld, ahead, groups int, c *float32, alpha float32, load bool)

const (
	halfUnit = 32 // so many numbers of 16 bits are a line of the cache
	dotRows  = 64
)

// half holds the functions of a variant for one format of 16 bits; nil: everything goes through quant's Decode.
type half struct {
	rows  int // of B in a call of widen, and in a group of dot
	widen widenFunc
	dot   dotFunc
}

// stripHalf stores kk columns of w <= nr rows of src, ld numbers apart, as strip does when across.
func (k *Kernel) stripHalf(s *Scratch, dst []float32, src []byte, f quant.Format, ld, w, kk, ahead int) {
	dst = dst[:kk*k.nr]
	h, done := &k.half[f], 0
	if h.widen != nil && w >= h.rows {
		if w < k.nr {
			clear(dst)
		}
		done = kk / halfUnit * halfUnit
		_ = src[2*((w-1)*ld+done)-1]
		for i := 0; i < w && done > 0; i += h.rows {
			i = min(i, w-h.rows) // the last group may overlap the one before
			h.widen(&dst[i], &src[2*i*ld], 2*ld, done, ahead)
		}
	}
	if rest := kk - done; rest > 0 {
		s.wide = grow(s.wide, w*rest)
		for i := range w {
			f.Decode(s.wide[i*rest:(i+1)*rest], src[2*(i*ld+done):][:2*rest])
		}
		k.strip(dst[done*k.nr:], k.nr, s.wide, rest, true, w, rest)
	}
}

// ahead is how many bytes behind block k0 of a row of Half lies what is needed next: the following block, or the first of the row that is so many rows further.
func (j *job) ahead(rows, k0 int) int {
	if k0+KC < j.K {
		return 2 * KC
	}
	return 2 * (rows*j.K - k0)
}

// dots computes row i of C over whole groups of rows of Half and returns the first column that is left.
func (j *job) dots(i, n0, n1 int, s *Scratch) int {
	h := &j.k.half[j.Format]
	if h.dot == nil || j.TransA {
		return n0
	}
	for n1-n0 >= h.rows {
		groups := min(n1-n0, dotRows) / h.rows
		for k0 := 0; k0 < j.K; k0 += KC {
			kc := min(KC, j.K-k0)
			if kc%halfUnit != 0 {
				j.tail(i, n0, groups*h.rows, k0, kc, s)
				continue
			}
			h.dot(kc, &j.A[i*j.LDA+k0], &j.Half[2*(n0*j.K+k0)], 2*j.K, j.ahead(dotRows, k0), groups, &j.C[i*j.LDC+n0], j.Alpha, j.Accumulate || k0 > 0)
		}
		n0 += groups * h.rows
	}
	return n0
}

// tail adds block k0 to columns [n, n+cols) of row i, where it is no whole lines.
func (j *job) tail(i, n, cols, k0, kc int, s *Scratch) {
	for at := 0; at < cols; at += j.k.nr {
		j.column(i, i+1, n+at, min(j.k.nr, cols-at), k0, kc, nil, s)
	}
}
