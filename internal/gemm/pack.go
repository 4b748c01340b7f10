package gemm

import (
	"fmt"
	"unsafe"

	"github.com/plinth-ml/plinth/internal/pages"
	"github.com/plinth-ml/plinth/internal/quant"
)

// Packed holds a matrix op(B) [K,N] as one kernel reads it fastest: panels of nr columns, each [K,nr] and padded with
// zeros. The zero value is empty and ready for Pack. Its memory belongs to the Go heap.
type Packed struct {
	k, n, nr int
	data     []float32
}

// Dims returns K and N of the packed matrix.
func (p *Packed) Dims() (k, n int) { return p.k, p.n }

// Bytes is the memory that the packed matrix takes.
func (p *Packed) Bytes() int { return 4 * cap(p.data) }

// reset makes room for op(b) [k,n] and returns the move that fills it.
func (p *Packed) reset(b []float32, ldb int, trans bool, k, n, nr int) packing {
	rows, cols := k, n
	if trans {
		rows, cols = n, k
	}
	if ldb == 0 {
		ldb = cols
	}
	if k < 0 || n < 0 || rows > 0 && cols > 0 && (ldb < cols || len(b) < (rows-1)*ldb+cols) {
		panic(fmt.Sprintf("gemm: packing [%d,%d] from %d elements with stride %d", rows, cols, len(b), ldb))
	}
	p.k, p.n, p.nr = k, n, nr
	p.data = grow(p.data, panels(n, nr)*nr*k)
	return packing{dst: p.data, src: b, ld: ldb, across: trans, width: nr, n: n, k: k}
}

// Pack stores op(B) [kk,n] in dst; with trans, b is stored [n,kk]. ldb is the row stride of b, 0 means dense.
// The memory of dst is reused when large enough.
func (k *Kernel) Pack(dst *Packed, b []float32, ldb int, trans bool, kk, n int) {
	p := dst.reset(b, ldb, trans, kk, n, k.nr)
	for t := range p.tasks() {
		p.run(k, t, nil)
	}
}

// packing is the move of a matrix into panels [k,width] of n columns in all, cut into tasks.
type packing struct {
	dst, src    []float32
	stored      []byte // what is moved, instead of src, in format; across
	format      quant.Format
	ld          int
	across      bool // column i, row p is at src[i*ld+p], else at src[p*ld+i]
	width, n, k int
}

// packRows is how many rows of a panel are filled in one go: they stay in the first-level cache, and their sources in
// its translation buffer.
const packRows = 32

// tasks is the number of tasks: one for each panel where the source holds columns one after the other, else one for each
// packRows rows, so that memory is read in long runs.
func (p *packing) tasks() int {
	switch {
	case p.k == 0 || p.n == 0:
		return 0
	case p.across:
		return panels(p.n, p.width)
	default:
		return panels(p.k, packRows)
	}
}

// run does one task. s may be nil without stored.
func (p *packing) run(k *Kernel, task int, s *Scratch) {
	if p.across {
		step := packRows
		if p.stored != nil && p.format > quant.BF16 {
			step = decodedColumns // whole blocks
		}
		for row := 0; row < p.k; row += step {
			p.part(k, task*p.width, row, step, s)
		}
		return
	}
	for at := 0; at < p.n; at += p.width {
		p.part(k, at, task*packRows, packRows, s)
	}
}

// part fills up to step rows from row on of the panel that begins at column at.
func (p *packing) part(k *Kernel, at, row, step int, s *Scratch) {
	from := row*p.ld + at
	if p.across {
		from = at*p.ld + row
	}
	dst, w, rows := p.dst[at*p.k+row*p.width:], min(p.width, p.n-at), min(step, p.k-row)
	if p.stored != nil {
		k.stripStored(s, dst, p.stored[p.format.Bytes(from):], p.format, p.ld, w, rows, 2*rows)
		return
	}
	k.strip(dst, p.width, p.src[from:], p.ld, p.across, w, rows)
}

// Transpose stores src, cols columns of rows rows that are ld elements apart, transposed and dense: dst is [cols,rows].
func (k *Kernel) Transpose(dst, src []float32, ld, rows, cols int) {
	if rows > 0 && cols > 0 {
		k.strip(dst, rows, src, ld, true, rows, cols)
	}
}

// strip stores kk rows of w <= width elements at dst[p*width+i], i < w, and zeros for i >= w; the elements come from
// src[i*ld+p] when across, else from src[p*ld+i].
func (k *Kernel) strip(dst []float32, width int, src []float32, ld int, across bool, w, kk int) {
	dst = dst[:kk*width]
	if w < width {
		clear(dst)
	}
	if across {
		_ = src[(w-1)*ld+kk-1]
		done := 0 // columns moved in groups of eight
		if k.transpose4 != nil && w >= 4 {
			done = kk &^ 7
			i := 0
			for ; k.transpose16 != nil && i+16 <= w && done > 0; i += 16 {
				k.transpose16(&dst[i], width, &src[i*ld], ld, done)
			}
			if k.transpose12 != nil && i+12 <= w && done > 0 {
				k.transpose12(&dst[i], width, &src[i*ld], ld, done)
				i += 12
			}
			for ; i < w && done > 0; i += 4 {
				i = min(i, w-4) // the last group may overlap the one before
				k.transpose4(&dst[i], width, &src[i*ld], ld, done)
			}
		}
		for i := range w {
			for p, v := range src[i*ld+done:][:kk-done] {
				dst[(done+p)*width+i] = v
			}
		}
		return
	}
	_ = src[(kk-1)*ld+w-1]
	i := 0
	if k.copy16 != nil {
		for ; i+16 <= w; i += 16 {
			k.copy16(&dst[i], width, &src[i], ld, kk)
		}
	}
	if k.copy12 != nil && w-i >= 12 {
		k.copy12(&dst[i], width, &src[i], ld, kk)
		i += 12
	}
	if k.copy4 != nil && w >= 4 {
		for ; i < w; i += 4 {
			i = min(i, w-4)
			k.copy4(&dst[i], width, &src[i], ld, kk)
		}
		return
	}
	if i < w {
		for p := range kk {
			copy(dst[p*width+i:p*width+w], src[p*ld+i:])
		}
	}
}

// panels is the number of panels of width w that n columns take.
func panels(n, w int) int { return (n + w - 1) / w }

// grow returns a slice of n elements at an address that is a multiple of 64 bytes, s itself when it has room.
func grow(s []float32, n int) []float32 {
	if cap(s) >= n {
		return s[:n]
	}
	s = pages.Floats(n + 15)
	skip := int(-uintptr(unsafe.Pointer(unsafe.SliceData(s)))%64) / 4
	return s[skip:][:n]
}
