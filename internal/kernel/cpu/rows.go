package cpu

import (
	"fmt"

	"github.com/plinth-ml/plinth/internal/kernel"
	"github.com/plinth-ml/plinth/internal/vec"
)

// checkIDs panics on an id outside [0, rows).
func checkIDs(op string, ids []int32, rows int) {
	for i, id := range ids {
		if id < 0 || int(id) >= rows {
			panic(fmt.Sprintf("cpu: %s: ids[%d] is %d, the table has %d rows", op, i, id, rows))
		}
	}
}

func (e *engine) gather(y, w, ids kernel.Buf, c int, acc bool) {
	const op = "Gather"
	if w.DType().Stored() {
		e.storedGather(y, w, ids, c, acc)
		return
	}
	list := i32(op, ids)
	need(op, "y", y.Len(), len(list)*c)
	checkIDs(op, list, rowsOf(op, w.Len(), c))
	e.run(len(list), rowsFor(light, c), job{y: f32(op, y), a: f32(op, w), ids: list, width: c, acc: acc,
		body: func(_ *engine, j *job, lo, hi, _ int) {
			c := j.width
			for i := lo; i < hi; i++ {
				y, w := j.y[i*c:(i+1)*c], j.a[int(j.ids[i])*c:(int(j.ids[i])+1)*c]
				if j.acc {
					vec.AddTo(y, w)
				} else {
					copy(y, w)
				}
			}
		}})
}

// buckets is the number of tasks of ScatterAdd; task t owns the table rows whose id is t modulo buckets.
const buckets = 16

func (e *engine) scatterAdd(dw, dy, ids kernel.Buf, c int) {
	const op = "ScatterAdd"
	list := i32(op, ids)
	need(op, "dy", dy.Len(), len(list)*c)
	checkIDs(op, list, rowsOf(op, dw.Len(), c))
	chunk := 1
	if len(list)*c <= light {
		chunk = buckets // too little to share
	}
	e.run(buckets, chunk, job{y: f32(op, dw), a: f32(op, dy), ids: list, width: c,
		body: func(_ *engine, j *job, lo, hi, _ int) {
			c := j.width
			for i, id := range j.ids {
				if b := int(id) % buckets; b >= lo && b < hi {
					vec.AddTo(j.y[int(id)*c:(int(id)+1)*c], j.a[i*c:(i+1)*c])
				}
			}
		}})
}

func (e *engine) sumRows(y, x kernel.Buf) {
	const op = "SumRows"
	c := y.Len()
	n := rowsOf(op, x.Len(), c)
	chunk := rowsFor(4*light, c)
	blocks := (n + chunk - 1) / chunk
	e.partial = room(e.partial, blocks*c)
	part := e.partial
	e.run(n, chunk, job{y: part, a: f32(op, x), width: c, body: func(_ *engine, j *job, lo, hi, _ int) {
		c := j.width
		part := j.y[lo/j.chunk*c:][:c]
		clear(part)
		vec.AddRows(part, j.a[lo*c:], c, hi-lo)
	}})
	e.addBlocks(f32(op, y), part)
}

// checkSpans panics on a span that leaves [0, n) and reports whether the spans are in ascending order without overlap.
func checkSpans(op string, spans []kernel.Span, n int) bool {
	end, ordered := 0, true
	for i, s := range spans {
		if s.Start < 0 || s.Len < 0 || s.End() > n {
			panic(fmt.Sprintf("cpu: %s: span %d is [%d, %d), there are %d rows", op, i, s.Start, s.End(), n))
		}
		ordered = ordered && s.Start >= end
		end = max(end, s.End())
	}
	return ordered
}

func (e *engine) seqMean(y, x kernel.Buf, spans []kernel.Span, c int) {
	const op = "SeqMean"
	need(op, "y", y.Len(), len(spans)*c)
	checkSpans(op, spans, rowsOf(op, x.Len(), c))
	chunk := 1
	if x.Len() <= light {
		chunk = len(spans)
	}
	e.run(len(spans), chunk, job{y: f32(op, y), a: f32(op, x), spans: spans, width: c,
		body: func(_ *engine, j *job, lo, hi, _ int) {
			c := j.width
			for i, s := range j.spans[lo:hi] {
				y := j.y[(lo+i)*c : (lo+i+1)*c]
				clear(y)
				for r := s.Start; r < s.End(); r++ {
					vec.AddTo(y, j.a[r*c:(r+1)*c])
				}
				if s.Len > 0 {
					vec.Scale(y, 1/float32(s.Len), y)
				}
			}
		}})
}

func (e *engine) seqMeanGrad(dx, dy kernel.Buf, spans []kernel.Span, c int, acc bool) {
	const op = "SeqMeanGrad"
	need(op, "dy", dy.Len(), len(spans)*c)
	ordered := checkSpans(op, spans, rowsOf(op, dx.Len(), c))
	if !acc {
		e.fill(dx, 0)
	}
	chunk := 1
	if dx.Len() <= light || !ordered {
		chunk = len(spans) // overlapping spans add in order
	}
	e.run(len(spans), chunk, job{y: f32(op, dx), a: f32(op, dy), spans: spans, width: c,
		body: func(_ *engine, j *job, lo, hi, _ int) {
			c := j.width
			for i, s := range j.spans[lo:hi] {
				for r := s.Start; r < s.End(); r++ {
					vec.Axpy(j.y[r*c:(r+1)*c], 1/float32(s.Len), j.a[(lo+i)*c:(lo+i+1)*c])
				}
			}
		}})
}

func (e *engine) rope(y, x kernel.Buf, r *kernel.Rope) {
	const op = "Rope"
	turning := r.Turning()
	if turning%2 != 0 || turning > r.HeadDim {
		panic(fmt.Sprintf("cpu: Rope: %d elements of a head of %d turn, want an even number", turning, r.HeadDim))
	}
	pos, half, c := i32(op, r.Pos), turning/2, r.Heads*r.HeadDim
	stride := r.Stride
	if stride == 0 {
		stride = c
	}
	if len(pos) == 0 {
		return
	}
	needMin(op, "y", y.Len(), (len(pos)-1)*stride+c)
	needMin(op, "x", x.Len(), (len(pos)-1)*stride+c)
	for i, p := range pos {
		if p < 0 || (int(p)+1)*half > r.Cos.Len() || (int(p)+1)*half > r.Sin.Len() {
			panic(fmt.Sprintf("cpu: Rope: position %d of row %d; the tables have %d", p, i, min(r.Cos.Len(), r.Sin.Len())/max(1, half)))
		}
	}
	rotate := vec.RotateHalf
	switch {
	case r.Pairs && r.Inverse:
		rotate = vec.RotatePairsInverse
	case r.Pairs:
		rotate = vec.RotatePairs
	case r.Inverse:
		rotate = vec.RotateHalfInverse
	}
	e.run(len(pos), rowsFor(light, c), job{y: f32(op, y), a: f32(op, x), b: f32(op, r.Cos), c: f32(op, r.Sin), ids: pos,
		width: stride, rows: r.Heads, dim: r.HeadDim, turning: turning, rotate: rotate,
		body: func(_ *engine, j *job, lo, hi, _ int) {
			d, half := j.dim, j.turning/2
			for i := lo; i < hi; i++ {
				at := int(j.ids[i]) * half
				cos, sin := j.b[at:at+half], j.c[at:at+half]
				for h := range j.rows {
					y, x := j.y[i*j.width+h*d:][:d], j.a[i*j.width+h*d:][:d]
					j.rotate(y[:2*half], x[:2*half], cos, sin)
					copy(y[2*half:], x[2*half:])
				}
			}
		}})
}
