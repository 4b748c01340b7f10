package quant

import (
	"encoding/binary"
	"math"
)

// put5 stores 32 codes of five bits: the low four of two codes in a byte, the fifth in high.
func put5(high, low []byte, code func(i int) byte) {
	bits := uint32(0)
	for i := range 16 {
		a, b := code(i), code(16+i)
		low[i] = a&15 | b<<4
		bits |= uint32(a>>4)<<i | uint32(b>>4)<<(16+i)
	}
	binary.LittleEndian.PutUint32(high, bits)
}

func encodeQ5_0(dst []byte, src []float32) {
	for ; len(src) > 0; dst, src = dst[22:], src[32:] {
		d := largest(src[:32]) / -16
		id := inverse(d)
		putHalf(dst, d)
		put5(dst[2:6], dst[6:22], func(i int) byte { return byte(min(31, int8(float32(src[i]*id)+16.5))) })
	}
}

func encodeQ5_1(dst []byte, src []float32) {
	for ; len(src) > 0; dst, src = dst[24:], src[32:] {
		low, high := float32(math.MaxFloat32), float32(-math.MaxFloat32)
		for _, v := range src[:32] {
			if v < low {
				low = v
			}
			if v > high {
				high = v
			}
		}
		d := (high - low) / 31
		id := inverse(d)
		putHalf(dst, d)
		putHalf(dst[2:], low)
		put5(dst[4:8], dst[8:24], func(i int) byte { return byte(float32(float32(src[i]-low)*id) + 0.5) })
	}
}
