package media

import (
	"fmt"
	"io"
	"os"
)

// Preprocess is what stands between a picture and a vision tower.
type Preprocess struct {
	Size   int        // side of the square that the tower sees, in pixels
	Filter Filter     // of the resize; Bicubic is CLIP's
	Whole  bool       // the picture is stretched to the square, as for SigLIP; otherwise its short side is resized and the centre cut out
	Mean   [3]float32 // of each channel, on the scale 0..1
	Std    [3]float32
	Ground *[3]uint8 // colour that is seen where a picture is transparent; nil: alpha is dropped, as in OpenAI's preprocessing
}

// Decode is the package's Decode, or DecodeOver where there is a ground.
func (p Preprocess) Decode(r io.Reader, limits Limits) (*Image, error) {
	return decode(r, limits, p.Ground)
}

// Open decodes the picture of a file, whose name errors give.
func (p Preprocess) Open(path string, limits Limits) (*Image, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	m, err := p.Decode(f, limits)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return m, nil
}

// CLIP is OpenAI's preprocessing for a tower of size x size pixels.
func CLIP(size int) Preprocess {
	return Preprocess{
		Size: size,
		Mean: [3]float32{0.48145466, 0.4578275, 0.40821073},
		Std:  [3]float32{0.26862954, 0.26130258, 0.27577711},
	}
}

// SigLIP is the preprocessing of SigLIP (Zhai et al. 2023) for a tower of size x size pixels.
func SigLIP(size int) Preprocess {
	half := [3]float32{0.5, 0.5, 0.5}
	return Preprocess{Size: size, Whole: true, Mean: half, Std: half}
}

// Apply resizes the short side to Size and cuts the centre, or stretches the picture, and writes (pixel/255 - mean) / std to dst [3, Size, Size], as torchvision's
// Resize, CenterCrop, ToTensor and Normalize do on an RGB picture. It panics where dst has another length.
func (p Preprocess) Apply(dst []float32, m *Image) {
	n := p.Size * p.Size
	if len(dst) != 3*n {
		panic(fmt.Sprintf("media: %d values for a picture of [3, %d, %d]", len(dst), p.Size, p.Size))
	}
	w, h := p.Size, p.Size
	if !p.Whole {
		w, h = shortSide(m.W, m.H, p.Size)
	}
	m = resizeCrop(m, w, h, p.Filter, cropStart(w, p.Size), cropStart(h, p.Size), p.Size, p.Size)
	for c := range 3 {
		var table [256]float32 // a channel has only so many values
		for v := range table {
			table[v] = (float32(v)/255 - p.Mean[c]) / p.Std[c]
		}
		for i := range n {
			dst[c*n+i] = table[m.Pix[3*i+c]]
		}
	}
}

// shortSide scales w x h so that the shorter side is size; the longer one is rounded down.
func shortSide(w, h, size int) (int, int) {
	if w <= h {
		return size, size * h / w
	}
	return size * w / h, size
}
