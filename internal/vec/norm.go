package vec

// LayerNorm normalises one row: y = (x - mean) * rstd * w + b, with rstd = 1/sqrt(variance + eps) and the variance
// over n, taken in a second pass around the mean. x, w, b are [n] with n = len(y) > 0; a nil b counts as zeros.
// It returns mean and rstd for LayerNormGrad.
func LayerNorm(y, x, w, b []float32, eps float32) (mean, rstd float32) {
	n := len(y)
	need("LayerNorm", "x", len(x), n)
	need("LayerNorm", "w", len(w), n)
	if b != nil {
		need("LayerNorm", "b", len(b), n)
		b = b[:n]
	}
	return active.layerNorm(y, x[:n], w[:n], b, eps)
}

// LayerNormGrad is the gradient of LayerNorm for one row: dx is written, dw and db are added to; a nil db is left out.
// x, mean and rstd are those of the forward pass; all slices are [n] with n = len(dx). dx may be dy or x.
func LayerNormGrad(dx, dw, db, dy, x, w []float32, mean, rstd float32) {
	n := len(dx)
	need("LayerNormGrad", "dw", len(dw), n)
	if db != nil {
		need("LayerNormGrad", "db", len(db), n)
		db = db[:n]
	}
	need("LayerNormGrad", "dy", len(dy), n)
	need("LayerNormGrad", "x", len(x), n)
	need("LayerNormGrad", "w", len(w), n)
	active.layerNormGrad(dx, dw[:n], db, dy[:n], x[:n], w[:n], mean, rstd)
}

// RMSNorm scales one row: y = x * rstd * w, with rstd = 1/sqrt(mean(x*x) + eps); x and w are [n] with n = len(y) > 0.
// It returns rstd for RMSNormGrad.
func RMSNorm(y, x, w []float32, eps float32) (rstd float32) {
	n := len(y)
	need("RMSNorm", "x", len(x), n)
	need("RMSNorm", "w", len(w), n)
	return active.rmsNorm(y, x[:n], w[:n], eps)
}

// RMSNormGrad is the gradient of RMSNorm for one row: dx is written, dw is added to. x and rstd are those of the
// forward pass; all slices are [n] with n = len(dx). dx may be dy or x.
func RMSNormGrad(dx, dw, dy, x, w []float32, rstd float32) {
	n := len(dx)
	need("RMSNormGrad", "dw", len(dw), n)
	need("RMSNormGrad", "dy", len(dy), n)
	need("RMSNormGrad", "x", len(x), n)
	need("RMSNormGrad", "w", len(w), n)
	active.rmsNormGrad(dx, dw[:n], dy[:n], x[:n], w[:n], rstd)
}
