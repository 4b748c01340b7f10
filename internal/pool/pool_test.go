package pool

import (
	"sync/atomic"
	"testing"
)

func TestRunCallsEveryTaskOnce(t *testing.T) {
	for _, threads := range []int{1, 2, 3, 8} {
		p := New(threads)
		for _, tasks := range []int{0, 1, 2, 7, 1000} {
			counts := make([]atomic.Int32, tasks)
			busy := make([]atomic.Int32, threads)
			p.Run(tasks, func(task, worker int) {
				if busy[worker].Add(1) != 1 {
					t.Errorf("worker %d runs two tasks at once", worker)
				}
				counts[task].Add(1)
				busy[worker].Add(-1)
			})
			for i := range counts {
				if n := counts[i].Load(); n != 1 {
					t.Fatalf("threads %d tasks %d: task %d ran %d times", threads, tasks, i, n)
				}
			}
		}
		p.Close()
	}
}

func TestRunReusedFuncAllocatesNothing(t *testing.T) {
	p := New(2)
	defer p.Close()
	var sum atomic.Int64
	work := func(task, worker int) { sum.Add(int64(task)) }
	if n := testing.AllocsPerRun(100, func() { p.Run(16, work) }); n > 0 {
		t.Fatalf("Run allocates %v times", n)
	}
}
