package ref

import (
	"fmt"

	"github.com/plinth-ml/plinth/internal/kernel"
)

func matMul[T float](m *kernel.MatMul) {
	M, N, K := m.M, m.N, m.K
	if m.Accumulate && (!m.Bias.None() || m.Act != kernel.Identity || !m.Residual.None() || !m.Pre.None()) {
		panic("ref: MatMul: Accumulate excludes Bias, Act, Pre and Residual")
	}
	aRows, aCols := M, K
	if m.TransA {
		aRows, aCols = K, M
	}
	lda, ldc := dense(m.LDA, aCols), dense(m.LDC, N)
	wantRows("MatMul", "A", m.A, aRows, aCols, lda)
	wantRows("MatMul", "C", m.C, M, N, ldc)
	option("MatMul", "Bias", m.Bias, N)
	if !m.Pre.None() {
		wantRows("MatMul", "Pre", m.Pre, M, N, ldc)
	}
	if !m.Residual.None() {
		wantRows("MatMul", "Residual", m.Residual, M, N, ldc)
	}
	a, c, bias, pre, res := of[T](m.A), of[T](m.C), of[T](m.Bias), of[T](m.Pre), of[T](m.Residual)
	b := operandB[T](m) // [K, N]
	if block := m.B.DType().ActivationBlock(); m.Packed == nil && m.TransB && block > 0 {
		a = quantized(a, M, K, lda, block)
	}
	if m.Packed != nil {
		if _, ok := m.Packed.Data.(int8Packed); ok {
			a = quantized(a, M, K, lda, wholeRow)
		}
	}
	alpha := m.Alpha
	if alpha == 0 {
		alpha = 1
	}
	sum := make([]float64, N)
	for i := range M {
		clear(sum)
		for k := range K {
			aik := 0.0
			if m.TransA {
				aik = float64(a[k*lda+i])
			} else {
				aik = float64(a[i*lda+k])
			}
			for j, v := range b[k*N : (k+1)*N] {
				sum[j] += aik * v
			}
		}
		for j, s := range sum {
			v, at := alpha*s, i*ldc+j
			if bias != nil {
				v += float64(bias[j])
			}
			if pre != nil {
				pre[at] = T(v)
			}
			v = actOf(m.Act, v)
			if res != nil {
				v += float64(res[at])
			}
			put(&c[at], v, m.Accumulate)
		}
	}
}

// operandB returns op(B) [K,N] of a product.
func operandB[T float](m *kernel.MatMul) []float64 {
	if p := m.Packed; p != nil {
		if p.K != m.K || p.N != m.N {
			panic(fmt.Sprintf("ref: MatMul: packed [%d,%d], want [%d,%d]", p.K, p.N, m.K, m.N))
		}
		if w, ok := p.Data.(int8Packed); ok {
			return w
		}
		return p.Data.([]float64)
	}
	if m.B.DType().Stored() {
		width := m.N // of B as stored
		if m.TransB {
			width = m.K
		}
		if m.TransA || m.TransB && m.Accumulate || m.LDB != 0 && m.LDB != width {
			panic("ref: MatMul: weights of " + m.B.DType().String() + " take A·Bᵀ without Accumulate, and A·B, with dense rows only")
		}
		return widen(nil, "MatMul", stored[T](m.B), m.B, m.TransB, m.K, m.N, 0)
	}
	return widen(nil, "MatMul", of[T](m.B), m.B, m.TransB, m.K, m.N, m.LDB)
}

func pack[T float](dst *kernel.Packed, b buf, trans bool, k, n int) {
	old, _ := dst.Data.([]float64)
	*dst = kernel.Packed{K: k, N: n, Data: widen(old, "Pack", of[T](b), b, trans, k, n, 0)}
}

// int8Packed is op(B) [K,N], rounded to 8 bits.
type int8Packed []float64

func packInt8[T float](dst *kernel.Packed, b buf, trans bool, k, n int) {
	w := widen(nil, "PackInt8", of[T](b), b, trans, k, n, 0)
	columns := make([]T, k*n) // [n, k]
	for i := range k {
		for j := range n {
			columns[j*k+i] = T(w[i*n+j])
		}
	}
	columns = quantized(columns, n, k, k, wholeRow)
	for i := range k {
		for j := range n {
			w[i*n+j] = float64(columns[j*k+i])
		}
	}
	*dst = kernel.Packed{K: k, N: n, Data: int8Packed(w)}
}

// widen returns op(B) [K,N] in float64, in dst where it has room.
func widen[T float](dst []float64, op string, b []T, from buf, trans bool, K, N, ld int) []float64 {
	if cap(dst) < K*N {
		dst = make([]float64, K*N)
	}
	dst = dst[:K*N]
	if trans {
		ld = dense(ld, K)
		wantRows(op, "B", from, N, K, ld)
		for j := range N {
			for k, v := range b[j*ld : j*ld+K] {
				dst[k*N+j] = float64(v)
			}
		}
		return dst
	}
	ld = dense(ld, N)
	wantRows(op, "B", from, K, N, ld)
	for k := range K {
		for j, v := range b[k*ld : k*ld+N] {
			dst[k*N+j] = float64(v)
		}
	}
	return dst
}
