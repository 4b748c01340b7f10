package quant

import "encoding/binary"

// unpacked is a block taken apart: number i of sub-block j is D·Scale[j]·(code[i] - Bias) - DMin·Min[j], see the formats for Bias and the
// length of a sub-block. Formats of 32 elements have one sub-block.
type unpacked struct {
	code    [block]uint8
	scale   [16]int8
	min     [16]uint8
	d, dMin float32
	bias    int
	sub     int // elements of a sub-block
}

// decodeCodes is Decode for a format that unpack knows.
func (l *layout) decodeCodes(dst []float32, src []byte) {
	var u unpacked
	for ; len(dst) > 0; dst, src = dst[l.elements:], src[l.bytes:] {
		l.unpack(&u, src[:l.bytes])
		for j := 0; j*u.sub < l.elements; j++ {
			d, m := u.d*float32(u.scale[j]), float32(u.dMin*float32(u.min[j]))
			for i, c := range u.code[j*u.sub : (j+1)*u.sub] {
				dst[j*u.sub+i] = float32(d*float32(int(c)-u.bias)) - m
			}
		}
	}
}

func unpackQ8_0(u *unpacked, b []byte) {
	u.d, u.bias, u.sub, u.scale[0] = half(b), 128, 32, 1
	for i, c := range b[2:34] {
		u.code[i] = c ^ 0x80
	}
}

func unpackQ4_0(u *unpacked, b []byte) {
	u.d, u.bias, u.sub, u.scale[0] = half(b), 8, 32, 1
	for i, c := range b[2:18] {
		u.code[i], u.code[16+i] = c&15, c>>4
	}
}

// scalesK takes the 6-bit scales and minima of Q4_K and Q5_K apart: the lower four sub-blocks' lie in the low bits of bytes 0-3 and 4-7; the upper four's low
// halves in bytes 8-11, their upper two bits in the high bits of bytes 0-3 and 4-7.
func (u *unpacked) scalesK(b []byte) {
	for j := range 4 {
		u.scale[j], u.min[j] = int8(b[j]&63), b[4+j]&63
		u.scale[4+j] = int8(b[8+j]&15 | b[j]>>6<<4)
		u.min[4+j] = b[8+j]>>4 | b[4+j]>>6<<4
	}
}

func unpackQ4_K(u *unpacked, b []byte) {
	u.d, u.dMin, u.bias, u.sub = half(b), half(b[2:]), 0, 32
	u.scalesK(b[4:16])
	for j := range 4 {
		for i, c := range b[16+32*j : 48+32*j] {
			u.code[64*j+i], u.code[64*j+32+i] = c&15, c>>4
		}
	}
}

func unpackQ5_K(u *unpacked, b []byte) {
	u.d, u.dMin, u.bias, u.sub = half(b), half(b[2:]), 0, 32
	u.scalesK(b[4:16])
	for j := range 4 {
		for i, c := range b[48+32*j : 80+32*j] {
			high := b[16+i] >> (2 * j)
			u.code[64*j+i], u.code[64*j+32+i] = c&15|high&1<<4, c>>4|high>>1&1<<4
		}
	}
}

func unpackQ6_K(u *unpacked, b []byte) {
	u.d, u.bias, u.sub = half(b[208:]), 32, 16
	for j := range u.scale {
		u.scale[j] = int8(b[192+j])
	}
	for h := range 2 {
		code, low, high := u.code[128*h:], b[64*h:], b[128+32*h:]
		for i := range 32 {
			code[i] = low[i]&15 | high[i]&3<<4
			code[32+i] = low[32+i]&15 | high[i]>>2&3<<4
			code[64+i] = low[i]>>4 | high[i]>>4&3<<4
			code[96+i] = low[32+i]>>4 | high[i]>>6<<4
		}
	}
}

func unpackQ2_K(u *unpacked, b []byte) {
	u.d, u.dMin, u.bias, u.sub = half(b[80:]), half(b[82:]), 0, 16
	for j, s := range b[:16] {
		u.scale[j], u.min[j] = int8(s&15), s>>4
	}
	for i := range u.code {
		u.code[i] = b[16+i/128*32+i%32] >> (i / 32 % 4 * 2) & 3
	}
}

func unpackQ3_K(u *unpacked, b []byte) {
	u.d, u.bias, u.sub = half(b[108:]), 4, 16
	low, high := b[96:104], b[104:108] // scales: 4 low bits of 16, then their upper 2 bits
	for j := range u.scale {
		u.scale[j] = int8(low[j%8]>>(j/8*4)&15|high[j%4]>>(j/4*2)&3<<4) - 32
	}
	for i := range u.code {
		u.code[i] = b[32+i/128*32+i%32]>>(i/32%4*2)&3 | b[i%32]>>(i/32)&1<<2
	}
}

func decodeQ4_1(dst []float32, src []byte) {
	for ; len(dst) > 0; dst, src = dst[32:], src[20:] {
		d, m := half(src), half(src[2:])
		for i, c := range src[4:20] {
			dst[i], dst[16+i] = float32(float32(c&15)*d)+m, float32(float32(c>>4)*d)+m
		}
	}
}

func decodeQ5_0(dst []float32, src []byte) {
	for ; len(dst) > 0; dst, src = dst[32:], src[22:] {
		d, high := half(src), binary.LittleEndian.Uint32(src[2:])
		for i, c := range src[6:22] {
			dst[i] = float32(int(c&15)|int(high>>i&1<<4)-16) * d
			dst[16+i] = float32(int(c>>4)|int(high>>(16+i)&1<<4)-16) * d
		}
	}
}

func decodeQ5_1(dst []float32, src []byte) {
	for ; len(dst) > 0; dst, src = dst[32:], src[24:] {
		d, m, high := half(src), half(src[2:]), binary.LittleEndian.Uint32(src[4:])
		for i, c := range src[8:24] {
			dst[i] = float32(float32(uint32(c&15)|high>>i&1<<4)*d) + m
			dst[16+i] = float32(float32(uint32(c>>4)|high>>(16+i)&1<<4)*d) + m
		}
	}
}

func decodeQ8_K(dst []float32, src []byte) {
	for ; len(dst) > 0; dst, src = dst[block:], src[292:] {
		d := f32(src)
		for i, c := range src[4 : 4+block] {
			dst[i] = d * float32(int8(c))
		}
	}
}
