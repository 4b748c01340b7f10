package cpu

import (
	"fmt"

	"github.com/plinth-ml/plinth/internal/gemm"
	"github.com/plinth-ml/plinth/internal/kernel"
)

func (e *engine) matMul(m *kernel.MatMul) {
	for m != nil {
		next := m.Next
		if m.Packed == nil && !m.TransB && m.B.DType().Stored() {
			e.decodedMatMul(m)
		} else if isInt8(m) {
			for next != nil && isInt8(next) {
				next = next.Next
			}
			e.int8MatMul(m, next)
		} else if isBlocks(m) {
			for next != nil && isBlocks(next) {
				next = next.Next
			}
			e.storedMatMul(m, next)
		} else {
			e.plainMatMul(m)
		}
		m = next
	}
}

// isBlocks tells whether the right side of m is read as blocks of codes.
func isBlocks(m *kernel.MatMul) bool {
	right := m.B.DType()
	return m.Packed == nil && m.TransB && right.Stored() && right != kernel.F16 && right != kernel.BF16
}

// plainMatMul is a product of float32, or of float32 with 16-bit floats.
func (e *engine) plainMatMul(m *kernel.MatMul) {
	const op = "MatMul"
	right := m.B.DType()
	if m.Packed == nil && right.Stored() && !m.TransB {
		e.decodedMatMul(m)
		return
	}
	half := m.Packed == nil && (right == kernel.F16 || right == kernel.BF16)
	if half {
		checkStored(m)
	}
	e.product = gemm.Product{
		M: m.M, N: m.N, K: m.K, LDA: m.LDA, LDB: m.LDB, LDC: m.LDC, TransA: m.TransA, TransB: m.TransB,
		A: f32(op, m.A), C: f32(op, m.C), Alpha: float32(m.Alpha), Accumulate: m.Accumulate,
		Bias: f32(op, m.Bias), Act: actFunc(m.Act), Pre: f32(op, m.Pre), Residual: f32(op, m.Residual),
	}
	switch {
	case m.Packed != nil:
		e.product.Packed = packed(m)
	case half:
		e.product.Half, e.product.Format = m.B.Bytes(), formats[right]
	default:
		e.product.B = f32(op, m.B)
	}
	e.gemm.Mul(&e.product)
	e.product = gemm.Product{} // keeps no reference to the operands
}

func packed(m *kernel.MatMul) *gemm.Packed {
	p := m.Packed
	d, ok := p.Data.(*gemm.Packed)
	if !ok {
		panic(fmt.Sprintf("cpu: MatMul: packed matrix [%d, %d] holds %T, made by another set", p.K, p.N, p.Data))
	}
	if p.K != m.K || p.N != m.N {
		panic(fmt.Sprintf("cpu: MatMul: packed matrix [%d, %d] for a product of K=%d, N=%d", p.K, p.N, m.K, m.N))
	}
	return d
}

func (e *engine) pack(dst *kernel.Packed, b kernel.Buf, trans bool, k, n int) {
	d, ok := dst.Data.(*gemm.Packed)
	if !ok {
		d = &gemm.Packed{}
		dst.Data = d
	}
	e.gemm.Pack(d, f32("Pack", b), 0, trans, k, n)
	dst.K, dst.N = k, n
}

// operand is the right side op(B) [k, n] of several small products of one task.
type operand struct {
	packed *gemm.Packed // or nil
	b      []float32
	ld     int
	trans  bool
}

// operand prepares op(B); with pack it is packed once, in slot of the worker's memory.
func (w *scratch) operand(e *engine, slot int, b []float32, ld int, trans bool, k, n int, pack bool) operand {
	o := operand{b: b, ld: ld, trans: trans}
	if pack {
		o.packed = &w.packed[slot]
		e.kern.Pack(o.packed, b, ld, trans, k, n)
	}
	return o
}

// in makes o the right side of p, whose K and N may be smaller.
func (o *operand) in(p *gemm.Product) {
	if o.packed != nil {
		p.Packed = o.packed
		return
	}
	p.B, p.LDB, p.TransB = o.b, o.ld, o.trans
}

// mul computes p on this worker.
func (w *scratch) mul(e *engine, p gemm.Product, o *operand) {
	w.product = p
	o.in(&w.product)
	e.kern.Serial(&w.gemm, &w.product)
}
