package media

import "github.com/plinth-ml/plinth/internal/pixel"

// plane is one channel of a picture, of which a sample covers h x v pixels.
type plane struct {
	pix              []uint8
	stride, w, lines int
	h, v             int
}

// upsampler brings lines of a plane to full resolution. Where blend is set, a pixel is 3/4 of its own sample and 1/4 of the next nearest
// one, in each direction in which a sample covers two pixels.
type upsampler struct {
	plane
	blend bool
	round [2]int16 // added before the last shift, for even and odd pixels
	sum   []int16  // [w + 2], a line blended downwards, in units of 1/4 where v is 2, and its ends again
	out   []uint8  // [W]
}

// jpegUpsampler is libjpeg's "fancy upsampling". Planes of one or two columns and samples of more pixels are repeated.
func jpegUpsampler(p plane) upsampler {
	round := [2]int16{1, 2}
	if p.h == 2 && p.v == 2 {
		round = [2]int16{8, 7}
	}
	return upsampler{plane: p, round: round, blend: p.h == 1 && p.v == 2 || p.h == 2 && p.v <= 2 && p.w > 2}
}

// webpUpsampler is libwebp's.
func webpUpsampler(p plane) upsampler {
	return upsampler{plane: p, round: [2]int16{8, 8}, blend: p.h == 2 && p.v == 2}
}

// line returns line y of the picture, [W], which the next call overwrites.
func (u *upsampler) line(y int) []uint8 {
	near := u.pix[y/u.v*u.stride:][:u.w]
	sum := u.sum[1 : u.w+1]
	switch {
	case u.h == 1 && !u.blend:
		return near
	case !u.blend:
		for x := range u.out {
			u.out[x] = near[x/u.h]
		}
		return u.out
	case u.v == 2:
		pixel.Blend(sum, near, u.pix[neighbour(y, u.lines)*u.stride:][:u.w])
	default:
		for i, s := range near {
			sum[i] = int16(s)
		}
	}
	if u.h == 1 {
		for i, s := range sum {
			u.out[i] = uint8((s + u.round[y%2]) >> 2)
		}
		return u.out
	}
	u.sum[0], u.sum[u.w+1] = sum[0], sum[u.w-1]
	pixel.Widen(u.out, u.sum, u.round[0], u.round[1], 2*u.v)
	return u.out
}

// neighbour is the sample next nearest to pixel x, of n samples that cover two pixels each.
func neighbour(x, n int) int { return min(max(x/2-1+x%2*2, 0), n-1) }

// rowRGB makes a row of RGB of the lines of all channels.
type rowRGB func(dst []uint8, lines [][]uint8)

// joinPlanes makes a picture of up to four planes: up brings them to full resolution, rgb says what the samples mean.
func joinPlanes(w, h int, planes []plane, up func(plane) upsampler, rgb rowRGB) *Image {
	var ups []upsampler
	for _, p := range planes {
		u := up(p)
		u.sum, u.out = make([]int16, p.w+2), make([]uint8, w)
		ups = append(ups, u)
	}
	out := NewImage(w, h)
	lines := make([][]uint8, len(ups))
	for y := range h {
		for i := range ups {
			lines[i] = ups[i].line(y)[:w]
		}
		rgb(out.row(y), lines)
	}
	return out
}

// greyRGB repeats the one channel.
func greyRGB(dst []uint8, lines [][]uint8) {
	for i, v := range lines[0] {
		dst[3*i], dst[3*i+1], dst[3*i+2] = v, v, v
	}
}

// videoRGB is BT.601's conversion from 16..235 in libwebp's 6 bits behind the point.
func videoRGB(dst []uint8, lines [][]uint8) {
	for i, y := range lines[0] {
		luma, cb, cr := int(y)*19077>>8, int(lines[1][i]), int(lines[2][i])
		dst[3*i] = clamp8((luma + cr*26149>>8 - 14234) >> 6)
		dst[3*i+1] = clamp8((luma - cb*6419>>8 - cr*13320>>8 + 8708) >> 6)
		dst[3*i+2] = clamp8((luma + cb*33050>>8 - 17685) >> 6)
	}
}

// cmykRGB is what black leaves of the light, less each colour's share of it, in PIL's rounding of a product over 255.
func cmykRGB(dst []uint8, c, m, y, k int) {
	light := 255 - k
	for i, v := range [3]int{c, m, y} {
		t := v*light + 128
		dst[i] = clamp8(light - (t>>8+t)>>8)
	}
}

// clamp8 brings v into 0..255.
func clamp8(v int) uint8 { return uint8(min(max(v, 0), 255)) }
