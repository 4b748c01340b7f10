package media

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/gif"
	"image/png"
	"io"
	"math"

	"golang.org/x/image/webp"
)

// Limits bounds what Decode accepts. Zero fields have the defaults. Memory follows Pixels: decoding takes up to 18 bytes for each.
type Limits struct {
	Bytes  int // of the file; 0: 16 MiB
	Pixels int // width times height; 0: 33,554,432
	Side   int // longer side in pixels; 0: 16,384
	Aspect int // longer side divided by the shorter one; 0: 32
	Frames int // of a GIF, though only the first is decoded; 0: 1,000
	Scans  int // of a JPEG, each of which may touch every pixel; 0: 100
}

// withDefaults fills the zero fields.
func (l Limits) withDefaults() Limits {
	for _, f := range []struct {
		field *int
		value int
	}{{&l.Bytes, 16 << 20}, {&l.Pixels, 1 << 25}, {&l.Side, 1 << 14}, {&l.Aspect, 32}, {&l.Frames, 1000}, {&l.Scans, 100}} {
		if *f.field == 0 {
			*f.field = f.value
		}
	}
	return l
}

// checkSize says whether a picture of w x h pixels is within the limits, and no more than the file can hold at best.
func (l Limits) checkSize(w, h, holds int) error {
	long, short := max(w, h), min(w, h)
	switch {
	case short < 1:
		return fmt.Errorf("picture of %d x %d pixels: %w", w, h, ErrFormat)
	case long > l.Side:
		return fmt.Errorf("picture of %d x %d pixels: %w of %d on a side", w, h, ErrLimit, l.Side)
	case long > l.Pixels/short:
		return fmt.Errorf("picture of %d x %d pixels: %w of %d pixels", w, h, ErrLimit, l.Pixels)
	case (long-1)/short >= l.Aspect:
		return fmt.Errorf("picture of %d x %d pixels: %w of %d for one side divided by the other", w, h, ErrLimit, l.Aspect)
	case long > holds/short:
		return fmt.Errorf("picture of %d x %d pixels in a file too short for them: %w", w, h, ErrFormat)
	}
	return nil
}

// Decode reads a PNG, JPEG, GIF (first frame) or WebP (no animation) picture from r, which it reads to its end or to one byte over the
// limit. Every limit is checked in the headers, before pixels are allocated. Colours become RGB as PIL's convert("RGB") makes them:
// alpha is dropped, not blended; 16 bits keep their high byte, but greys of 16 bits are clipped at 255. A JPEG is turned as its
// EXIF orientation says. Errors wrap ErrLimit or ErrFormat, or are r's.
func Decode(r io.Reader, limits Limits) (*Image, error) {
	limits = limits.withDefaults()
	b, err := io.ReadAll(io.LimitReader(r, int64(limits.Bytes)+1))
	if err != nil {
		return nil, fmt.Errorf("media: %w", err)
	}
	if len(b) > limits.Bytes {
		return nil, fmt.Errorf("media: %w of %d bytes", ErrLimit, limits.Bytes)
	}
	name, decode := format(b)
	if decode == nil {
		return nil, fmt.Errorf("media: %w: neither PNG, JPEG, GIF nor WebP: %d bytes that start with %q", ErrFormat, len(b), b[:min(8, len(b))])
	}
	m, err := decode(b, limits)
	if err != nil {
		return nil, fmt.Errorf("media: %s: %w", name, err)
	}
	return m, nil
}

// format tells a picture's format by its first bytes; the function is nil for unknown ones.
func format(b []byte) (name string, decode func([]byte, Limits) (*Image, error)) {
	switch {
	case bytes.HasPrefix(b, []byte("\x89PNG\r\n\x1a\n")):
		return "PNG", decodePNG
	case bytes.HasPrefix(b, []byte("\xff\xd8")):
		return "JPEG", decodeJPEG
	case bytes.HasPrefix(b, []byte("GIF87a")), bytes.HasPrefix(b, []byte("GIF89a")):
		return "GIF", decodeGIF
	case len(b) >= 12 && string(b[:4]) == "RIFF" && string(b[8:12]) == "WEBP":
		return "WebP", decodeWebP
	}
	return "", nil
}

// codec is a decoder of the image packages.
type codec struct {
	config func(io.Reader) (image.Config, error)
	pixels func(io.Reader) (image.Image, error)
	dense  int // pixels that a byte of a file stands for at most
}

var (
	pngCodec  = codec{png.DecodeConfig, png.Decode, 8 * 1032} // deflate makes up to 1032 bytes of one
	gifCodec  = codec{gif.DecodeConfig, gif.Decode, math.MaxInt32}
	webpCodec = codec{webp.DecodeConfig, webp.Decode, math.MaxInt32}
)

// decode checks the size in the header and decodes the pixels.
func (c codec) decode(b []byte, limits Limits) (image.Image, error) {
	cfg, err := c.config(bytes.NewReader(b))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	if err := limits.checkSize(cfg.Width, cfg.Height, c.dense*len(b)); err != nil {
		return nil, err
	}
	src, err := c.pixels(bytes.NewReader(b))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	return src, nil
}

func decodePNG(b []byte, limits Limits) (*Image, error) {
	src, err := pngCodec.decode(b, limits)
	if err != nil {
		return nil, err
	}
	return interleaved(src)
}

// interleaved takes the colours of a picture whose channels lie pixel by pixel, and leaves its alpha.
func interleaved(src image.Image) (*Image, error) {
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
	return out, nil
}

// pick copies the colours of one line: three values channel bytes apart, the first byte of each, from pixels of pixel bytes.
func pick(dst, src []uint8, pixel, channel int) {
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
