// Package pool runs one big job at a time over a fixed set of worker goroutines.
//
// Kernels split a job into tasks whose boundaries depend on the problem alone, never on the number of workers,
// and no two tasks add into the same element. Which worker runs which task is therefore free, and the result has
// the same bits for any thread count.
//
// Jobs come in quick succession, and waking a goroutine that sleeps takes microseconds. So a worker that has
// nothing to do looks for the next job for some microseconds before it sleeps, and so does a caller for the end of its job.
package pool

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// spinTime is how long a goroutine looks for what it waits for before it sleeps.
const spinTime = 200 * time.Microsecond

// yieldTime is how often a caller lets other goroutines run between two tasks: with a worker on every processor, they would wait for as long as one job follows
// the other. Not after every task, as the caller may go on on another processor, far from its data.
const yieldTime = 2 * time.Millisecond

// Pool is a set of workers. Run must not be called from inside a task, nor from two goroutines at once
// (the second caller waits).
type Pool struct {
	threads int
	mu      sync.Mutex
	work    func(task, worker int)
	shares  []share       // of the workers in the job
	job     atomic.Uint64 // number of the job << 16 | helpers in it; closing when the workers are to end
	spin    atomic.Bool   // there is a processor for every worker
	helpers []*helper     // worker i+1; the caller itself is worker 0
	left    atomic.Int64  // helpers not yet done with the job
	end     sleeper       // of the caller
	yielded time.Time     // when the caller last let others run
}

const closing = ^uint64(0)

// share is a run of tasks. A worker begins with its own: so jobs that cut the same data alike find it in the cache of their core.
type share struct {
	next atomic.Int64
	end  int64
	_    [112]byte // keeps two of them off one pair of cache lines
}

// helper is a worker with a goroutine of its own.
type helper struct {
	sleeper
	_ [64]byte // keeps two of them off one cache line
}

// sleeper is where one goroutine waits.
type sleeper struct {
	asleep atomic.Bool
	wake   chan struct{}
}

// New returns a pool of the given number of workers; 0 means GOMAXPROCS. Close stops the workers.
func New(threads int) *Pool {
	if threads <= 0 {
		threads = runtime.GOMAXPROCS(0)
	}
	p := &Pool{yielded: time.Now(), threads: threads, shares: make([]share, threads), end: sleeper{wake: make(chan struct{}, 1)}}
	for w := 1; w < threads; w++ {
		h := &helper{sleeper: sleeper{wake: make(chan struct{}, 1)}}
		p.helpers = append(p.helpers, h)
		go p.loop(w, h)
	}
	return p
}

// Threads is the number of workers, the caller of Run included.
func (p *Pool) Threads() int { return p.threads }

// Run calls work(task, worker) once for every task in [0, tasks) and returns when all are done.
// worker is in [0, Threads()); no two tasks run at once with the same worker, so it may index scratch memory.
// To allocate nothing, pass a func value that is stored once and reused.
func (p *Pool) Run(tasks int, work func(task, worker int)) {
	if tasks <= 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	helpers := min(len(p.helpers), tasks-1)
	if helpers == 0 {
		for i := range tasks {
			work(i, 0)
			p.yield()
		}
		return
	}
	p.spin.Store(min(runtime.GOMAXPROCS(0), runtime.NumCPU()) >= p.threads)
	p.work = work
	for w := range helpers + 1 {
		p.shares[w].next.Store(int64(w * tasks / (helpers + 1)))
		p.shares[w].end = int64((w + 1) * tasks / (helpers + 1))
	}
	p.left.Store(int64(helpers))
	p.job.Store((p.job.Load()>>16+1)<<16 | uint64(helpers))
	for _, h := range p.helpers[:helpers] {
		h.rouse()
	}
	p.drain(0, helpers+1)
	p.end.wait(p.spin.Load(), func() bool { return p.left.Load() == 0 })
	p.work = nil
}

// yield lets others run at times; only the caller calls it.
func (p *Pool) yield() {
	if now := time.Now(); now.Sub(p.yielded) >= yieldTime {
		p.yielded = now
		yield()
	}
}

// loop is the life of a helper.
func (p *Pool) loop(worker int, h *helper) {
	seen := uint64(0)
	changed := func() bool { return p.job.Load() != seen }
	for {
		h.wait(p.spin.Load(), changed)
		seen = p.job.Load()
		if seen == closing {
			return
		}
		if worker > int(seen&0xffff) {
			continue // a small job
		}
		p.drain(worker, int(seen&0xffff)+1)
		if p.left.Add(-1) == 0 {
			p.end.rouse()
		}
	}
}

// wait returns when done reports true; after done has become true, rouse must be called.
func (s *sleeper) wait(spin bool, done func() bool) {
	if spin {
		for start := time.Now(); time.Since(start) < spinTime; {
			for range 64 {
				if done() {
					return
				}
			}
		}
	}
	for !done() {
		s.asleep.Store(true)
		if done() && s.asleep.CompareAndSwap(true, false) {
			return // before any rouse saw it asleep
		}
		<-s.wake
	}
}

// rouse wakes the goroutine if it sleeps.
func (s *sleeper) rouse() {
	if s.asleep.CompareAndSwap(true, false) {
		s.wake <- struct{}{}
	}
}

// drain runs the tasks of a worker's own share, then what is left of the others'.
func (p *Pool) drain(worker, workers int) {
	for i := range workers {
		s := &p.shares[(worker+i)%workers]
		for {
			task := s.next.Add(1) - 1
			if task >= s.end {
				break
			}
			p.work(int(task), worker)
			if worker == 0 {
				p.yield()
			}
		}
	}
}

// Close stops the workers. The pool must not be used afterwards.
func (p *Pool) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.job.Store(closing)
	for _, h := range p.helpers {
		h.rouse()
	}
	p.helpers = nil
}
