package vec

import (
	"fmt"
	"math"
)

// selfCheck runs every function of v on a short fixed row and compares with the definitions. The row has whole
// vectors and a tail. It takes some tens of microseconds.
func selfCheck(v *variant) error {
	want, got := probe(&goVariant), probe(v)
	for i, w := range want {
		for j, a := range w.y {
			b := got[i].y[j]
			if !(math.Abs(float64(a)-float64(b)) <= 1e-5*(1+math.Abs(float64(a)))) {
				return fmt.Errorf("vec: variant %s: %s: element %d is %v, want %v", v.name, w.name, j, b, a)
			}
		}
	}
	return nil
}

type probed struct {
	name string
	y    []float32
}

func probe(v *variant) (list []probed) {
	const n = 46
	row := func(seed, low, high float32) []float32 { // a fixed spread of numbers in [low, high)
		x := make([]float32, n)
		u := seed
		for i := range x {
			u += 0.6180339887
			u -= float32(math.Floor(float64(u)))
			x[i] = low + float32(u*(high-low))
		}
		return x
	}
	x, a, b, pos := row(0.1, -6, 6), row(0.2, -2, 2), row(0.3, -2, 2), row(0.4, 0, 1)
	keep := func(name string, y ...[]float32) {
		for _, part := range y {
			list = append(list, probed{name, part})
		}
	}
	for _, f := range []struct {
		name string
		run  func(y, x []float32)
	}{{"exp", v.exp}, {"tanh", v.tanh}, {"sigmoid", v.sigmoid}, {"gelu", v.gelu}, {"geluTanh", v.geluTanh}, {"relu", v.relu}, {"silu", v.silu}} {
		y := make([]float32, n)
		f.run(y, x)
		keep(f.name, y)
	}
	for _, f := range []struct {
		name string
		run  func(y, a, b []float32)
	}{
		{"geluGrad", v.geluGrad}, {"geluTanhGrad", v.geluTanhGrad}, {"reluGrad", v.reluGrad}, {"siluGrad", v.siluGrad},
		{"swiGLU", v.swiGLU}, {"add", v.add}, {"sub", v.sub}, {"mul", v.mul}, {"softmaxGrad", v.softmaxGrad},
	} {
		y := make([]float32, n)
		f.run(y, a, b)
		keep(f.name, y)
	}
	clone := func(x []float32) []float32 { return append([]float32{}, x...) }
	y := [8][]float32{}
	for i := range y {
		y[i] = clone(a)
	}
	v.scale(y[0], 0.7, x)
	v.axpy(y[1], 0.7, x)
	v.fill(y[2], 0.7)
	v.swiGLUGrad(y[3], y[4], x, a, b)
	v.rotateHalf(y[5], x, a[:n/2], b[:n/2], -1)
	v.rotatePairs(y[6], x, a[:n/2], b[:n/2], -1)
	v.addRows(y[7][:n-3], x, 1, 3)
	keep("scale, axpy, fill, swiGLUGrad, rotate or addRows", y[:]...)

	masked := clone(x)
	masked[3], masked[n-1] = float32(math.Inf(-1)), float32(math.Inf(-1))
	e := make([]float32, n)
	keep("expSum", e, []float32{v.expSum(e, masked, 2)})
	tile, ds, top, sum, seen := clone(masked), clone(a), []float32{1, float32(math.Inf(-1))}, []float32{0, 0}, []int32{19, 4}
	v.softmax(tile, n/2, n/2, seen, top, sum)
	keep("softmax of a tile", tile, top, sum)
	tile = clone(x)
	v.softmaxBack(tile, ds, n/2, n/2, seen, top, sum)
	keep("its gradient", tile, ds)
	finite := []float32{0, 0}
	if v.allFinite(x) {
		finite[0] = 1
	}
	if v.allFinite(masked) {
		finite[1] = 1
	}
	keep("sum, max, dot, sumSquares or allFinite", []float32{v.sum(x), v.max(x), v.dot(x, a), float32(v.sumSquares(x))}, finite)

	ln, rms := make([]float32, n), make([]float32, n)
	mean, rstd := v.layerNorm(ln, x, a, b, 1e-5)
	keep("layerNorm", ln, []float32{mean, rstd})
	keep("rmsNorm", rms, []float32{v.rmsNorm(rms, x, a, 1e-5)})
	dx, dw, db := make([]float32, n), clone(a), clone(b)
	v.layerNormGrad(dx, dw, db, b, x, a, 0.2, 0.8)
	keep("layerNormGrad", dx, dw, db)
	dx, dw = make([]float32, n), clone(a)
	v.rmsNormGrad(dx, dw, b, x, a, 0.8)
	keep("rmsNormGrad", dx, dw)

	p, g, m, vv := clone(x), clone(a), clone(b), clone(pos)
	v.adamW(p, g, m, vv, adamWConsts{scale: 0.5, decay: 0.99, b1: 0.9, c1: 0.1, b2: 0.95, c2: 0.05, step: 0.01, invBias: 1.5, eps: 1e-3})
	keep("adamW", p, g, m, vv)

	half, brain, wide, wider := make([]uint16, n), make([]uint16, n), make([]float32, n), make([]float32, n)
	v.f16FromF32(half, x)
	v.f32FromF16(wide, half)
	v.bf16FromF32(brain, x)
	v.f32FromBF16(wider, brain)
	v.roundBF16(half, x, 1, 2, 3, 16)
	widest := make([]float32, n)
	v.f32FromBF16(widest, half)
	keep("conversion", wide, wider, widest)

	blocks, codes, y8, z8 := make([]byte, 34), make([]int8, n), make([]float32, n), make([]float32, 32)
	for i := range codes {
		codes[i] = int8(20 * x[i])
		blocks[i%34] = byte(codes[i])
	}
	blocks[1] &= 0x3f // a scale below 2
	v.mulI8(y8, codes, a)
	v.f32FromQ8(z8, blocks)
	keep("mulI8 or f32FromQ8", y8, z8)

	four, y4 := make([]byte, 36), make([]float32, 64)
	for i := range four {
		four[i] = byte(7 * i)
	}
	four[3] = 0x40 // a scale near 2
	v.f32From4(y4, four, (*[16]float32)(x))
	keep("f32From4", y4)
	return list
}
