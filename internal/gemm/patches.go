package gemm

import "fmt"

// Patches describes a matrix [B·OutH·OutW, KH·KW·C] that is not stored, the left side of a convolution as a product. Row (b, y, x) is the window of
// picture b whose upper left corner is at (y·Stride-Top, x·Stride-Left); its element (ky, kx, c) is X[b, corner+ky, corner+kx, c], 0 outside the picture.
// Top and Left may be negative.
type Patches struct {
	X                 []float32 // [B, H, W, C]
	B, H, W, C        int
	KH, KW            int
	OutH, OutW        int
	Stride, Top, Left int
}

// Dims returns the sizes of the matrix.
func (p *Patches) Dims() (rows, cols int) { return p.B * p.OutH * p.OutW, p.KH * p.KW * p.C }

// resolve panics unless the matrix is op(A) of m.
func (p *Patches) resolve(m *Product) {
	rows, cols := p.Dims()
	if m.TransA {
		rows, cols = cols, rows
	}
	if rows != m.M || cols != m.K || len(p.X) < p.B*p.H*p.W*p.C {
		panic(fmt.Sprintf("gemm: patches of %d elements, [%d,%d,%d,%d], are [%d,%d]; the product has M=%d N=%d K=%d",
			len(p.X), p.B, p.H, p.W, p.C, rows, cols, m.M, m.N, m.K))
	}
}

// fill stores rows [i0,i1) of columns [k0,k1) in dst, ld elements apart. A row of a window is a run in memory, so that runs of up to KW·C elements are moved.
func (p *Patches) fill(dst []float32, ld, i0, i1, k0, k1 int) {
	run, line := p.KW*p.C, p.W*p.C
	b, at := i0/(p.OutH*p.OutW), i0%(p.OutH*p.OutW)
	y, x := at/p.OutW, at%p.OutW
	for i := i0; i < i1; i++ {
		row := dst[(i-i0)*ld:][:k1-k0]
		left := (x*p.Stride - p.Left) * p.C // where the window's rows begin in those of the picture
		for k := k0; k < k1; {
			ky := k / run
			e0, e1 := k-ky*run, min(run, k1-ky*run)
			part := row[k-k0:][:e1-e0]
			k += e1 - e0
			iy := y*p.Stride - p.Top + ky
			from, to := left+e0, left+e1
			if iy < 0 || iy >= p.H || to <= 0 || from >= line {
				clear(part)
				continue
			}
			if from < 0 {
				clear(part[:-from])
				part, from = part[-from:], 0
			}
			if to > line {
				clear(part[line-from:])
				part = part[:line-from]
			}
			copy(part, p.X[(b*p.H+iy)*line+from:])
		}
		if x++; x == p.OutW {
			x = 0
			if y++; y == p.OutH {
				y = 0
				b++
			}
		}
	}
}

// patchLD is the elements between the rows of patches that a task has in block kc of K: no multiple of a page, whose rows would meet in one place of the cache.
func patchLD(kc int) int { return kc + 16 }

// ownPatches puts rows [i0,i1) of op(A) in block [k0,k0+kc) where left finds them: the rows as they are, or packed as by packOwn where A is transposed.
func (j *job) ownPatches(i0, i1, k0, kc int, s *Scratch) {
	p := j.Patches
	if !j.TransA {
		s.own = grow(s.own, (i1-i0)*patchLD(kc))
		p.fill(s.own, patchLD(kc), i0, i1, k0, k0+kc)
		return
	}
	ld := patchLD(i1 - i0)
	s.rows = grow(s.rows, kc*ld)
	p.fill(s.rows, ld, k0, k0+kc, i0, i1)
	s.own = grow(s.own, panels(i1-i0, j.k.mr)*j.k.mr*kc)
	j.packRows(s.own, s.rows, ld, i1-i0, kc)
}
