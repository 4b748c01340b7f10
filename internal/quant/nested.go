package quant

import (
	"fmt"
	"math"
	"slices"
)

// NestedBlock is how many scales of blocks share one of their own.
const NestedBlock = 256

// Nested are scales of blocks in 8 bits (double quantisation, Dettmers et al. 2023, section 3): scale i is Map[Code[i]]·Scale[i/256] + Offset, the product rounded first.
type Nested struct {
	Code   []uint8
	Scale  []float32
	Map    []float32 // [256], ascending
	Offset float32
}

// DynamicMap returns the 256 numbers of Nested: signs, powers of ten from 1e-6 to 1, and the more fractions between them the larger they are (Dettmers 2015),
// as bitsandbytes' create_dynamic_map.
func DynamicMap() []float32 {
	list := []float32{0, 1}
	for i, power := range []float32{1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1} {
		n := 1 << i // fractions
		step := float32(float32(1)-0.1) / float32(n)
		boundary := func(k int) float32 { // linspace(0.1, 1, n+1), from either end with one rounding
			if k < (n+1)/2 {
				return float32(float64(float32(0.1)) + float64(step)*float64(k))
			}
			return float32(1 - float64(step)*float64(n-k))
		}
		for k := range n {
			v := power * ((boundary(k) + boundary(k+1)) / 2)
			list = append(list, v, -v)
		}
	}
	slices.Sort(list)
	return list
}

// Nest stores scales in 8 bits: their mean is taken off, each 256 are divided by the largest magnitude, and each becomes the nearest number of the map,
// the lower one in ties. The roundings are those of bitsandbytes' functions in PyTorch, but for the sum of the mean, whose order there
// depends on the machine.
func Nest(scales []float32) *Nested {
	sum := 0.0
	for _, s := range scales {
		sum += float64(s)
	}
	return nest(scales, float32(sum/float64(max(len(scales), 1))))
}

func nest(scales []float32, offset float32) *Nested {
	n := &Nested{Code: make([]uint8, len(scales)), Map: DynamicMap(), Offset: offset}
	bounds := make([]float32, len(n.Map)-1)
	for i := range bounds {
		bounds[i] = (n.Map[i] + n.Map[i+1]) / 2
	}
	x := make([]float32, NestedBlock)
	for at := 0; at < len(scales); at += NestedBlock {
		x = x[:min(NestedBlock, len(scales)-at)]
		for i := range x {
			x[i] = scales[at+i] - offset
		}
		top := math.Float32frombits(magnitude(0, x))
		n.Scale = append(n.Scale, top)
		inverse := 1 / max(top, faintest)
		for i, v := range x {
			if len(x) == NestedBlock {
				v *= inverse
			} else { // bitsandbytes divides in a last block that is not full
				v /= max(top, faintest)
			}
			code, _ := slices.BinarySearch(bounds, v) // how many bounds are below v
			n.Code[at+i] = uint8(code)
		}
	}
	return n
}

// Scales writes the scales to dst, as many as there are codes.
func (n *Nested) Scales(dst []float32) {
	if len(dst) != len(n.Code) || len(n.Map) != NestedBlock || len(n.Scale) != (len(n.Code)+NestedBlock-1)/NestedBlock {
		panic(fmt.Sprintf("quant: %d scales from %d codes of %d numbers with %d scales", len(dst), len(n.Code), len(n.Map), len(n.Scale)))
	}
	for i, c := range n.Code {
		dst[i] = float32(n.Map[c]*n.Scale[i/NestedBlock]) + n.Offset
	}
}
