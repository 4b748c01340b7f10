package vec

import "math"

func f32FromF16Go(y []float32, x []uint16) {
	for i := range y {
		y[i] = widen16(x[i])
	}
}

func f16FromF32Go(y []uint16, x []float32) {
	for i := range y {
		y[i] = narrow16(x[i])
	}
}

func f32FromBF16Go(y []float32, x []uint16) {
	for i := range y {
		y[i] = math.Float32frombits(uint32(x[i]) << 16)
	}
}

func bf16FromF32Go(y []uint16, x []float32) {
	for i := range y {
		b := math.Float32bits(x[i])
		if b&0x7fffffff > 0x7f800000 { // NaN: adding to it could carry into infinity
			y[i] = uint16(b>>16) | 0x40
			continue
		}
		y[i] = uint16((b + 0x7fff + b>>16&1) >> 16)
	}
}

// widen16 is the value of half-precision bits: 1 sign, 5 exponent, 10 fraction bits.
func widen16(h uint16) float32 {
	sign, exp, frac := uint32(h&0x8000)<<16, uint32(h>>10&31), uint32(h&0x3ff)
	switch exp {
	case 0: // 0 or subnormal: frac * 2^-24
		v := float32(frac) * 0x1p-24
		return math.Float32frombits(math.Float32bits(v) | sign)
	case 31:
		if frac != 0 {
			frac |= 0x200
		}
		return math.Float32frombits(sign | 0x7f800000 | frac<<13)
	}
	return math.Float32frombits(sign | (exp+112)<<23 | frac<<13)
}

// narrow16 rounds to half precision, nearest even.
func narrow16(f float32) uint16 {
	b := math.Float32bits(f)
	sign := uint16(b >> 16 & 0x8000)
	b &= 0x7fffffff
	switch {
	case b > 0x7f800000: // NaN: quiet, upper part of the payload kept
		return sign | 0x7e00 | uint16(b>>13&0x3ff)
	case b >= 0x477ff000: // 65520 and up round to infinity
		return sign | 0x7c00
	case b < 0x38800000: // below 2^-14: subnormal; adding 0.5 leaves the rounded fraction in the low bits
		return sign | uint16(math.Float32bits(math.Float32frombits(b)+0.5)-0x3f000000)
	}
	b += 0xfff + b>>13&1
	return sign | uint16(b>>13-112<<10)
}

func roundBF16Go(y []uint16, x []float32, k0, k1, from, shift uint32) {
	for i := range y {
		b := math.Float32bits(x[i])
		if b&0x7fffffff > 0x7f800000 {
			y[i] = uint16(b>>16) | 0x40
			continue
		}
		h := (from + uint32(i)) ^ k0
		h = (h ^ h>>16) * 0x7feb352d
		h = ((h ^ h>>15) + k1) * 0x846ca68b
		h ^= h >> 16
		y[i] = uint16((b + h>>shift&0xffff) >> 16)
	}
}
