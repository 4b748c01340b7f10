package media

import (
	"bytes"
	"fmt"
	"image"
	"image/gif"
	"image/png"
	"io"
	"math"

	"golang.org/x/image/webp"
)

// Limits bounds what Decode accepts. Zero fields have the defaults. Memory follows Pixels and Bytes: decoding takes up to 19 bytes for each
// pixel and twice the file. Bytes of 8 MiB and two million Pixels keep it under 64 MB in every format.
type Limits struct {
	Bytes  int // of the file; 0: 16 MiB
	Pixels int // width times height; 0: 33,554,432
	Side   int // longer side in pixels; 0: 16,384
	Aspect int // longer side divided by the shorter one; 0: 32
	Frames int // of a GIF or a WebP, though only the first is decoded; 0: 1,000
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

// Decode reads a PNG, JPEG, GIF or WebP picture, of an animation its first frame, from r, which it reads to its end or to one byte over the
// limit, or not at all where it has a method Len that tells more. Every limit is checked in the headers, before pixels are allocated. Colours become RGB as PIL's convert("RGB") makes them:
// alpha is dropped, not blended; 16 bits keep their high byte, but greys of 16 bits are clipped at 255. A JPEG is turned as its
// EXIF orientation says. Errors wrap ErrLimit or ErrFormat, or are r's.
func Decode(r io.Reader, limits Limits) (*Image, error) { return decode(r, limits, nil) }

// DecodeOver is Decode, but lays the picture over a ground of one colour (R, G, B) instead of dropping its alpha, with the bits of PIL's
// alpha_composite.
func DecodeOver(r io.Reader, limits Limits, ground [3]uint8) (*Image, error) {
	return decode(r, limits, &ground)
}

// decode is Decode where ground is nil.
func decode(r io.Reader, limits Limits, ground *[3]uint8) (*Image, error) {
	limits = limits.withDefaults()
	if sized, ok := r.(interface{ Len() int }); ok && sized.Len() > limits.Bytes { // bytes.Reader and the like
		return nil, fmt.Errorf("media: %d bytes: %w of %d bytes", sized.Len(), ErrLimit, limits.Bytes)
	}
	b, err := io.ReadAll(io.LimitReader(r, int64(limits.Bytes)+1))
	if err != nil {
		return nil, fmt.Errorf("media: %w", err)
	}
	if len(b) > limits.Bytes {
		return nil, fmt.Errorf("media: %w of %d bytes", ErrLimit, limits.Bytes)
	}
	name, pixels := format(b)
	if pixels == nil {
		return nil, fmt.Errorf("media: %w: neither PNG, JPEG, GIF nor WebP: %d bytes that start with %q", ErrFormat, len(b), b[:min(8, len(b))])
	}
	m, err := pixels(b, limits, ground)
	if err != nil {
		return nil, fmt.Errorf("media: %s: %w", name, err)
	}
	return m, nil
}

// decoder decodes a whole file; it lays the picture over the ground, or drops alpha where that is nil.
type decoder func(b []byte, limits Limits, ground *[3]uint8) (*Image, error)

// format tells a picture's format by its first bytes; the decoder is nil for unknown ones.
func format(b []byte) (name string, pixels decoder) {
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

// check checks the size in the header.
func (c codec) check(b []byte, limits Limits) error {
	cfg, err := c.config(bytes.NewReader(b))
	if err != nil {
		return fmt.Errorf("%w: %w", ErrFormat, err)
	}
	return limits.checkSize(cfg.Width, cfg.Height, c.dense*len(b))
}

// decode checks the size and decodes the pixels.
func (c codec) decode(b []byte, limits Limits) (image.Image, error) {
	if err := c.check(b, limits); err != nil {
		return nil, err
	}
	src, err := c.pixels(bytes.NewReader(b))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	return src, nil
}
