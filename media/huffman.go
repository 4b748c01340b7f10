package media

import "encoding/binary"

// huffman is a table of a JPEG's codes, which are canonical: ascending within a length.
type huffman struct {
	short  [256]uint16 // by the next 8 bits: length * 256 + value of a code of up to 8 bits, else 0
	last   [17]int     // the last code of each length, or -1
	offset [17]int     // what to add to a code of a length for its place in values
	values []uint8
	// By the next fastBits bits what they say where they hold a code and the bits behind it that it announces: from the lowest on 8 bits
	// how many they are, 8 bits zeros to pass, 16 bits the coefficient; else 0. The end of a block passes 64 zeros.
	fast [1 << fastBits]uint32
}

const fastBits = 10

// newHuffman makes the table of counts[i] codes of i+1 bits. It reports false where the codes do not fit.
func newHuffman(counts *[16]uint8, values []uint8) (*huffman, bool) {
	h := &huffman{values: values}
	code, place := 0, 0
	for length := 1; length <= 16; length++ {
		n := int(counts[length-1])
		h.offset[length], h.last[length] = place-code, -1
		if code+n > 1<<length || place+n > len(values) {
			return nil, false
		}
		for ; n > 0; n-- {
			if length <= 8 {
				first := code << (8 - length)
				for i := range 1 << (8 - length) {
					h.short[first+i] = uint16(length<<8) | uint16(values[place])
				}
			}
			h.last[length] = code
			code, place = code+1, place+1
		}
		code <<= 1
	}
	h.setFast()
	return h, true
}

// setFast fills h.fast.
func (h *huffman) setFast() {
	const behind = 16 // zeros
	for i := range h.fast {
		r := bitReader{held: uint64(i) << (64 - fastBits), n: fastBits + behind}
		run, size := split(r.code(h))
		v := r.signed(size)
		switch used := fastBits + behind - r.n; {
		case used > fastBits || r.over():
		case size > 0:
			h.fast[i] = uint32(used) | uint32(run)<<8 | uint32(v)<<16
		case run == 0:
			h.fast[i] = uint32(used) | 64<<8
		}
	}
}

// bitReader reads the codes of a scan: bits from the highest of each byte on, FF 00 for FF, up to a marker, behind which it pretends
// zeros.
type bitReader struct {
	b      []byte
	at     int    // the next byte
	held   uint64 // the highest n bits are read but not used, the others are zero
	n      int
	padded int // how many of the bits ever held are pretended
}

// need holds at least n <= 32 bits.
func (r *bitReader) need(n int) {
	if r.n < n && r.at+4 <= len(r.b) {
		if v := binary.BigEndian.Uint32(r.b[r.at:]); (^v-0x01010101)&v&0x80808080 == 0 { // no byte is FF
			r.held |= uint64(v) << (32 - uint(r.n)&63)
			r.n, r.at = r.n+32, r.at+4
			return
		}
	}
	for r.n < n {
		var v byte
		switch {
		case r.at < len(r.b) && r.b[r.at] != 0xff:
			v = r.b[r.at]
			r.at++
		case r.at+1 < len(r.b) && r.b[r.at+1] == 0:
			v = 0xff
			r.at += 2
		default:
			r.padded += 8
		}
		r.held |= uint64(v) << (56 - uint(r.n)&63)
		r.n += 8
	}
}

// bits reads n <= 16 bits.
func (r *bitReader) bits(n int) int {
	r.need(n)
	v := int(r.held >> (64 - n))
	r.held, r.n = r.held<<n, r.n-n
	return v
}

// signed reads a number of n bits, of which the lower half stands for negative ones (T.81, F.2.2.1).
func (r *bitReader) signed(n int) int {
	v := r.bits(n)
	if n > 0 && v < 1<<(n-1) {
		v += 1 - 1<<n
	}
	return v
}

// code reads a code and returns its value; what is no code reads as 0, behind which nothing is left.
func (r *bitReader) code(h *huffman) int {
	r.need(16)
	if v := h.short[r.held>>56]; v != 0 {
		r.held, r.n = r.held<<(v>>8), r.n-int(v>>8)
		return int(v & 255)
	}
	for length := 9; length <= 16; length++ {
		if c := int(r.held >> (64 - length)); c <= h.last[length] {
			r.held, r.n = r.held<<length, r.n-length
			return int(h.values[c+h.offset[length]])
		}
	}
	r.at, r.padded = len(r.b), r.n+1
	return 0
}

// over says whether more bits were used than there are.
func (r *bitReader) over() bool { return r.padded > r.n }

// restart drops what is held and passes the restart marker, which must be next.
func (r *bitReader) restart(kind byte) bool {
	ok := r.padded <= r.n && r.at+1 < len(r.b) && r.b[r.at] == 0xff && r.b[r.at+1] == kind
	r.at, r.held, r.n, r.padded = r.at+2, 0, 0, 0
	return ok
}
