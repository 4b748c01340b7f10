package suite

import (
	"fmt"
	"math"
	"testing"

	"github.com/plinth-ml/plinth/internal/kernel"
)

// convShapes are kernels, strides and paddings of every kind, on pictures with rows and columns left over, and some that make several tasks.
var convShapes = []kernel.Conv{
	{B: 1, H: 1, W: 1, C: 1, O: 1, KH: 1, KW: 1, Stride: 1},
	{B: 2, H: 5, W: 4, C: 3, O: 7, KH: 1, KW: 1, Stride: 1},
	{B: 2, H: 5, W: 4, C: 3, O: 7, KH: 1, KW: 1, Stride: 2},
	{B: 2, H: 5, W: 4, C: 3, O: 2, KH: 1, KW: 1, Stride: 1, Pad: 1},
	{B: 2, H: 7, W: 6, C: 5, O: 9, KH: 3, KW: 3, Stride: 1, Pad: 1},
	{B: 1, H: 7, W: 6, C: 5, O: 9, KH: 3, KW: 3, Stride: 2, Pad: 1},
	{B: 3, H: 8, W: 9, C: 2, O: 33, KH: 3, KW: 3, Stride: 2},
	{B: 1, H: 6, W: 6, C: 3, O: 4, KH: 2, KW: 3, Stride: 3, Pad: 1},
	{B: 1, H: 9, W: 12, C: 3, O: 16, KH: 3, KW: 3, Stride: 3},
	{B: 1, H: 10, W: 11, C: 1, O: 5, KH: 2, KW: 2, Stride: 4, Pad: 1},
	{B: 1, H: 3, W: 2, C: 4, O: 3, KH: 5, KW: 4, Stride: 1, Pad: 2},
	{B: 0, H: 3, W: 3, C: 4, O: 3, KH: 3, KW: 3, Stride: 1, Pad: 1},
	{B: 2, H: 12, W: 13, C: 36, O: 40, KH: 3, KW: 3, Stride: 1, Pad: 1},
	{B: 3, H: 16, W: 16, C: 24, O: 72, KH: 3, KW: 3, Stride: 2, Pad: 1},
}

func convolutions(t *testing.T, s *kernel.Set, d *data) {
	for i, shape := range convShapes {
		c := shape
		h, w := c.Out()
		name := fmt.Sprintf("[%d,%d,%d,%d] by [%d,%d,%d] stride %d padding %d", c.B, c.H, c.W, c.C, c.O, c.KH, c.KW, c.Stride, c.Pad)
		n := c.B * h * w * c.O
		c.X, c.Weight, c.Y = d.in(c.B*c.H*c.W*c.C), d.in(c.O*c.C*c.KH*c.KW), d.out(n, "%s", name)
		if i%2 == 1 {
			c.Bias, c.Act, c.Residual = d.in(c.O), kernel.Act(i%7), d.in(n)
		}
		if i%3 == 1 {
			c.Pre = d.out(n, "%s: Pre", name)
		} else {
			c.ActLast = i%4 == 1
		}
		s.Conv(&c)
		if d.plain() {
			near(t, name, floats(c.Y), plainConv(&c), exact)
		}
		p := c
		p.Packed, p.Y = &kernel.Packed{}, d.in(n)
		s.PackConv(p.Packed, &c)
		p.Weight = kernel.Buf{}
		s.Conv(&p)
		same(t, name+": packed", floats(p.Y), floats(c.Y))

		dy := d.in(n)
		for _, acc := range []bool{false, true} {
			s.ConvGrad(&c, &kernel.ConvGrad{DY: dy, DX: d.out(c.X.Len(), "%s: dx, acc %v", name, acc), DW: d.out(c.Weight.Len(), "%s: dw", name), Acc: acc})
		}
		s.ConvGrad(&c, &kernel.ConvGrad{DY: dy, DX: d.out(c.X.Len(), "%s: only dx", name)})
		s.ConvGrad(&c, &kernel.ConvGrad{DY: dy, DW: d.out(c.Weight.Len(), "%s: only dw", name)})
	}
}

// plainConv is what c should leave in Y.
func plainConv(c *kernel.Conv) []float64 {
	h, w := c.Out()
	x, weight, bias, residual := floats(c.X), floats(c.Weight), floats(c.Bias), floats(c.Residual)
	return each(func(i int) float64 {
		o, ox, oy, b := i%c.O, i/c.O%w, i/c.O/w%h, i/c.O/w/h
		sum := 0.0
		for ch := range c.C {
			for ky := range c.KH {
				for kx := range c.KW {
					if y, x0 := oy*c.Stride+ky-c.Pad, ox*c.Stride+kx-c.Pad; y >= 0 && y < c.H && x0 >= 0 && x0 < c.W {
						sum += x[((b*c.H+y)*c.W+x0)*c.C+ch] * weight[((o*c.C+ch)*c.KH+ky)*c.KW+kx]
					}
				}
			}
		}
		if bias != nil {
			sum += bias[o]
		}
		switch {
		case residual == nil:
			return plainAct(c.Act, sum)
		case c.ActLast:
			return plainAct(c.Act, sum+residual[i])
		}
		return plainAct(c.Act, sum) + residual[i]
	}, c.Y.Len())
}

// convRows checks that a picture's result and dx have the same bits alone and among others.
func convRows(t *testing.T, s *kernel.Set) {
	d := newData(kernel.F32)
	for _, c := range convShapes {
		c.B = 5
		h, w := c.Out()
		in, out := c.H*c.W*c.C, h*w*c.O
		c.Weight, c.Bias = d.in(c.O*c.C*c.KH*c.KW), d.in(c.O)
		x, dy := d.in(c.B*in), d.in(c.B*out)
		run := func(i, n int) (y, dx kernel.Buf) {
			c := c
			c.B, c.X, c.Y = n, x.Slice(i*in, (i+n)*in), d.in(n*out)
			s.Conv(&c)
			dx = d.in(n * in)
			s.ConvGrad(&c, &kernel.ConvGrad{DY: dy.Slice(i*out, (i+n)*out), DX: dx})
			return c.Y, dx
		}
		all, allDX := run(0, 5)
		for _, r := range [][2]int{{0, 1}, {2, 1}, {4, 1}, {1, 3}} {
			y, dx := run(r[0], r[1])
			name := fmt.Sprintf("convolution %d by %d,%d stride %d", c.C, c.KH, c.KW, c.Stride)
			equal(t, name, y, all, r[0], r[1], out)
			equal(t, name+" dx", dx, allDX, r[0], r[1], in)
		}
	}
}

func pools(t *testing.T, s *kernel.Set, d *data) {
	for _, p := range []kernel.Pool{
		{B: 1, H: 1, W: 1, C: 1, Size: 1}, {B: 2, H: 4, W: 6, C: 5, Size: 2}, {B: 2, H: 5, W: 7, C: 33, Size: 2}, {B: 1, H: 7, W: 8, C: 3, Size: 3},
		{B: 1, H: 1, W: 5, C: 3, Size: 2}, {B: 0, H: 4, W: 4, C: 5, Size: 2}, {B: 3, H: 40, W: 41, C: 64, Size: 2},
	} {
		h, w := p.Out()
		x, dy := d.in(p.B*p.H*p.W*p.C), d.in(p.B*h*w*p.C)
		y := d.out(dy.Len(), "AvgPool %+v", p)
		s.AvgPool(p, y, x)
		if d.plain() {
			X := floats(x)
			near(t, fmt.Sprintf("AvgPool %+v", p), floats(y), each(func(i int) float64 {
				c, ox, oy, b := i%p.C, i/p.C%w, i/p.C/w%h, i/p.C/w/h
				sum := 0.0
				for k := range p.Size * p.Size {
					sum += X[((b*p.H+oy*p.Size+k/p.Size)*p.W+ox*p.Size+k%p.Size)*p.C+c]
				}
				return sum / float64(p.Size*p.Size)
			}, y.Len()), exact)
		}
		for _, acc := range []bool{false, true} {
			s.AvgPoolGrad(p, d.out(x.Len(), "AvgPool %+v dx, acc %v", p, acc), dy, acc)
		}
	}
}

func batchNorms(t *testing.T, s *kernel.Set, d *data) {
	for i, sh := range shapes() {
		N, C := sh[0], sh[1]
		X := floats(d.in(N * C))
		x := d.from(each(func(j int) float64 { return float64(float32(X[j] + float64(j%C%3*4))) }, N*C)) // some means are not zero
		n := kernel.BatchNorm{X: x, Y: d.out(N*C, "BatchNorm %v", sh), Mean: d.out(C, "BatchNorm %v mean", sh), Var: d.out(C, "BatchNorm %v variance", sh),
			Weight: d.in(C), Bias: d.in(C), Eps: 1e-2}
		if i%3 > 0 {
			n.Act = kernel.ReLU
		}
		if i%3 > 1 {
			n.Residual = d.in(N * C)
		}
		s.BatchStats(n.Mean, n.Var, x)
		s.BatchNorm(&n)
		if d.plain() {
			mean, variance := plainStats(floats(x), C)
			near(t, "BatchStats", floats(n.Mean), mean, exact)
			near(t, "BatchStats", floats(n.Var), variance, exact)
			near(t, "BatchNorm", floats(n.Y), plainBatchNorm(&n), exact)
		}
		dy := d.in(N * C)
		for _, fixed := range []bool{false, true} {
			for _, acc := range []bool{false, true} {
				s.BatchNormGrad(&n, &kernel.BatchNormGrad{DY: d.keep(clone(dy), "BatchNorm %v dz", sh), DX: d.out(N*C, "BatchNorm %v dx, fixed %v, acc %v", sh, fixed, acc),
					DW: d.out(C, "BatchNorm %v dw", sh), DB: d.out(C, "BatchNorm %v db", sh), Fixed: fixed, Acc: acc})
			}
		}
		// Any gradient may be left out.
		s.BatchNormGrad(&n, &kernel.BatchNormGrad{DY: clone(dy), DX: d.out(N*C, "BatchNorm %v only dx", sh)})
		s.BatchNormGrad(&n, &kernel.BatchNormGrad{DY: clone(dy), DW: d.out(C, "BatchNorm %v only dw", sh)})
		s.BatchNormGrad(&n, &kernel.BatchNormGrad{DY: clone(dy), DB: d.out(C, "BatchNorm %v only db", sh)})
	}
}

// plainStats are the mean and the variance of the columns of x [N, C].
func plainStats(x []float64, C int) (mean, variance []float64) {
	mean, variance = make([]float64, C), make([]float64, C)
	for c := range C {
		n := float64(len(x) / C)
		for i := c; i < len(x); i += C {
			mean[c] += x[i] / n
			variance[c] += x[i] * x[i] / n
		}
		variance[c] -= mean[c] * mean[c]
	}
	return mean, variance
}

// plainBatchNorm is what n should leave in Y.
func plainBatchNorm(n *kernel.BatchNorm) []float64 {
	x, mean, variance, w, b, residual := floats(n.X), floats(n.Mean), floats(n.Var), floats(n.Weight), floats(n.Bias), floats(n.Residual)
	return each(func(i int) float64 {
		c := i % len(w)
		z := (x[i]-mean[c])/math.Sqrt(variance[c]+n.Eps)*w[c] + b[c]
		if residual != nil {
			z += residual[i]
		}
		return plainAct(n.Act, z)
	}, len(x))
}
