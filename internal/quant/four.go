package quant

import (
	"cmp"
	"encoding/binary"
	"math"
	"slices"

	"github.com/plinth-ml/plinth/internal/vec"
)

// bitsandbytes' types of 4 bits: a number is a scale, the largest magnitude of its block, times one of sixteen. In memory a block is the scale and then
// its codes, two in a byte, the first in the upper half, as bitsandbytes has them in a tensor of their own.

// FourBlock is the elements of a block of NF4 and FP4, FourBytes its bytes, of which the first FourScale are the scale.
const (
	FourBlock = 64
	FourBytes = FourScale + FourBlock/2
	FourScale = 4
)

// four is such a type.
type four struct {
	table  [16]float32
	order  [16]uint8   // codes by their number, ascending
	bounds [15]float32 // halfway between a number and the next
	below  [cells]int8 // how many bounds are surely below each of so many equal parts of [-1, 1]
}

const cells = 64

func newFour(table [16]float32) *four {
	f := &four{table: table}
	for i := range f.order {
		f.order[i] = uint8(i)
	}
	slices.SortStableFunc(f.order[:], func(a, b uint8) int { return cmp.Compare(table[a], table[b]) })
	for i := range f.bounds {
		f.bounds[i] = (table[f.order[i]] + table[f.order[i+1]]) / 2
	}
	for i := range f.below {
		for edge := float32(i)*2/cells - 1.001; int(f.below[i]) < len(f.bounds) && f.bounds[f.below[i]] < edge; f.below[i]++ {
		}
	}
	return f
}

// nf4 has the quantiles of a normal distribution, its largest number scaled to 1, with eight numbers above zero and seven below (Dettmers et al. 2023, appendix E).
var nf4 = newFour([16]float32{-1, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635, -0.18477343022823334, -0.09105003625154495, 0,
	0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224, 0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1})

// fp4 is a sign, two bits of exponent and one of fraction, over the largest number, 12.
var fp4 = newFour([16]float32{0, 0.0625 / 12, 8. / 12, 1, 4. / 12, 6. / 12, 2. / 12, 3. / 12, 0, -0.0625 / 12, -8. / 12, -1, -4. / 12, -6. / 12, -2. / 12, -3. / 12})

func (f *four) decode(dst []float32, src []byte) { vec.F32From4(dst, src, &f.table) }

// faintest bounds the scales from below, for their inverse.
const faintest = 1e-38

// encode rounds to the nearest number, to the lower one in ties, after the division by the scale as a product with its inverse. A block with a NaN
// has it as its scale.
func (f *four) encode(dst []byte, src []float32) {
	for ; len(src) > 0; dst, src = dst[FourBytes:], src[FourBlock:] {
		x := src[:FourBlock]
		scale := math.Float32frombits(magnitude(0, x))
		inverse := 1 / max(scale, faintest)
		binary.LittleEndian.PutUint32(dst, math.Float32bits(scale))
		for i := range FourBlock / 2 {
			dst[FourScale+i] = f.code(x[2*i]*inverse)<<4 | f.code(x[2*i+1]*inverse)
		}
	}
}

// code returns the code of the number nearest to x, which is in [-1, 1], but for roundings, or NaN.
func (f *four) code(x float32) uint8 {
	if x != x {
		return f.order[15]
	}
	at := int(f.below[min(max(int((x+1)*(cells/2)), 0), cells-1)])
	for at < len(f.bounds) && f.bounds[at] < x {
		at++
	}
	return f.order[at]
}

// FourTable returns the sixteen numbers of NF4 or FP4.
func (f Format) FourTable() []float32 {
	if f == FP4 {
		return fp4.table[:]
	}
	return nf4.table[:]
}
