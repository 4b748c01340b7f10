package ref

import "github.com/plinth-ml/plinth/internal/kernel"

// squares calls f for every pixel in a square: y and x are the places of the square's and of the pixel's channels.
func squares(p kernel.Pool, f func(y, x int)) {
	h, w := p.Out()
	for b := range p.B {
		for iy := range h * p.Size {
			for ix := range w * p.Size {
				f(((b*h+iy/p.Size)*w+ix/p.Size)*p.C, ((b*p.H+iy)*p.W+ix)*p.C)
			}
		}
	}
}

// poolSizes checks the operands y and x.
func poolSizes(op string, p kernel.Pool, y, x buf) {
	h, w := p.Out()
	want(op, "x", x, p.B*p.H*p.W*p.C)
	want(op, "y", y, p.B*h*w*p.C)
}

func avgPool[T float](p kernel.Pool, y, x buf) {
	poolSizes("AvgPool", p, y, x)
	ys, xs := of[T](y), of[T](x)
	sum := make([]float64, len(ys))
	squares(p, func(y, x int) {
		for c := range p.C {
			sum[y+c] += float64(xs[x+c])
		}
	})
	for i, v := range sum {
		ys[i] = T(v / float64(p.Size*p.Size))
	}
}

func avgPoolGrad[T float](p kernel.Pool, dx, dy buf, acc bool) {
	poolSizes("AvgPoolGrad", p, dy, dx)
	dxs, dys := of[T](dx), of[T](dy)
	if !acc {
		clear(dxs)
	}
	squares(p, func(y, x int) {
		for c := range p.C {
			put(&dxs[x+c], float64(dys[y+c])/float64(p.Size*p.Size), true)
		}
	})
}
