package gemm

import (
	"runtime"
	"unsafe"

	"github.com/plinth-ml/plinth/internal/vec"
)

// tileGo is the portable tile, see tileFunc.
func tileGo(k int, a *float32, ars, acs int, b *float32, ldb int, c *float32, ldc, m, n int, alpha float32, load bool) {
	as := unsafe.Slice(a, (m-1)*ars+(k-1)*acs+1)
	bs := unsafe.Slice(b, (k-1)*ldb+n)
	cs := unsafe.Slice(c, (m-1)*ldc+n)
	var sum [4][4]float32
	if m == 4 && n == 4 {
		sum = tile4x4(k, as, ars, acs, bs, ldb)
	} else {
		for p := range k {
			row := bs[p*ldb:][:n]
			for i := range m {
				x := as[i*ars+p*acs]
				for j, y := range row {
					sum[i][j] += float32(x * y)
				}
			}
		}
	}
	for i := range m {
		row := cs[i*ldc:][:n]
		for j := range row {
			if load {
				row[j] += float32(alpha * sum[i][j])
			} else {
				row[j] = float32(alpha*sum[i][j]) + 0
			}
		}
	}
}

// fusedGo is tileGo with each multiply-add rounded once, as the tiles of the other variants do it.
func fusedGo(k int, a *float32, ars, acs int, b *float32, ldb int, c *float32, ldc, m, n int, alpha float32, load bool) {
	as := unsafe.Slice(a, (m-1)*ars+(k-1)*acs+1)
	bs := unsafe.Slice(b, (k-1)*ldb+n)
	cs := unsafe.Slice(c, (m-1)*ldc+n)
	for i := range m {
		for j := range n {
			var sum, start float32
			for p := range k {
				sum = vec.FMA(as[i*ars+p*acs], bs[p*ldb+j], sum)
			}
			if load {
				start = cs[i*ldc+j]
			}
			cs[i*ldc+j] = vec.FMA(alpha, sum, start)
		}
	}
}

// tile4x4 is the full tile with its sums in registers, four rows of two columns at a time.
func tile4x4(k int, a []float32, ars, acs int, b []float32, ldb int) (sum [4][4]float32) {
	for j := 0; j < 4; j += 2 {
		var s00, s01, s10, s11, s20, s21, s30, s31 float32
		for p := range k {
			y := b[p*ldb+j:][:2]
			y0, y1 := y[0], y[1]
			at := p * acs
			x := a[at]
			s00 += float32(x * y0)
			s01 += float32(x * y1)
			x = a[at+ars]
			s10 += float32(x * y0)
			s11 += float32(x * y1)
			x = a[at+2*ars]
			s20 += float32(x * y0)
			s21 += float32(x * y1)
			x = a[at+3*ars]
			s30 += float32(x * y0)
			s31 += float32(x * y1)
		}
		sum[0][j], sum[0][j+1] = s00, s01
		sum[1][j], sum[1][j+1] = s10, s11
		sum[2][j], sum[2][j+1] = s20, s21
		sum[3][j], sum[3][j+1] = s30, s31
	}
	return sum
}

// peakGo does n iterations of eight independent multiply-adds.
func peakGo(n int) {
	var s0, s1, s2, s3, s4, s5, s6, s7 float32
	x, y := float32(n&1), float32(0.5)
	for range n {
		s0 = float32(s0*y) + x
		s1 = float32(s1*y) + x
		s2 = float32(s2*y) + x
		s3 = float32(s3*y) + x
		s4 = float32(s4*y) + x
		s5 = float32(s5*y) + x
		s6 = float32(s6*y) + x
		s7 = float32(s7*y) + x
	}
	runtime.KeepAlive(s0 + s1 + s2 + s3 + s4 + s5 + s6 + s7)
}
