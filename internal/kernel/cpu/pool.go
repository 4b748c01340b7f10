package cpu

import (
	"github.com/plinth-ml/plinth/internal/kernel"
	"github.com/plinth-ml/plinth/internal/vec"
)

// poolSizes checks the operands y and x.
func poolSizes(op string, p kernel.Pool, y, x kernel.Buf) {
	h, w := p.Out()
	need(op, "x", x.Len(), p.B*p.H*p.W*p.C)
	need(op, "y", y.Len(), p.B*h*w*p.C)
}

func (e *engine) avgPool(p kernel.Pool, y, x kernel.Buf) {
	const op = "AvgPool"
	poolSizes(op, p, y, x)
	h, w := p.Out()
	e.run(p.B*h, rowsFor(light, w*p.C), job{y: f32(op, y), a: f32(op, x), pool: p, s: 1 / float32(p.Size*p.Size), body: avgPoolRows})
}

// avgPoolRows makes rows [lo,hi) of squares.
func avgPoolRows(_ *engine, j *job, lo, hi, _ int) {
	p := &j.pool
	h, w := p.Out()
	for i := lo; i < hi; i++ {
		from := (i/h*p.H + i%h*p.Size) * p.W * p.C
		for o := range w {
			pixel := j.y[(i*w+o)*p.C:][:p.C]
			corner := j.a[from+o*p.Size*p.C:]
			clear(pixel)
			for r := range p.Size {
				vec.AddRows(pixel, corner[r*p.W*p.C:], p.C, p.Size)
			}
			vec.Scale(pixel, j.s, pixel)
		}
	}
}

func (e *engine) avgPoolGrad(p kernel.Pool, dx, dy kernel.Buf, acc bool) {
	const op = "AvgPoolGrad"
	poolSizes(op, p, dy, dx)
	e.run(p.B*p.H, rowsFor(light, p.W*p.C), job{y: f32(op, dx), a: f32(op, dy), pool: p, s: 1 / float32(p.Size*p.Size), acc: acc, body: avgPoolGradRows})
}

// avgPoolGradRows makes rows [lo,hi) of pixels.
func avgPoolGradRows(_ *engine, j *job, lo, hi, _ int) {
	p := &j.pool
	h, w := p.Out()
	for i := lo; i < hi; i++ {
		line := j.y[i*p.W*p.C:][:p.W*p.C]
		b, y := i/p.H, i%p.H/p.Size
		used := 0
		if y < h {
			used = w * p.Size
		}
		for x := range used {
			pixel, d := line[x*p.C:][:p.C], j.a[((b*h+y)*w+x/p.Size)*p.C:][:p.C]
			if j.acc {
				vec.Axpy(pixel, j.s, d)
			} else {
				vec.Scale(pixel, j.s, d)
			}
		}
		if !j.acc {
			clear(line[used*p.C:])
		}
	}
}
