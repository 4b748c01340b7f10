package cpu

import (
	"fmt"

	"github.com/plinth-ml/plinth/internal/gemm"
	"github.com/plinth-ml/plinth/internal/kernel"
	"github.com/plinth-ml/plinth/internal/vec"
)

// picture is what the convolutions of one set use again.
type picture struct {
	patches gemm.Patches
	packed  gemm.Packed
	weight  []float32 // in another order
	phase   []float32 // one phase of a gradient, or that of a weight in another order
	slots   []int32   // of reorder
	conv    *kernel.Conv
	v, h    phase // of spread
}

// conv is a product of patches, which nobody stores, with the weight.
func (e *engine) conv(c *kernel.Conv) {
	const op = "Conv"
	c.Check("cpu: " + op)
	h, w := c.Out()
	e.product = gemm.Product{M: c.B * h * w, N: c.O, K: c.KH * c.KW * c.C, C: f32(op, c.Y),
		Bias: f32(op, c.Bias), Act: actFunc(c.Act), Pre: f32(op, c.Pre), Residual: f32(op, c.Residual), ActLast: c.ActLast}
	p := &e.product
	switch {
	case c.Packed != nil:
		p.Packed = packedConv(c)
	case c.Pointwise():
		p.B, p.TransB = f32(op, c.Weight), true
	default:
		e.packWeight(&e.picture.packed, c)
		p.Packed = &e.picture.packed
	}
	if c.Pointwise() {
		p.A = f32(op, c.X)
	} else {
		e.picture.patches = patches(c)
		p.Patches = &e.picture.patches
	}
	e.gemm.Mul(p)
}

// patches is the left side of c as a product.
func patches(c *kernel.Conv) gemm.Patches {
	h, w := c.Out()
	return gemm.Patches{X: f32("Conv", c.X), B: c.B, H: c.H, W: c.W, C: c.C, KH: c.KH, KW: c.KW, OutH: h, OutW: w, Stride: c.Stride, Top: c.Pad, Left: c.Pad}
}

func packedConv(c *kernel.Conv) *gemm.Packed {
	d, ok := c.Packed.Data.(*gemm.Packed)
	if !ok || c.Packed.K != c.KH*c.KW*c.C || c.Packed.N != c.O {
		panic(fmt.Sprintf("cpu: Conv: packed weight [%d, %d] in %T for a kernel [%d, %d, %d, %d]", c.Packed.K, c.Packed.N, c.Packed.Data, c.O, c.C, c.KH, c.KW))
	}
	return d
}

func (e *engine) packConv(dst *kernel.Packed, c *kernel.Conv) {
	need("PackConv", "Weight", c.Weight.Len(), c.O*c.C*c.KH*c.KW)
	d, ok := dst.Data.(*gemm.Packed)
	if !ok {
		d = &gemm.Packed{}
		dst.Data = d
	}
	e.packWeight(d, c)
	dst.K, dst.N = c.KH*c.KW*c.C, c.O
}

// packWeight packs the weight as [KH·KW·C, O].
func (e *engine) packWeight(dst *gemm.Packed, c *kernel.Conv) {
	taps := c.KH * c.KW
	w := f32("Conv", c.Weight)
	if taps > 1 {
		e.picture.slots = e.picture.slots[:0]
		for tap := range taps {
			e.picture.slots = append(e.picture.slots, int32(tap))
		}
		w = e.reorder(c, c.C, taps*c.C)
	}
	e.gemm.Pack(dst, w, 0, true, taps*c.C, c.O)
}

// reorder returns the weight with the channels of each tap in one run: those of output o and of the tap in slot s begin at s·slotStride + o·outStride. Slots says
// which slot each tap has; one that is negative is left out.
func (e *engine) reorder(c *kernel.Conv, slotStride, outStride int) []float32 {
	taps := c.KH * c.KW
	e.picture.weight = room(e.picture.weight, c.O*c.C*taps)
	e.run(c.O, rowsFor(light, c.C*taps), job{y: e.picture.weight, a: f32("Conv", c.Weight), ids: e.picture.slots, width: c.C, rows: slotStride, dim: outStride,
		body: func(e *engine, j *job, lo, hi, worker int) {
			C, taps := j.width, len(j.ids)
			t := e.scratch[worker].floats(taps * C)
			for o := lo; o < hi; o++ {
				e.kern.Transpose(t, j.a[o*C*taps:], taps, C, taps)
				for tap, slot := range j.ids {
					if slot >= 0 {
						copy(j.y[int(slot)*j.rows+o*j.dim:][:C], t[tap*C:])
					}
				}
			}
		}})
	return e.picture.weight
}

func (e *engine) convGrad(c *kernel.Conv, g *kernel.ConvGrad) {
	const op = "ConvGrad"
	c.Check("cpu: " + op)
	h, w := c.Out()
	need(op, "DY", g.DY.Len(), c.B*h*w*c.O)
	if !g.DX.None() {
		need(op, "DX", g.DX.Len(), c.X.Len())
		e.convGradX(c, f32(op, g.DY), f32(op, g.DX), g.Acc)
	}
	if !g.DW.None() {
		need(op, "DW", g.DW.Len(), c.Weight.Len())
		e.convGradW(c, f32(op, g.DY), f32(op, g.DW))
	}
}

// phase is the part of a convolution's gradient along one axis that falls on the pixels first, first+stride and so on. The taps that reach them are last,
// last-stride and so on, in the order of the pixels of dy that they come from.
type phase struct {
	first, pixels int
	last, taps    int
	top           int // how far before pixel 0 of dy the window of the first pixel begins
}

// phaseOf is phase r of an axis of n pixels: pixel i gets from pixel (i+pad-k)/stride of dy by tap k, where that is whole.
func phaseOf(r, n, kernel, stride, pad int) phase {
	p := phase{first: r, pixels: (n - r + stride - 1) / stride}
	for k := range kernel {
		if (r+pad-k)%stride == 0 {
			p.last, p.taps, p.top = k, p.taps+1, (k-r-pad)/stride
		}
	}
	return p
}

// convGradX is a convolution of dy with the mirrored weight for each phase: with stride 1 there is one, which is the whole of dx.
func (e *engine) convGradX(c *kernel.Conv, dy, dx []float32, acc bool) {
	if c.Pointwise() {
		e.product = gemm.Product{M: c.B * c.H * c.W, N: c.C, K: c.O, A: dy, B: f32("ConvGrad", c.Weight), C: dx, Accumulate: acc}
		e.gemm.Mul(&e.product)
		return
	}
	for r := range min(c.Stride, c.H) {
		for q := range min(c.Stride, c.W) {
			e.convPhase(c, phaseOf(r, c.H, c.KH, c.Stride, c.Pad), phaseOf(q, c.W, c.KW, c.Stride, c.Pad), dy, dx, acc)
		}
	}
}

// convPhase computes the pixels of dx in phase v of the columns and h of the rows.
func (e *engine) convPhase(c *kernel.Conv, v, h phase, dy, dx []float32, acc bool) {
	s := &e.picture
	s.slots = s.slots[:0]
	for ky := range c.KH {
		for kx := range c.KW {
			slot := -1
			if up, left := v.last-ky, h.last-kx; up >= 0 && left >= 0 && up%c.Stride == 0 && left%c.Stride == 0 {
				slot = up/c.Stride*h.taps + left/c.Stride
			}
			s.slots = append(s.slots, int32(slot))
		}
	}
	outH, outW := c.Out()
	s.patches = gemm.Patches{X: dy, B: c.B, H: outH, W: outW, C: c.O, KH: v.taps, KW: h.taps, OutH: v.pixels, OutW: h.pixels, Stride: 1, Top: v.top, Left: h.top}
	M, N, K := c.B*v.pixels*h.pixels, c.C, v.taps*h.taps*c.O
	e.gemm.Pack(&s.packed, e.reorder(c, c.O*c.C, c.C), 0, false, K, N)
	e.product = gemm.Product{M: M, N: N, K: K, Patches: &s.patches, Packed: &s.packed, C: dx, Accumulate: acc}
	if c.Stride == 1 {
		e.gemm.Mul(&e.product)
		return
	}
	s.phase = room(s.phase, M*N)
	e.product.C, e.product.Accumulate = s.phase, false
	e.gemm.Mul(&e.product)
	s.conv, s.v, s.h = c, v, h
	e.run(c.B*v.pixels, rowsFor(light, h.pixels*N), job{y: dx, a: s.phase, acc: acc, body: spread})
	s.conv = nil
}

// spread puts the pixels of one phase, row by row, where they belong.
func spread(e *engine, j *job, lo, hi, _ int) {
	c, v, h := e.picture.conv, &e.picture.v, &e.picture.h
	for i := lo; i < hi; i++ {
		to := ((i/v.pixels*c.H+v.first+i%v.pixels*c.Stride)*c.W + h.first) * c.C
		for from := i * h.pixels * c.C; from < (i+1)*h.pixels*c.C; from += c.C {
			if pixel := j.y[to : to+c.C]; j.acc {
				vec.AddTo(pixel, j.a[from:from+c.C])
			} else {
				copy(pixel, j.a[from:])
			}
			to += c.Stride * c.C
		}
	}
}

// convGradW is a product of the patches, transposed, with dy: [KH·KW·C, O].
func (e *engine) convGradW(c *kernel.Conv, dy, dw []float32) {
	h, w := c.Out()
	rows, K := c.B*h*w, c.KH*c.KW*c.C
	if c.Pointwise() {
		e.product = gemm.Product{M: c.O, N: c.C, K: rows, A: dy, TransA: true, B: f32("ConvGrad", c.X), C: dw, Accumulate: true}
		e.gemm.Mul(&e.product)
		return
	}
	e.picture.patches = patches(c)
	e.picture.phase = room(e.picture.phase, K*c.O)
	e.product = gemm.Product{M: K, N: c.O, K: rows, Patches: &e.picture.patches, TransA: true, B: dy, C: e.picture.phase}
	e.gemm.Mul(&e.product)
	const outputs = 16 // of a task: lines of the cache
	e.run(c.O, outputs, job{y: dw, a: e.picture.phase, width: c.C, rows: c.KH * c.KW, dim: c.O,
		body: func(e *engine, j *job, lo, hi, worker int) {
			C, taps := j.width, j.rows
			K := C * taps
			t := e.scratch[worker].floats((outputs + 1) * K)
			all, one := t[:outputs*K], t[outputs*K:][:K]
			e.kern.Transpose(all, j.a[lo:], j.dim, K, hi-lo)
			for o := lo; o < hi; o++ {
				e.kern.Transpose(one, all[(o-lo)*K:], C, taps, C)
				vec.AddTo(j.y[o*K:(o+1)*K], one)
			}
		}})
}
