package quant

import (
	"fmt"
	"math"
	"unsafe"

	"github.com/plinth-ml/plinth/internal/vec"
)

// Activations are rows of K numbers, quantised for products with weights of one format: each block of the format's length has a scale
// and signed codes of -127..127. The zero value is ready for Reset.
//
// Rows lie in groups, so that a group goes through the weights together: [groups, blocks, group, ...]. A last group that is not full is filled up with zeros.
type Activations struct {
	format  Format
	Rows, K int

	group, blocks int
	code          []int8    // [slots, elements]
	scale         []float32 // [slots]: a number is about scale·code
	sum           []int16   // [slots, sub-blocks]: sums of codes, for blocks of 256
	start         []int32   // [slots]: -Bias·sum of codes, for blocks of 32
}

const (
	groupRows = 8 // of activations in a group, when there are more than fewRows
	fewRows   = 3 // so many at most go through the weights one after the other: the group is as large as the rows are
)

// shape tells how a product sees a format.
type shape struct {
	elements int   // of a block
	sub      int   // elements of a sub-block
	bias     int32 // of codes
	minima   bool
}

// subs is the number of sub-blocks.
func (s shape) subs() int { return s.elements / s.sub }

func (f Format) shape() shape {
	switch f {
	case Q8_0:
		return shape{32, 32, 128, false}
	case Q4_0:
		return shape{32, 32, 8, false}
	case Q4_K, Q5_K:
		return shape{block, 32, 0, true}
	case Q6_K:
		return shape{block, 16, 32, false}
	}
	panic(fmt.Sprintf("quant: no product on %s", f))
}

// Reset makes room for rows of k elements, whole blocks, to be multiplied with weights of format f: one of Q8_0, Q4_0, Q4_K, Q5_K, Q6_K.
func (a *Activations) Reset(f Format, rows, k int) {
	s := f.shape()
	if rows < 0 || k < 0 || k%s.elements != 0 {
		panic(fmt.Sprintf("quant: %d rows of %d elements for %s", rows, k, f))
	}
	a.format, a.Rows, a.K = f, rows, k
	a.group, a.blocks = groupRows, k/s.elements
	if rows <= fewRows {
		a.group = max(rows, 1)
	}
	slots := (rows + a.group - 1) / a.group * a.group * a.blocks
	a.code = room(a.code, slots*s.elements)
	a.scale = room(a.scale, slots)
	a.sum, a.start = a.sum[:0], a.start[:0]
	if s.elements == s.sub {
		a.start = room(a.start, slots)
	} else {
		a.sum = room(a.sum, slots*s.subs())
	}
	if fill := rows % a.group; fill != 0 {
		for b := range a.blocks {
			at := a.slot(rows-1, b) + 1
			end := at + a.group - fill
			clear(a.code[at*s.elements : end*s.elements])
			clear(a.scale[at:end])
			if s.elements == s.sub {
				clear(a.start[at:end])
			} else {
				clear(a.sum[at*s.subs() : end*s.subs()])
			}
		}
	}
}

// slot is the place of block b of row i.
func (a *Activations) slot(i, b int) int { return (i/a.group*a.blocks+b)*a.group + i%a.group }

// sums is where a product finds the sums of codes from a slot on, and their bytes in a slot.
func (a *Activations) sums(at int) (p unsafe.Pointer, size int) {
	if s := a.format.shape(); s.subs() > 1 {
		return unsafe.Pointer(&a.sum[at*s.subs()]), 2 * s.subs()
	}
	return unsafe.Pointer(&a.start[at]), 4
}

func room[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}

// faint is the magnitude below which a block counts as zero: its inverse scale would overflow.
const faint = 0x1p-100

// beyondHalf is the magnitude from which on the scale of a block of 32 is too large for half precision: it is left as it is.
const beyondHalf = 127 * 65520

// blockScale returns the scale of a block whose largest magnitude is amax, and what its numbers are multiplied with to give codes. Both are ggml's, to
// the bit (quantize_row_q8_0 and quantize_row_q8_K; the latter negates both where the largest number is positive, which changes no product): scales of 32 are
// stored there in half precision. Where there is an infinity or a NaN, the scale is NaN and the codes are 0.
func (s shape) blockScale(amax float32) (d, id float32) {
	switch {
	case !(amax <= math.MaxFloat32):
		return float32(math.NaN()), 0
	case amax < faint:
		return 0, 0
	}
	id = 127 / amax
	switch {
	case s.elements == block:
		return 1 / id, id
	case amax >= beyondHalf:
		return amax / 127, id
	}
	return vec.F16(vec.ToF16(amax / 127)), id
}

// quantizeGo stores row x [K] as row i.
func (a *Activations) quantizeGo(i int, x []float32) {
	s := a.format.shape()
	for b := range a.blocks {
		x, at := x[b*s.elements:(b+1)*s.elements], a.slot(i, b)
		top := uint32(0) // magnitudes compare as integers, NaN is above infinity
		for _, v := range x {
			top = max(top, math.Float32bits(v)&^(1<<31))
		}
		d, id := s.blockScale(math.Float32frombits(top))
		a.scale[at] = d
		code := a.code[at*s.elements:][:s.elements]
		if id == 0 {
			clear(code)
		} else {
			for j, v := range x {
				code[j] = int8(nearest(v * id))
			}
		}
		for j := range s.subs() {
			sum := int32(0)
			for _, c := range code[j*s.sub : (j+1)*s.sub] {
				sum += int32(c)
			}
			if s.elements == s.sub {
				a.start[at] = -s.bias * sum
			} else {
				a.sum[at*s.subs()+j] = int16(sum)
			}
		}
	}
}
