package quant

import "math"

// The encoders follow ggml's reference functions operation by operation: every product and sum is rounded by itself, in their order.

// tiny is the largest magnitude below which Q6_K takes a block for zero.
const tiny = 1e-15

func abs(x float32) float32 { return math.Float32frombits(math.Float32bits(x) &^ (1 << 31)) }

// nearest rounds to the nearest integer, even in ties, for |x| < 2^22: adding 1.5·2^23 leaves it in the low bits.
func nearest(x float32) int {
	return int(math.Float32bits(float32(x)+12582912)&0x7fffff) - 0x400000
}

// round rounds to the nearest integer, away from zero in ties.
func round(x float32) int {
	if x < 0 {
		return -int(0.5 - float64(x))
	}
	return int(float64(x) + 0.5)
}

// inverse is 1/x, 0 for 0.
func inverse(x float32) float32 {
	if x == 0 {
		return 0
	}
	return 1 / x
}

// largest returns the element of the largest magnitude, the first of several; 0 when all are.
func largest(x []float32) (max float32) {
	top := float32(0)
	for _, v := range x {
		if a := abs(v); a > top {
			top, max = a, v
		}
	}
	return max
}

func encodeQ8_0(dst []byte, src []float32) {
	for ; len(src) > 0; dst, src = dst[34:], src[32:] {
		d := abs(largest(src[:32])) / 127
		id := inverse(d)
		putHalf(dst, d)
		for i, v := range src[:32] {
			dst[2+i] = byte(round(v * id))
		}
	}
}

func encodeQ4_0(dst []byte, src []float32) {
	for ; len(src) > 0; dst, src = dst[18:], src[32:] {
		d := largest(src[:32]) / -8
		id := inverse(d)
		putHalf(dst, d)
		code := func(v float32) byte { return byte(min(15, int8(float32(v*id)+8.5))) }
		for i := range 16 {
			dst[2+i] = code(src[i]) | code(src[16+i])<<4
		}
	}
}

// fit is the search for the scale and minimum of a sub-block of 32: x ≈ scale·code - minimum with codes 0..top.
type fit struct {
	top    int // largest code
	low    float32
	step   float32
	steps  int // candidates for the inverse scale: (low + step·i + top) / (largest - minimum) for i = 0..steps
	weight [32]float32
	try    [32]uint8
}

// find writes the codes to code and returns scale and minimum, which is not negative.
func (f *fit) find(x []float32, code []uint8) (scale, minimum float32) {
	x, code = x[:32], code[:32]
	top, w := float32(f.top), &f.weight
	squares := float32(0)
	for _, v := range x {
		squares += float32(v * v)
	}
	mean := float32(math.Sqrt(float64(squares / 32)))
	lo, hi := x[0], x[0]
	var sumW, sumX float32
	for i, v := range x {
		w[i] = mean + abs(v)
		lo, hi = min(lo, v), max(hi, v)
		sumW += w[i]
		sumX += float32(w[i] * v)
	}
	if lo > 0 {
		lo = 0
	}
	if hi == lo {
		clear(code)
		return 0, -lo
	}
	inv := top / (hi - lo)
	scale = 1 / inv
	f.codes(code, x, inv, lo)
	best := f.err(x, code, scale, lo)
	for i := range f.steps + 1 {
		inv = (float32(f.low+float32(f.step*float32(i))) + top) / (hi - lo) // lo is the best so far
		f.codes(f.try[:], x, inv, lo)
		var sumL, sumL2, sumXL float32
		for i, c := range f.try {
			wl := float32(w[i] * float32(c))
			sumL += wl
			sumL2 += float32(wl * float32(c))
			sumXL += float32(wl * x[i])
		}
		det := float32(sumW*sumL2) - float32(sumL*sumL)
		if !(det > 0) {
			continue
		}
		s := (float32(sumW*sumXL) - float32(sumX*sumL)) / det
		m := (float32(sumL2*sumX) - float32(sumL*sumXL)) / det
		if m > 0 {
			m, s = 0, sumXL/sumL2
		}
		if e := f.err(x, f.try[:], s, m); e < best {
			copy(code, f.try[:])
			best, scale, lo = e, s, m
		}
	}
	return scale, -lo
}

func (f *fit) codes(code []uint8, x []float32, inv, lo float32) {
	for i, v := range x {
		code[i] = uint8(max(0, min(f.top, nearest(inv*(v-lo)))))
	}
}

// err is the weighted sum of the squared errors of scale·code + lo.
func (f *fit) err(x []float32, code []uint8, scale, lo float32) (sum float32) {
	for i, v := range x {
		d := float32(float32(scale*float32(code[i]))+lo) - v
		sum += float32(f.weight[i] * float32(d*d))
	}
	return sum
}

// encodeK finds the codes and fills in the first 16 bytes of a block of Q4_K or Q5_K: two scales and the 6-bit scales and minima.
func (f *fit) encodeK(dst []byte, x []float32, code *[block]uint8) {
	var scale, minimum [8]float32
	var topScale, topMin float32
	for j := range 8 {
		scale[j], minimum[j] = f.find(x[32*j:], code[32*j:])
		topScale, topMin = max(topScale, scale[j]), max(topMin, minimum[j])
	}
	inv := func(top float32) float32 {
		if top > 0 {
			return 63 / top
		}
		return 0
	}
	invScale, invMin := inv(topScale), inv(topMin)
	s := dst[4:16]
	for j := range 8 {
		sc, m := min(63, byte(nearest(invScale*scale[j]))), min(63, byte(nearest(invMin*minimum[j])))
		if j < 4 {
			s[j], s[4+j] = sc, m
		} else {
			s[4+j] = sc&15 | m<<4
			s[j-4] |= sc >> 4 << 6
			s[j] |= m >> 4 << 6
		}
	}
	d, dMin := putHalf(dst, topScale/63), putHalf(dst[2:], topMin/63)
	var u unpacked
	u.scalesK(s)
	for j := range 8 {
		d := d * float32(u.scale[j])
		if d == 0 {
			continue
		}
		m := float32(dMin * float32(u.min[j]))
		for i, v := range x[32*j : 32*j+32] {
			code[32*j+i] = uint8(max(0, min(f.top, nearest((v+m)/d))))
		}
	}
}

func encodeQ4_K(dst []byte, src []float32) {
	f := fit{top: 15, low: -1, step: 0.1, steps: 20}
	var code [block]uint8
	for ; len(src) > 0; dst, src = dst[144:], src[block:] {
		f.encodeK(dst, src, &code)
		for j := range 4 {
			for i := range 32 {
				dst[16+32*j+i] = code[64*j+i] | code[64*j+32+i]<<4
			}
		}
	}
}

func encodeQ5_K(dst []byte, src []float32) {
	f := fit{top: 31, low: -0.5, step: 0.1, steps: 15}
	var code [block]uint8
	for ; len(src) > 0; dst, src = dst[176:], src[block:] {
		f.encodeK(dst, src, &code)
		clear(dst[16:48])
		for j := range 4 {
			for i := range 32 {
				a, b := code[64*j+i], code[64*j+32+i]
				dst[48+32*j+i] = a&15 | b<<4
				dst[16+i] |= (a>>4 | b>>4<<1) << (2 * j)
			}
		}
	}
}

// fitSigned finds codes 0..63 of a sub-block of 16 for x ≈ scale·(code - 32), with squared errors weighted by x².
func fitSigned(x []float32, code []uint8) (scale float32) {
	const top = 32
	peak := largest(x)
	if abs(peak) < tiny {
		clear(code)
		return 0
	}
	quantise := func(v, inv float32) int { return max(-top, min(top-1, nearest(inv*v))) }
	sums := func(inv float32) (lx, l2 float32) {
		for _, v := range x {
			l := float32(quantise(v, inv))
			w := float32(v * v)
			lx += float32(float32(w*v) * l)
			l2 += float32(float32(w*l) * l)
		}
		return lx, l2
	}
	store := func(inv float32) {
		for i, v := range x {
			code[i] = uint8(top + quantise(v, inv))
		}
	}
	inv := -top / peak
	store(inv)
	lx, l2 := sums(inv)
	if l2 != 0 {
		scale = lx / l2
	}
	best := scale * lx
	for i := -9; i <= 9; i++ {
		if i == 0 {
			continue
		}
		inv = -(top + float32(float32(0.1)*float32(i))) / peak
		if lx, l2 = sums(inv); l2 > 0 && float32(lx*lx) > float32(best*l2) {
			store(inv)
			scale = lx / l2
			best = scale * lx
		}
	}
	return scale
}

func encodeQ6_K(dst []byte, src []float32) {
	for ; len(src) > 0; dst, src = dst[210:], src[block:] {
		var code [block]uint8
		var scale [16]float32
		for j := range scale {
			scale[j] = fitSigned(src[16*j:16*j+16], code[16*j:16*j+16])
		}
		top := largest(scale[:])
		if abs(top) < tiny {
			clear(dst[:210])
			continue
		}
		inv := -128 / top
		d := putHalf(dst[208:], 1/inv)
		for j, s := range scale {
			sc := int8(min(127, nearest(inv*s)))
			dst[192+j] = byte(sc)
			d := d * float32(sc)
			if d == 0 {
				continue
			}
			for i, v := range src[16*j : 16*j+16] {
				code[16*j+i] = uint8(32 + max(-32, min(31, nearest(v/d))))
			}
		}
		for h := range 2 {
			c, low, high := code[128*h:], dst[64*h:], dst[128+32*h:]
			for i := range 32 {
				low[i] = c[i]&15 | c[64+i]<<4
				low[32+i] = c[32+i]&15 | c[96+i]<<4
				high[i] = c[i]>>4 | c[32+i]>>4<<2 | c[64+i]>>4<<4 | c[96+i]>>4<<6
			}
		}
	}
}
