package quant

import (
	"fmt"
	"math"

	"github.com/plinth-ml/plinth/internal/vec"
)

// Products of 8 bits whose operands have one scale for each row and column: codes are summed over all of K in integers, so that nothing but the
// multiply-adds is left in the loop. Blocks of their own, as in Q8_0, keep more of a row with outliers; whole rows are faster.

const (
	int8Rows  = 12 // rows and columns of a tile
	int8Cols  = 32
	int8Depth = 16 // K is filled up to a multiple

	maxInt8K = 1 << 16 // so that sums of products fit 32 bits
)

// Int8Weights is the right side op(B) [K, N]: number [k, n] is about scale[n]·(code-128).
type Int8Weights struct {
	K, N  int
	depth int
	code  []uint8   // [panels, depth/4, int8Cols, 4]
	scale []float32 // [panels·int8Cols]
}

// Int8Rows is the left side A [M, K]: number [m, k] is about scale[m]·code. The zero value is ready for Reset.
type Int8Rows struct {
	M, K  int
	depth int
	code  []int8    // [M filled up to tiles, depth]
	scale []float32 // [M filled up]
	start []int32   // -128·sum of codes
}

// scale8 returns the scale of numbers whose largest magnitude has the bits top, and what they are multiplied with to give codes of -127..127. Where
// there is an infinity or a NaN the scale is NaN and the codes are 0.
func scale8(top uint32) (scale, inverse float32) {
	amax := math.Float32frombits(top)
	switch {
	case !(amax <= math.MaxFloat32):
		return float32(math.NaN()), 0
	case amax < faint:
		return 0, 0
	}
	return amax / 127, 127 / amax
}

// magnitude is the largest of top and the magnitudes of x, as bits: NaN is above infinity.
func magnitude(top uint32, x []float32) uint32 {
	for _, v := range x {
		top = max(top, math.Float32bits(v)&^(1<<31))
	}
	return top
}

// codes8 stores the codes of x and returns their sum.
func codes8(code []int8, x []float32, inverse float32) (sum int32) {
	for i, v := range x {
		code[i] = 0
		if inverse != 0 {
			code[i] = int8(nearest(v * inverse))
		}
		sum += int32(code[i])
	}
	return sum
}

// Set stores op(B) [k, n]: b is [k, n], or [n, k] with trans.
func (w *Int8Weights) Set(b []float32, trans bool, k, n int) {
	if k < 0 || k > maxInt8K || n < 0 || len(b) < k*n {
		panic(fmt.Sprintf("quant: %d numbers for weights [%d, %d] of 8 bits; at most %d rows", len(b), k, n, maxInt8K))
	}
	w.K, w.N, w.depth = k, n, (k+int8Depth-1)/int8Depth*int8Depth
	panels := (n + int8Cols - 1) / int8Cols
	w.code, w.scale = room(w.code, panels*int8Cols*w.depth), room(w.scale, panels*int8Cols)
	for i := range w.code {
		w.code[i] = 128
	}
	clear(w.scale)
	column, code := make([]float32, k), make([]int8, k)
	for j := range n {
		if trans {
			column = b[j*k : (j+1)*k]
		} else {
			for i := range column {
				column[i] = b[i*n+j]
			}
		}
		scale, inverse := scale8(magnitude(0, column))
		codes8(code, column, inverse)
		w.scale[j] = scale
		panel := w.code[j/int8Cols*int8Cols*w.depth:]
		for i, c := range code {
			panel[i/4*4*int8Cols+j%int8Cols*4+i%4] = uint8(int(c) + 128)
		}
	}
}

// Reset makes room for m rows of k numbers.
func (a *Int8Rows) Reset(m, k int) {
	a.M, a.K, a.depth = m, k, (k+int8Depth-1)/int8Depth*int8Depth
	slots := (m + int8Rows - 1) / int8Rows * int8Rows
	a.code, a.scale, a.start = room(a.code, slots*a.depth), room(a.scale, slots), room(a.start, slots)
	clear(a.code[m*a.depth:])
	clear(a.scale[m:])
	clear(a.start[m:])
}

// QuantizeInt8 stores x [K] as row i of a. Rows may be stored by several goroutines.
func (k *Kernel) QuantizeInt8(a *Int8Rows, i int, x []float32) {
	if i < 0 || i >= a.M || len(x) != a.K {
		panic(fmt.Sprintf("quant: row %d of %d numbers for %d rows of %d", i, len(x), a.M, a.K))
	}
	code := a.code[i*a.depth : (i+1)*a.depth]
	whole := 0
	top, sum := uint32(0), int32(0)
	if k.int8 != nil {
		whole = len(x) &^ 15
	}
	if whole > 0 {
		top = k.int8.magnitude(&x[0], whole)
	}
	scale, inverse := scale8(magnitude(top, x[whole:]))
	if whole > 0 {
		sum = k.int8.codes(&code[0], &x[0], whole, inverse)
	}
	sum += codes8(code[whole:], x[whole:], inverse)
	clear(code[len(x):])
	a.scale[i], a.start[i] = scale, -128*sum
}

// Int8Product is C = A·W + Bias for rows [From, To) of A and columns [N0, N1) of W. From and N0 are multiples of a tile. An element is
// fma(float(sum of codes' products)·scale of the row, scale of the column, bias).
type Int8Product struct {
	A        *Int8Rows
	W        *Int8Weights
	From, To int
	N0, N1   int
	C        []float32 // C[i, n] is C[i*LDC+n]
	LDC      int
	Bias     []float32 // [N] or nil
}

// int8Kernel is what a variant does in assembly.
type int8Kernel struct {
	magnitude func(x *float32, n int) uint32                                                                   // n a multiple of 16, above 0
	codes     func(code *int8, x *float32, n int, inverse float32) int32                                       // as codes8
	tile      func(c *float32, ldc, depth int, w *uint8, a *int8, start *int32, aScale, wScale, bias *float32) // ldc in bytes
}

// Int8Tile is the rows and columns that From and N0 are multiples of.
const (
	Int8TileRows = int8Rows
	Int8TileCols = int8Cols
)

// HasInt8 tells whether the variant has products of 8 bits with whole rows in assembly, which is what they are for.
func (k *Kernel) HasInt8() bool { return k.int8 != nil }

// MulInt8 computes p. s may be used by one call at a time.
func (k *Kernel) MulInt8(s *Scratch, p *Int8Product) {
	a, w := p.A, p.W
	if a.K != w.K || p.From%int8Rows != 0 || p.N0%int8Cols != 0 || p.From < 0 || p.To > a.M || p.N0 < 0 || p.N1 > w.N ||
		p.From < p.To && p.N0 < p.N1 && (p.LDC < p.N1 || (p.To-1)*p.LDC+p.N1 > len(p.C)) || p.Bias != nil && len(p.Bias) < p.N1 {
		panic(fmt.Sprintf("quant: rows [%d, %d) of [%d, %d], columns [%d, %d) of [%d, %d], C of %d in rows of %d", p.From, p.To, a.M, a.K, p.N0, p.N1, w.K, w.N, len(p.C), p.LDC))
	}
	if a.depth == 0 {
		for i := p.From; i < p.To; i++ {
			for n := p.N0; n < p.N1; n++ {
				p.C[i*p.LDC+n] = p.bias(n)
			}
		}
		return
	}
	for n := p.N0; n < p.N1; n += int8Cols {
		cols := min(int8Cols, p.N1-n)
		var bias *float32
		switch {
		case p.Bias == nil:
			bias = &s.none[0]
		case cols < int8Cols:
			copy(s.bias[:], p.Bias[n:n+cols])
			bias = &s.bias[0]
		default:
			bias = &p.Bias[n]
		}
		for i := p.From; i < p.To; i += int8Rows {
			rows := min(int8Rows, p.To-i)
			c, ldc := &s.tile[0], int8Cols
			if rows == int8Rows && cols == int8Cols {
				c, ldc = &p.C[i*p.LDC+n], p.LDC
			}
			if k.int8 == nil {
				p.tileGo(i, n, rows, cols)
				continue
			}
			k.int8.tile(c, 4*ldc, a.depth, &w.code[n*w.depth], &a.code[i*a.depth], &a.start[i], &a.scale[i], &w.scale[n], bias)
			if c == &s.tile[0] {
				for r := range rows {
					copy(p.C[(i+r)*p.LDC+n:][:cols], s.tile[r*int8Cols:])
				}
			}
		}
	}
}

func (p *Int8Product) bias(n int) float32 {
	if p.Bias == nil {
		return 0
	}
	return p.Bias[n]
}

// tileGo computes a tile as the definition says.
func (p *Int8Product) tileGo(i0, n0, rows, cols int) {
	a, w := p.A, p.W
	for i := i0; i < i0+rows; i++ {
		for n := n0; n < n0+cols; n++ {
			panel, sum := w.code[n/int8Cols*int8Cols*w.depth:], a.start[i]
			for k, c := range a.code[i*a.depth:][:a.K] {
				sum += int32(c) * int32(panel[k/4*4*int8Cols+n%int8Cols*4+k%4])
			}
			p.C[i*p.LDC+n] = vec.FMA(float32(float32(sum)*a.scale[i]), w.scale[n], p.bias(n))
		}
	}
}
