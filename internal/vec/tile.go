package vec

import "math"

// SoftmaxTile is one step of a running softmax (Milakov & Gimelshein 2018, algorithm 3) for every row of a tile of scores. Row i is the
// width elements from p[i*ld] on, of which the first seen[i] count. It raises top[i] to their maximum, turns them into e^(p-top[i]) and
// the others into 0, and sets sum[i] to the sum. Values are those of Max and ExpSum; a NaN makes sum[i] NaN.
func SoftmaxTile(p []float32, ld, width int, seen []int32, top, sum []float32) {
	rows := needTile("SoftmaxTile", "p", p, ld, width, seen)
	need("SoftmaxTile", "top", len(top), rows)
	need("SoftmaxTile", "sum", len(sum), rows)
	active.softmax(p, ld, width, seen, top, sum)
}

// SoftmaxTileGrad turns the scores p of a tile into probabilities e^(p-lse[i]), and ds, the gradient of the probabilities, into that of the scores,
// p (ds-delta[i]); delta[i] is the sum of p ds over the whole row. Both become 0 beyond seen[i]. The tile is as in SoftmaxTile.
func SoftmaxTileGrad(p, ds []float32, ld, width int, seen []int32, lse, delta []float32) {
	rows := needTile("SoftmaxTileGrad", "p", p, ld, width, seen)
	needTile("SoftmaxTileGrad", "ds", ds, ld, width, seen)
	need("SoftmaxTileGrad", "lse", len(lse), rows)
	need("SoftmaxTileGrad", "delta", len(delta), rows)
	active.softmaxBack(p, ds, ld, width, seen, lse, delta)
}

// needTile panics unless x holds the tile, and returns its rows.
func needTile(op, name string, x []float32, ld, width int, seen []int32) (rows int) {
	if rows = len(seen); rows > 0 {
		need(op, name, len(x), (rows-1)*ld+width)
	}
	for _, n := range seen {
		if n < 0 || int(n) > width {
			short(op, "width", width, int(n))
		}
	}
	return rows
}

func (v *variant) softmax(p []float32, ld, width int, seen []int32, top, sum []float32) {
	if v.softmaxTile != nil && len(seen) > 0 && width > 0 {
		v.softmaxTile(&p[0], ld, width, &seen[0], &top[0], &sum[0], len(seen))
		return
	}
	for i, n := range seen {
		row := p[i*ld:][:width]
		clear(row[n:])
		row = row[:n]
		top[i] = max(top[i], v.max(row))
		shift := top[i]
		if math.IsInf(float64(shift), -1) {
			shift = 0
		}
		sum[i] = v.expSum(row, row, shift)
	}
}

func (v *variant) softmaxBack(p, ds []float32, ld, width int, seen []int32, lse, delta []float32) {
	if v.softmaxTileGrad != nil && len(seen) > 0 && width > 0 {
		v.softmaxTileGrad(&p[0], &ds[0], ld, width, &seen[0], &lse[0], &delta[0], len(seen))
		return
	}
	for i, n := range seen {
		row, dRow := p[i*ld:][:width], ds[i*ld:][:width]
		clear(row[n:])
		clear(dRow[n:])
		row, dRow = row[:n], dRow[:n]
		v.expSum(row, row, lse[i])
		v.mul(dRow, dRow, row)
		v.axpy(dRow, -delta[i], row)
	}
}
