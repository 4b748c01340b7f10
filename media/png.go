package media

import (
	"encoding/binary"
	"fmt"
	"image"
	"image/color"
)

func decodePNG(b []byte, limits Limits, ground *[3]uint8) (*Image, error) {
	if err := pngCodec.check(b, limits); err != nil {
		return nil, err
	}
	quick, err := readQuickPNG(b)
	if err != nil {
		return nil, err
	}
	if quick != nil {
		return quick.decode(ground)
	}
	src, err := pngCodec.decode(b, limits)
	if err != nil {
		return nil, err
	}
	return interleaved(src, ground)
}

// interleaved takes the colours of a picture whose channels lie pixel by pixel, over the ground where there is one.
func interleaved(src image.Image, ground *[3]uint8) (*Image, error) {
	size := src.Bounds().Size()
	out := NewImage(size.X, size.Y)
	// each fills line y of out; the fields hold colours as the file does, where At would multiply them by alpha
	var line func(dst []uint8, y int)
	switch s := src.(type) {
	case *image.Gray:
		line = func(dst []uint8, y int) {
			for x, v := range s.Pix[y*s.Stride:][:size.X] {
				dst[3*x], dst[3*x+1], dst[3*x+2] = v, v, v
			}
		}
	case *image.Gray16:
		line = func(dst []uint8, y int) {
			for x := range size.X {
				p := s.Pix[y*s.Stride+2*x:]
				v := p[1]
				if p[0] > 0 {
					v = 255
				}
				dst[3*x], dst[3*x+1], dst[3*x+2] = v, v, v
			}
		}
	case *image.RGBA:
		line = func(dst []uint8, y int) { pick(dst, s.Pix[y*s.Stride:], 4, 1) }
	case *image.NRGBA:
		line = func(dst []uint8, y int) { pick(dst, s.Pix[y*s.Stride:], 4, 1) }
	case *image.RGBA64:
		line = func(dst []uint8, y int) { pick(dst, s.Pix[y*s.Stride:], 8, 2) }
	case *image.NRGBA64:
		line = func(dst []uint8, y int) { pick(dst, s.Pix[y*s.Stride:], 8, 2) }
	case *image.Paletted:
		colors, err := paletteRGB(s)
		if err != nil {
			return nil, err
		}
		line = func(dst []uint8, y int) {
			for x, v := range s.Pix[y*s.Stride:][:size.X] {
				copy(dst[3*x:3*x+3], colors[v][:])
			}
		}
	default:
		return nil, fmt.Errorf("%w: pixels of type %T", ErrFormat, src)
	}
	for y := range size.Y {
		line(out.row(y), y)
	}
	if ground != nil {
		layOver(out, opacity(src), *ground)
	}
	return out, nil
}

// opacity returns the alpha of each pixel of a picture, or nil for one without.
func opacity(src image.Image) func(x, y int) uint8 {
	switch s := src.(type) {
	case *image.NRGBA:
		return func(x, y int) uint8 { return s.Pix[y*s.Stride+4*x+3] }
	case *image.NRGBA64:
		return func(x, y int) uint8 { return s.Pix[y*s.Stride+8*x+6] }
	case *image.NYCbCrA:
		return func(x, y int) uint8 { return s.A[y*s.AStride+x] }
	case *image.Paletted:
		var table [256]uint8
		for i, c := range s.Palette {
			_, _, _, a := c.RGBA()
			table[i] = uint8(a >> 8)
		}
		return func(x, y int) uint8 { return table[s.Pix[y*s.Stride+x]] }
	}
	return nil
}

// layOver blends a picture with a ground: (a·pixel + (255 - a)·ground) / 255. Nothing is to be done where alpha is nil.
func layOver(m *Image, alpha func(x, y int) uint8, ground [3]uint8) {
	if alpha == nil {
		return
	}
	for y := range m.H {
		row := m.row(y)
		for x := range m.W {
			a := int(alpha(x, y))
			for c, g := range ground {
				p := &row[3*x+c]
				*p = uint8((a*int(*p) + (255-a)*int(g) + 127) / 255)
			}
		}
	}
}

// pick copies the colours of one line: three values channel bytes apart, the first byte of each, from pixels of pixel bytes.
func pick(dst, src []uint8, pixel, channel int) {
	if pixel == 4 {
		for ; len(dst) > 3; dst, src = dst[3:], src[4:] { // the fourth byte is written over by the next pixel
			binary.LittleEndian.PutUint32(dst, binary.LittleEndian.Uint32(src))
		}
	}
	for x := range len(dst) / 3 {
		p := src[pixel*x:]
		dst[3*x], dst[3*x+1], dst[3*x+2] = p[0], p[channel], p[2*channel]
	}
}

// paletteRGB is the palette of a PNG as 256 colours, without alpha.
func paletteRGB(s *image.Paletted) (colors [256][3]uint8, err error) {
	for i, c := range s.Palette {
		switch c := c.(type) {
		case color.RGBA: // opaque
			colors[i] = [3]uint8{c.R, c.G, c.B}
		case color.NRGBA:
			colors[i] = [3]uint8{c.R, c.G, c.B}
		default:
			return colors, fmt.Errorf("%w: palette colour of type %T", ErrFormat, c)
		}
	}
	return colors, nil
}
