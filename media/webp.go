package media

import (
	"fmt"
	"image"
)

// decodeWebP decodes with golang.org/x/image/webp; lossy pictures become RGB as libwebp makes them.
func decodeWebP(b []byte, limits Limits, ground *[3]uint8) (*Image, error) {
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
		return lossyWebP(s), nil
	case *image.NYCbCrA:
		m := lossyWebP(&s.YCbCr)
		if ground != nil {
			layOver(m, opacity(s), *ground)
		}
		return m, nil
	}
	return interleaved(src, ground)
}

// lossyWebP is RGB of luma and of colours that have a sample for 2 x 2 pixels.
func lossyWebP(s *image.YCbCr) *Image {
	size := s.Rect.Size()
	w, h := (size.X+1)/2, (size.Y+1)/2
	planes := []plane{{s.Y, s.YStride, size.X, size.Y, 1, 1}, {s.Cb, s.CStride, w, h, 2, 2}, {s.Cr, s.CStride, w, h, 2, 2}}
	return joinPlanes(size.X, size.Y, planes, webpUpsampler, videoRGB)
}
