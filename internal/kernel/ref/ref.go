package ref

import (
	"fmt"

	"github.com/plinth-ml/plinth/internal/kernel"
)

// buf is short for the handle of the contract.
type buf = kernel.Buf

type float interface{ float32 | float64 }

type number interface{ float | int32 }

// New returns the reference set. It runs on the caller's goroutine and keeps no state.
func New() *kernel.Set {
	return &kernel.Set{
		Name: "ref", Threads: 1,
		MatMul: func(m *kernel.MatMul) {
			for ; m != nil; m = m.Next {
				pick(m.C, matMul[float32], matMul[float64])(m)
			}
		},
		Pack: func(dst *kernel.Packed, b buf, trans bool, k, n int) {
			pick(b, pack[float32], pack[float64])(dst, b, trans, k, n)
		},
		PackInt8: func(dst *kernel.Packed, b buf, trans bool, k, n int) {
			pick(b, packInt8[float32], packInt8[float64])(dst, b, trans, k, n)
		},
		Fill: func(y buf, v float64) {
			if y.DType() == kernel.I32 {
				fill[int32](y, v)
				return
			}
			pick(y, fill[float32], fill[float64])(y, v)
		},
		Copy: func(y, x buf) {
			switch {
			case y.DType() == kernel.I32:
				copyTo[int32](y, x)
				return
			case y.DType() == kernel.BF16 || x.DType() == kernel.BF16:
				convert(y, x)
				return
			}
			pick(y, copyTo[float32], copyTo[float64])(y, x)
		},
		Add:   func(y, a, b buf) { pick(y, add[float32], add[float64])(y, a, b) },
		Mul:   func(y, a, b buf) { pick(y, mul[float32], mul[float64])(y, a, b) },
		MulTo: func(y, a, b buf) { pick(y, mulTo[float32], mulTo[float64])(y, a, b) },
		Axpy:  func(y buf, a float64, x buf) { pick(y, axpy[float32], axpy[float64])(y, a, x) },
		Scale: func(y buf, a float64, x buf) { pick(y, scale[float32], scale[float64])(y, a, x) },
		Act:   func(f kernel.Act, y, x buf) { pick(y, act[float32], act[float64])(f, y, x) },
		ActGrad: func(f kernel.Act, dx, dy, x buf, acc bool) {
			pick(x, actGrad[float32], actGrad[float64])(f, dx, dy, x, acc)
		},
		SwiGLU: func(y, gate, up buf) { pick(y, swiGLU[float32], swiGLU[float64])(y, gate, up) },
		SwiGLUGrad: func(dgate, dup, dy, gate, up buf, acc bool) {
			pick(gate, swiGLUGrad[float32], swiGLUGrad[float64])(dgate, dup, dy, gate, up, acc)
		},
		Dropout: func(d kernel.Dropout, y, x buf, acc bool) { pick(y, dropout[float32], dropout[float64])(d, y, x, acc) },
		Softmax: func(y, x buf, c int) { pick(y, softmax[float32], softmax[float64])(y, x, c) },
		SoftmaxGrad: func(dx, dy, y buf, c int, acc bool) {
			pick(y, softmaxGrad[float32], softmaxGrad[float64])(dx, dy, y, c, acc)
		},
		LayerNorm: func(y, mean, rstd, x, w, b buf, eps float64) {
			pick(x, layerNorm[float32], layerNorm[float64])(y, mean, rstd, x, w, b, eps)
		},
		LayerNormGrad: func(dx, dw, db, dy, x, w, mean, rstd buf, acc bool) {
			pick(x, layerNormGrad[float32], layerNormGrad[float64])(dx, dw, db, dy, x, w, mean, rstd, acc)
		},
		RMSNorm: func(y, rstd, x, w buf, eps float64) {
			pick(x, rmsNorm[float32], rmsNorm[float64])(y, rstd, x, w, eps)
		},
		RMSNormGrad: func(dx, dw, dy, x, w, rstd buf, acc bool) {
			pick(x, rmsNormGrad[float32], rmsNormGrad[float64])(dx, dw, dy, x, w, rstd, acc)
		},
		Gather: func(y, w, ids buf, c int, acc bool) {
			pick(y, gather[float32], gather[float64])(y, w, ids, c, acc)
		},
		ScatterAdd: func(dw, dy, ids buf, c int) {
			pick(dw, scatterAdd[float32], scatterAdd[float64])(dw, dy, ids, c)
		},
		SumRows: func(y, x buf) { pick(y, sumRows[float32], sumRows[float64])(y, x) },
		SeqMean: func(y, x buf, spans []kernel.Span, c int) {
			pick(x, seqMean[float32], seqMean[float64])(y, x, spans, c)
		},
		SeqMeanGrad: func(dx, dy buf, spans []kernel.Span, c int, acc bool) {
			pick(dx, seqMeanGrad[float32], seqMeanGrad[float64])(dx, dy, spans, c, acc)
		},
		Conv: func(c *kernel.Conv) { pick(c.X, conv[float32], conv[float64])(c) },
		ConvGrad: func(c *kernel.Conv, g *kernel.ConvGrad) {
			pick(c.X, convGrad[float32], convGrad[float64])(c, g)
		},
		PackConv: func(dst *kernel.Packed, c *kernel.Conv) {
			pick(c.Weight, packConv[float32], packConv[float64])(dst, c)
		},
		AvgPool: func(p kernel.Pool, y, x buf) { pick(x, avgPool[float32], avgPool[float64])(p, y, x) },
		AvgPoolGrad: func(p kernel.Pool, dx, dy buf, acc bool) {
			pick(dx, avgPoolGrad[float32], avgPoolGrad[float64])(p, dx, dy, acc)
		},
		BatchStats: func(mean, variance, x buf) {
			pick(x, batchStats[float32], batchStats[float64])(mean, variance, x)
		},
		BatchNorm: func(n *kernel.BatchNorm) { pick(n.X, batchNorm[float32], batchNorm[float64])(n) },
		BatchNormGrad: func(n *kernel.BatchNorm, g *kernel.BatchNormGrad) {
			pick(n.X, batchNormGrad[float32], batchNormGrad[float64])(n, g)
		},
		Rope: func(y, x buf, r *kernel.Rope) { pick(x, rope[float32], rope[float64])(y, x, r) },
		Attention: func(a *kernel.Attention) {
			x := a.Q
			if x.None() {
				x = a.K
			}
			pick(x, attention[float32], attention[float64])(a)
		},
		AttentionGrad: func(a *kernel.Attention, g *kernel.AttentionGrad) {
			pick(a.Q, attentionGrad[float32], attentionGrad[float64])(a, g)
		},
		CrossEntropy: func(c *kernel.CrossEntropy) { pick(c.X, crossEntropy[float32], crossEntropy[float64])(c) },
		AdamW: func(s *kernel.AdamW, list ...kernel.AdamWParam) {
			at := 0
			for _, w := range list {
				pick(w.P, adamW[float32], adamW[float64])(w, at, s)
				at += w.P.Len()
			}
		},
		SumSquares: func(list ...buf) float64 {
			sum := 0.0
			for _, x := range list {
				sum += pick(x, sumSquares[float32], sumSquares[float64])(x)
			}
			return sum
		},
	}
}

// pick returns the function for the dtype of b.
func pick[F any](b buf, f32, f64 F) F {
	switch b.DType() {
	case kernel.F32:
		return f32
	case kernel.F64:
		return f64
	}
	panic(fmt.Sprintf("ref: no op on %s", b.DType()))
}

// of returns the elements of b, nil for none.
func of[T number](b buf) []T {
	if b.None() {
		return nil
	}
	var s any
	switch any(T(0)).(type) {
	case float32:
		s = b.F32()
	case float64:
		s = b.F64()
	case int32:
		s = b.I32()
	}
	return s.([]T)
}

// want panics unless the operand called name has n elements.
func want(op, name string, b buf, n int) {
	if b.Len() != n {
		panic(fmt.Sprintf("ref: %s: %s has %d elements, want %d", op, name, b.Len(), n))
	}
}

// option is want for an operand that may be none.
func option(op, name string, b buf, n int) {
	if !b.None() {
		want(op, name, b, n)
	}
}

// wantRows panics unless b holds rows of cols elements, ld apart.
func wantRows(op, name string, b buf, rows, cols, ld int) {
	if ld < cols || rows > 0 && cols > 0 && b.Len() < (rows-1)*ld+cols {
		panic(fmt.Sprintf("ref: %s: %s has %d elements, want %d rows of %d with stride %d", op, name, b.Len(), rows, cols, ld))
	}
}

// rowsOf is the number of rows of c elements in b.
func rowsOf(op, name string, b buf, c int) int {
	if c <= 0 || b.Len()%c != 0 {
		panic(fmt.Sprintf("ref: %s: %s has %d elements, not rows of %d", op, name, b.Len(), c))
	}
	return b.Len() / c
}

// dense is the stride ld, or cols where ld is 0.
func dense(ld, cols int) int {
	if ld == 0 {
		return cols
	}
	return ld
}

// put stores v, or adds it.
func put[T float](y *T, v float64, acc bool) {
	if acc {
		v += float64(*y)
	}
	*y = T(v)
}

// addTo adds the float64 sums to y.
func addTo[T float](y []T, sums []float64) {
	for i := range y {
		y[i] = T(float64(y[i]) + sums[i])
	}
}
