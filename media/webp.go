package media

import (
	"fmt"
	"image"
)

// decodeWebP decodes with golang.org/x/image/webp; lossy pictures become RGB as libwebp makes them.
func decodeWebP(b []byte, limits Limits) (*Image, error) {
	const animated = 1 << 1
	if len(b) > 20 && string(b[12:16]) == "VP8X" && b[20]&animated != 0 {
		return nil, fmt.Errorf("%w: an animation", ErrFormat)
	}
	src, err := webpCodec.decode(b, limits)
	if err != nil {
		return nil, err
	}
	switch s := src.(type) {
	case *image.YCbCr:
		return planesRGB(s, webpUpsampler, videoRGB)
	case *image.NYCbCrA:
		return planesRGB(&s.YCbCr, webpUpsampler, videoRGB)
	}
	return interleaved(src)
}
