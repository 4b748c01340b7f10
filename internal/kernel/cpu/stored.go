package cpu

import (
	"fmt"

	"github.com/plinth-ml/plinth/internal/gemm"
	"github.com/plinth-ml/plinth/internal/kernel"
	"github.com/plinth-ml/plinth/internal/quant"
	"github.com/plinth-ml/plinth/internal/vec"
)

// formats are the storage types as package quant calls them.
var formats = map[kernel.DType]quant.Format{
	kernel.F16: quant.F16, kernel.BF16: quant.BF16,
	kernel.Q8_0: quant.Q8_0, kernel.Q4_0: quant.Q4_0, kernel.Q4_K: quant.Q4_K, kernel.Q5_K: quant.Q5_K, kernel.Q6_K: quant.Q6_K,
}

// stored is a product whose right side has a storage type: C = f(Alpha·A·Bᵀ + Bias) + Residual with B [N,K] as a file holds it.
type stored struct {
	*kernel.MatMul
	format          quant.Format
	rowBytes        int
	a, c, bias      []float32
	pre, residual   []float32
	weights         []byte
	act             func(y, x []float32)
	lda, ldc        int
	half            bool // B is made float32 and multiplied so
	x               quant.Activations
	rows, cols      int // of C in a task
	across          int // tasks side by side
	quantize, tiles func(task, worker int)
	quantizeRows    int // in a task
}

// storedScratch is one worker's memory for such products.
type storedScratch struct {
	quant   quant.Scratch
	product quant.Product
}

func (e *engine) storedMatMul(m *kernel.MatMul) {
	const op = "MatMul"
	format, ok := formats[m.B.DType()]
	if !ok {
		panic(fmt.Sprintf("cpu: MatMul: weights of %s", m.B.DType()))
	}
	if !m.TransB {
		e.decodedMatMul(m, format)
		return
	}
	if m.TransA || m.Accumulate || m.LDB != 0 && m.LDB != m.K {
		panic(fmt.Sprintf("cpu: MatMul: weights of %s take A·Bᵀ with dense rows only, not transA=%v accumulate=%v LDB=%d of K=%d",
			m.B.DType(), m.TransA, m.Accumulate, m.LDB, m.K))
	}
	need(op, "B", m.B.Len(), m.N*m.K)
	j := &e.stored
	j.MatMul, j.format, j.rowBytes, j.weights = m, format, format.Bytes(m.K), m.B.Bytes()
	j.a, j.c, j.bias, j.pre, j.residual = f32(op, m.A), f32(op, m.C), f32(op, m.Bias), f32(op, m.Pre), f32(op, m.Residual)
	j.act = actFunc(m.Act)
	j.lda, j.ldc = dense(m.LDA, m.K), dense(m.LDC, m.N)
	if m.M == 0 || m.N == 0 {
		return
	}
	needMin(op, "A", len(j.a), (m.M-1)*j.lda+m.K)
	size := (m.M-1)*j.ldc + m.N
	needMin(op, "C", len(j.c), size)
	if j.pre != nil {
		needMin(op, "Pre", len(j.pre), size)
	}
	if j.residual != nil {
		needMin(op, "Residual", len(j.residual), size)
	}
	if j.bias != nil {
		needMin(op, "Bias", len(j.bias), m.N)
	}
	if j.half = format == quant.F16 || format == quant.BF16; !j.half {
		j.x.Reset(format, m.M, m.K)
		j.quantizeRows = rowsFor(light, m.K)
		e.tasks((m.M+j.quantizeRows-1)/j.quantizeRows, j.quantize)
	}
	j.cut()
	e.tasks((m.M+j.rows-1)/j.rows*j.across, j.tiles)
	*j = stored{x: j.x, quantize: j.quantize, tiles: j.tiles} // keeps no reference to the operands
}

// decodedMatMul is A·B with B [K,N] of a storage type: a block of rows is made float32 and multiplied, then the next, so that the order of the sums
// is that of one product.
func (e *engine) decodedMatMul(m *kernel.MatMul, format quant.Format) {
	const op = "MatMul"
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

// tasks runs n tasks, a single one on the caller.
func (e *engine) tasks(n int, work func(task, worker int)) {
	if n == 1 {
		work(0, 0)
		return
	}
	e.pool.Run(n, work)
}

const (
	taskBytes = 1 << 16 // of weights in a task that has one row: some microseconds from memory
	panelCols = 16      // tasks are whole panels of so many rows of B

	cacheBytes = 1 << 20 // of quantised activations that stay in the second-level cache while weights pass
	minRows    = 64      // so many rows and more pay for taking weights apart
)

// cut chooses the tasks. They change no bit.
func (j *stored) cut() {
	j.rows = min(j.M, max(cacheBytes/max(j.K, 1), minRows)/minRows*minRows)
	cols := taskBytes / max(j.rowBytes, 1) / min(j.rows, panelCols)
	j.cols = (cols/panelCols + 1) * panelCols
	j.across = (j.N + j.cols - 1) / j.cols
}

func (e *engine) initStored() {
	e.stored.quantize = func(task, _ int) {
		j := &e.stored
		for i := task * j.quantizeRows; i < min(j.M, (task+1)*j.quantizeRows); i++ {
			e.quant.Quantize(&j.x, i, j.a[i*j.lda:i*j.lda+j.K])
		}
	}
	e.stored.tiles = func(task, worker int) {
		j, s := &e.stored, &e.scratch[worker]
		i0, n0 := task/j.across*j.rows, task%j.across*j.cols
		i1, n1 := min(j.M, i0+j.rows), min(j.N, n0+j.cols)
		if j.half {
			j.wide(e, s, i0, i1, n0, n1)
		} else {
			s.stored.product = quant.Product{A: &j.x, From: i0, To: i1, W: j.weights, N0: n0, N1: n1, C: j.c, LDC: j.ldc}
			e.quant.Mul(&s.stored.quant, &s.stored.product)
		}
		j.epilogue(i0, i1, n0, n1)
	}
}

// wide computes a rectangle of C from weights of 16 bits, made float32 some rows at a time.
func (j *stored) wide(e *engine, s *scratch, i0, i1, n0, n1 int) {
	const most = 1 << 16 // elements that stay in the cache
	step := max(most/max(j.K, 1)/panelCols, 1) * panelCols
	for n := n0; n < n1; n += step {
		rows := min(step, n1-n)
		w := s.floats(rows * j.K)
		j.format.Decode(w, j.weights[n*j.rowBytes:(n+rows)*j.rowBytes])
		s.product = gemm.Product{M: i1 - i0, N: rows, K: j.K, A: j.a[i0*j.lda:], LDA: j.lda, B: w, TransB: true, C: j.c[i0*j.ldc+n:], LDC: j.ldc}
		e.kern.Serial(&s.gemm, &s.product)
	}
}

// epilogue applies Alpha, Bias, Pre, Act and Residual to a rectangle of C that is still in the cache.
func (j *stored) epilogue(i0, i1, n0, n1 int) {
	for i := i0; i < i1; i++ {
		at := i*j.ldc + n0
		c := j.c[at:][:n1-n0]
		if j.Alpha != 0 && j.Alpha != 1 {
			vec.Scale(c, float32(j.Alpha), c)
		}
		if j.bias != nil {
			vec.AddTo(c, j.bias[n0:n1])
		}
		if j.pre != nil {
			copy(j.pre[at:][:n1-n0], c)
		}
		if j.act != nil {
			j.act(c, c)
		}
		if j.residual != nil {
			vec.AddTo(c, j.residual[at:][:n1-n0])
		}
	}
}

// storedGather is gather from a table of a storage type.
func (e *engine) storedGather(y, w, ids kernel.Buf, c int, acc bool) {
	const op = "Gather"
	format, ok := formats[w.DType()]
	if !ok {
		panic(fmt.Sprintf("cpu: Gather: a table of %s", w.DType()))
	}
	list := i32(op, ids)
	need(op, "y", y.Len(), len(list)*c)
	checkIDs(op, list, rowsOf(op, w.Len(), c))
	e.run(len(list), rowsFor(light, c), job{y: f32(op, y), ids: list, width: c, acc: acc, bytes: w.Bytes(), format: format,
		body: func(e *engine, j *job, lo, hi, worker int) {
			c := j.width
			size := j.format.Bytes(c)
			for i := lo; i < hi; i++ {
				y, row := j.y[i*c:(i+1)*c], j.bytes[int(j.ids[i])*size:][:size]
				if !j.acc {
					j.format.Decode(y, row)
					continue
				}
				buf := e.scratch[worker].floats(c)
				j.format.Decode(buf, row)
				vec.AddTo(y, buf)
			}
		}})
}
