package cpu

import (
	"fmt"

	"github.com/plinth-ml/plinth/internal/gemm"
	"github.com/plinth-ml/plinth/internal/kernel"
)

// matMul computes m and what is chained to it: neighbours of one kind in one loop.
func (e *engine) matMul(m *kernel.MatMul) {
	for m != nil {
		kind, end := kindOf(m), m.Next
		for end != nil && kind != decodedProduct && kindOf(end) == kind {
			end = end.Next
		}
		switch kind {
		case decodedProduct:
			e.decodedMatMul(m)
		case blocksProduct:
			e.storedMatMul(m, end)
		case int8Product:
			e.int8MatMul(m, end)
		default:
			e.plainMatMul(m, end)
		}
		m = end
	}
}

// productKind is how the right side of a product is read.
type productKind uint8

const (
	plainProduct   productKind = iota // as float32, or as what is widened on the way
	blocksProduct                     // as blocks of codes
	decodedProduct                    // decoded to float32 first
	int8Product                       // packed in 8 bits
)

func kindOf(m *kernel.MatMul) productKind {
	right := m.B.DType()
	switch {
	case isInt8(m):
		return int8Product
	case m.Packed != nil || !right.Stored():
		return plainProduct
	case !m.TransB:
		return decodedProduct
	case right.ActivationBlock() == 0:
		return plainProduct
	}
	return blocksProduct
}

// plainMatMul computes the products from m up to end on float32, or on what is widened to it.
func (e *engine) plainMatMul(m, end *kernel.MatMul) {
	e.chain, e.list = e.chain[:0], e.list[:0]
	for ; m != end; m = m.Next {
		e.chain = append(e.chain, plain(m))
	}
	for i := range e.chain {
		e.list = append(e.list, &e.chain[i])
	}
	e.gemm.Mul(e.list...)
	clear(e.chain) // keeps no reference to the operands
}

// plain is m as package gemm takes it.
func plain(m *kernel.MatMul) gemm.Product {
	const op = "MatMul"
	p := gemm.Product{
		M: m.M, N: m.N, K: m.K, LDA: m.LDA, LDB: m.LDB, LDC: m.LDC, TransA: m.TransA, TransB: m.TransB,
		A: f32(op, m.A), C: f32(op, m.C), Alpha: float32(m.Alpha), Accumulate: m.Accumulate,
		Bias: f32(op, m.Bias), Act: actFunc(m.Act), Pre: f32(op, m.Pre), Residual: f32(op, m.Residual),
	}
	switch right := m.B.DType(); {
	case m.Packed != nil:
		p.Packed = packed(m)
	case right.Stored():
		checkStored(m)
		p.Stored, p.Format = m.B.Bytes(), formats[right]
	default:
		p.B = f32(op, m.B)
	}
	return p
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
