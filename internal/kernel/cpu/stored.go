package cpu

import (
	"fmt"
	"slices"

	"github.com/plinth-ml/plinth/internal/kernel"
	"github.com/plinth-ml/plinth/internal/quant"
	"github.com/plinth-ml/plinth/internal/vec"
)

// formats are the storage types as package quant calls them.
var formats = map[kernel.DType]quant.Format{
	kernel.F16: quant.F16, kernel.BF16: quant.BF16, kernel.NF4: quant.NF4, kernel.FP4: quant.FP4,
	kernel.Q8_0: quant.Q8_0, kernel.Q4_0: quant.Q4_0, kernel.Q4_K: quant.Q4_K, kernel.Q5_K: quant.Q5_K, kernel.Q6_K: quant.Q6_K,
}

// stored is a loop over products with one left side A [M,K] whose right sides have storage types of blocks.
type stored struct {
	parts           []storedPart
	a               []float32
	M, K, lda       int
	kinds           []quant.Format // of the parts, each once
	x               [quant.Formats]quant.Activations
	quantize, tiles func(task, worker int)
	quantizeRows    int // in a task
	quantizeTasks   int // of one kind
}

// storedPart is one of them: C = f(Alpha·A·Bᵀ + Bias) + Residual with B [N,K] as a file holds it.
type storedPart struct {
	*kernel.MatMul
	format        quant.Format
	rowBytes      int
	c, bias       []float32
	pre, residual []float32
	weights       []byte
	act           func(y, x []float32)
	ldc           int
	rows, cols    int // of C in a task
	across        int // tasks side by side
	end           int // of its tasks among those of all parts
}

// storedScratch is one worker's memory for such products.
type storedScratch struct {
	quant   quant.Scratch
	product quant.Product
	int8    quant.Int8Product
}

// checkStored panics unless B is of a storage type in the one layout that products take.
func checkStored(m *kernel.MatMul) {
	if !m.TransB || m.TransA || m.Accumulate || m.LDB != 0 && m.LDB != m.K {
		panic(fmt.Sprintf("cpu: MatMul: weights of %s take A·Bᵀ with dense rows only, not transA=%v transB=%v accumulate=%v LDB=%d of K=%d",
			m.B.DType(), m.TransA, m.TransB, m.Accumulate, m.LDB, m.K))
	}
	need("MatMul", "B", m.B.Len(), m.N*m.K)
}

// storedMatMul computes the products from m up to end in one loop.
func (e *engine) storedMatMul(m, end *kernel.MatMul) {
	j := &e.stored
	j.a, j.M, j.K, j.lda = f32("MatMul", m.A), m.M, m.K, dense(m.LDA, m.K)
	tasks := 0
	for c := m; c != end; c = c.Next {
		if c.M != j.M || c.K != j.K || dense(c.LDA, c.K) != j.lda {
			panic(fmt.Sprintf("cpu: MatMul: A [%d, %d] (LDA %d) of a product is chained to [%d, %d] (LDA %d)", c.M, c.K, c.LDA, m.M, m.K, m.LDA))
		}
		j.add(c, &tasks)
	}
	if tasks > 0 {
		needMin("MatMul", "A", len(j.a), (j.M-1)*j.lda+j.K)
		for _, f := range j.kinds {
			j.x[f].Reset(f, j.M, j.K)
		}
		j.quantizeRows = rowsFor(light, j.K)
		j.quantizeTasks = (j.M + j.quantizeRows - 1) / j.quantizeRows
		if j.quantizeTasks == 1 { // too little to share
			for k := range j.kinds {
				j.quantize(k, 0)
			}
		} else {
			e.pool.Run(j.quantizeTasks*len(j.kinds), j.quantize)
		}
		e.tasks(tasks, j.tiles)
	}
	clear(j.parts) // keeps no reference to the operands
	j.parts, j.kinds, j.a = j.parts[:0], j.kinds[:0], nil
}

// add makes m a part of the loop; tasks counts those of all parts.
func (j *stored) add(m *kernel.MatMul, tasks *int) {
	const op = "MatMul"
	format, ok := formats[m.B.DType()]
	if !ok {
		panic(fmt.Sprintf("cpu: MatMul: weights of %s", m.B.DType()))
	}
	checkStored(m)
	if m.M == 0 || m.N == 0 {
		return
	}
	p := storedPart{
		MatMul: m, format: format, rowBytes: format.Bytes(m.K), weights: m.B.Bytes(), act: actFunc(m.Act), ldc: dense(m.LDC, m.N),
		c: f32(op, m.C), bias: f32(op, m.Bias), pre: f32(op, m.Pre), residual: f32(op, m.Residual),
	}
	size := (m.M-1)*p.ldc + m.N
	needMin(op, "C", len(p.c), size)
	if p.pre != nil {
		needMin(op, "Pre", len(p.pre), size)
	}
	if p.residual != nil {
		needMin(op, "Residual", len(p.residual), size)
	}
	if p.bias != nil {
		needMin(op, "Bias", len(p.bias), m.N)
	}
	p.cut()
	*tasks += (m.M + p.rows - 1) / p.rows * p.across
	p.end = *tasks
	j.parts = append(j.parts, p)
	if !slices.Contains(j.kinds, format) {
		j.kinds = append(j.kinds, format)
	}
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
	taskBytes  = 1 << 17 // of weights in a task that has one row: less than ten microseconds from memory, in four streams
	panelCols  = 16      // tasks are whole panels of so many rows of B
	fewRows    = 8       // so many rows of A read B at the speed of memory: then tasks are
	streamRows = 64      // whole streams of so many rows of B

	cacheBytes = 1 << 20 // of quantised activations that stay in the second-level cache while weights pass
	minRows    = 64      // so many rows and more pay for taking weights apart
)

// cut chooses the tasks. They change no bit.
func (j *storedPart) cut() {
	j.rows = min(j.M, max(cacheBytes/max(j.K, 1), minRows)/minRows*minRows)
	if j.M <= fewRows {
		tasks := max(1, j.N*j.rowBytes/taskBytes)
		j.cols = (j.N/tasks + streamRows - 1) / streamRows * streamRows
	} else {
		cols := taskBytes / max(j.rowBytes, 1) / panelCols
		j.cols = (cols/panelCols + 1) * panelCols
	}
	j.across = (j.N + j.cols - 1) / j.cols
}

func (e *engine) initStored() {
	e.stored.quantize = func(task, _ int) {
		j := &e.stored
		x, first := &j.x[j.kinds[task/j.quantizeTasks]], task%j.quantizeTasks*j.quantizeRows
		for i := first; i < min(j.M, first+j.quantizeRows); i++ {
			e.quant.Quantize(x, i, j.a[i*j.lda:i*j.lda+j.K])
		}
	}
	e.stored.tiles = func(task, worker int) {
		j, s := &e.stored, &e.scratch[worker]
		part, from := &j.parts[0], 0
		for i := 1; task >= part.end; i++ {
			part, from = &j.parts[i], part.end
		}
		task -= from
		i0, n0 := task/part.across*part.rows, task%part.across*part.cols
		i1, n1 := min(j.M, i0+part.rows), min(part.N, n0+part.cols)
		s.stored.product = quant.Product{A: &j.x[part.format], From: i0, To: i1, W: part.weights, N0: n0, N1: n1, C: part.c, LDC: part.ldc}
		e.quant.Mul(&s.stored.quant, &s.stored.product)
		part.epilogue(i0, i1, n0, n1)
	}
}

// epilogue applies Alpha, Bias, Pre, Act and Residual to a rectangle of C that is still in the cache.
func (j *storedPart) epilogue(i0, i1, n0, n1 int) {
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
