package cpu

import (
	"fmt"

	"github.com/plinth-ml/plinth/internal/gemm"
	"github.com/plinth-ml/plinth/internal/kernel"
)

// decodedMatMul is A·B with B [K,N] of a storage type: a block of rows is made float32 and multiplied, then the next, so that the order of the sums
// is that of one product.
func (e *engine) decodedMatMul(m *kernel.MatMul) {
	const op = "MatMul"
	format, ok := formats[m.B.DType()]
	if !ok {
		panic(fmt.Sprintf("cpu: MatMul: weights of %s", m.B.DType()))
	}
	if m.TransA || m.LDB != 0 && m.LDB != m.N || !m.Bias.None() || m.Act != kernel.Identity || !m.Pre.None() || !m.Residual.None() {
		panic(fmt.Sprintf("cpu: MatMul: A·B with weights of %s takes dense rows, no transposed A and no epilogue", m.B.DType()))
	}
	need(op, "B", m.B.Len(), m.N*m.K)
	a, size := f32(op, m.A), format.Bytes(m.N) // bytes of a row
	accumulate := m.Accumulate
	for k := 0; k < max(m.K, 1); k += gemm.KC {
		rows := min(gemm.KC, m.K-k)
		e.decoded = room(e.decoded, rows*m.N)
		e.run(rows, rowsFor(light, m.N), job{y: e.decoded, bytes: m.B.Bytes()[k*size:], format: format, width: m.N, body: func(_ *engine, j *job, lo, hi, _ int) {
			j.format.Decode(j.y[lo*j.width:hi*j.width], j.bytes[j.format.Bytes(lo*j.width):j.format.Bytes(hi*j.width)])
		}})
		e.product = gemm.Product{M: m.M, N: m.N, K: rows, A: a[min(k, len(a)):], LDA: dense(m.LDA, m.K), B: e.decoded, C: f32(op, m.C), LDC: m.LDC, Alpha: float32(m.Alpha),
			Accumulate: accumulate}
		e.gemm.Mul(&e.product)
		accumulate = true
	}
	e.product = gemm.Product{} // keeps no reference to the operands
}
