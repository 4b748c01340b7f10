package media

import "math"

// Brightness returns the picture with its channels times factor: PIL's ImageEnhance.Brightness, bit for bit, as all functions here.
func Brightness(m *Image, factor float64) *Image { return away(m, 0, factor) }

// Contrast returns the picture with its channels' distances from the mean grey times factor.
func Contrast(m *Image, factor float64) *Image {
	sum := 0
	for i := 0; i < len(m.Pix); i += 3 {
		sum += int(luma(m.Pix[i:]))
	}
	return away(m, uint8(float64(sum)/float64(m.W*m.H)+0.5), factor)
}

// Saturation returns the picture with its channels' distances from each pixel's grey times factor.
func Saturation(m *Image, factor float64) *Image {
	out := NewImage(m.W, m.H)
	f := float32(factor)
	for i := 0; i < len(m.Pix); i += 3 {
		grey := luma(m.Pix[i:])
		for j, v := range m.Pix[i : i+3] {
			out.Pix[i+j] = blend(grey, v, f)
		}
	}
	return out
}

// Grey returns the picture without its colours.
func Grey(m *Image) *Image {
	out := NewImage(m.W, m.H)
	for i := 0; i < len(m.Pix); i += 3 {
		v := luma(m.Pix[i:])
		out.Pix[i], out.Pix[i+1], out.Pix[i+2] = v, v, v
	}
	return out
}

// Hue returns the picture with its hues turned by turn, of -0.5 to 0.5 circles, as torchvision's adjust_hue does.
func Hue(m *Image, turn float64) *Image {
	out := NewImage(m.W, m.H)
	step := uint8(int(turn * 255)) // hues have 8 bits and wrap around
	for i := 0; i < len(m.Pix); i += 3 {
		h, s, v := toHSV(m.Pix[i], m.Pix[i+1], m.Pix[i+2])
		out.Pix[i], out.Pix[i+1], out.Pix[i+2] = fromHSV(h+step, s, v)
	}
	return out
}

// away returns the picture with all distances from one grey times factor.
func away(m *Image, grey uint8, factor float64) *Image {
	var table [256]uint8
	for v := range table {
		table[v] = blend(grey, uint8(v), float32(factor))
	}
	out := NewImage(m.W, m.H)
	for i, v := range m.Pix {
		out.Pix[i] = table[v]
	}
	return out
}

// blend is from + f·(to - from), cut off behind the point and at both ends.
func blend(from, to uint8, f float32) uint8 {
	v := float32(from) + float32(f*float32(int(to)-int(from)))
	return uint8(min(max(v, 0), 255))
}

// luma is the grey of an RGB pixel by ITU-R BT.601: 0.299 R + 0.587 G + 0.114 B, in 16 bits behind the point.
func luma(p []uint8) uint8 {
	return uint8((int(p[0])*19595 + int(p[1])*38470 + int(p[2])*7471 + 1<<15) >> 16)
}

// toHSV is hue, saturation and value in 8 bits each, in the mixture of float32 and float64 in which PIL computes them.
func toHSV(r, g, b uint8) (h, s, v uint8) {
	high, low := max(r, g, b), min(r, g, b)
	if high == low {
		return 0, 0, high
	}
	span := float32(high - low)
	rc, gc, bc := float32(high-r)/span, float32(high-g)/span, float32(high-b)/span
	var hue float32 // in sixths of the circle
	switch high {
	case r:
		hue = bc - gc
	case g:
		hue = float32(2 + float64(rc) - float64(bc))
	default:
		hue = float32(4 + float64(gc) - float64(rc))
	}
	circle := float32(math.Mod(float64(hue)/6+1, 1))
	return uint8(float64(circle) * 255), uint8(float64(span/float32(high)) * 255), high
}

// fromHSV is toHSV backwards.
func fromHSV(h, s, v uint8) (r, g, b uint8) {
	if s == 0 {
		return v, v, v
	}
	hue := float64(h) * 6 / 255
	sector := int(hue)
	part := float64(float32(hue - float64(sector)))
	share := float64(float32(s) / 255)
	level := func(less float64) uint8 { return uint8(math.Round(float64(v) * (1 - less))) }
	p, q, t := level(share), level(float64(float32(share)*float32(part))), level(float64(share*(1-part)))
	switch sector % 6 {
	case 0:
		return v, t, p
	case 1:
		return q, v, p
	case 2:
		return p, v, t
	case 3:
		return p, q, v
	case 4:
		return t, p, v
	}
	return v, p, q
}
