package ref

import (
	"fmt"
	"math"

	"github.com/plinth-ml/plinth/internal/kernel"
	"github.com/plinth-ml/plinth/internal/quant"
)

// sheet is a head's keys or values in a page of a cache: rows are positions, columns the head's elements.
type sheet struct {
	buf
	keys  bool
	rows  int // of a page
	width int
}

// heads of a page: its keys and values.
func page(c *kernel.Cache, number int32, head int) (k, v sheet) {
	keys, values := c.Head(number, head)
	return sheet{keys, true, c.Rows, c.Width()}, sheet{values, false, c.Rows, c.Width()}
}

// place is where element (row, col) is, counted in elements.
func (s sheet) place(row, col int) int {
	if s.keys {
		return col*s.rows + row
	}
	return row*s.width + col
}

// block is where the scale and the first code of columns [32·group, 32·group+32) of a row are in Q8_0, in bytes, and how far apart the codes.
func (s sheet) block(row, group int) (scale, code, step int) {
	if s.keys {
		at := group * 34 * s.rows
		return at + 2*row, at + 2*s.rows + row, s.rows
	}
	at := (row*s.width/32 + group) * 34
	return at, at + 2, 1
}

// half is the F16 number at the start of b.
func half(b []byte) float64 {
	var v [1]float32
	quant.F16.Decode(v[:], b[:2])
	return float64(v[0])
}

// get is element (row, col).
func (s sheet) get(row, col int) float64 {
	switch at := s.place(row, col); s.DType() {
	case kernel.F32:
		return float64(s.F32()[at])
	case kernel.F64:
		return s.F64()[at]
	case kernel.F16:
		return half(s.Bytes()[2*at:])
	case kernel.Q8_0:
		scale, code, step := s.block(row, col/32)
		return half(s.Bytes()[scale:]) * float64(int8(s.Bytes()[code+col%32*step]))
	}
	panic(fmt.Sprintf("ref: Attention: a cache of %s", s.DType()))
}

// encodeQ8 stores x [32] as a block of Q8_0; where a number is not finite, all become NaN.
func encodeQ8(block []byte, x []float32) {
	quant.Q8_0.Encode(block, x)
	for _, v := range x {
		if v-v != 0 {
			clear(block)
			quant.F16.Encode(block[:2], []float32{float32(math.NaN())})
		}
	}
}

// put stores x as a row.
func (s sheet) put(row int, x []float64) {
	whole, b := make([]float32, s.width), make([]byte, 34)
	for i, v := range x {
		whole[i] = float32(v)
	}
	for col, v := range x {
		switch at := s.place(row, col); s.DType() {
		case kernel.F32:
			s.F32()[at] = float32(v)
		case kernel.F64:
			s.F64()[at] = v
		case kernel.F16:
			quant.F16.Encode(s.Bytes()[2*at:][:2], whole[col:col+1])
		case kernel.Q8_0:
			if col%32 == 0 {
				encodeQ8(b, whole[col:col+32])
				scale, code, step := s.block(row, col/32)
				copy(s.Bytes()[scale:], b[:2])
				for i, c := range b[2:] {
					s.Bytes()[code+i*step] = c
				}
			}
		}
	}
}

// remember stores the new keys and values of a call in its cache, where it has some, and returns the call on dense keys and values read from there.
func remember[T float](op string, a *kernel.Attention) *kernel.Attention {
	c, D := a.Cache, a.HeadDim
	c.Check(op, a)
	k, v := of[T](a.K), of[T](a.V)
	ldk, ldv := dense(a.LDK, a.KVHeads*D), dense(a.LDV, a.KVHeads*D)
	row, all := make([]float64, D), 0
	each := func(s, i, head int, f func(k, v sheet, row int)) {
		keys, values := page(c, c.Tables[s][i/c.Rows], head)
		f(keys, values, i%c.Rows)
	}
	load := func(x []T) []float64 {
		for i := range row {
			row[i] = float64(x[i])
		}
		return row
	}
	for s, Q := range a.Queries {
		for j := 0; j < Q.Len && k != nil; j++ {
			for head := range a.KVHeads {
				each(s, a.Keys[s].Len-Q.Len+j, head, func(keys, values sheet, at int) {
					keys.put(at, load(k[(Q.Start+j)*ldk+head*D:]))
					values.put(at, load(v[(Q.Start+j)*ldv+head*D:]))
				})
			}
		}
		all += a.Keys[s].Len
	}
	b := *a
	b.Cache, b.LDK, b.LDV, b.Keys = nil, 0, 0, nil
	width, from := a.KVHeads*D, 0
	if a.Q.None() {
		return &b
	}
	b.K, b.V = kernel.Alloc(a.Q.DType(), all*width), kernel.Alloc(a.Q.DType(), all*width)
	k, v = of[T](b.K), of[T](b.V)
	for s, K := range a.Keys {
		for i := range K.Len {
			for head := range a.KVHeads {
				each(s, i, head, func(keys, values sheet, at int) {
					for col := range D {
						k[(from+i)*width+head*D+col] = T(keys.get(at, col))
						v[(from+i)*width+head*D+col] = T(values.get(at, col))
					}
				})
			}
		}
		b.Keys = append(b.Keys, kernel.Span{Start: from, Len: K.Len})
		from += K.Len
	}
	return &b
}
