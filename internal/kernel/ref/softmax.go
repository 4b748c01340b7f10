package ref

import "math"

// softmaxRow replaces x by its softmax and returns its log-sum-exp; an all -Inf (or empty) row gives zeros and -Inf.
func softmaxRow(x []float64) float64 {
	top := math.Inf(-1)
	for _, v := range x {
		top = max(top, v)
	}
	if math.IsInf(top, -1) {
		clear(x)
		return top
	}
	sum := 0.0
	for i, v := range x {
		x[i] = math.Exp(v - top)
		sum += x[i]
	}
	for i := range x {
		x[i] /= sum
	}
	return top + math.Log(sum)
}

func softmax[T float](y, x buf, c int) {
	want("Softmax", "x", x, y.Len())
	ys, xs := of[T](y), of[T](x)
	row := make([]float64, c)
	for i := range rowsOf("Softmax", "x", x, c) {
		for j := range row {
			row[j] = float64(xs[i*c+j])
		}
		softmaxRow(row)
		for j, v := range row {
			ys[i*c+j] = T(v)
		}
	}
}

func softmaxGrad[T float](dx, dy, y buf, c int, acc bool) {
	want("SoftmaxGrad", "dx", dx, y.Len())
	want("SoftmaxGrad", "dy", dy, y.Len())
	dxs, dys, ys := of[T](dx), of[T](dy), of[T](y)
	for i := range rowsOf("SoftmaxGrad", "y", y, c) {
		dot := 0.0
		for j := i * c; j < (i+1)*c; j++ {
			dot += float64(dys[j]) * float64(ys[j])
		}
		for j := i * c; j < (i+1)*c; j++ {
			put(&dxs[j], float64(ys[j])*(float64(dys[j])-dot), acc)
		}
	}
}
