package cpu

import (
	"fmt"
	"runtime"
	"slices"

	"github.com/plinth-ml/plinth/internal/gemm"
	"github.com/plinth-ml/plinth/internal/kernel"
	"github.com/plinth-ml/plinth/internal/pool"
	"github.com/plinth-ml/plinth/internal/quant"
	"github.com/plinth-ml/plinth/internal/vec"
)

// Options choose how a set runs. The zero value is the fastest on this machine.
type Options struct {
	Threads int    // workers, the caller included; 0 means GOMAXPROCS
	Variant string // instruction set, one of Variants; "" means the best
}

// Variants lists the instruction sets usable on this machine, slowest first: "go", "avx2", "avx512", "neon".
func Variants() []string {
	var names []string
	for _, k := range gemm.Variants() {
		names = append(names, k.Name())
	}
	return names
}

// New returns a set with workers and scratch memory of its own. Buffers of float64 panic. The variant of the vector
// functions is one per process: a set made with a variant forced switches it for all sets, so forcing is for tests and
// benchmarks. A variant that is not in Variants panics. The workers end when the set is no longer used.
func New(o Options) *kernel.Set {
	e := newEngine(o)
	return &kernel.Set{
		Name: "cpu " + e.kern.Name(), Threads: e.pool.Threads(),
		ReadsRows: e.kern.ReadsRows(),
		MatMul:    e.matMul, Pack: e.pack, PackInt8: e.packInt8,
		Fill: e.fill, Copy: e.copy, Add: e.add, Mul: e.mul, MulTo: e.mulTo, Axpy: e.axpy, Scale: e.scale,
		Act: e.act, ActGrad: e.actGrad, SwiGLU: e.swiGLU, SwiGLUGrad: e.swiGLUGrad, Dropout: e.dropout,
		Softmax: e.softmax, SoftmaxGrad: e.softmaxGrad,
		LayerNorm: e.layerNorm, LayerNormGrad: e.layerNormGrad, RMSNorm: e.rmsNorm, RMSNormGrad: e.rmsNormGrad,
		Gather: e.gather, ScatterAdd: e.scatterAdd, SumRows: e.sumRows, SeqMean: e.seqMean, SeqMeanGrad: e.seqMeanGrad,
		Conv: e.conv, ConvGrad: e.convGrad, PackConv: e.packConv, AvgPool: e.avgPool, AvgPoolGrad: e.avgPoolGrad,
		BatchStats: e.batchStats, BatchNorm: e.batchNorm, BatchNormGrad: e.batchNormGrad,
		Rope: e.rope, Attention: e.attention, AttentionGrad: e.attentionGrad,
		CrossEntropy: e.crossEntropy, AdamW: e.adamW, SumSquares: e.sumSquares,
	}
}

// engine is what the functions of one set share.
type engine struct {
	pool    *pool.Pool
	kern    *gemm.Kernel
	gemm    *gemm.Engine
	quant   *quant.Kernel
	work    func(task, worker int) // runs the tasks of job; stored once, so that starting a job allocates nothing
	job     job
	product gemm.Product
	chain   []gemm.Product // of plainMatMul, with list
	list    []*gemm.Product
	scratch []scratch // per worker
	partial []float32 // partial sums of row blocks
	decoded []float32 // rows of a weight of a storage type
	sweep   sweep
	attn    attn
	entropy entropy
	stored  stored
	int8    int8Mul
	picture picture
	columns [5][]float32 // of batchNorm
}

// scratch is one worker's memory.
type scratch struct {
	buf     []float32
	seen    []int32
	gemm    gemm.Scratch
	product gemm.Product
	packed  [3]gemm.Packed
	stored  storedScratch
	_       [64]byte // keeps two workers off one cache line
}

// floats returns at least n floats with any content; they are the worker's until its next call.
func (s *scratch) floats(n int) []float32 {
	s.buf = room(s.buf, n)
	return s.buf
}

// room returns s, or a larger slice in its place, with length n.
func room(s []float32, n int) []float32 {
	if cap(s) < n {
		return make([]float32, n)
	}
	return s[:n]
}

// kernel is the product of the variant.
func (o Options) kernel() *gemm.Kernel {
	if o.Variant == "" {
		return gemm.Best()
	}
	k, err := gemm.ByName(o.Variant)
	if err != nil {
		panic(err)
	}
	return k
}

// Prepare checks the variants of this machine, which the first New would otherwise do: some ten milliseconds that may pass beside the opening of a model.
func Prepare() {
	gemm.Variants()
	quant.Variants()
}

func newEngine(o Options) *engine {
	kern := o.kernel()
	useVec(kern.Name())
	e := &engine{kern: kern, quant: quant.For(kern.Name()), pool: pool.New(o.Threads)}
	e.gemm = gemm.New(kern, e.pool)
	e.scratch = make([]scratch, e.pool.Threads())
	e.work = func(task, worker int) {
		j := &e.job
		lo := task * j.chunk
		j.body(e, j, lo, min(j.n, lo+j.chunk), worker)
	}
	e.initStored()
	e.initInt8()
	runtime.AddCleanup(e, (*pool.Pool).Close, e.pool)
	return e
}

// useVec selects the vector functions for the variant called name: those of the same name, else the best there are.
func useVec(name string) {
	if !slices.Contains(vec.Variants(), name) {
		name = vec.Variants()[len(vec.Variants())-1]
	}
	if vec.Variant() == name {
		return
	}
	if err := vec.Use(name); err != nil {
		panic(err)
	}
}

// job is one parallel loop over [0, n) in chunks, with the operands of its body.
type job struct {
	body       func(e *engine, j *job, lo, hi, worker int)
	n, chunk   int
	y, y2, y3  []float32
	a, b, c, d []float32
	w          []float32
	half       []uint16
	bytes      []byte
	format     quant.Format // of bytes
	ids        []int32
	spans      []kernel.Span
	s          float32
	width      int // row length or stride
	rows, dim  int
	turning    int // elements of a head that Rope turns
	acc        bool
	drop       kernel.Dropout
	pool       kernel.Pool
	f1         func(y, x []float32)
	f2         func(y, a, b []float32)
	rotate     func(y, x, cos, sin []float32)
}

// Elements per task: a task should last some microseconds, so that waking a worker for it pays.
const (
	light = 16384 // ops bound by memory
	heavy = 4096  // exponentials
)

// run does the whole loop; a single chunk runs on the caller.
func (e *engine) run(n, chunk int, j job) {
	if n <= 0 {
		return
	}
	j.n, j.chunk = n, chunk
	e.job = j
	if n <= chunk {
		j.body(e, &e.job, 0, n, 0)
	} else {
		e.pool.Run((n+chunk-1)/chunk, e.work)
	}
	e.job = job{}
}

// rowsFor is the number of rows of c elements that make a task of about the given elements.
func rowsFor(elements, c int) int { return max(1, elements/max(1, c)) }

// f32 returns the elements of an operand of op; nil for none.
func f32(op string, b kernel.Buf) []float32 {
	if b.DType() != kernel.F32 && !b.None() {
		panic(fmt.Sprintf("cpu: %s: a buffer of %s; this set computes in f32 only", op, b.DType()))
	}
	return b.F32()
}

// i32 returns the elements of an index operand of op.
func i32(op string, b kernel.Buf) []int32 {
	if b.DType() != kernel.I32 && !b.None() {
		panic(fmt.Sprintf("cpu: %s: indices of %s, want i32", op, b.DType()))
	}
	return b.I32()
}

// need panics when an operand of op does not have the wanted length.
func need(op, name string, have, want int) {
	if have != want {
		panic(fmt.Sprintf("cpu: %s: %s has %d elements, want %d", op, name, have, want))
	}
}

// needMin panics when an operand of op is shorter than wanted.
func needMin(op, name string, have, want int) {
	if have < want {
		panic(fmt.Sprintf("cpu: %s: %s has %d elements, want at least %d", op, name, have, want))
	}
}

// rowsOf is the number of rows of c elements in n.
func rowsOf(op string, n, c int) int {
	if c <= 0 || n%c != 0 {
		panic(fmt.Sprintf("cpu: %s: %d elements are no rows of %d", op, n, c))
	}
	return n / c
}
