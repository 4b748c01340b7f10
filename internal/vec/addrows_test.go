package vec

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestAddRows: equal bits to adding one row after the other, at all tails, strides and misalignments; nothing beside y is written.
func TestAddRows(t *testing.T) {
	eachVariant(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(1, 2))
		for n := range 150 {
			for _, rows := range []int{0, 1, 2, 5} {
				ld, skip := n+rng.IntN(3), rng.IntN(8)
				x := make([]float32, skip+rows*ld+n)
				for i := range x {
					x[i] = float32(rng.NormFloat64())
				}
				if len(x) > 3 {
					x[rng.IntN(len(x))] = float32(math.Inf(1))
				}
				x = x[skip:]
				y := make([]float32, skip+n+4)
				for i := range y {
					y[i] = float32(rng.NormFloat64())
				}
				want := slices.Clone(y)
				for i := range rows {
					AddTo(want[skip:skip+n], x[i*ld:][:n])
				}
				AddRows(y[skip:skip+n], x[:max(0, (rows-1)*ld+n)], ld, rows)
				for i := range y {
					if math.Float32bits(y[i]) != math.Float32bits(want[i]) {
						t.Fatalf("%d columns, %d rows: element %d is %v, want %v", n, rows, i-skip, y[i], want[i])
					}
				}
			}
		}
	})
}
