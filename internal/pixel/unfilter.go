package pixel

import "encoding/binary"

// Unfilter takes back PNG's filter of a row, whose pixels have bpp bytes: above is the row before it as it was, of the same length, or all
// zeros (PNG specification, 9.2). It reports false where there is no filter of that kind.
func Unfilter(row, above []uint8, kind uint8, bpp int) bool {
	need("Unfilter", "above", len(above), len(row))
	above = above[:len(row)]
	switch kind {
	case 0:
	case 1: // left
		if bpp == 4 {
			left := uint32(0)
			for i := 0; i+4 <= len(row); i += 4 {
				left = uint32(addBytes8(uint64(left), uint64(binary.LittleEndian.Uint32(row[i:]))))
				binary.LittleEndian.PutUint32(row[i:], left)
			}
			break
		}
		for i := bpp; i < len(row); i++ {
			row[i] += row[i-bpp]
		}
	case 2:
		addBytes(row, above)
	case 3: // mean of left and above
		for i := range min(bpp, len(row)) {
			row[i] += above[i] / 2
		}
		for i := bpp; i < len(row); i++ {
			row[i] += uint8((int(row[i-bpp]) + int(above[i])) / 2)
		}
	case 4:
		active.paeth(row, above, bpp)
	default:
		return false
	}
	return true
}

// addBytes adds src to dst.
func addBytes(dst, src []uint8) {
	i := 0
	for ; i+8 <= len(dst); i += 8 {
		binary.LittleEndian.PutUint64(dst[i:], addBytes8(binary.LittleEndian.Uint64(dst[i:]), binary.LittleEndian.Uint64(src[i:])))
	}
	for ; i < len(dst); i++ {
		dst[i] += src[i]
	}
}

// addBytes8 adds eight bytes to eight.
func addBytes8(a, b uint64) uint64 {
	const low = 0x7f7f7f7f7f7f7f7f // without the bits that would carry
	return (a&low + b&low) ^ (a^b)&^low
}

// paethGo adds to each byte that of its left, upper and upper left neighbours which is nearest to left + above - upper left.
func paethGo(row, above []uint8, bpp int) {
	for i := range min(bpp, len(row)) {
		row[i] += above[i]
	}
	paethFrom(row, above, bpp, bpp)
}

// paethFrom is paethGo from byte i on, which has a left neighbour.
func paethFrom(row, above []uint8, bpp, i int) {
	for ; i < len(row); i++ {
		a, b, c := int(row[i-bpp]), int(above[i]), int(above[i-bpp])
		pa, pb, pc := abs(b-c), abs(a-c), abs(a+b-2*c)
		switch {
		case pa <= pb && pa <= pc:
			row[i] += uint8(a)
		case pb <= pc:
			row[i] += uint8(b)
		default:
			row[i] += uint8(c)
		}
	}
}

func abs(x int) int { return max(x, -x) }
