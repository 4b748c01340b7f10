package ref

import (
	"math"

	"github.com/plinth-ml/plinth/internal/kernel"
)

func batchStats[T float](mean, variance, x buf) {
	C := mean.Len()
	N := rowsOf("BatchStats", "x", x, C)
	want("BatchStats", "variance", variance, C)
	ms, vs, xs := of[T](mean), of[T](variance), of[T](x)
	for c := range C {
		m, v := 0.0, 0.0
		for i := range N {
			m += float64(xs[i*C+c]) / float64(N)
		}
		for i := range N {
			d := float64(xs[i*C+c]) - m
			v += d * d / float64(N)
		}
		ms[c], vs[c] = T(m), T(v)
	}
}

// batchSizes checks the operands and returns the number of rows.
func batchSizes(op string, n *kernel.BatchNorm) int {
	C := n.Weight.Len()
	N := rowsOf(op, "X", n.X, C)
	option(op, "Y", n.Y, N*C)
	option(op, "Residual", n.Residual, N*C)
	want(op, "Mean", n.Mean, C)
	want(op, "Var", n.Var, C)
	want(op, "Bias", n.Bias, C)
	return N
}

// normalized returns (x-Mean)/sqrt(Var+Eps) of element i, the factor before that, and what f is applied to.
func normalized[T float](n *kernel.BatchNorm, i int) (h, rstd, z float64) {
	c := i % n.Weight.Len()
	rstd = 1 / math.Sqrt(float64(of[T](n.Var)[c])+n.Eps)
	h = (float64(of[T](n.X)[i]) - float64(of[T](n.Mean)[c])) * rstd
	z = h*float64(of[T](n.Weight)[c]) + float64(of[T](n.Bias)[c])
	if !n.Residual.None() {
		z += float64(of[T](n.Residual)[i])
	}
	return h, rstd, z
}

func batchNorm[T float](n *kernel.BatchNorm) {
	batchSizes("BatchNorm", n)
	y := of[T](n.Y)
	for i := range y {
		_, _, z := normalized[T](n, i)
		y[i] = T(actOf(n.Act, z))
	}
}

// batchNormGrad: with g = dz·Weight and h = (x-mean)·rstd, dx = rstd (g - mean(g) - h mean(g h)), the means over the column; without the means where
// the statistics are fixed.
func batchNormGrad[T float](n *kernel.BatchNorm, g *kernel.BatchNormGrad) {
	const op = "BatchNormGrad"
	N, C := batchSizes(op, n), n.Weight.Len()
	want(op, "DY", g.DY, N*C)
	option(op, "DX", g.DX, N*C)
	option(op, "DW", g.DW, C)
	option(op, "DB", g.DB, C)
	dy, dx, w := of[T](g.DY), of[T](g.DX), of[T](n.Weight)
	sumW, sumB := make([]float64, C), make([]float64, C)
	for i := range dy {
		h, _, z := normalized[T](n, i)
		d := float64(dy[i]) * actSlope(n.Act, z)
		dy[i] = T(d)
		sumW[i%C] += d * h
		sumB[i%C] += d
	}
	for i := range dx {
		h, rstd, _ := normalized[T](n, i)
		d := float64(dy[i])
		if !g.Fixed {
			d -= (sumB[i%C] + h*sumW[i%C]) / float64(N)
		}
		put(&dx[i], rstd*float64(w[i%C])*d, g.Acc)
	}
	addTo(of[T](g.DW), sumW)
	addTo(of[T](g.DB), sumB)
}
