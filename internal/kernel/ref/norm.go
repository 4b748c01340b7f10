package ref

import "math"

func layerNorm[T float](y, mean, rstd, x, w, b buf, eps float64) {
	C := w.Len()
	N := rowsOf("LayerNorm", "x", x, C)
	want("LayerNorm", "y", y, N*C)
	want("LayerNorm", "mean", mean, N)
	want("LayerNorm", "rstd", rstd, N)
	option("LayerNorm", "b", b, C)
	ys, ms, rs, xs, ws, bs := of[T](y), of[T](mean), of[T](rstd), of[T](x), of[T](w), of[T](b)
	for i := range N {
		xi, yi := xs[i*C:(i+1)*C], ys[i*C:(i+1)*C]
		m := 0.0
		for _, v := range xi {
			m += float64(v)
		}
		m /= float64(C)
		variance := 0.0
		for _, v := range xi {
			d := float64(v) - m
			variance += d * d
		}
		r := 1 / math.Sqrt(variance/float64(C)+eps)
		for j, v := range xi {
			out := (float64(v) - m) * r * float64(ws[j])
			if bs != nil {
				out += float64(bs[j])
			}
			yi[j] = T(out)
		}
		ms[i], rs[i] = T(m), T(r)
	}
}

func layerNormGrad[T float](dx, dw, db, dy, x, w, mean, rstd buf, acc bool) {
	N := normSizes("LayerNormGrad", dx, dw, dy, x, w, rstd)
	want("LayerNormGrad", "mean", mean, N)
	option("LayerNormGrad", "db", db, w.Len())
	normGrad(of[T](dx), of[T](dw), of[T](db), of[T](dy), of[T](x), of[T](w), of[T](mean), of[T](rstd), acc)
}

func rmsNorm[T float](y, rstd, x, w buf, eps float64) {
	C := w.Len()
	N := rowsOf("RMSNorm", "x", x, C)
	want("RMSNorm", "y", y, N*C)
	want("RMSNorm", "rstd", rstd, N)
	ys, rs, xs, ws := of[T](y), of[T](rstd), of[T](x), of[T](w)
	for i := range N {
		xi, yi := xs[i*C:(i+1)*C], ys[i*C:(i+1)*C]
		sum := 0.0
		for _, v := range xi {
			sum += float64(v) * float64(v)
		}
		r := 1 / math.Sqrt(sum/float64(C)+eps)
		for j, v := range xi {
			yi[j] = T(float64(v) * r * float64(ws[j]))
		}
		rs[i] = T(r)
	}
}

func rmsNormGrad[T float](dx, dw, dy, x, w, rstd buf, acc bool) {
	normSizes("RMSNormGrad", dx, dw, dy, x, w, rstd)
	normGrad(of[T](dx), of[T](dw), nil, of[T](dy), of[T](x), of[T](w), nil, of[T](rstd), acc)
}

// normSizes checks the operands that both gradients have and returns the number of rows.
func normSizes(op string, dx, dw, dy, x, w, rstd buf) int {
	C := w.Len()
	N := rowsOf(op, "x", x, C)
	want(op, "dy", dy, N*C)
	want(op, "rstd", rstd, N)
	option(op, "dx", dx, N*C)
	option(op, "dw", dw, C)
	return N
}

// normGrad is the gradient of y = h*w + b with h = (x-mean)*rstd. Where mean is nil it is RMSNorm's, whose rows are not
// centred. With g = dy*w: dx = rstd (g - mean(g) - h mean(g h)), without mean(g) for RMSNorm.
func normGrad[T float](dx, dw, db, dy, x, w, mean, rstd []T, acc bool) {
	C := len(w)
	sumW, sumB := make([]float64, C), make([]float64, C)
	for i := range rstd {
		r, m := float64(rstd[i]), 0.0
		if mean != nil {
			m = float64(mean[i])
		}
		gMean, ghMean := 0.0, 0.0
		for j := range C {
			d, h := float64(dy[i*C+j]), (float64(x[i*C+j])-m)*r
			g := d * float64(w[j])
			sumW[j] += d * h
			sumB[j] += d
			gMean += g / float64(C)
			ghMean += g * h / float64(C)
		}
		if dx == nil {
			continue
		}
		if mean == nil {
			gMean = 0
		}
		for j := range C {
			g, h := float64(dy[i*C+j])*float64(w[j]), (float64(x[i*C+j])-m)*r
			put(&dx[i*C+j], r*(g-gMean-h*ghMean), acc)
		}
	}
	addTo(dw, sumW)
	addTo(db, sumB)
}
