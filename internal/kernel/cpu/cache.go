package cpu

import (
	"encoding/binary"
	"fmt"
	"math"
	"unsafe"

	"github.com/plinth-ml/plinth/internal/gemm"
	"github.com/plinth-ml/plinth/internal/kernel"
	"github.com/plinth-ml/plinth/internal/quant"
	"github.com/plinth-ml/plinth/internal/vec"
)

// whole rounds keys up to whole vectors of every product's panel, so that no product of a tile has a tail. A tile is whole vectors, and what stands
// behind the last key belongs to nobody.
func whole(keys int) int { return (keys + 31) &^ 31 }

// codes returns b as 8-bit numbers.
func codes(b []byte) []int8 {
	return unsafe.Slice((*int8)(unsafe.Pointer(unsafe.SliceData(b))), len(b))
}

// halves returns b, whose address is even, as half-precision bits.
func halves(b []byte) []uint16 {
	return unsafe.Slice((*uint16)(unsafe.Pointer(unsafe.SliceData(b))), len(b)/2)
}

// encodeQ8 stores 32 numbers as a block of Q8_0. Codes cannot say that one of them is not finite: then all are NaN, by their scale.
func encodeQ8(block []byte, x []float32) {
	if !vec.AllFinite(x[:32]) {
		clear(block)
		binary.LittleEndian.PutUint16(block, vec.ToF16(float32(math.NaN())))
		return
	}
	quant.Q8_0.Encode(block, x[:32])
}

// remember stores the new keys and values of sequence s and one key head in the cache. A key is rounded in the place of its value.
func (t *attn) remember(w *scratch, s, kv int) {
	c, Q := t.cache, t.queries[s]
	for i := range Q.Len {
		at := t.keys[s].Len - Q.Len + i
		row := at % c.Rows
		keys, values := c.Head(c.Tables[s][at/c.Rows], kv)
		k, v := t.k[(Q.Start+i)*t.ldk+kv*t.d:][:t.d], t.v[(Q.Start+i)*t.ldv+kv*t.d:][:t.d]
		switch W := c.Width(); c.DType {
		case kernel.F32:
			dst := keys.F32()
			for col, x := range k {
				dst[col*c.Rows+row] = x
			}
			copy(values.F32()[row*W:], v)
		case kernel.F16:
			vec.F16FromF32(values.F16()[row*W:][:t.d], k)
			dst := keys.F16()
			for col, x := range values.F16()[row*W:][:t.d] {
				dst[col*c.Rows+row] = x
			}
			vec.F16FromF32(values.F16()[row*W:][:t.d], v)
		case kernel.Q8_0:
			x := w.floats(32)
			for col := 0; col < t.d; col += 32 {
				block := values.Bytes()[(row*W+col)/32*34:][:34]
				clear(x[copy(x, k[col:]):])
				encodeQ8(block, x)
				group := keys.Bytes()[col/32*34*c.Rows:]
				copy(group[2*row:], block[:2])
				for j, code := range block[2:] {
					group[(2+j)*c.Rows+row] = code
				}
				clear(x[copy(x, v[col:]):])
				encodeQ8(block, x)
			}
		default:
			panic(fmt.Sprintf("cpu: Attention: a cache of %s", c.DType))
		}
	}
}

// fetchCached asks for the last tile of a key head: its new keys stand in as many lines as a key has elements. A cache of blocks is small enough without.
func (t *attn) fetchCached(s, kv int) {
	c, last := t.cache, t.keys[s].Len-1
	if c.DType == kernel.Q8_0 || last < 0 {
		return
	}
	at := last / keyTile * keyTile
	keys, values := c.Head(c.Tables[s][at/c.Rows], kv)
	per := 4 / c.DType.Bytes(1) // elements in four bytes
	n, row := (last-at+per)/per, at%c.Rows
	vec.Fetch(floats(keys)[row/per:], c.Rows/per, t.d, n)
	vec.Fetch(floats(values)[row*c.Width()/per:], 0, 1, (last+1-at)*c.Width()/per)
}

// floats returns the memory of b, of a number of bytes that four divides, as numbers of 32 bits.
func floats(b kernel.Buf) []float32 {
	x := b.Bytes()
	return unsafe.Slice((*float32)(unsafe.Pointer(unsafe.SliceData(x))), len(x)/4)
}

// cached returns the transposed keys [D, whole(k1-k0)] and the values [k1-k0, D] of a tile of the cache. Those of a narrower type are widened into
// buf, whose size widened tells: the products are the same for every type.
func (t *attn) cached(e *engine, w *scratch, buf []float32, s, kv, k0, k1 int, pack bool) (kT, v operand) {
	c, D, W, n := t.cache, t.d, t.cache.Width(), k1-k0
	keys, values := c.Head(c.Tables[s][k0/c.Rows], kv)
	row, m := k0%c.Rows, whole(n)
	kb, vb, ld := buf, buf, c.Rows
	if c.DType == kernel.F32 {
		kb, vb = keys.F32()[row:], values.F32()[row*W:]
	} else {
		kb, vb, ld = buf[:W*keyTile], buf[W*keyTile:], keyTile
	}
	switch c.DType {
	case kernel.F16:
		src := keys.F16()[row:]
		if m == c.Rows {
			vec.F32FromF16(kb[:D*m], src)
		} else {
			for col := range D {
				vec.F32FromF16(kb[col*keyTile:][:m], src[col*c.Rows:])
			}
		}
		vec.F32FromF16(vb[:n*W], values.F16()[row*W:])
	case kernel.Q8_0:
		scales := buf[2*W*keyTile:][:m]
		for col := range D {
			group := keys.Bytes()[col/32*34*c.Rows:][:34*c.Rows]
			if col%32 == 0 {
				vec.F32FromF16(scales, halves(group[2*row:]))
			}
			vec.MulI8(kb[col*keyTile:][:m], codes(group[(2+col%32)*c.Rows+row:]), scales)
		}
		vec.F32FromQ8(vb[:n*W], values.Bytes()[row*W/32*34:])
	}
	kT = w.operand(e, 0, kb, ld, false, D, m, pack)
	v = w.operand(e, 1, vb, W, false, n, D, pack)
	return kT, v
}

// widened is the floats that cached needs.
func (t *attn) widened() int {
	if t.cache == nil || t.cache.DType == kernel.F32 {
		return 0
	}
	return (2*t.cache.Width() + 1) * keyTile
}

// few reports whether a block of so many rows reads keys and values as they are stored, tile after tile: the bits are those of widened ones.
func (t *attn) few(e *engine, rows int) bool {
	return t.widened() > 0 && t.d%32 == 0 && t.d <= gemm.KC && e.kern.HasFew(rows)
}

// fewScores sets p [m, n] to the scaled products of m rows of q from the given one on with the keys of the tile at k0.
func (t *attn) fewScores(e *engine, p []float32, q view, at, m, n, s, kv, k0 int) {
	c := t.cache
	keys, _ := c.Head(c.Tables[s][k0/c.Rows], kv)
	x := gemm.Few{M: m, N: n, K: t.d, A: q.from(at), LDA: q.ld, C: p, LDC: keyTile, Alpha: t.scale}
	if row := k0 % c.Rows; c.DType == kernel.F16 {
		x.B, x.LDB, x.Stored = keys.Bytes()[2*row:], 2*c.Rows, gemm.F16
	} else {
		x.B, x.LDB, x.Stored, x.Col = keys.Bytes(), c.Rows, gemm.Q8Keys, row
	}
	e.kern.Few(&x)
}

// fewValues adds to m rows of o from the given one on the products of p [m, n] with the values of the tile at k0.
func (t *attn) fewValues(e *engine, o view, p []float32, at, m, n, s, kv, k0 int) {
	c := t.cache
	_, values := c.Head(c.Tables[s][k0/c.Rows], kv)
	x := gemm.Few{M: m, N: t.d, K: n, A: p, LDA: keyTile, C: o.from(at), LDC: o.ld, LDB: c.DType.Bytes(c.Width()), Alpha: 1, Accumulate: true}
	x.B, x.Stored = values.Bytes()[k0%c.Rows*x.LDB:], gemm.Q8Values
	if c.DType == kernel.F16 {
		x.Stored = gemm.F16
	}
	e.kern.Few(&x)
}

// fewFinite reports whether the values of keys [k0, k1) of one tile are finite. The scale of a block tells for its codes.
func (t *attn) fewFinite(s, kv, k0, k1 int) bool {
	const infinite = 0x7c00 // the exponent of half precision that infinities and NaN have
	c := t.cache
	_, values := c.Head(c.Tables[s][k0/c.Rows], kv)
	row := c.DType.Bytes(c.Width())
	b := values.Bytes()[k0%c.Rows*row:][:(k1-k0)*row]
	step := 2
	if c.DType == kernel.Q8_0 {
		step = 34
	}
	for ; len(b) > 0; b = b[step:] {
		if binary.LittleEndian.Uint16(b)&infinite == infinite {
			return false
		}
	}
	return true
}
