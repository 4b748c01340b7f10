package pixel

// Fixed is how many bits of a weight lie behind the point: 32 less 8 for the pixel and 2 for sums outside 0..1.
const Fixed = 22

// round rounds a sum of weighted pixels, to which a half was added, to a pixel.
func round(sum int32) uint8 { return clamp8(sum >> Fixed) }

// SumRows sets each byte of dst to the sum of those in its place in the rows of src, which are stride apart, times their weights.
func SumRows(dst, src []uint8, stride int, weights []int32) {
	if len(weights) == 0 || len(dst) == 0 {
		clear(dst)
		return
	}
	need("SumRows", "src", len(src), (len(weights)-1)*stride+len(dst))
	active.sumRows(dst, src, stride, weights)
}

func sumRowsGo(dst, src []uint8, stride int, weights []int32) {
	for i := range dst {
		sum := int32(1 << (Fixed - 1))
		for j, w := range weights {
			sum += int32(src[j*stride+i]) * w
		}
		dst[i] = round(sum)
	}
}

// group is how many pixels of a window are taken at once.
const group = 4

// Windows are the parts of a row that make one pixel each.
type Windows struct {
	starts  []int32   // the first pixel of each
	weights [][]int32 // of the pixels from there on
	end     int       // behind the last pixel of any

	// For the fast variant: windows of groups times four weights, filled up with zeros, in two parts: weight = low + high << 15.
	groups int
	parts  []int16 // of each window and group the four low parts, then the four high ones
}

// NewWindows lists windows by their first pixels and the weights from there on, in units of 2^-Fixed and below 2^24 in size.
func NewWindows(starts []int32, weights [][]int32) *Windows {
	w := &Windows{starts: starts, weights: weights}
	for i, k := range weights {
		w.end = max(w.end, int(starts[i])+len(k))
		w.groups = max(w.groups, (len(k)+group-1)/group)
	}
	w.parts = make([]int16, 2*group*w.groups*len(starts))
	for i, k := range weights {
		for j, v := range k {
			at := 2*group*(w.groups*i+j/group) + j%group
			w.parts[at], w.parts[at+group] = int16(v&(1<<15-1)), int16(v>>15)
		}
	}
	return w
}

// SumRGB makes one RGB pixel of each window: dst [len(starts), 3] of the row src [·, 3].
func SumRGB(dst, src []uint8, w *Windows) {
	need("SumRGB", "src", len(src), 3*w.end)
	need("SumRGB", "dst", len(dst), 3*len(w.starts))
	active.sumRGB(dst, src, w)
}

func sumRGBGo(dst, src []uint8, w *Windows) {
	for x, weights := range w.weights {
		r, g, b := int32(1<<(Fixed-1)), int32(1<<(Fixed-1)), int32(1<<(Fixed-1))
		p := src[3*int(w.starts[x]):][:3*len(weights)]
		for j, k := range weights {
			r += int32(p[3*j]) * k
			g += int32(p[3*j+1]) * k
			b += int32(p[3*j+2]) * k
		}
		dst[3*x], dst[3*x+1], dst[3*x+2] = round(r), round(g), round(b)
	}
}
