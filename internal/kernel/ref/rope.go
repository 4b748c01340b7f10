package ref

import (
	"fmt"

	"github.com/plinth-ml/plinth/internal/kernel"
)

func rope[T float](y, x buf, r *kernel.Rope) {
	N, D, R := r.Pos.Len(), r.HeadDim, r.Turning()
	if R <= 0 || R%2 != 0 || R > D {
		panic(fmt.Sprintf("ref: Rope: %d elements of a head of %d turn, want an even number", R, D))
	}
	half, ld := R/2, dense(r.Stride, r.Heads*D)
	wantRows("Rope", "x", x, N, r.Heads*D, ld)
	wantRows("Rope", "y", y, N, r.Heads*D, ld)
	want("Rope", "Sin", r.Sin, r.Cos.Len())
	pos := rowIDs("Rope", r.Pos, rowsOf("Rope", "Cos", r.Cos, half))
	ys, xs, cs, ss := of[T](y), of[T](x), of[T](r.Cos), of[T](r.Sin)
	for n, p := range pos {
		for h := range r.Heads {
			base := n*ld + h*D
			for i := range half {
				a, b := base+i, base+i+half
				if r.Pairs {
					a, b = base+2*i, base+2*i+1
				}
				cos, sin := float64(cs[int(p)*half+i]), float64(ss[int(p)*half+i])
				if r.Inverse {
					sin = -sin
				}
				u, v := float64(xs[a]), float64(xs[b])
				ys[a], ys[b] = T(u*cos-v*sin), T(u*sin+v*cos)
			}
			copy(ys[base+R:base+D], xs[base+R:base+D])
		}
	}
}
