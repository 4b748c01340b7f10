package vec

import "math"

func layerNormGo(y, x, w, b []float32, eps float32) (mean, rstd float32) {
	n := len(y)
	if n == 0 {
		return 0, 0
	}
	var s float64
	for _, v := range x {
		s += float64(v)
	}
	mu := s / float64(n)
	s = 0
	for _, v := range x {
		d := float64(v) - mu
		s += float64(d * d)
	}
	mean, rstd = float32(mu), float32(1/math.Sqrt(s/float64(n)+float64(eps)))
	for i := range y {
		y[i] = float32(float32(x[i]-mean) * rstd * w[i])
		if b != nil {
			y[i] += b[i]
		}
	}
	return mean, rstd
}

// With xh = (x-mean)*rstd and g = dy*w: dx = rstd * (g - mean(g) - xh * mean(g*xh)).
func layerNormGradGo(dx, dw, db, dy, x, w []float32, mean, rstd float32) {
	n := len(dx)
	var sg, sgx float64
	for i := range dx {
		xh := float32(float32(x[i]-mean) * rstd)
		g := float64(float64(dy[i]) * float64(w[i]))
		sg += g
		sgx += float64(g * float64(xh))
		dw[i] += float32(dy[i] * xh)
		if db != nil {
			db[i] += dy[i]
		}
	}
	mg, mgx := float32(sg/float64(n)), float32(sgx/float64(n))
	for i := range dx {
		xh := float32(x[i]-mean) * rstd
		dx[i] = rstd * (float32(dy[i]*w[i]) - mg - float32(xh*mgx))
	}
}

func rmsNormGo(y, x, w []float32, eps float32) (rstd float32) {
	n := len(y)
	if n == 0 {
		return 0
	}
	rstd = float32(1 / math.Sqrt(sumSquaresGo(x)/float64(n)+float64(eps)))
	for i := range y {
		y[i] = x[i] * rstd * w[i]
	}
	return rstd
}

// With xh = x*rstd and g = dy*w: dx = rstd * (g - xh * mean(g*xh)).
func rmsNormGradGo(dx, dw, dy, x, w []float32, rstd float32) {
	n := len(dx)
	var sgx float64
	for i := range dx {
		xh := x[i] * rstd
		sgx += float64(float64(dy[i]) * float64(w[i]) * float64(xh))
		dw[i] += float32(dy[i] * xh)
	}
	mgx := float32(sgx / float64(n))
	for i := range dx {
		xh := x[i] * rstd
		dx[i] = rstd * (float32(dy[i]*w[i]) - float32(xh*mgx))
	}
}
