package gemm

import (
	"time"

	"github.com/plinth-ml/plinth/internal/pool"
)

// Engine runs products of one kernel over the workers of one pool and owns the memory that this takes.
// Its methods must not be called from two goroutines at once, nor from inside a task of the pool.
type Engine struct {
	k       *Kernel
	p       *pool.Pool
	jobs    []job     // of the loop in progress
	scratch []Scratch // one for each worker; the first holds the packed operands

	weights packing // the Pack in progress

	packWork, tileWork, weightWork func(task, worker int) // stored once, so that Run allocates nothing
}

// smallFLOPs is the size of a product below which waking a worker costs more than it saves.
const smallFLOPs = 1 << 20

// New returns an engine for kernel k on pool p.
func New(k *Kernel, p *pool.Pool) *Engine {
	e := &Engine{k: k, p: p, scratch: make([]Scratch, p.Threads())}
	e.packWork = func(task, worker int) { e.jobs[len(e.jobs)-1].pack(task, &e.scratch[worker]) }
	e.tileWork = func(task, worker int) {
		i := 0
		for task >= e.jobs[i].end {
			i++
		}
		j := &e.jobs[i]
		j.run(task-(j.end-j.tasks), &e.scratch[worker])
	}
	e.weightWork = func(task, _ int) { e.weights.run(k, task, nil) }
	return e
}

// Kernel is the variant that the engine runs.
func (e *Engine) Kernel() *Kernel { return e.k }

// Mul computes the products of the list, none of which reads the result of another, on all workers. Those for which no operand has to be packed
// beforehand share one loop. It panics when sizes are inconsistent.
func (e *Engine) Mul(list ...*Product) {
	work := 0
	for _, m := range list {
		work += 2 * m.M * m.N * m.K
	}
	if work < smallFLOPs {
		for _, m := range list {
			e.k.Serial(&e.scratch[0], m)
		}
		return
	}
	end := 0
	e.jobs = e.jobs[:0] // a panic may have left some
	for _, m := range list {
		all := *m
		all.resolve(e.k.nr)
		rows, cols := e.k.chunk(&all)
		for n := 0; n < all.N; n += cols {
			for i := 0; i < all.M; i += rows {
				e.jobs = append(e.jobs, job{})
				j := &e.jobs[len(e.jobs)-1]
				j.plan(e.k, all.sub(i, min(rows, all.M-i), n, min(cols, all.N-n)), &e.scratch[0], false)
				end += j.tasks
				j.end = end
				if packs := j.packs(); packs > 0 { // the packed operands are of one job at a time
					e.p.Run(packs, e.packWork)
					e.runJobs(end)
					end = 0
				}
			}
		}
	}
	e.runJobs(end)
}

// runJobs runs the tasks of the jobs that are planned.
func (e *Engine) runJobs(tasks int) {
	e.p.Run(tasks, e.tileWork)
	clear(e.jobs) // keeps no reference to the operands
	e.jobs = e.jobs[:0]
}

// Pack is Kernel.Pack on all workers.
func (e *Engine) Pack(dst *Packed, b []float32, ldb int, trans bool, k, n int) {
	e.weights = dst.reset(b, ldb, trans, k, n, e.k.nr)
	e.p.Run(e.weights.tasks(), e.weightWork)
	e.weights = packing{}
}

// PeakFLOPs measures for about d how many FLOPs per second all workers together do in a loop of independent
// multiply-adds on registers: the ceiling of a product by this kernel at this moment.
func (e *Engine) PeakFLOPs(d time.Duration) float64 {
	const n = 4096 // iterations in a call: tens of microseconds
	counts := make([]int, e.p.Threads())
	start := time.Now()
	e.p.Run(len(counts), func(task, _ int) {
		for more := true; more; more = time.Since(start) < d { // at least once, however late the worker wakes
			e.k.peak(n)
			counts[task]++
		}
	})
	elapsed := time.Since(start).Seconds()
	total := 0
	for _, c := range counts {
		total += c
	}
	return float64(total) * n * float64(e.k.peakFLOPs) / elapsed
}
