package media

import "fmt"

// zigzag is where the coefficients stand in a block of [8, 8], in the order of the file.
var zigzag = [64]uint8{
	0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21, 28,
	35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
}

// jpegScan is what a scan's header says, and where its decoding stands.
type jpegScan struct {
	bitReader
	dc, ac    [4]*huffman // of each of the scan's components
	pred      [4]int      // the last constant coefficient of each
	from, to  int         // coefficients, in the file's order
	high, low int         // bits of the coefficients: high is 0 in a first scan; low is how many are left for later
	skip      int         // blocks that end with the current run
}

// run decodes the scan of the components into their coefficients, or where it is the only one into samples.
func (d *jpegDecoder) run(s *jpegScan, comps []*component) error {
	nx, ny := d.mcusX, d.mcusY
	if len(comps) == 1 { // not interleaved: only blocks that the picture touches
		c := comps[0]
		nx, ny = (c.w+7)/8, (c.lines+7)/8
	}
	for i := range nx * ny {
		if d.restart > 0 && i > 0 && i%d.restart == 0 {
			if !s.bitReader.restart(0xd0 + byte((i/d.restart-1)%8)) {
				return fmt.Errorf("%w: a restart is missing in a scan", ErrFormat)
			}
			s.pred, s.skip = [4]int{}, 0
		}
		x, y := i%nx, i/nx
		for k, c := range comps {
			if len(comps) == 1 {
				d.block(s, k, c, x, y)
				continue
			}
			for b := range c.h * c.v {
				d.block(s, k, c, x*c.h+b%c.h, y*c.v+b/c.h)
			}
		}
		if s.over() {
			return fmt.Errorf("%w: a scan is cut off or has a wrong code", ErrFormat)
		}
	}
	return nil
}

// block decodes block (x, y) of the scan's component k.
func (d *jpegDecoder) block(s *jpegScan, k int, c *component, x, y int) {
	if !d.progressive {
		var coefs [64]int16
		last := s.baseline(&coefs, k)
		c.samples(&coefs, last, x, y)
		return
	}
	coefs := &c.coefs[y*c.blocksX+x]
	switch {
	case s.from == 0 && s.high == 0:
		s.pred[k] += s.signed(min(s.code(s.dc[k]), 15))
		coefs[0] = int16(s.pred[k] << s.low)
	case s.from == 0:
		coefs[0] |= int16(s.bits(1) << s.low)
	case s.high == 0:
		s.first(coefs, k)
	default:
		s.refine(coefs, k)
	}
}

// baseline decodes all coefficients of a block and returns the place in the file's order of the last one that may not be zero.
func (s *jpegScan) baseline(coefs *[64]int16, k int) (last int) {
	const most = 31 // bits of a code and behind it
	r, h := &s.bitReader, s.ac[k]
	r.need(most)
	if e := s.dc[k].fast[r.held>>(64-fastBits)]; e != 0 {
		r.held, r.n = r.held<<(e&63), r.n-int(e&63)
		s.pred[k] += int(int16(e >> 16))
	} else {
		s.pred[k] += r.signed(min(r.code(s.dc[k]), 15))
	}
	coefs[0] = int16(s.pred[k])
	held, n := r.held, r.n // in registers
	for i := 1; i < 64; i++ {
		if n < most {
			r.held, r.n = held, n
			r.need(most)
			held, n = r.held, r.n
		}
		var run, v int
		if e := h.fast[held>>(64-fastBits)]; e != 0 {
			held, n = held<<(e&63), n-int(e&63)
			run, v = int(e>>8&255), int(int16(e>>16))
		} else {
			r.held, r.n = held, n
			var size int
			run, size = split(r.code(h))
			v = r.signed(size)
			held, n = r.held, r.n
			if size == 0 && run < 15 { // the rest is zero
				break
			}
		}
		if i += run; i < 64 {
			coefs[zigzag[i]&63] = int16(v)
			last = i
		}
	}
	r.held, r.n = held, n
	return last
}

// split takes a code's value apart: zeros to pass, and bits to read.
func split(v int) (run, size int) { return v >> 4, v & 15 }

// first decodes the high bits of a band of a block.
func (s *jpegScan) first(coefs *[64]int16, k int) {
	if s.skip > 0 {
		s.skip--
		return
	}
	for i := s.from; i <= s.to; i++ {
		run, size := split(s.code(s.ac[k]))
		if size == 0 && run < 15 {
			s.skip = 1<<run + s.bits(run) - 1
			return
		}
		i += run
		v := s.signed(size)
		if i <= s.to {
			coefs[zigzag[i]] = int16(v << s.low)
		}
	}
}

// refine decodes one more bit of a band: of those coefficients that are not zero, and new ones of one bit (T.81, G.1.2.3).
func (s *jpegScan) refine(coefs *[64]int16, k int) {
	i := s.from
	for ; s.skip == 0 && i <= s.to; i++ {
		run, size := split(s.code(s.ac[k]))
		if size == 0 && run < 15 {
			s.skip = 1<<run + s.bits(run)
			break
		}
		v := int16(0)
		if size > 0 {
			v = int16(-1) << s.low
			if s.bits(1) == 1 {
				v = 1 << s.low
			}
		}
		i = s.passZeros(coefs, i, run)
		if v != 0 && i <= s.to {
			coefs[zigzag[i]] = v
		}
	}
	if s.skip > 0 {
		s.passZeros(coefs, i, 64)
		s.skip--
	}
}

// passZeros refines coefficients from i on and stops behind n zeros, at the next zero or the band's end, which it returns.
func (s *jpegScan) passZeros(coefs *[64]int16, i, n int) int {
	for ; i <= s.to; i++ {
		c := &coefs[zigzag[i]]
		switch {
		case *c == 0:
			if n == 0 {
				return i
			}
			n--
		case s.bits(1) == 1 && *c&(1<<s.low) == 0:
			if *c > 0 {
				*c += 1 << s.low
			} else {
				*c -= 1 << s.low
			}
		}
	}
	return i
}
