package cpu

import (
	"math"

	"github.com/plinth-ml/plinth/internal/kernel"
	"github.com/plinth-ml/plinth/internal/vec"
)

// Rows of a batch norm may be short, and their vectors are the same for all: several rows are taken as one vector of about so many elements, beside
// as many copies of the columns' numbers.
const batchRun = 1024

// batchRows is the number of rows of c elements that are summed one after the other: few enough that narrow ones lose no digits.
func batchRows(c int) int { return min(rowsFor(light, c), 256) }

// column makes slot i of the columns' numbers, f(c) for column c, as many copies one after the other as make a run.
func (e *engine) column(i, c int, f func(c int) float32) []float32 {
	n := max(1, batchRun/c) * c
	col := room(e.columns[i], n)
	e.columns[i] = col
	for k := range c {
		col[k] = f(k)
	}
	for k := c; k < n; k += c {
		copy(col[k:], col[:c])
	}
	return col
}

// batchStats sums blocks of rows, in two passes of which the second reads the cache, and joins them in ascending order in float64 (Chan et al. 1979).
func (e *engine) batchStats(mean, variance, x kernel.Buf) {
	const op = "BatchStats"
	c := mean.Len()
	n := rowsOf(op, x.Len(), c)
	need(op, "variance", variance.Len(), c)
	ms, vs := f32(op, mean), f32(op, variance)
	chunk := batchRows(c)
	blocks := (n + chunk - 1) / chunk
	e.partial = room(e.partial, 2*blocks*c)
	part := e.partial
	e.run(n, chunk, job{y: part, a: f32(op, x), width: c, body: batchStatsRows})
	e.run(c, rowsFor(heavy, blocks), job{y: ms, y2: vs, a: part, n: n, width: c, rows: n, dim: chunk, body: joinStats})
}

// batchStatsRows leaves the means and the sums of squared differences from them of one block of rows in y [blocks, 2, C].
func batchStatsRows(e *engine, j *job, lo, hi, worker int) {
	c := j.width
	part := j.y[lo/j.chunk*2*c:][:2*c]
	mean, square := part[:c], part[c:]
	clear(part)
	vec.AddRows(mean, j.a[lo*c:], c, hi-lo)
	vec.Scale(mean, 1/float32(hi-lo), mean)
	most := max(1, batchRun/c)
	t := e.scratch[worker].floats(2 * most * c)
	means, t := t[:most*c], t[most*c:]
	for k := 0; k < most*c; k += c {
		copy(means[k:], mean)
	}
	for at := lo * c; at < hi*c; at += most * c {
		run := j.a[at:min(at+most*c, hi*c)]
		d := t[:len(run)]
		vec.Sub(d, run, means[:len(run)])
		vec.Mul(d, d, d)
		vec.AddRows(square, d, c, len(run)/c)
	}
}

// joinStats joins the blocks, of dim rows each, for columns [lo,hi).
func joinStats(_ *engine, j *job, lo, hi, _ int) {
	for c := lo; c < hi; c++ {
		count, mean, square := 0.0, 0.0, 0.0
		for from := 0; from < j.rows; from += j.dim {
			n := float64(min(j.dim, j.rows-from))
			at := from/j.dim*2*j.width + c
			d := float64(j.a[at]) - mean
			square += float64(j.a[at+j.width]) + d*d*count*n/(count+n)
			mean += d * n / (count + n)
			count += n
		}
		j.y[c], j.y2[c] = float32(mean), float32(square/max(count, 1))
	}
}

// batchSizes checks the operands of n and returns the number of rows.
func batchSizes(op string, n *kernel.BatchNorm) int {
	c := n.Weight.Len()
	rows := rowsOf(op, n.X.Len(), c)
	need(op, "Mean", n.Mean.Len(), c)
	need(op, "Var", n.Var.Len(), c)
	need(op, "Bias", n.Bias.Len(), c)
	if !n.Residual.None() {
		need(op, "Residual", n.Residual.Len(), rows*c)
	}
	return rows
}

// affine makes the columns' factor and summand of the normalisation.
func (e *engine) affine(op string, n *kernel.BatchNorm) (scale, shift []float32) {
	mean, variance, w, b := f32(op, n.Mean), f32(op, n.Var), f32(op, n.Weight), f32(op, n.Bias)
	c := len(w)
	scale = e.column(0, c, func(k int) float32 { return w[k] * rstd(variance[k], n.Eps) })
	shift = e.column(1, c, func(k int) float32 { return b[k] - mean[k]*scale[k] })
	return scale, shift
}

func rstd(variance float32, eps float64) float32 {
	return float32(1 / math.Sqrt(float64(variance)+eps))
}

// before is what the activation is applied to: t = x·scale + shift + residual.
func (j *job) before(t []float32, from int) {
	to := from + len(t)
	vec.Mul(t, j.a[from:to], j.c[:len(t)])
	vec.AddTo(t, j.d[:len(t)])
	if j.b != nil {
		vec.AddTo(t, j.b[from:to])
	}
}

func (e *engine) batchNorm(n *kernel.BatchNorm) {
	const op = "BatchNorm"
	rows, c := batchSizes(op, n), n.Weight.Len()
	need(op, "Y", n.Y.Len(), rows*c)
	scale, shift := e.affine(op, n)
	e.run(rows, rowsFor(light, c), job{y: f32(op, n.Y), a: f32(op, n.X), b: f32(op, n.Residual), c: scale, d: shift, width: c, f1: actFunc(n.Act),
		body: func(_ *engine, j *job, lo, hi, _ int) {
			for at := lo * j.width; at < hi*j.width; at += len(j.c) {
				y := j.y[at:min(at+len(j.c), hi*j.width)]
				j.before(y, at)
				if j.f1 != nil {
					j.f1(y, y)
				}
			}
		}})
}

// batchNormGrad makes the gradient of what the activation is applied to and the sums over the columns in one pass, dx in another: a sum of dz, x-mean and 1
// with factors of the columns.
func (e *engine) batchNormGrad(n *kernel.BatchNorm, g *kernel.BatchNormGrad) {
	const op = "BatchNormGrad"
	rows, c := batchSizes(op, n), n.Weight.Len()
	need(op, "DY", g.DY.Len(), rows*c)
	scale, shift := e.affine(op, n)
	mean, variance, dz := f32(op, n.Mean), f32(op, n.Var), f32(op, g.DY)
	means := e.column(2, c, func(k int) float32 { return mean[k] })
	chunk := batchRows(c)
	blocks := (rows + chunk - 1) / chunk
	e.partial = room(e.partial, 2*(blocks+1)*c)
	sums, part := e.partial[:2*c], e.partial[2*c:] // [C] of dz·(x-mean), [C] of dz
	clear(sums)
	j := job{y: dz, y2: part, a: f32(op, n.X), b: f32(op, n.Residual), c: scale, d: shift, w: means, width: c, body: batchNormSums}
	if n.Act != kernel.Identity {
		j.f2 = actGradFunc(n.Act)
	}
	e.run(rows, chunk, j)
	e.addBlocks(sums, part)
	for k := range c {
		sums[k] *= rstd(variance[k], n.Eps) // of dz·h
	}
	if !g.DW.None() {
		need(op, "DW", g.DW.Len(), c)
		vec.AddTo(f32(op, g.DW), sums[:c])
	}
	if !g.DB.None() {
		need(op, "DB", g.DB.Len(), c)
		vec.AddTo(f32(op, g.DB), sums[c:])
	}
	if g.DX.None() {
		return
	}
	need(op, "DX", g.DX.Len(), rows*c)
	j = job{y: f32(op, g.DX), a: f32(op, n.X), b: dz, c: scale, w: means, width: c, acc: g.Acc, body: batchNormDX}
	if !g.Fixed {
		per := 1 / float32(max(rows, 1))
		j.d = e.column(3, c, func(k int) float32 { return -scale[k] * rstd(variance[k], n.Eps) * sums[k] * per })
		j.y2 = e.column(4, c, func(k int) float32 { return -scale[k] * sums[c+k] * per })
	}
	e.run(rows, chunk, j)
}

// batchNormSums turns dy into dz and leaves one block's sums in y2 [blocks, 2, C].
func batchNormSums(e *engine, j *job, lo, hi, worker int) {
	c := j.width
	part := j.y2[lo/j.chunk*2*c:][:2*c]
	clear(part)
	t := e.scratch[worker].floats(len(j.c))
	for at := lo * c; at < hi*c; at += len(j.c) {
		dz := j.y[at:min(at+len(j.c), hi*c)]
		t := t[:len(dz)]
		if j.f2 != nil {
			j.before(t, at)
			j.f2(dz, dz, t)
		}
		vec.Sub(t, j.a[at:at+len(dz)], j.w[:len(dz)])
		vec.Mul(t, t, dz)
		vec.AddRows(part[:c], t, c, len(dz)/c)
		vec.AddRows(part[c:], dz, c, len(dz)/c)
	}
}

// batchNormDX is dx = dz·c + (x-mean)·d + y2; the last two with statistics of x only.
func batchNormDX(e *engine, j *job, lo, hi, worker int) {
	t := e.scratch[worker].floats(2 * len(j.c))
	for at := lo * j.width; at < hi*j.width; at += len(j.c) {
		dx := j.y[at:min(at+len(j.c), hi*j.width)]
		d := dx
		if j.acc {
			d = t[:len(dx)]
		}
		vec.Mul(d, j.b[at:at+len(dx)], j.c[:len(dx)])
		if j.d != nil {
			x := t[len(j.c):][:len(dx)]
			vec.Sub(x, j.a[at:at+len(dx)], j.w[:len(dx)])
			vec.Mul(x, x, j.d[:len(dx)])
			vec.AddTo(d, x)
			vec.AddTo(d, j.y2[:len(dx)])
		}
		if j.acc {
			vec.AddTo(dx, d)
		}
	}
}
