package quant

import (
	"fmt"
	"math"
)

// Inner products of one vector with many rows of 8 bits, for searching: the rows are read once, at the speed of memory, and the vector has 16 bits,
// so that all of the error comes from the rows.

// ScanUnit is what the bytes of a row of codes are a multiple of.
const ScanUnit = 64

// MaxScan is the most numbers in a row: their sums fit 32 bits.
const MaxScan = 1 << 16

// queryTop is the largest magnitude of a query's numbers of 16 bits: 127·256, so that both bytes are signed.
const queryTop = 127 << 8

// scanRows is the number of rows that a scanFunc takes at once, each of a stream of its own: memory is busier with four far apart than with one (docs/LOG.md).
const scanRows = 4

// scanFunc writes float32(256·(Σ code·hi - hi0) + (Σ code·lo - lo0)) for the rows of scanRows streams. Rows of n codes, a multiple of ScanUnit, follow each
// other in a stream; streams are stride bytes apart, and their results apart bytes.
type scanFunc func(dst *float32, code *uint8, stride, rows, n int, hi, lo *int8, hi0, lo0 int32, apart int)

// ScanQuery is a vector in 16 bits: number i is about Scale·(256·hi[i] + lo[i]), with an error of at most Scale/2, but for rounding.
type ScanQuery struct {
	Scale    float32
	hi, lo   []int8 // filled up with zeros
	hi0, lo0 int32  // 128·sum
}

// Set makes q the vector x, whose numbers are finite.
func (q *ScanQuery) Set(x []float32) {
	if len(x) > MaxScan {
		panic(fmt.Sprintf("quant: a query of %d numbers, the most are %d", len(x), MaxScan))
	}
	n := ScanStride(len(x))
	q.hi, q.lo, q.hi0, q.lo0 = room(q.hi, n), room(q.lo, n), 0, 0
	clear(q.hi)
	clear(q.lo)
	top := math.Float32frombits(magnitude(0, x))
	q.Scale = max(top/queryTop, faint) // of subnormal numbers nothing is left
	for i, v := range x {
		c := int32(math.RoundToEven(float64(v) / float64(q.Scale)))
		c = max(-queryTop, min(queryTop, c))
		q.lo[i] = int8(c)
		q.hi[i] = int8((c - int32(q.lo[i])) >> 8)
		q.hi0 += 128 * int32(q.hi[i])
		q.lo0 += 128 * int32(q.lo[i])
	}
}

// ScanStride returns the bytes of a row of n codes.
func ScanStride(n int) int { return (n + ScanUnit - 1) / ScanUnit * ScanUnit }

// ScanCodes stores x as codes, of which number i is about scale·(code[i]-128); what code has beyond x is filled up with 128, a zero.
func ScanCodes(code []uint8, x []float32) (scale float32) {
	scale, inverse := scale8(magnitude(0, x))
	for i := range code {
		code[i] = 128
		if i < len(x) && inverse != 0 {
			code[i] = uint8(nearest(x[i]*inverse) + 128)
		}
	}
	return scale
}

// Scan writes to dst the sums of (code-128)·(256·hi+lo) of rows of codes that follow each other, in integers, and each half rounded once to float32 before the
// two are joined: the relative error is at most 2^-22 of the sum of the products' magnitudes. All variants give the same bits.
func (k *Kernel) Scan(dst []float32, code []uint8, q *ScanQuery) {
	n := len(q.hi)
	if len(code) < len(dst)*n {
		panic(fmt.Sprintf("quant: %d bytes for %d rows of %d", len(code), len(dst), n))
	}
	if n == 0 {
		clear(dst)
		return
	}
	if k.scan == nil {
		scanGo(dst, code, q)
		return
	}
	rows := len(dst) / scanRows
	if rows > 0 {
		k.scan(&dst[0], &code[0], rows*n, rows, n, &q.hi[0], &q.lo[0], q.hi0, q.lo0, 4*rows)
	}
	for r := rows * scanRows; r < len(dst); r++ {
		var y [scanRows]float32
		k.scan(&y[0], &code[r*n], 0, 1, n, &q.hi[0], &q.lo[0], q.hi0, q.lo0, 4)
		dst[r] = y[0]
	}
}

func scanGo(dst []float32, code []uint8, q *ScanQuery) {
	n := len(q.hi)
	for r := range dst {
		hi, lo := -q.hi0, -q.lo0
		for i, c := range code[r*n : (r+1)*n] {
			hi += int32(c) * int32(q.hi[i])
			lo += int32(c) * int32(q.lo[i])
		}
		dst[r] = float32(256*float32(hi)) + float32(lo)
	}
}
