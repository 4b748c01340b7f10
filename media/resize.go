package media

import "math"

// Filter is a kernel of Resize.
type Filter int

const (
	// Bicubic is the cubic convolution with a = -1/2 (Keys 1981, eq. 15).
	Bicubic Filter = iota
	// Bilinear is the triangle.
	Bilinear
)

// support is half the kernel's width, in pixels of the coarser picture.
func (f Filter) support() float64 {
	if f == Bilinear {
		return 1
	}
	return 2
}

// at is the kernel's value. Products are rounded before they are added, so that no platform fuses them: PIL's bits are of such sums.
func (f Filter) at(x float64) float64 {
	x = math.Abs(x)
	switch {
	case f == Bilinear && x < 1:
		return 1 - x
	case f == Bilinear || x >= 2:
		return 0
	case x < 1:
		return float64(float64((float64(1.5*x)-2.5)*x)*x) + 1
	default:
		return (float64((float64((x-5)*x)+8)*x) - 4) * -0.5
	}
}

// fixed is how many bits of a coefficient lie behind the point: 32 less 8 for the pixel and 2 for sums outside 0..1.
const fixed = 22

// window is the part of a side that makes one output pixel: its first input pixel and their weights in units of 2^-fixed.
type window struct {
	start   int
	weights []int32
}

// windows are those of a side resized from n to m pixels. When it shrinks, the kernel is stretched by the scale (antialiasing).
func windows(n, m int, f Filter) []window {
	scale := float64(n) / float64(m)
	stretch := max(scale, 1)
	support := f.support() * stretch
	out := make([]window, m)
	w := make([]float64, 2*int(math.Ceil(support))+1)
	for i := range out {
		center := float64((float64(i) + 0.5) * scale)
		start := max(0, int(center-support+0.5))
		k := w[:min(n, int(center+support+0.5))-start]
		sum := 0.0
		for j := range k {
			k[j] = f.at((float64(j+start) - center + 0.5) * (1 / stretch))
			sum += k[j]
		}
		out[i] = window{start, make([]int32, len(k))}
		for j, v := range k {
			if sum != 0 {
				v /= sum
			}
			out[i].weights[j] = int32(float64(v*(1<<fixed)) + math.Copysign(0.5, v))
		}
	}
	return out
}

// clip8 rounds a sum of weighted pixels, to which a half was added, to a pixel.
func clip8(sum int32) uint8 { return uint8(min(max(sum>>fixed, 0), 255)) }

// Resize returns the picture at w x h pixels with the bits of PIL's Image.resize (13.0): one pass per side, each rounded to 8 bits. It
// panics unless both sides are positive.
func Resize(m *Image, w, h int, f Filter) *Image {
	// Which pass comes first shows in the last bits. PIL starts with the height where that loses more than twice the width's pixels;
	// before 13.0 it always started with the width.
	if h < m.H && m.H-h > 2*(m.W-w) {
		return resizeAcross(resizeDown(m, h, f), w, f)
	}
	return resizeDown(resizeAcross(m, w, f), h, f)
}

// resizeAcross makes rows w pixels long.
func resizeAcross(m *Image, w int, f Filter) *Image {
	if w == m.W {
		return m
	}
	out := NewImage(w, m.H)
	wins := windows(m.W, w, f)
	for y := range m.H {
		src, dst := m.row(y), out.row(y)
		for x, win := range wins {
			r, g, b := int32(1<<(fixed-1)), int32(1<<(fixed-1)), int32(1<<(fixed-1))
			p := src[3*win.start : 3*(win.start+len(win.weights))]
			for j, k := range win.weights {
				r += int32(p[3*j]) * k
				g += int32(p[3*j+1]) * k
				b += int32(p[3*j+2]) * k
			}
			dst[3*x], dst[3*x+1], dst[3*x+2] = clip8(r), clip8(g), clip8(b)
		}
	}
	return out
}

// resizeDown makes columns h pixels long: each row is a weighted sum of rows.
func resizeDown(m *Image, h int, f Filter) *Image {
	if h == m.H {
		return m
	}
	out := NewImage(m.W, h)
	sum := make([]int32, 3*m.W)
	for y, win := range windows(m.H, h, f) {
		for i := range sum {
			sum[i] = 1 << (fixed - 1)
		}
		for j, k := range win.weights {
			for i, p := range m.row(win.start + j) {
				sum[i] += int32(p) * k
			}
		}
		for i, s := range sum {
			out.row(y)[i] = clip8(s)
		}
	}
	return out
}
