package quant

import (
	"fmt"
	"math"
)

// Activations are rows of K numbers, quantised for products with weights of one format: each block of the format's length has a scale
// and signed codes of -127..127. The zero value is ready for Reset.
type Activations struct {
	format  Format
	Rows, K int

	code  []int8    // [Rows, K]
	scale []float32 // [Rows, blocks]: a number is about scale·code
	sum   []int16   // [Rows, blocks, sub-blocks]: sums of codes; only where blocks have sub-blocks
	start []int32   // [Rows, blocks, sub-blocks]: -Bias·sum of codes; not for formats with minima, whose bias is 0
}

// shape tells how a product sees a format.
type shape struct {
	elements int   // of a block
	sub      int   // elements of a sub-block
	bias     int32 // of codes
	minima   bool
}

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
	a.code = room(a.code, rows*k)
	a.scale = room(a.scale, rows*(k/s.elements))
	a.sum, a.start = a.sum[:0], a.start[:0]
	if s.elements > s.sub {
		a.sum = room(a.sum, rows*(k/s.sub))
	}
	if !s.minima {
		a.start = room(a.start, rows*(k/s.sub))
	}
}

func room[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}

// faint is the magnitude below which a block counts as zero: its inverse scale would overflow.
const faint = 0x1p-100

// blockScale returns the scale of a block whose largest magnitude is amax, and its inverse. Where there is an infinity or a NaN, the scale is
// NaN and the codes are 0.
func blockScale(amax float32) (d, id float32) {
	switch {
	case !(amax <= math.MaxFloat32):
		return float32(math.NaN()), 0
	case amax < faint:
		return 0, 0
	}
	return amax / 127, 127 / amax
}

// quantizeGo stores row x [K] as row i.
func (a *Activations) quantizeGo(i int, x []float32) {
	s := a.format.shape()
	for b := 0; b*s.elements < a.K; b++ {
		x, at := x[b*s.elements:(b+1)*s.elements], i*a.K+b*s.elements
		top := uint32(0) // magnitudes compare as integers, NaN is above infinity
		for _, v := range x {
			top = max(top, math.Float32bits(v)&^(1<<31))
		}
		d, id := blockScale(math.Float32frombits(top))
		a.scale[at/s.elements] = d
		for j, v := range x {
			c := int8(0)
			if id != 0 {
				c = int8(nearest(v * id))
			}
			a.code[at+j] = c
		}
	}
	a.addUp(i)
}

// addUp fills in the sums of row i.
func (a *Activations) addUp(i int) {
	s := a.format.shape()
	for j := i * a.K / s.sub; j < (i+1)*a.K/s.sub; j++ {
		sum := int32(0)
		for _, c := range a.code[j*s.sub : (j+1)*s.sub] {
			sum += int32(c)
		}
		if len(a.sum) > 0 {
			a.sum[j] = int16(sum)
		}
		if len(a.start) > 0 {
			a.start[j] = -s.bias * sum
		}
	}
}
