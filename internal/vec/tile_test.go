package vec

import (
	"math"
	"slices"
	"testing"
)

// TestTiles: rows of a tile have the bits that the functions of one row give, and what is beside the tile stays.
func TestTiles(t *testing.T) {
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	eachVariant(t, func(t *testing.T) {
		for _, width := range []int{0, 1, 15, 16, 17, 33, 48, 70} {
			rows, ld := width+5, width+3
			n := max(0, (rows-1)*ld+width)
			scores, ds := make([]float32, n), make([]float32, n)
			for i := range n {
				scores[i], ds[i] = float32(math.Sin(float64(i)))*20, float32(math.Cos(float64(3*i)))
			}
			seen, top, delta := make([]int32, rows), make([]float32, rows), make([]float32, rows)
			for i := range rows {
				seen[i], top[i], delta[i] = int32(min(i, width)), float32(i%7)-3, float32(i%5)/8
				if i%3 == 0 {
					top[i] = -inf
				}
			}
			if width == 70 {
				for i, v := range map[int]float32{0: -inf, 1: nan, 2: inf, 20: nan} {
					scores[(width-i)*ld+i] = v
				}
				for j := range width {
					scores[(width-5)*ld+j] = -inf
				}
				top[width-5] = -inf
			}
			want, wantTop, wantSum := slices.Clone(scores), slices.Clone(top), make([]float32, rows)
			for i, s := range seen {
				row := want[i*ld:][:width]
				clear(row[s:])
				if s > 0 {
					wantTop[i] = max(top[i], Max(row[:s]))
				}
				wantSum[i] = ExpSum(row[:s], row[:s], wantTop[i])
			}
			got, gotTop, sum := slices.Clone(scores), slices.Clone(top), make([]float32, rows)
			SoftmaxTile(got, ld, width, seen, gotTop, sum)
			same := func(name string, got, want []float32) {
				for i := range want {
					if math.Float32bits(got[i]) != math.Float32bits(want[i]) && (got[i] == got[i] || want[i] == want[i]) {
						t.Fatalf("width %d: %s[%d] is %v, want %v", width, name, i, got[i], want[i])
					}
				}
			}
			for i := range rows { // a row with a NaN has a NaN in its sum, wherever else
				if wantSum[i] != wantSum[i] {
					if sum[i] == sum[i] {
						t.Fatalf("width %d: row %d has a NaN, the sum is %v", width, i, sum[i])
					}
					copy(got[i*ld:][:width], want[i*ld:])
					gotTop[i] = wantTop[i]
				}
			}
			same("p", got, want)
			same("top", gotTop, wantTop)
			same("sum", sum, wantSum)

			want, wantDS := slices.Clone(scores), slices.Clone(ds)
			for i, s := range seen {
				p, d := want[i*ld:][:width], wantDS[i*ld:][:width]
				clear(p[s:])
				clear(d[s:])
				ExpSum(p[:s], p[:s], delta[i])
				Mul(d[:s], d[:s], p[:s])
				Axpy(d[:s], -delta[i], p[:s])
			}
			got, gotDS := slices.Clone(scores), slices.Clone(ds)
			SoftmaxTileGrad(got, gotDS, ld, width, seen, delta, delta)
			same("p", got, want)
			same("ds", gotDS, wantDS)
		}
	})
}
