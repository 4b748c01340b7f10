package ref

import (
	"fmt"

	"github.com/plinth-ml/plinth/internal/kernel"
)

// taps calls f for every product of a convolution: y, x and w are where its factors and its result stand.
func taps(c *kernel.Conv, f func(y, x, w int)) {
	h, w := c.Out()
	for b := range c.B {
		for oy := range h {
			for ox := range w {
				for ky := range c.KH {
					for kx := range c.KW {
						iy, ix := oy*c.Stride-c.Pad+ky, ox*c.Stride-c.Pad+kx
						if iy < 0 || iy >= c.H || ix < 0 || ix >= c.W {
							continue
						}
						for o := range c.O {
							for ch := range c.C {
								f(((b*h+oy)*w+ox)*c.O+o, ((b*c.H+iy)*c.W+ix)*c.C+ch, ((o*c.C+ch)*c.KH+ky)*c.KW+kx)
							}
						}
					}
				}
			}
		}
	}
}

func conv[T float](c *kernel.Conv) {
	c.Check("ref: Conv")
	x, ws := of[T](c.X), convWeight[T](c)
	sum := make([]float64, c.Y.Len())
	taps(c, func(y, i, w int) { sum[y] += float64(x[i]) * float64(ws[w]) })
	y, bias, pre, residual := of[T](c.Y), of[T](c.Bias), of[T](c.Pre), of[T](c.Residual)
	for i, v := range sum {
		if bias != nil {
			v += float64(bias[i%c.O])
		}
		if pre != nil {
			pre[i] = T(v)
		}
		if c.ActLast && residual != nil {
			v += float64(residual[i])
		}
		v = actOf(c.Act, v)
		if !c.ActLast && residual != nil {
			v += float64(residual[i])
		}
		y[i] = T(v)
	}
}

func convWeight[T float](c *kernel.Conv) []T {
	if c.Packed == nil {
		return of[T](c.Weight)
	}
	if p := c.Packed; p.K != c.KH*c.KW*c.C || p.N != c.O {
		panic(fmt.Sprintf("ref: Conv: packed [%d,%d], want [%d,%d]", p.K, p.N, c.KH*c.KW*c.C, c.O))
	}
	return c.Packed.Data.([]T)
}

func packConv[T float](dst *kernel.Packed, c *kernel.Conv) {
	want("PackConv", "Weight", c.Weight, c.O*c.C*c.KH*c.KW)
	*dst = kernel.Packed{K: c.KH * c.KW * c.C, N: c.O, Data: append([]T(nil), of[T](c.Weight)...)}
}

func convGrad[T float](c *kernel.Conv, g *kernel.ConvGrad) {
	c.Check("ref: ConvGrad")
	h, w := c.Out()
	want("ConvGrad", "DY", g.DY, c.B*h*w*c.O)
	option("ConvGrad", "DX", g.DX, c.X.Len())
	option("ConvGrad", "DW", g.DW, c.Weight.Len())
	x, ws, dy, dx := of[T](c.X), of[T](c.Weight), of[T](g.DY), of[T](g.DX)
	sumX, sumW := make([]float64, len(x)), make([]float64, len(ws))
	taps(c, func(y, i, w int) {
		d := float64(dy[y])
		sumX[i] += d * float64(ws[w])
		sumW[w] += d * float64(x[i])
	})
	for i := range dx {
		put(&dx[i], sumX[i], g.Acc)
	}
	addTo(of[T](g.DW), sumW)
}
