package media

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
	round [2]int // added before the last shift, for even and odd pixels
	sum   []int  // [w], a line blended downwards, in units of 1/4 where v is 2
}

// jpegUpsampler is libjpeg's "fancy upsampling". Planes of one or two columns and samples of more pixels are repeated.
func jpegUpsampler(p plane) upsampler {
	round := [2]int{1, 2}
	if p.h == 2 && p.v == 2 {
		round = [2]int{8, 7}
	}
	return upsampler{plane: p, round: round, blend: p.h == 1 && p.v == 2 || p.h == 2 && p.v <= 2 && p.w > 2}
}

// webpUpsampler is libwebp's.
func webpUpsampler(p plane) upsampler {
	return upsampler{plane: p, round: [2]int{8, 8}, blend: p.h == 2 && p.v == 2}
}

// line fills dst [W] with line y of the picture.
func (u *upsampler) line(dst []uint8, y int) {
	near := u.pix[y/u.v*u.stride:][:u.w]
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
		far := u.pix[neighbour(y, u.lines)*u.stride:][:u.w]
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

// joinPlanes makes a picture of up to four planes: up brings them to full resolution, rgb says what the samples of a pixel mean.
func joinPlanes(w, h int, planes []plane, up func(plane) upsampler, rgb func(dst []uint8, s *[4]int)) *Image {
	var ups []upsampler
	var lines [][]uint8
	for _, p := range planes {
		u := up(p)
		u.sum = make([]int, p.w)
		ups, lines = append(ups, u), append(lines, make([]uint8, w))
	}
	out := NewImage(w, h)
	var s [4]int
	for y := range h {
		for i := range ups {
			ups[i].line(lines[i], y)
		}
		dst := out.row(y)
		for x := range w {
			for i, line := range lines {
				s[i] = int(line[x])
			}
			rgb(dst[3*x:3*x+3], &s)
		}
	}
	return out
}

// greyRGB repeats the one channel.
func greyRGB(dst []uint8, s *[4]int) { dst[0], dst[1], dst[2] = uint8(s[0]), uint8(s[0]), uint8(s[0]) }

// jfifRGB is JFIF's conversion in libjpeg's 16 bits behind the point: R = Y + 1.402 Cr', G = Y - 0.34414 Cb' - 0.71414 Cr',
// B = Y + 1.772 Cb', where a dash takes 128 off.
func jfifRGB(dst []uint8, s *[4]int) {
	const half = 1 << 15
	y, cb, cr := s[0], s[1]-128, s[2]-128
	dst[0] = clamp8(y + (91881*cr+half)>>16)
	dst[1] = clamp8(y + (-22554*cb-46802*cr+half)>>16)
	dst[2] = clamp8(y + (116130*cb+half)>>16)
}

// videoRGB is BT.601's conversion from 16..235 in libwebp's 6 bits behind the point.
func videoRGB(dst []uint8, s *[4]int) {
	luma := s[0] * 19077 >> 8
	dst[0] = clamp8((luma + s[2]*26149>>8 - 14234) >> 6)
	dst[1] = clamp8((luma - s[1]*6419>>8 - s[2]*13320>>8 + 8708) >> 6)
	dst[2] = clamp8((luma + s[1]*33050>>8 - 17685) >> 6)
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
