package vec

func rotateHalfGo(y, x, cos, sin []float32, sign float32) {
	h := len(y) / 2
	for i := range h {
		c, s := cos[i], sign*sin[i]
		a, b := x[i], x[i+h]
		y[i] = float32(a*c) - float32(b*s)
		y[i+h] = float32(b*c) + float32(a*s)
	}
}

func rotatePairsGo(y, x, cos, sin []float32, sign float32) {
	for i := range len(y) / 2 {
		c, s := cos[i], sign*sin[i]
		a, b := x[2*i], x[2*i+1]
		y[2*i] = float32(a*c) - float32(b*s)
		y[2*i+1] = float32(b*c) + float32(a*s)
	}
}
