package cpu

import (
	"math"

	"github.com/plinth-ml/plinth/internal/kernel"
)

func (e *engine) dropout(d kernel.Dropout, y, x kernel.Buf, acc bool) {
	const op = "Dropout"
	need(op, "x", x.Len(), y.Len())
	e.run(y.Len(), heavy, job{y: f32(op, y), a: f32(op, x), drop: d, acc: acc, body: func(_ *engine, j *job, lo, hi, _ int) {
		dropTo(j.drop, j.y[lo:hi], j.a[lo:hi], lo, j.acc) // heavy is a multiple of dropBlock, so lo is, too
	}})
}

// dropBlock is the number of elements that dropTo draws numbers for at once.
const dropBlock = 16

// dropTo sets y to d(x), or adds it; the first is element from, a multiple of dropBlock.
func dropTo(d kernel.Dropout, y, x []float32, from int, acc bool) {
	drops, scale := d.Drops(), float32(d.Scale())
	var words [dropBlock / 2]uint32
	for lo := 0; lo < len(y); lo += dropBlock {
		d.Key.Bits256(uint64((from+lo)/8), &words)
		y, x := y[lo:min(lo+dropBlock, len(y))], x[lo:]
		if len(y) == dropBlock && !acc {
			x := x[:len(y)]
			for i, w := range words {
				y[2*i] = kept(x[2*i]*scale, w&0xffff, drops)
				y[2*i+1] = kept(x[2*i+1]*scale, w>>16, drops)
			}
			continue
		}
		for i := range y {
			v := kept(x[i]*scale, words[i/2]>>(i%2*16)&0xffff, drops)
			if acc {
				v += y[i]
			}
			y[i] = v
		}
	}
}

// kept is v, or 0 where random is below drops. Which it is cannot be foreseen: a branch would cost more than all else here.
func kept(v float32, random, drops uint32) float32 {
	mask := uint32((int64(drops) - 1 - int64(random)) >> 63) // ones where random >= drops
	return math.Float32frombits(math.Float32bits(v) & mask)
}
