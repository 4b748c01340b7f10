package media

import (
	"fmt"
	"math"

	"github.com/plinth-ml/plinth/internal/random"
)

// Augment is what training does to a picture before a tower sees it: torchvision's random transforms in open_clip's order, each a pure
// function of the picture and the key.
type Augment struct {
	Crop    RandomResizedCrop
	Flip    float64 // chance of a mirror image
	Jitter  ColorJitter
	Jitters float64 // chance of Jitter
	Grey    float64 // chance of a picture without colour
}

// Apply returns a changed picture of Crop.Size x Crop.Size pixels. Equal keys give equal pictures.
func (a Augment) Apply(m *Image, key random.Key) *Image {
	m = a.Crop.Apply(m, key.Named("crop"))
	chance := key.Named("chance")
	if chance.Float64(0) < a.Flip {
		m = Flip(m)
	}
	if chance.Float64(1) < a.Jitters {
		m = a.Jitter.Apply(m, key.Named("jitter"))
	}
	if chance.Float64(2) < a.Grey {
		m = Grey(m)
	}
	return m
}

// RandomResizedCrop cuts a random part out of a picture and resizes it to a square, as torchvision's transform of that name does.
type RandomResizedCrop struct {
	Size   int        // side of the square in pixels
	Filter Filter     // of the resize
	Scale  [2]float64 // least and most share of the picture's area, uniform; zero: 0.9 and 1, open_clip's
	Ratio  [2]float64 // least and most width divided by height, uniform in the logarithm; zero: 3/4 and 4/3
}

// Apply returns the part of the picture that the key draws.
func (c RandomResizedCrop) Apply(m *Image, key random.Key) *Image {
	x, y, w, h := c.box(m.W, m.H, draws(key))
	return Resize(Crop(m, x, y, w, h), c.Size, c.Size, c.Filter)
}

// box is the part [x, x+w) x [y, y+h) of a picture of width x height pixels that numbers of [0, 1) draw: the first of ten tries that
// lies inside, or else the largest central part of a ratio within the range.
func (c RandomResizedCrop) box(width, height int, draw func() float64) (x, y, w, h int) {
	scale, ratio := c.Scale, c.Ratio
	if scale == [2]float64{} {
		scale = [2]float64{0.9, 1}
	}
	if ratio == [2]float64{} {
		ratio = [2]float64{3. / 4, 4. / 3}
	}
	for range 10 {
		area := float64(width*height) * between(scale[0], scale[1], draw())
		aspect := math.Exp(between(math.Log(ratio[0]), math.Log(ratio[1]), draw()))
		w, h = int(math.RoundToEven(math.Sqrt(area*aspect))), int(math.RoundToEven(math.Sqrt(area/aspect)))
		if w > 0 && w <= width && h > 0 && h <= height {
			y = int(draw() * float64(height-h+1))
			x = int(draw() * float64(width-w+1))
			return x, y, w, h
		}
	}
	w, h = width, height
	switch aspect := float64(width) / float64(height); {
	case aspect < ratio[0]:
		h = int(math.RoundToEven(float64(w) / ratio[0]))
	case aspect > ratio[1]:
		w = int(math.RoundToEven(float64(h) * ratio[1]))
	}
	return (width - w) / 2, (height - h) / 2, w, h
}

// ColorJitter changes a picture's brightness, contrast, saturation and hue by random factors in random order, as torchvision's transform
// of that name does. A field of 0 leaves its property alone. A field b of the first three draws a factor of max(0, 1-b) to 1+b; Hue is at
// most 0.5 and draws a turn of -Hue to Hue.
type ColorJitter struct{ Brightness, Contrast, Saturation, Hue float64 }

// Apply returns the picture with the changes that the key draws. It panics where a field is negative or Hue above 0.5.
func (c ColorJitter) Apply(m *Image, key random.Key) *Image {
	if min(c.Brightness, c.Contrast, c.Saturation, c.Hue) < 0 || c.Hue > 0.5 {
		panic(fmt.Sprintf("media: colour jitter %+v", c))
	}
	draw := draws(key)
	steps := []struct {
		change     func(*Image, float64) *Image
		by, lo, hi float64
	}{
		{Brightness, c.Brightness, max(0, 1-c.Brightness), 1 + c.Brightness},
		{Contrast, c.Contrast, max(0, 1-c.Contrast), 1 + c.Contrast},
		{Saturation, c.Saturation, max(0, 1-c.Saturation), 1 + c.Saturation},
		{Hue, c.Hue, -c.Hue, c.Hue},
	}
	for n := len(steps); n > 0; n-- { // one of those that are left
		i := int(draw() * float64(n))
		s, factor := steps[i], draw()
		steps[i] = steps[n-1]
		if s.by > 0 {
			m = s.change(m, between(s.lo, s.hi, factor))
		}
	}
	return m
}

// between is the place of a number of [0, 1) in a range.
func between(lo, hi, u float64) float64 { return lo + float64((hi-lo)*u) }

// draws returns the key's numbers of [0, 1), one after the other.
func draws(key random.Key) func() float64 {
	i := uint64(0)
	return func() float64 {
		i++
		return key.Float64(i - 1)
	}
}
