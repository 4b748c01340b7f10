package media

import (
	"fmt"
	"image"
)

// upsampler brings lines of a colour plane, of which a sample covers h x v pixels, to full resolution. Where blend is set, a pixel is
// 3/4 of its own sample and 1/4 of the next nearest one, in each direction in which a sample covers two pixels.
type upsampler struct {
	h, v  int
	blend bool
	round [2]int // added before the last shift, for even and odd pixels
	w     int    // samples in a line of the plane
	lines int
	sum   []int // [w], a line blended downwards, in units of 1/4 where v is 2
}

// jpegUpsampler is libjpeg's "fancy upsampling". Planes of one or two columns and samples of four pixels are repeated.
func jpegUpsampler(h, v, w int) upsampler {
	round := [2]int{1, 2}
	if h == 2 && v == 2 {
		round = [2]int{8, 7}
	}
	return upsampler{h: h, v: v, round: round, blend: h == 1 && v == 2 || h == 2 && w > 2}
}

// webpUpsampler is libwebp's, whose samples always cover 2 x 2 pixels.
func webpUpsampler(h, v, _ int) upsampler {
	return upsampler{h: h, v: v, round: [2]int{8, 8}, blend: true}
}

// line fills dst [W] with line y of the picture.
func (u *upsampler) line(dst, plane []uint8, stride, y int) {
	near := plane[y/u.v*stride:][:u.w]
	if !u.blend {
		for x := range dst {
			dst[x] = near[x/u.h]
		}
		return
	}
	for i, s := range near {
		u.sum[i] = int(s)
	}
	shift := 0
	if u.v == 2 {
		far := plane[neighbour(y, u.lines)*stride:][:u.w]
		for i, s := range far {
			u.sum[i] = 3*u.sum[i] + int(s)
		}
		shift = 2
	}
	for x := range dst {
		if u.h == 1 {
			dst[x] = uint8((u.sum[x] + u.round[y%2]) >> shift)
		} else {
			dst[x] = uint8((3*u.sum[x/2] + u.sum[neighbour(x, u.w)] + u.round[x%2]) >> (shift + 2))
		}
	}
}

// neighbour is the sample next nearest to pixel x, of n samples that cover two pixels each.
func neighbour(x, n int) int { return min(max(x/2-1+x%2*2, 0), n-1) }

// planesRGB interleaves the planes of a decoder: up says how colours are brought to full resolution, given the pixels that a sample
// covers and the samples of a line, and rgb what three samples mean.
func planesRGB(s *image.YCbCr, up func(h, v, w int) upsampler, rgb func(dst []uint8, y, cb, cr int)) (*Image, error) {
	covers, ok := map[image.YCbCrSubsampleRatio][2]int{
		image.YCbCrSubsampleRatio444: {1, 1}, image.YCbCrSubsampleRatio422: {2, 1}, image.YCbCrSubsampleRatio420: {2, 2},
		image.YCbCrSubsampleRatio440: {1, 2}, image.YCbCrSubsampleRatio411: {4, 1}, image.YCbCrSubsampleRatio410: {4, 2},
	}[s.SubsampleRatio]
	if !ok {
		return nil, fmt.Errorf("%w: colours sampled in the ratio %v", ErrFormat, s.SubsampleRatio)
	}
	size := s.Rect.Size()
	h, v := covers[0], covers[1]
	w := (size.X + h - 1) / h
	u := up(h, v, w)
	u.w, u.lines, u.sum = w, (size.Y+v-1)/v, make([]int, w)
	cb, cr := make([]uint8, size.X), make([]uint8, size.X)
	out := NewImage(size.X, size.Y)
	for y := range size.Y {
		u.line(cb, s.Cb, s.CStride, y)
		u.line(cr, s.Cr, s.CStride, y)
		dst := out.row(y)
		for x, luma := range s.Y[y*s.YStride:][:size.X] {
			rgb(dst[3*x:3*x+3], int(luma), int(cb[x]), int(cr[x]))
		}
	}
	return out, nil
}

// jfifRGB is JFIF's conversion in libjpeg's 16 bits behind the point: R = Y + 1.402 Cr', G = Y - 0.34414 Cb' - 0.71414 Cr',
// B = Y + 1.772 Cb', where a dash takes 128 off.
func jfifRGB(dst []uint8, y, cb, cr int) {
	const half = 1 << 15
	cb, cr = cb-128, cr-128
	dst[0] = clamp8(y + (91881*cr+half)>>16)
	dst[1] = clamp8(y + (-22554*cb-46802*cr+half)>>16)
	dst[2] = clamp8(y + (116130*cb+half)>>16)
}

// videoRGB is BT.601's conversion from 16..235 in libwebp's 6 bits behind the point.
func videoRGB(dst []uint8, y, u, v int) {
	luma := y * 19077 >> 8
	dst[0] = clamp8((luma + v*26149>>8 - 14234) >> 6)
	dst[1] = clamp8((luma - u*6419>>8 - v*13320>>8 + 8708) >> 6)
	dst[2] = clamp8((luma + u*33050>>8 - 17685) >> 6)
}

// clamp8 brings v into 0..255.
func clamp8(v int) uint8 { return uint8(min(max(v, 0), 255)) }
