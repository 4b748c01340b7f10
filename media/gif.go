package media

import (
	"fmt"
	"image"
)

// gifHeader is what a walk over a GIF's blocks finds.
type gifHeader struct {
	colors      [256][3]uint8 // of the first frame
	transparent int           // the first frame's transparent index, or -1
	frames      int
}

// decodeGIF puts the first frame on a ground of its transparent colour, or of colour 0, as PIL does. The colours come from the file:
// image/gif forgets that of transparent pixels.
func decodeGIF(b []byte, limits Limits, over *[3]uint8) (*Image, error) {
	head, err := scanGIF(b, limits.Frames)
	if err != nil {
		return nil, err
	}
	if head.frames > limits.Frames {
		return nil, fmt.Errorf("%w of %d frames", ErrLimit, limits.Frames)
	}
	decoded, err := gifCodec.decode(b, limits)
	if err != nil {
		return nil, err
	}
	frame, ok := decoded.(*image.Paletted)
	if !ok {
		return nil, fmt.Errorf("%w: pixels of type %T", ErrFormat, decoded)
	}
	out := NewImage(int(b[6])|int(b[7])<<8, int(b[8])|int(b[9])<<8) // checked by the codec
	ground := head.colors[max(0, head.transparent)]
	if over != nil && head.transparent >= 0 {
		ground, head.colors[head.transparent] = *over, *over
	}
	for i := range out.W * out.H {
		copy(out.Pix[3*i:3*i+3], ground[:])
	}
	r := frame.Rect
	for y := range r.Dy() {
		dst := out.row(r.Min.Y + y)[3*r.Min.X:]
		for x, v := range frame.Pix[y*frame.Stride:][:r.Dx()] {
			copy(dst[3*x:3*x+3], head.colors[v][:])
		}
	}
	return out, nil
}

// scanGIF walks over the blocks without decoding any, up to one frame over the limit. What is cut off after its first frame's header is
// left to the decoder.
func scanGIF(b []byte, limit int) (gifHeader, error) {
	head := gifHeader{transparent: -1}
	at := 13
	if len(b) >= 13 {
		at += tableSize(b[10])
	}
	if len(b) < at {
		return head, fmt.Errorf("%w: cut off in its header", ErrFormat)
	}
	head.setColors(b[13:at])
	for at < len(b) && b[at] != ';' && head.frames <= limit {
		switch left := len(b) - at; {
		case b[at] == '!' && left > 2:
			if b[at+1] == 0xf9 && left > 6 && head.frames == 0 && b[at+3]&1 != 0 {
				head.transparent = int(b[at+6])
			}
			at += 2
		case b[at] == ',' && left > 10:
			table := at + 10
			at = table + tableSize(b[at+9]) + 1 // the last byte is the width of codes
			if head.frames++; head.frames == 1 && at <= len(b) {
				head.setColors(b[table : at-1])
			}
		case head.frames > 0:
			return head, nil
		default:
			return head, fmt.Errorf("%w: no frame, but a block of kind %#02x", ErrFormat, b[at])
		}
		for at < len(b) && b[at] != 0 { // sub-blocks up to an empty one
			at += 1 + int(b[at])
		}
		at++
	}
	if head.frames == 0 {
		return head, fmt.Errorf("%w: no frame", ErrFormat)
	}
	return head, nil
}

// tableSize is the length in bytes of the colour table that a field of flags announces.
func tableSize(flags byte) int {
	if flags&0x80 == 0 {
		return 0
	}
	return 3 << (1 + flags&7)
}

// setColors takes a colour table; an empty one changes nothing.
func (h *gifHeader) setColors(table []byte) {
	for i := range len(table) / 3 {
		h.colors[i] = [3]uint8(table[3*i:])
	}
}
