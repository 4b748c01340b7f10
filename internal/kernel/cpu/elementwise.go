package cpu

import (
	"fmt"
	"sync"

	"github.com/plinth-ml/plinth/internal/kernel"
	"github.com/plinth-ml/plinth/internal/vec"
)

func (e *engine) fill(y kernel.Buf, v float64) {
	if y.DType() == kernel.I32 && !y.None() {
		ids := y.I32()
		for i := range ids {
			ids[i] = int32(v)
		}
		return
	}
	e.run(y.Len(), light, job{y: f32("Fill", y), s: float32(v), body: func(_ *engine, j *job, lo, hi, _ int) {
		vec.Fill(j.y[lo:hi], j.s)
	}})
}

func (e *engine) copy(y, x kernel.Buf) {
	need("Copy", "x", x.Len(), y.Len())
	if y.DType() == kernel.I32 && !y.None() {
		copy(y.I32(), i32("Copy", x))
		return
	}
	if y.DType() == kernel.BF16 || x.DType() == kernel.BF16 {
		e.convert(y, x)
		return
	}
	e.run(y.Len(), light, job{y: f32("Copy", y), a: f32("Copy", x), body: func(_ *engine, j *job, lo, hi, _ int) {
		copy(j.y[lo:hi], j.a[lo:hi])
	}})
}

// convert copies between F32 and BF16.
func (e *engine) convert(y, x kernel.Buf) {
	switch {
	case y.DType() == kernel.BF16 && x.DType() == kernel.BF16:
		copy(y.BF16(), x.BF16())
	case y.DType() == kernel.BF16:
		e.run(y.Len(), light, job{half: y.BF16(), a: f32("Copy", x), body: func(_ *engine, j *job, lo, hi, _ int) {
			vec.BF16FromF32(j.half[lo:hi], j.a[lo:hi])
		}})
	default:
		e.run(y.Len(), light, job{y: f32("Copy", y), half: x.BF16(), body: func(_ *engine, j *job, lo, hi, _ int) {
			vec.F32FromBF16(j.y[lo:hi], j.half[lo:hi])
		}})
	}
}

// binary runs f over y, a, b.
func (e *engine) binary(op string, chunk int, y, a, b kernel.Buf, f func(y, a, b []float32)) {
	need(op, "a", a.Len(), y.Len())
	need(op, "b", b.Len(), y.Len())
	e.run(y.Len(), chunk, job{y: f32(op, y), a: f32(op, a), b: f32(op, b), f2: f,
		body: func(_ *engine, j *job, lo, hi, _ int) { j.f2(j.y[lo:hi], j.a[lo:hi], j.b[lo:hi]) }})
}

func (e *engine) add(y, a, b kernel.Buf) { e.binary("Add", light, y, a, b, vec.Add) }
func (e *engine) mul(y, a, b kernel.Buf) { e.binary("Mul", light, y, a, b, vec.Mul) }

func (e *engine) mulTo(y, a, b kernel.Buf) {
	need("MulTo", "a", a.Len(), y.Len())
	need("MulTo", "b", b.Len(), y.Len())
	e.run(y.Len(), light, job{y: f32("MulTo", y), a: f32("MulTo", a), b: f32("MulTo", b),
		body: func(e *engine, j *job, lo, hi, worker int) {
			t := e.scratch[worker].floats(heavy)
			for ; lo < hi; lo += heavy {
				n := min(heavy, hi-lo)
				vec.Mul(t[:n], j.a[lo:lo+n], j.b[lo:lo+n])
				vec.AddTo(j.y[lo:lo+n], t[:n])
			}
		}})
}

func (e *engine) axpy(y kernel.Buf, a float64, x kernel.Buf) {
	need("Axpy", "x", x.Len(), y.Len())
	e.run(y.Len(), light, job{y: f32("Axpy", y), a: f32("Axpy", x), s: float32(a),
		body: func(_ *engine, j *job, lo, hi, _ int) { vec.Axpy(j.y[lo:hi], j.s, j.a[lo:hi]) }})
}

func (e *engine) scale(y kernel.Buf, a float64, x kernel.Buf) {
	need("Scale", "x", x.Len(), y.Len())
	e.run(y.Len(), light, job{y: f32("Scale", y), a: f32("Scale", x), s: float32(a),
		body: func(_ *engine, j *job, lo, hi, _ int) { vec.Scale(j.y[lo:hi], j.s, j.a[lo:hi]) }})
}

// actFunc returns f as a vector function; nil for Identity.
func actFunc(f kernel.Act) func(y, x []float32) {
	switch f {
	case kernel.Identity:
		return nil
	case kernel.GELU:
		return vec.GELU
	case kernel.GELUTanh:
		return vec.GELUTanh
	case kernel.ReLU:
		return vec.ReLU
	case kernel.SiLU:
		return vec.SiLU
	case kernel.Tanh:
		return vec.Tanh
	case kernel.Sigmoid:
		return vec.Sigmoid
	case kernel.QuickGELU:
		return quickGELU
	}
	panic(fmt.Sprintf("cpu: no activation %d", f))
}

// actGradFunc returns dx = dy * f'(x) as a vector function.
func actGradFunc(f kernel.Act) func(dx, dy, x []float32) {
	switch f {
	case kernel.Identity:
		return func(dx, dy, _ []float32) { copy(dx, dy) }
	case kernel.GELU:
		return vec.GELUGrad
	case kernel.GELUTanh:
		return vec.GELUTanhGrad
	case kernel.ReLU:
		return vec.ReLUGrad
	case kernel.SiLU:
		return vec.SiLUGrad
	case kernel.Tanh:
		return tanhGrad
	case kernel.Sigmoid:
		return sigmoidGrad
	case kernel.QuickGELU:
		return quickGELUGrad
	}
	panic(fmt.Sprintf("cpu: no activation %d", f))
}

// strips are short vectors that escape, because the vector functions are variables.
var strips = sync.Pool{New: func() any { return new([256]float32) }}

// tanhGrad is dx = dy * (1 - tanh(x)^2), in strips because dx may be dy.
func tanhGrad(dx, dy, x []float32) {
	t := strips.Get().(*[256]float32)
	defer strips.Put(t)
	for len(dx) > 0 {
		n := min(len(t), len(dx))
		vec.Tanh(t[:n], x[:n])
		for i, y := range t[:n] {
			dx[i] = dy[i] * (1 - float32(y*y))
		}
		dx, dy, x = dx[n:], dy[n:], x[n:]
	}
}

// quick is the factor in QuickGELU, which is SiLU(quick·x)/quick.
const quick = 1.702

// quickGELU is y = x * sigmoid(quick·x); y may be x.
func quickGELU(y, x []float32) {
	t := strips.Get().(*[256]float32)
	defer strips.Put(t)
	for len(y) > 0 {
		n := min(len(t), len(y))
		vec.Scale(t[:n], quick, x[:n])
		vec.SiLU(t[:n], t[:n])
		vec.Scale(y[:n], 1/quick, t[:n])
		y, x = y[n:], x[n:]
	}
}

// quickGELUGrad is dx = dy * SiLU'(quick·x), in strips because dx may be dy.
func quickGELUGrad(dx, dy, x []float32) {
	t := strips.Get().(*[256]float32)
	defer strips.Put(t)
	for len(dx) > 0 {
		n := min(len(t), len(dx))
		vec.Scale(t[:n], quick, x[:n])
		vec.SiLUGrad(dx[:n], dy[:n], t[:n])
		dx, dy, x = dx[n:], dy[n:], x[n:]
	}
}

// sigmoidGrad is dx = dy * s * (1 - s) with s = sigmoid(x), in strips because dx may be dy.
func sigmoidGrad(dx, dy, x []float32) {
	t := strips.Get().(*[256]float32)
	defer strips.Put(t)
	for len(dx) > 0 {
		n := min(len(t), len(dx))
		vec.Sigmoid(t[:n], x[:n])
		for i, y := range t[:n] {
			dx[i] = dy[i] * y * (1 - y)
		}
		dx, dy, x = dx[n:], dy[n:], x[n:]
	}
}

func (e *engine) act(f kernel.Act, y, x kernel.Buf) {
	if f == kernel.Identity {
		e.copy(y, x)
		return
	}
	need("Act", "x", x.Len(), y.Len())
	e.run(y.Len(), heavy, job{y: f32("Act", y), a: f32("Act", x), f1: actFunc(f),
		body: func(_ *engine, j *job, lo, hi, _ int) { j.f1(j.y[lo:hi], j.a[lo:hi]) }})
}

func (e *engine) actGrad(f kernel.Act, dx, dy, x kernel.Buf, acc bool) {
	if !acc {
		e.binary("ActGrad", heavy, dx, dy, x, actGradFunc(f))
		return
	}
	need("ActGrad", "dy", dy.Len(), dx.Len())
	need("ActGrad", "x", x.Len(), dx.Len())
	e.run(dx.Len(), heavy, job{y: f32("ActGrad", dx), a: f32("ActGrad", dy), b: f32("ActGrad", x), f2: actGradFunc(f),
		body: func(e *engine, j *job, lo, hi, worker int) {
			t := e.scratch[worker].floats(hi - lo)
			j.f2(t, j.a[lo:hi], j.b[lo:hi])
			vec.AddTo(j.y[lo:hi], t)
		}})
}

func (e *engine) swiGLU(y, gate, up kernel.Buf) { e.binary("SwiGLU", heavy, y, gate, up, vec.SwiGLU) }

func (e *engine) swiGLUGrad(dgate, dup, dy, gate, up kernel.Buf, acc bool) {
	const op = "SwiGLUGrad"
	n := dy.Len()
	need(op, "dgate", dgate.Len(), n)
	need(op, "dup", dup.Len(), n)
	need(op, "gate", gate.Len(), n)
	need(op, "up", up.Len(), n)
	e.run(n, heavy, job{y: f32(op, dgate), y2: f32(op, dup), a: f32(op, dy), b: f32(op, gate), c: f32(op, up), acc: acc,
		body: func(e *engine, j *job, lo, hi, worker int) {
			if !j.acc {
				vec.SwiGLUGrad(j.y[lo:hi], j.y2[lo:hi], j.a[lo:hi], j.b[lo:hi], j.c[lo:hi])
				return
			}
			t := e.scratch[worker].floats(2 * (hi - lo))
			t, t2 := t[:hi-lo], t[hi-lo:]
			vec.SwiGLUGrad(t, t2, j.a[lo:hi], j.b[lo:hi], j.c[lo:hi])
			vec.AddTo(j.y[lo:hi], t)
			vec.AddTo(j.y2[lo:hi], t2)
		}})
}
