package media

import (
	"math"

	"github.com/plinth-ml/plinth/internal/pixel"
)

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

// axis is one side of a resize: of each output pixel the first input pixel and the weights from there on in units of 2^-pixel.Fixed.
type axis struct {
	starts  []int32
	weights [][]int32
	same    bool // nothing changes but what is cut off
}

// newAxis is that of a side resized from n to m pixels, of which count from the given one on are wanted. When the side shrinks, the kernel
// is stretched by the scale (antialiasing).
func newAxis(n, m, from, count int, f Filter) axis {
	a := axis{starts: make([]int32, count), weights: make([][]int32, count), same: n == m}
	scale := float64(n) / float64(m)
	stretch := max(scale, 1)
	support := f.support() * stretch
	w := make([]float64, 2*int(math.Ceil(support))+1)
	for i := range count {
		if a.same {
			a.starts[i], a.weights[i] = int32(from+i), []int32{1 << pixel.Fixed}
			continue
		}
		center := float64((float64(from+i) + 0.5) * scale)
		start := max(0, int(center-support+0.5))
		k := w[:min(n, int(center+support+0.5))-start]
		sum := 0.0
		for j := range k {
			k[j] = f.at((float64(j+start) - center + 0.5) * (1 / stretch))
			sum += k[j]
		}
		a.starts[i], a.weights[i] = int32(start), make([]int32, len(k))
		for j, v := range k {
			if sum != 0 {
				v /= sum
			}
			a.weights[i][j] = int32(float64(v*(1<<pixel.Fixed)) + math.Copysign(0.5, v))
		}
	}
	return a
}

// reach is the part of the input that the axis is made of.
func (a *axis) reach() (start, end int) {
	last := len(a.starts) - 1
	return int(a.starts[0]), int(a.starts[last]) + len(a.weights[last])
}

// shift counts input pixels from start on.
func (a *axis) shift(start int) {
	for i := range a.starts {
		a.starts[i] -= int32(start)
	}
}

// Resize returns the picture at w x h pixels with the bits of PIL's Image.resize (13.0): one pass per side, each rounded to 8 bits. It
// panics unless both sides are positive.
func Resize(m *Image, w, h int, f Filter) *Image { return resizeCrop(m, w, h, f, 0, 0, w, h) }

// resizeCrop is Crop(Resize(m, w, h, f), x, y, cw, ch), without work on what is cut off.
func resizeCrop(m *Image, w, h int, f Filter, x, y, cw, ch int) *Image {
	across, down := newAxis(m.W, w, x, cw, f), newAxis(m.H, h, y, ch, f)
	// Which pass comes first shows in the last bits. PIL starts with the height where that loses more than twice the width's pixels;
	// before 13.0 it always started with the width.
	if h < m.H && m.H-h > 2*(m.W-w) {
		start, end := across.reach()
		m = down.rows(m, start, end)
		across.shift(start)
		return across.columns(m, 0, ch)
	}
	start, end := down.reach()
	m = across.columns(m, start, end)
	down.shift(start)
	return down.rows(m, 0, cw)
}

// columns resizes the rows of m from start to end.
func (a *axis) columns(m *Image, start, end int) *Image {
	if a.same {
		return Crop(m, int(a.starts[0]), start, len(a.starts), end-start)
	}
	out := NewImage(len(a.starts), end-start)
	wins := pixel.NewWindows(a.starts, a.weights)
	for y := range out.H {
		pixel.SumRGB(out.row(y), m.Pix[3*m.W*(start+y):], wins)
	}
	return out
}

// rows resizes the columns of m from start to end: each row is a weighted sum of rows.
func (a *axis) rows(m *Image, start, end int) *Image {
	if a.same {
		return Crop(m, start, int(a.starts[0]), end-start, len(a.starts))
	}
	out := NewImage(end-start, len(a.starts))
	for y, w := range a.weights {
		pixel.SumRows(out.row(y), m.Pix[3*(m.W*int(a.starts[y])+start):], 3*m.W, w)
	}
	return out
}
