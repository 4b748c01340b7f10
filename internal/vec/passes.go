//go:build amd64 || arm64

package vec

import "math"

// passes are the sweeps over a row, in assembly, of which an instruction set's norms and softmax gradient consist.
type passes struct {
	sum              func(x []float32) float32
	dot              func(a, b []float32) float32
	sumSquares       func(x []float32) float64
	sumDeviations    func(x []float32, mean float32) float32                                // of (x-mean)^2
	softmaxGradScale func(dx, dy, y []float32, s float32)                                   // dx = y * (dy - s)
	normScale        func(y, x, w, b []float32, mean, rstd float32)                         // y = xh*w + b, xh = (x-mean)*rstd; b may be nil
	normGradSums     func(dw, db, dy, x, w []float32, mean, rstd float32) (sg, sgx float32) // dw += dy*xh, db += dy unless nil; sums of g = dy*w and of g*xh
	normGrad         func(dx, dy, x, w []float32, mean, rstd, mg, mgx float32)              // dx = rstd * (dy*w - mg - xh*mgx)
}

// into gives v the functions over rows.
func (p *passes) into(v *variant) {
	v.sum, v.dot, v.sumSquares = p.sum, p.dot, p.sumSquares
	v.softmaxGrad = p.softmaxGrad
	v.layerNorm, v.layerNormGrad = p.layerNorm, p.layerNormGrad
	v.rmsNorm, v.rmsNormGrad = p.rmsNorm, p.rmsNormGrad
}

func (p *passes) softmaxGrad(dx, dy, y []float32) {
	p.softmaxGradScale(dx, dy, y, p.dot(dy, y))
}

func (p *passes) layerNorm(y, x, w, b []float32, eps float32) (mean, rstd float32) {
	n := float32(len(y))
	if n == 0 {
		return 0, 0
	}
	mean = p.sum(x) / n
	variance := p.sumDeviations(x, mean) / n
	rstd = float32(1 / math.Sqrt(float64(variance)+float64(eps)))
	p.normScale(y, x, w, b, mean, rstd)
	return mean, rstd
}

func (p *passes) layerNormGrad(dx, dw, db, dy, x, w []float32, mean, rstd float32) {
	n := float32(len(dx))
	sg, sgx := p.normGradSums(dw, db, dy, x, w, mean, rstd)
	p.normGrad(dx, dy, x, w, mean, rstd, sg/n, sgx/n)
}

func (p *passes) rmsNorm(y, x, w []float32, eps float32) (rstd float32) {
	if len(y) == 0 {
		return 0
	}
	rstd = float32(1 / math.Sqrt(p.sumSquares(x)/float64(len(y))+float64(eps)))
	p.normScale(y, x, w, nil, 0, rstd)
	return rstd
}

func (p *passes) rmsNormGrad(dx, dw, dy, x, w []float32, rstd float32) {
	_, sgx := p.normGradSums(dw, nil, dy, x, w, 0, rstd)
	p.normGrad(dx, dy, x, w, 0, rstd, 0, sgx/float32(len(dx)))
}
