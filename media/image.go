package media

import (
	"fmt"
	"math"
)

// Image is an RGB picture of 8 bits a channel without padding: Pix is [H, W, 3].
type Image struct {
	W, H int
	Pix  []uint8
}

// NewImage returns a black picture. It panics unless both sides are positive.
func NewImage(w, h int) *Image {
	if w < 1 || h < 1 {
		panic(fmt.Sprintf("media: picture of %d x %d pixels", w, h))
	}
	return &Image{w, h, make([]uint8, 3*w*h)}
}

// row is line y, [W, 3].
func (m *Image) row(y int) []uint8 { return m.Pix[3*m.W*y : 3*m.W*(y+1)] }

// Flip returns the picture mirrored left to right.
func Flip(m *Image) *Image {
	out := NewImage(m.W, m.H)
	for y := range m.H {
		src, dst := m.row(y), out.row(y)
		for x := range m.W {
			copy(dst[3*x:3*x+3], src[3*(m.W-1-x):])
		}
	}
	return out
}

// Crop cuts out the w x h pixels whose first is (x, y). It panics where they are not inside the picture.
func Crop(m *Image, x, y, w, h int) *Image {
	if x < 0 || y < 0 || x+w > m.W || y+h > m.H {
		panic(fmt.Sprintf("media: %d x %d pixels at (%d, %d) of %d x %d", w, h, x, y, m.W, m.H))
	}
	out := NewImage(w, h)
	for i := range h {
		copy(out.row(i), m.row(y + i)[3*x:])
	}
	return out
}

// CenterCrop cuts w x h pixels out of the middle as torchvision does: an odd rest is halved to the nearest even number, and a side
// that is too short is filled up with black, the smaller half before the picture.
func CenterCrop(m *Image, w, h int) *Image {
	out := NewImage(w, h)
	left, top := cropStart(m.W, w), cropStart(m.H, h)
	x0, x1 := max(0, -left), min(w, m.W-left) // columns of out that the picture covers
	for y := max(0, -top); y < min(h, m.H-top); y++ {
		copy(out.row(y)[3*x0:3*x1], m.row(y + top)[3*(x0+left):])
	}
	return out
}

// cropStart is where a window of c pixels starts on a side of n: negative where the side is shorter.
func cropStart(n, c int) int {
	if n < c {
		return -((c - n) / 2)
	}
	return int(math.RoundToEven(float64(n-c) / 2))
}

// orient returns the picture as a camera's EXIF orientation 1..8 wants it seen; 5 to 8 exchange the sides.
func orient(m *Image, orientation int) *Image {
	if orientation < 2 || orientation > 8 {
		return m
	}
	w, h := m.W, m.H
	transposed := orientation >= 5
	if transposed {
		w, h = h, w
	}
	mirrorX := orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8
	mirrorY := orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7
	out := NewImage(w, h)
	for y := range h {
		dst := out.row(y)
		for x := range w {
			sx, sy := x, y
			if transposed {
				sx, sy = y, x
			}
			if mirrorX {
				sx = m.W - 1 - sx
			}
			if mirrorY {
				sy = m.H - 1 - sy
			}
			copy(dst[3*x:3*x+3], m.row(sy)[3*sx:])
		}
	}
	return out
}
