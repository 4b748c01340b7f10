package cpu

import (
	"math"

	"github.com/plinth-ml/plinth/internal/kernel"
)

func (e *engine) dropout(d kernel.Dropout, y, x kernel.Buf, acc bool) {
	const op = "Dropout"
	need(op, "x", x.Len(), y.Len())
	e.run(y.Len(), heavy, job{y: f32(op, y), a: f32(op, x), drop: d, acc: acc, body: func(_ *engine, j *job, lo, hi, _ int) {
		drops, scale := j.drop.Drops(), float32(j.drop.Scale())
		var words [8]uint32
		for ; lo < hi; lo += 2 * len(words) { // two blocks; heavy is a multiple of them, so lo is, too
			j.drop.Key.Bits256(uint64(lo/8), &words)
			y, x := j.y[lo:min(lo+2*len(words), hi)], j.a[lo:hi]
			if len(y) == 2*len(words) && !j.acc {
				x := x[:len(y)]
				for i, w := range words {
					y[2*i] = kept(x[2*i]*scale, w&0xffff, drops)
					y[2*i+1] = kept(x[2*i+1]*scale, w>>16, drops)
				}
				continue
			}
			for i := range y {
				v := kept(x[i]*scale, words[i/2]>>(i%2*16)&0xffff, drops)
				if j.acc {
					v += y[i]
				}
				y[i] = v
			}
		}
	}})
}

// kept is v, or 0 where random is below drops. Which it is cannot be foreseen: a branch would cost more than all else here.
func kept(v float32, random, drops uint32) float32 {
	mask := uint32((int64(drops) - 1 - int64(random)) >> 63) // ones where random >= drops
	return math.Float32frombits(math.Float32bits(v) & mask)
}
