package media

import (
	"encoding/binary"
	"fmt"
	"image"
	"iter"
)

// decodeWebP decodes with golang.org/x/image/webp; lossy pictures become RGB as libwebp makes them. Of an animation it is the first frame.
func decodeWebP(b []byte, limits Limits, ground *[3]uint8) (*Image, error) {
	const animated, extended = 1 << 1, 12 + 8 + 10
	if len(b) >= extended && string(b[12:16]) == "VP8X" && b[20]&animated != 0 {
		return animatedWebP(b[20:extended], b[extended:], limits, ground)
	}
	return stillWebP(b, limits, ground)
}

// stillWebP decodes a file of one picture.
func stillWebP(b []byte, limits Limits, ground *[3]uint8) (*Image, error) {
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

// animatedWebP puts the first frame on its canvas, which is transparent black elsewhere, as libwebp does. head is the body of the chunk VP8X, b what comes behind it.
func animatedWebP(head, b []byte, limits Limits, ground *[3]uint8) (*Image, error) {
	const alpha = 1 << 4
	if head[0]&alpha == 0 {
		ground = nil // nothing counts for transparent
	}
	w, h := 1+uint24(head[4:]), 1+uint24(head[7:])
	if err := limits.checkSize(w, h, webpCodec.dense); err != nil {
		return nil, err
	}
	var first []byte
	frames := 0
	for name, body := range riffChunks(b) {
		if name != "ANMF" {
			continue
		}
		if frames++; frames == 1 {
			first = body
		}
		if frames > limits.Frames {
			return nil, fmt.Errorf("%w of %d frames", ErrLimit, limits.Frames)
		}
	}
	const header = 16 // place, size, duration, flags
	if len(first) < header {
		return nil, fmt.Errorf("%w: an animation without a frame", ErrFormat)
	}
	x, y, fw, fh := 2*uint24(first), 2*uint24(first[3:]), 1+uint24(first[6:]), 1+uint24(first[9:])
	if x+fw > w || y+fh > h {
		return nil, fmt.Errorf("%w: a frame of %d x %d at (%d, %d) on a canvas of %d x %d", ErrFormat, fw, fh, x, y, w, h)
	}
	frame, err := stillWebP(frameFile(first[header:], first[6:12]), limits, ground)
	if err != nil {
		return nil, err
	}
	if frame.W != fw || frame.H != fh {
		return nil, fmt.Errorf("%w: a frame of %d x %d that holds %d x %d", ErrFormat, fw, fh, frame.W, frame.H)
	}
	out := NewImage(w, h)
	if ground != nil {
		for i := range w * h {
			copy(out.Pix[3*i:], ground[:])
		}
	}
	for i := range fh {
		copy(out.row(y + i)[3*x:], frame.row(i))
	}
	return out, nil
}

// frameFile is a WebP file of the chunks of a frame, whose size is as the format has it: 24 bits less 1 for each side.
func frameFile(chunks, size []byte) []byte {
	head := []byte("RIFF\x00\x00\x00\x00WEBP")
	if len(chunks) >= 4 && string(chunks[:4]) == "ALPH" {
		head = append(append(head, "VP8X\x0a\x00\x00\x00\x10\x00\x00\x00"...), size...)
	}
	binary.LittleEndian.PutUint32(head[4:], uint32(len(head)-8+len(chunks)))
	return append(head, chunks...)
}

// riffChunks walks over chunks up to one that is cut off.
func riffChunks(b []byte) iter.Seq2[string, []byte] {
	return func(yield func(string, []byte) bool) {
		for len(b) >= 8 {
			name, n := string(b[:4]), uint64(binary.LittleEndian.Uint32(b[4:]))
			b = b[8:]
			if n > uint64(len(b)) || !yield(name, b[:n]) {
				return
			}
			b = b[min(n+n%2, uint64(len(b))):] // bodies are filled up to an even length
		}
	}
}

// uint24 reads three bytes.
func uint24(b []byte) int { return int(b[0]) | int(b[1])<<8 | int(b[2])<<16 }

// lossyWebP is RGB of luma and of colours that have a sample for 2 x 2 pixels.
func lossyWebP(s *image.YCbCr) *Image {
	size := s.Rect.Size()
	w, h := (size.X+1)/2, (size.Y+1)/2
	planes := []plane{{s.Y, s.YStride, size.X, size.Y, 1, 1}, {s.Cb, s.CStride, w, h, 2, 2}, {s.Cr, s.CStride, w, h, 2, 2}}
	return joinPlanes(size.X, size.Y, planes, webpUpsampler, videoRGB)
}
