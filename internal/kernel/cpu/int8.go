package cpu

import (
	"fmt"

	"github.com/plinth-ml/plinth/internal/kernel"
	"github.com/plinth-ml/plinth/internal/quant"
	"github.com/plinth-ml/plinth/internal/vec"
)

// int8Mul is a loop over products with one left side A whose right sides are packed in 8 bits.
type int8Mul struct {
	m               *kernel.MatMul // the product at hand
	w               *quant.Int8Weights
	a               []float32
	lda             int
	x               quant.Int8Rows
	c, bias         []float32
	pre, residual   []float32
	act             func(y, x []float32)
	ldc             int
	rows, cols      int // of C in a task
	across          int // tasks side by side
	quantize, tiles func(task, worker int)
	quantizeRows    int // in a task
}

// int8Block is the rows that go through a panel of weights, which stays in the first-level cache, together: their codes and results stay in the second.
const int8Block = 8 * quant.Int8TileRows

func (e *engine) packInt8(dst *kernel.Packed, b kernel.Buf, trans bool, k, n int) {
	d, ok := dst.Data.(*quant.Int8Weights)
	if !ok {
		d = &quant.Int8Weights{}
		dst.Data = d
	}
	d.Set(f32("PackInt8", b), trans, k, n)
	dst.K, dst.N = k, n
}

// isInt8 tells whether the right side of m is packed in 8 bits.
func isInt8(m *kernel.MatMul) bool {
	if m.Packed == nil {
		return false
	}
	_, ok := m.Packed.Data.(*quant.Int8Weights)
	return ok
}

// int8MatMul computes the products from m up to end, whose left side is taken to codes once.
func (e *engine) int8MatMul(m, end *kernel.MatMul) {
	const op = "MatMul"
	j := &e.int8
	j.a, j.lda = f32(op, m.A), dense(m.LDA, m.K)
	if m.M > 0 {
		needMin(op, "A", len(j.a), (m.M-1)*j.lda+m.K)
	}
	j.m = m
	j.x.Reset(m.M, m.K)
	j.quantizeRows = rowsFor(light, m.K)
	e.tasks((m.M+j.quantizeRows-1)/j.quantizeRows, j.quantize)
	for c := m; c != end; c = c.Next {
		if c.M != m.M || c.K != m.K || dense(c.LDA, c.K) != j.lda || c.TransA || c.Accumulate {
			panic(fmt.Sprintf("cpu: MatMul: weights of 8 bits take A·B, not transA=%v accumulate=%v, and A [%d, %d] of a chain is one, not [%d, %d]",
				c.TransA, c.Accumulate, m.M, m.K, c.M, c.K))
		}
		j.m, j.w, j.act, j.ldc = c, c.Packed.Data.(*quant.Int8Weights), actFunc(c.Act), dense(c.LDC, c.N)
		j.c, j.bias, j.pre, j.residual = f32(op, c.C), f32(op, c.Bias), f32(op, c.Pre), f32(op, c.Residual)
		if j.w.K != c.K || j.w.N != c.N {
			panic(fmt.Sprintf("cpu: MatMul: packed matrix [%d, %d] for a product of K=%d, N=%d", j.w.K, j.w.N, c.K, c.N))
		}
		if c.M == 0 || c.N == 0 {
			continue
		}
		size := (c.M-1)*j.ldc + c.N
		needMin(op, "C", len(j.c), size)
		if j.pre != nil {
			needMin(op, "Pre", len(j.pre), size)
		}
		if j.residual != nil {
			needMin(op, "Residual", len(j.residual), size)
		}
		j.cut(e.pool.Threads())
		e.tasks((c.M+j.rows-1)/j.rows*j.across, j.tiles)
	}
	j.m, j.w, j.a, j.c, j.bias, j.pre, j.residual = nil, nil, nil, nil, nil, nil, nil // keeps no reference to the operands
}

// cut chooses the tasks: blocks of rows, and where these are fewer than the workers need, some columns of each. They change no bit.
func (j *int8Mul) cut(threads int) {
	j.rows, j.across, j.cols = int8Block, 1, j.m.N
	if blocks := (j.m.M + j.rows - 1) / j.rows; threads > 1 && blocks < 4*threads {
		panels := (j.m.N + quant.Int8TileCols - 1) / quant.Int8TileCols
		j.across = min(panels, (4*threads+blocks-1)/blocks)
		j.cols = (panels + j.across - 1) / j.across * quant.Int8TileCols
		j.across = (j.m.N + j.cols - 1) / j.cols
	}
}

func (e *engine) initInt8() {
	j := &e.int8
	j.quantize = func(task, _ int) {
		for i := task * j.quantizeRows; i < min(j.m.M, (task+1)*j.quantizeRows); i++ {
			e.quant.QuantizeInt8(&j.x, i, j.a[i*j.lda:i*j.lda+j.m.K])
		}
	}
	j.tiles = func(task, worker int) {
		s := &e.scratch[worker].stored
		i0, n0 := task/j.across*j.rows, task%j.across*j.cols
		i1, n1 := min(j.m.M, i0+j.rows), min(j.m.N, n0+j.cols)
		s.int8 = quant.Int8Product{A: &j.x, W: j.w, From: i0, To: i1, N0: n0, N1: n1, C: j.c, LDC: j.ldc, Bias: j.bias}
		if alpha := j.m.Alpha; alpha != 0 && alpha != 1 {
			s.int8.Bias = nil
			e.quant.MulInt8(&s.quant, &s.int8)
			for i := i0; i < i1; i++ {
				c := j.c[i*j.ldc+n0 : i*j.ldc+n1]
				vec.Scale(c, float32(alpha), c)
				if j.bias != nil {
					vec.AddTo(c, j.bias[n0:n1])
				}
			}
		} else {
			e.quant.MulInt8(&s.quant, &s.int8)
		}
		j.epilogue(i0, i1, n0, n1)
	}
}

// epilogue applies Pre, Act and Residual to a rectangle of C that is still in the cache: whole rows at once where it has them.
func (j *int8Mul) epilogue(i0, i1, n0, n1 int) {
	width, step := n1-n0, 1
	if width == j.ldc {
		width, step = (i1-i0)*j.ldc, i1-i0
	}
	for i := i0; i < i1; i += step {
		at := i*j.ldc + n0
		c := j.c[at:][:width]
		if j.pre != nil {
			copy(j.pre[at:][:width], c)
		}
		if j.act != nil {
			j.act(c, c)
		}
		if j.residual != nil {
			vec.AddTo(c, j.residual[at:][:width])
		}
	}
}
