// Package pool runs one big job at a time over a fixed set of worker goroutines.
//
// Kernels split a job into tasks whose boundaries depend on the problem alone, never on the number of workers,
// and no two tasks add into the same element. Which worker runs which task is therefore free, and the result has
// the same bits for any thread count.
package pool

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// Pool is a set of workers. Run must not be called from inside a task, nor from two goroutines at once
// (the second caller waits).
type Pool struct {
	threads int
	mu      sync.Mutex
	work    func(task, worker int)
	tasks   int64
	next    atomic.Int64
	wake    []chan struct{} // one per helper worker; the caller itself is worker 0
	done    sync.WaitGroup
}

// New returns a pool of the given number of workers; 0 means GOMAXPROCS. Close stops the workers.
func New(threads int) *Pool {
	if threads <= 0 {
		threads = runtime.GOMAXPROCS(0)
	}
	p := &Pool{threads: threads}
	for w := 1; w < threads; w++ {
		wake := make(chan struct{}, 1)
		p.wake = append(p.wake, wake)
		go p.loop(w, wake)
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
	helpers := min(len(p.wake), tasks-1)
	if helpers == 0 {
		for i := range tasks {
			work(i, 0)
		}
		return
	}
	p.work, p.tasks = work, int64(tasks)
	p.next.Store(0)
	p.done.Add(helpers)
	for _, wake := range p.wake[:helpers] {
		wake <- struct{}{}
	}
	p.drain(0)
	p.done.Wait()
	p.work = nil
}

func (p *Pool) loop(worker int, wake chan struct{}) {
	for range wake {
		p.drain(worker)
		p.done.Done()
	}
}

func (p *Pool) drain(worker int) {
	for {
		i := p.next.Add(1) - 1
		if i >= p.tasks {
			return
		}
		p.work(int(i), worker)
	}
}

// Close stops the workers. The pool must not be used afterwards.
func (p *Pool) Close() {
	for _, wake := range p.wake {
		close(wake)
	}
	p.wake = nil
}
