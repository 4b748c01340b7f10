package pool

import (
	"os"
	"runtime"
	"sync/atomic"
	"testing"
	"time"
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

// TestYield: on one processor, a goroutine for which something has come runs during a yield; at times another thread was about to bring it.
func TestYield(t *testing.T) {
	if newEcho() == nil {
		t.Skip("this system does not tell whether the network poller has something to bring")
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var read atomic.Int64
	done := make(chan struct{})
	go func() {
		defer close(done)
		for b := make([]byte, 1); ; read.Add(1) {
			if _, err := r.Read(b); err != nil {
				return
			}
		}
	}()
	const bytes = 200
	prompt := 0
	for n := range int64(bytes) {
		for read.Load() < n {
			yield()
		}
		runtime.Gosched() // the reader waits
		if _, err := w.Write([]byte{0}); err != nil {
			t.Fatal(err)
		}
		if yield(); read.Load() > n {
			prompt++
		}
	}
	if prompt < bytes/2 {
		t.Errorf("%d of %d bytes were read during the yield that followed them", prompt, bytes)
	}
	w.Close()
	<-done
}

func TestIdleWorkersSleep(t *testing.T) {
	p := New(3)
	defer p.Close()
	for range 50 { // jobs with and without the last worker, in quick succession and after a sleep
		p.Run(8, func(task, worker int) {})
		p.Run(2, func(task, worker int) {})
		time.Sleep(100 * time.Microsecond)
	}
	for start := time.Now(); ; time.Sleep(time.Millisecond) {
		asleep := 0
		for _, h := range p.helpers {
			if h.asleep.Load() {
				asleep++
			}
		}
		if asleep == len(p.helpers) {
			break
		}
		if time.Since(start) > time.Minute {
			t.Fatalf("%d of %d workers sleep after a job", asleep, len(p.helpers))
		}
	}
	p.Run(4, func(task, worker int) {})
}

func TestCloseEndsWorkers(t *testing.T) {
	before := runtime.NumGoroutine()
	for range 20 {
		p := New(4)
		p.Run(8, func(task, worker int) {})
		p.Close()
	}
	for start := time.Now(); runtime.NumGoroutine() > before; time.Sleep(time.Millisecond) {
		if time.Since(start) > time.Minute {
			t.Fatalf("%d goroutines, %d before", runtime.NumGoroutine(), before)
		}
	}
}

func TestTwoCallers(t *testing.T) {
	p := New(2)
	defer p.Close()
	var sum atomic.Int64
	work := func(task, worker int) { sum.Add(1) }
	done := make(chan bool)
	for range 2 {
		go func() {
			for range 2000 {
				p.Run(3, work)
			}
			done <- true
		}()
	}
	<-done
	<-done
	if sum.Load() != 2*2000*3 {
		t.Fatalf("%d tasks ran", sum.Load())
	}
}

// BenchmarkRun has two tasks of about 10 microseconds: what a job takes longer than one task is the price of the pool.
func BenchmarkRun(b *testing.B) {
	p := New(2)
	defer p.Close()
	var sums [2][16]float32
	work := func(task, _ int) {
		s := float32(1)
		for range 8000 {
			s = s*0.5 + 1
		}
		sums[task][0] = s
	}
	b.Run("task", func(b *testing.B) {
		for b.Loop() {
			work(0, 0)
		}
	})
	b.Run("job", func(b *testing.B) {
		for b.Loop() {
			p.Run(2, work)
		}
	})
}
