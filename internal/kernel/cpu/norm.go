package cpu

import (
	"math"

	"github.com/plinth-ml/plinth/internal/kernel"
	"github.com/plinth-ml/plinth/internal/vec"
)

func (e *engine) softmax(y, x kernel.Buf, c int) {
	const op = "Softmax"
	need(op, "x", x.Len(), y.Len())
	e.run(rowsOf(op, y.Len(), c), rowsFor(heavy, c), job{y: f32(op, y), a: f32(op, x), width: c,
		body: func(_ *engine, j *job, lo, hi, _ int) {
			for i := lo; i < hi; i++ {
				softmaxRow(j.y[i*j.width:(i+1)*j.width], j.a[i*j.width:(i+1)*j.width])
			}
		}})
}

// softmaxRow is y = softmax(x); zeros where x is all -Inf.
func softmaxRow(y, x []float32) {
	top := vec.Max(x)
	if math.IsInf(float64(top), -1) {
		clear(y)
		return
	}
	sum := vec.ExpSum(y, x, top)
	vec.Scale(y, 1/sum, y)
}

func (e *engine) softmaxGrad(dx, dy, y kernel.Buf, c int, acc bool) {
	const op = "SoftmaxGrad"
	need(op, "dy", dy.Len(), dx.Len())
	need(op, "y", y.Len(), dx.Len())
	e.run(rowsOf(op, dx.Len(), c), rowsFor(light, c), job{y: f32(op, dx), a: f32(op, dy), b: f32(op, y), width: c, acc: acc,
		body: func(e *engine, j *job, lo, hi, worker int) {
			c := j.width
			t := e.scratch[worker].floats(c)
			for i := lo; i < hi; i++ {
				dx, dy, y := j.y[i*c:(i+1)*c], j.a[i*c:(i+1)*c], j.b[i*c:(i+1)*c]
				if !j.acc {
					vec.SoftmaxGrad(dx, dy, y)
					continue
				}
				vec.SoftmaxGrad(t, dy, y)
				vec.AddTo(dx, t)
			}
		}})
}

func (e *engine) layerNorm(y, mean, rstd, x, w, b kernel.Buf, eps float64) {
	const op = "LayerNorm"
	c := w.Len()
	n := rowsOf(op, x.Len(), c)
	need(op, "y", y.Len(), n*c)
	need(op, "mean", mean.Len(), n)
	need(op, "rstd", rstd.Len(), n)
	if !b.None() {
		need(op, "b", b.Len(), c)
	}
	e.run(n, rowsFor(light, c), job{y: f32(op, y), y2: f32(op, mean), y3: f32(op, rstd), a: f32(op, x), b: f32(op, w),
		c: f32(op, b), s: float32(eps), width: c,
		body: func(_ *engine, j *job, lo, hi, _ int) {
			c := j.width
			for i := lo; i < hi; i++ {
				j.y2[i], j.y3[i] = vec.LayerNorm(j.y[i*c:(i+1)*c], j.a[i*c:(i+1)*c], j.b, j.c, j.s)
			}
		}})
}

func (e *engine) rmsNorm(y, rstd, x, w kernel.Buf, eps float64) {
	const op = "RMSNorm"
	c := w.Len()
	n := rowsOf(op, x.Len(), c)
	need(op, "y", y.Len(), n*c)
	need(op, "rstd", rstd.Len(), n)
	e.run(n, rowsFor(light, c), job{y: f32(op, y), y3: f32(op, rstd), a: f32(op, x), b: f32(op, w), s: float32(eps), width: c,
		body: func(_ *engine, j *job, lo, hi, _ int) {
			c := j.width
			for i := lo; i < hi; i++ {
				j.y3[i] = vec.RMSNorm(j.y[i*c:(i+1)*c], j.a[i*c:(i+1)*c], j.b, j.s)
			}
		}})
}

func (e *engine) layerNormGrad(dx, dw, db, dy, x, w, mean, rstd kernel.Buf, acc bool) {
	const op = "LayerNormGrad"
	need(op, "mean", mean.Len(), rowsOf(op, x.Len(), w.Len()))
	e.normGrad(op, dx, dw, db, dy, x, w, rstd, job{c: f32(op, mean), acc: acc, body: layerNormGradRows})
}

func (e *engine) rmsNormGrad(dx, dw, dy, x, w, rstd kernel.Buf, acc bool) {
	e.normGrad("RMSNormGrad", dx, dw, kernel.Buf{}, dy, x, w, rstd, job{acc: acc, body: rmsNormGradRows})
}

// normGrad runs the body of j over blocks of rows and then adds the blocks' partial dw (and db) up.
// j: y dx or nil; y2, y3 the partial dw and db [blocks, C] or nil; a dy; b x; c mean; d rstd.
func (e *engine) normGrad(op string, dx, dw, db, dy, x, w, rstd kernel.Buf, j job) {
	c := w.Len()
	n := rowsOf(op, x.Len(), c)
	need(op, "dy", dy.Len(), n*c)
	need(op, "rstd", rstd.Len(), n)
	chunk := rowsFor(light, c)
	blocks := (n + chunk - 1) / chunk
	e.partial = room(e.partial, 2*blocks*c)
	if !dx.None() {
		need(op, "dx", dx.Len(), n*c)
		j.y = f32(op, dx)
	}
	if !dw.None() {
		need(op, "dw", dw.Len(), c)
		j.y2 = e.partial[:blocks*c]
	}
	if !db.None() {
		need(op, "db", db.Len(), c)
		j.y3 = e.partial[blocks*c : 2*blocks*c]
	}
	j.a, j.b, j.d, j.w, j.width = f32(op, dy), f32(op, x), f32(op, rstd), f32(op, w), c
	dwPart, dbPart := j.y2, j.y3
	e.run(n, chunk, j)
	if dwPart != nil {
		e.addBlocks(f32(op, dw), dwPart)
	}
	if dbPart != nil {
		e.addBlocks(f32(op, db), dbPart)
	}
}

// normScratch returns the places of one block's partial sums, zeroed, and a row for dx; the places point into scratch
// where the caller wants no such gradient.
func normScratch(e *engine, j *job, lo, worker int) (row, dw, db []float32) {
	c := j.width
	t := e.scratch[worker].floats(2 * c)
	row, dw = t[:c], t[c:2*c]
	at := lo / j.chunk * c
	if j.y2 != nil {
		dw = j.y2[at : at+c]
	}
	if j.y3 != nil {
		db = j.y3[at : at+c]
	}
	clear(dw)
	clear(db)
	return row, dw, db
}

func layerNormGradRows(e *engine, j *job, lo, hi, worker int) {
	c := j.width
	row, dw, db := normScratch(e, j, lo, worker)
	for i := lo; i < hi; i++ {
		dx := row
		if j.y != nil && !j.acc {
			dx = j.y[i*c : (i+1)*c]
		}
		vec.LayerNormGrad(dx, dw, db, j.a[i*c:(i+1)*c], j.b[i*c:(i+1)*c], j.w, j.c[i], j.d[i])
		if j.y != nil && j.acc {
			vec.AddTo(j.y[i*c:(i+1)*c], dx)
		}
	}
}

func rmsNormGradRows(e *engine, j *job, lo, hi, worker int) {
	c := j.width
	row, dw, _ := normScratch(e, j, lo, worker)
	for i := lo; i < hi; i++ {
		dx := row
		if j.y != nil && !j.acc {
			dx = j.y[i*c : (i+1)*c]
		}
		vec.RMSNormGrad(dx, dw, j.a[i*c:(i+1)*c], j.b[i*c:(i+1)*c], j.w, j.d[i])
		if j.y != nil && j.acc {
			vec.AddTo(j.y[i*c:(i+1)*c], dx)
		}
	}
}

// addBlocks adds the rows of part [blocks, C] to y [C] in ascending order.
func (e *engine) addBlocks(y, part []float32) {
	blocks := len(part) / len(y)
	e.run(len(y), rowsFor(light, blocks), job{y: y, a: part, body: func(_ *engine, j *job, lo, hi, _ int) {
		vec.AddRows(j.y[lo:hi], j.a[lo:], len(j.y), len(j.a)/len(j.y))
	}})
}
