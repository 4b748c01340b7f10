package media

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/plinth-ml/plinth/internal/pixel"
)

// component is one of the channels of a JPEG.
type component struct {
	id, quant byte
	h, v      int // samples of it in each direction where the channel of the most samples has hMax, vMax
	w, lines  int // samples that the picture touches
	blocksX   int // blocks in a line, whole MCUs
	plane     []uint8
	coefs     [][64]int16 // of progressive files, all blocks
	table     *[64]uint16 // of quantisation, as it was when the first scan began
}

// samples writes a block of coefficients, of which none behind last is set, to the plane.
func (c *component) samples(coefs *[64]int16, last, x, y int) {
	stride := 8 * c.blocksX
	dst := c.plane[8*stride*y+8*x:]
	if flat := int(coefs[0]) * int(c.table[0]); last == 0 && -1<<15 <= flat && flat < 1<<15 { // what pixel.IDCT makes of one coefficient
		v := clamp8((flat+4)>>3 + 128)
		for i := range 8 {
			line := dst[i*stride:][:8]
			for j := range line {
				line[j] = v
			}
		}
		return
	}
	pixel.IDCT(dst, stride, coefs, c.table)
}

// jpegDecoder decodes baseline and progressive JPEG of 8 bits with the bits of libjpeg. image/jpeg would do but for its rounding.
type jpegDecoder struct {
	limits       Limits
	size         int // of the file, in bytes
	w, h         int
	comps        []component
	mcusX, mcusY int
	progressive  bool
	restart      int // MCUs between restarts, or 0
	quant        [4]*[64]uint16
	dc, ac       [4]*huffman
	adobe        int // the transform that Adobe's marker names, or -1
}

// decodeJPEG decodes a JPEG, which has no alpha, and turns it upright.
func decodeJPEG(b []byte, limits Limits, _ *[3]uint8) (*Image, error) {
	scans, exif := scanJPEG(b, limits.Scans)
	if scans > limits.Scans {
		return nil, fmt.Errorf("%w of %d scans", ErrLimit, limits.Scans)
	}
	d := jpegDecoder{limits: limits, size: len(b), adobe: -1}
	if err := d.segments(b); err != nil {
		return nil, err
	}
	return orient(d.picture(), orientation(exif)), nil
}

// endMarker closes a JPEG.
const endMarker = 0xd9

// nextSegment passes codes, filling and markers without a body, and returns the next segment's kind, its body and the place behind it;
// endMarker has no body, and kind 0 is the end of the file.
func nextSegment(b []byte, at int) (kind byte, body []byte, end int, err error) {
	for at < len(b) {
		next := bytes.IndexByte(b[at:], 0xff)
		if next < 0 || at+next+1 >= len(b) {
			break
		}
		at += next
		switch kind = b[at+1]; {
		case kind == 0xff: // filling
			at++
			continue
		case kind <= 0x01 || kind >= 0xd0 && kind <= 0xd8: // a stuffed byte, a restart, a start
			at += 2
			continue
		case kind == endMarker:
			return kind, nil, at + 2, nil
		}
		if at+4 <= len(b) {
			end = at + 2 + int(binary.BigEndian.Uint16(b[at+2:]))
		}
		if end < at+4 || end > len(b) {
			return 0, nil, len(b), fmt.Errorf("%w: segment %#02x is cut off", ErrFormat, kind)
		}
		return kind, b[at+4 : end], end, nil
	}
	return 0, nil, len(b), nil
}

// scanJPEG walks over the segments without decoding: it counts scans, up to one over the limit, and finds the first EXIF block, without
// its name.
func scanJPEG(b []byte, limit int) (scans int, exif []byte) {
	for at := 2; scans <= limit; {
		kind, body, end, err := nextSegment(b, at)
		if err != nil || kind == 0 || kind == endMarker { // what is wrong, the decoder reports
			return scans, exif
		}
		at = end
		if kind == 0xda {
			scans++
		}
		if block, ok := bytes.CutPrefix(body, []byte("Exif\x00\x00")); ok && kind == 0xe1 && exif == nil {
			exif = block
		}
	}
	return scans, exif
}

// segments goes through the file.
func (d *jpegDecoder) segments(b []byte) error {
	for at := 2; ; {
		kind, body, end, err := nextSegment(b, at)
		if err != nil {
			return err
		}
		at = end
		ok := true
		switch kind {
		case 0:
			return fmt.Errorf("%w: cut off", ErrFormat)
		case endMarker:
			return d.complete()
		case 0xc0, 0xc1, 0xc2:
			d.progressive = kind == 0xc2
			err = d.frame(body)
		case 0xc3, 0xc5, 0xc6, 0xc7, 0xc9, 0xca, 0xcb, 0xcd, 0xce, 0xcf:
			return fmt.Errorf("%w: coding of kind %#02x, neither baseline nor progressive by Huffman's codes", ErrFormat, kind)
		case 0xc4:
			ok = d.huffmanTables(body)
		case 0xdb:
			ok = d.quantTables(body)
		case 0xdd:
			if ok = len(body) == 2; ok {
				d.restart = int(binary.BigEndian.Uint16(body))
			}
		case 0xee:
			if len(body) >= 12 && bytes.HasPrefix(body, []byte("Adobe")) {
				d.adobe = int(body[11])
			}
		case 0xda:
			var n int
			n, err = d.scan(body, b[end:])
			at += n
		}
		if !ok {
			err = fmt.Errorf("%w: segment %#02x makes no sense", ErrFormat, kind)
		}
		if err != nil {
			return err
		}
	}
}

// complete makes samples of what is there, and says whether every channel is.
func (d *jpegDecoder) complete() error {
	if d.comps == nil {
		return fmt.Errorf("%w: no picture", ErrFormat)
	}
	for i := range d.comps {
		c := &d.comps[i]
		if c.table == nil {
			return fmt.Errorf("%w: channel %d of %d is missing", ErrFormat, i+1, len(d.comps))
		}
		for k := range c.coefs {
			c.samples(&c.coefs[k], 63, k%c.blocksX, k/c.blocksX)
		}
	}
	return nil
}

// quantTables reads tables of quantisation.
func (d *jpegDecoder) quantTables(b []byte) bool {
	for len(b) > 0 {
		wide, id := int(b[0]>>4), b[0]&15
		n := 64 * (wide + 1)
		if wide > 1 || id > 3 || len(b) < 1+n {
			return false
		}
		table := new([64]uint16)
		for i, place := range zigzag {
			if wide == 1 {
				table[place] = binary.BigEndian.Uint16(b[1+2*i:])
			} else {
				table[place] = uint16(b[1+i])
			}
		}
		d.quant[id] = table
		b = b[1+n:]
	}
	return true
}

// huffmanTables reads tables of codes.
func (d *jpegDecoder) huffmanTables(b []byte) bool {
	for len(b) > 0 {
		if len(b) < 17 || b[0]>>4 > 1 || b[0]&15 > 3 {
			return false
		}
		class, id := b[0]>>4, b[0]&15
		counts := [16]uint8(b[1:])
		n := 0
		for _, c := range counts {
			n += int(c)
		}
		if len(b) < 17+n {
			return false
		}
		h, ok := newHuffman(&counts, b[17:17+n])
		if !ok {
			return false
		}
		if class == 0 {
			d.dc[id] = h
		} else {
			d.ac[id] = h
		}
		b = b[17+n:]
	}
	return true
}

// frame reads the size and the channels, checks them and makes room.
func (d *jpegDecoder) frame(b []byte) error {
	if len(b) < 6 || len(b) != 6+3*int(b[5]) || d.comps != nil {
		return fmt.Errorf("%w: the header of its frame makes no sense", ErrFormat)
	}
	if b[0] != 8 {
		return fmt.Errorf("%w: samples of %d bits", ErrFormat, b[0])
	}
	d.h, d.w = int(binary.BigEndian.Uint16(b[1:])), int(binary.BigEndian.Uint16(b[3:]))
	const dense = 8 * 64 // a block of 64 pixels takes a bit at least
	if err := d.limits.checkSize(d.w, d.h, dense*d.size); err != nil {
		return err
	}
	n := int(b[5])
	if n != 1 && n != 3 && n != 4 {
		return fmt.Errorf("%w: %d channels", ErrFormat, n)
	}
	comps := make([]component, n)
	hMax, vMax := 1, 1
	for i := range comps {
		c := &comps[i]
		c.id, c.h, c.v, c.quant = b[6+3*i], int(b[7+3*i]>>4), int(b[7+3*i]&15), b[8+3*i]
		if n == 1 { // blocks of a single channel are not interleaved, whatever it says
			c.h, c.v = 1, 1
		}
		if c.h < 1 || c.h > 4 || c.v < 1 || c.v > 4 || c.quant > 3 {
			return fmt.Errorf("%w: channel %d is sampled %d x %d with table %d", ErrFormat, i+1, c.h, c.v, c.quant)
		}
		hMax, vMax = max(hMax, c.h), max(vMax, c.v)
	}
	d.mcusX, d.mcusY = (d.w+8*hMax-1)/(8*hMax), (d.h+8*vMax-1)/(8*vMax)
	for i := range comps {
		c := &comps[i]
		if hMax%c.h != 0 || vMax%c.v != 0 {
			return fmt.Errorf("%w: channel %d is sampled %d x %d, another one %d x %d", ErrFormat, i+1, c.h, c.v, hMax, vMax)
		}
		c.w, c.lines = (d.w*c.h+hMax-1)/hMax, (d.h*c.v+vMax-1)/vMax
		c.blocksX = d.mcusX * c.h
		blocks := c.blocksX * d.mcusY * c.v
		c.plane = make([]uint8, 64*blocks)
		if d.progressive {
			c.coefs = make([][64]int16, blocks)
		}
	}
	d.comps = comps
	return nil
}

// scan reads a scan's header and decodes the scan, which starts with b; it returns how long that is.
func (d *jpegDecoder) scan(head, b []byte) (int, error) {
	bad := fmt.Errorf("%w: the header of a scan makes no sense", ErrFormat)
	if len(head) < 1 || len(head) != 4+2*int(head[0]) || d.comps == nil {
		return 0, bad
	}
	n := int(head[0])
	tail := head[1+2*n:]
	s := jpegScan{bitReader: bitReader{b: b}, from: int(tail[0]), to: int(tail[1]), high: int(tail[2] >> 4), low: int(tail[2] & 15)}
	if !d.progressive {
		s.from, s.to, s.high, s.low = 0, 63, 0, 0
	} else if s.from > s.to || s.to > 63 || s.low > 13 || s.from == 0 && s.to > 0 || s.from > 0 && n != 1 {
		return 0, bad
	}
	var comps []*component
	blocks := 0
	for k := range n {
		id, tables := head[1+2*k], head[2+2*k]
		for i := range d.comps {
			if c := &d.comps[i]; c.id == id {
				comps = append(comps, c)
				blocks += c.h * c.v
				break
			}
		}
		if len(comps) != k+1 || tables>>4 > 3 || tables&15 > 3 || k > 3 {
			return 0, bad
		}
		s.dc[k], s.ac[k] = d.dc[tables>>4], d.ac[tables&15]
		if s.from == 0 && s.high == 0 && s.dc[k] == nil || s.to > 0 && s.ac[k] == nil {
			return 0, fmt.Errorf("%w: a scan without its table of codes", ErrFormat)
		}
	}
	if n < 1 || n > 1 && blocks > 10 {
		return 0, bad
	}
	for _, c := range comps {
		if c.table == nil {
			c.table = d.quant[c.quant]
		}
		if c.table == nil {
			return 0, fmt.Errorf("%w: a channel without its table of quantisation", ErrFormat)
		}
	}
	err := d.run(&s, comps)
	return s.at, err
}

// picture brings the channels to full resolution and to RGB.
func (d *jpegDecoder) picture() *Image {
	var planes []plane
	hMax, vMax := 1, 1
	for _, c := range d.comps {
		hMax, vMax = max(hMax, c.h), max(vMax, c.v)
	}
	for _, c := range d.comps {
		planes = append(planes, plane{c.plane, 8 * c.blocksX, c.w, c.lines, hMax / c.h, vMax / c.v})
	}
	return joinPlanes(d.w, d.h, planes, jpegUpsampler, d.colors())
}

// colors chooses what the samples mean, as libjpeg does; four channels are inverted, as Adobe's programs write and PIL reads them.
func (d *jpegDecoder) colors() rowRGB {
	switch {
	case len(d.comps) == 1:
		return greyRGB
	case len(d.comps) == 4 && d.adobe <= 0:
		return func(dst []uint8, s [][]uint8) {
			for i := range s[0] {
				cmykRGB(dst[3*i:], 255-int(s[0][i]), 255-int(s[1][i]), 255-int(s[2][i]), 255-int(s[3][i]))
			}
		}
	case len(d.comps) == 4:
		return func(dst []uint8, s [][]uint8) {
			pixel.JFIF(dst, s[0], s[1], s[2])
			for i, k := range s[3] {
				p := dst[3*i:]
				cmykRGB(p, int(p[0]), int(p[1]), int(p[2]), 255-int(k))
			}
		}
	case d.adobe == 0, d.adobe < 0 && d.comps[0].id == 'R' && d.comps[1].id == 'G' && d.comps[2].id == 'B':
		return func(dst []uint8, s [][]uint8) {
			for i := range s[0] {
				dst[3*i], dst[3*i+1], dst[3*i+2] = s[0][i], s[1][i], s[2][i]
			}
		}
	}
	return func(dst []uint8, s [][]uint8) { pixel.JFIF(dst, s[0], s[1], s[2]) }
}
