package data

import (
	"io"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

var manyX = strings.Repeat("x", 4096)

// endless gives head, then left bytes of x.
type endless struct {
	head string
	left int
}

func (e *endless) Read(p []byte) (int, error) {
	if e.head != "" {
		n := copy(p, e.head)
		e.head = e.head[n:]
		return n, nil
	}
	if e.left == 0 {
		return 0, io.EOF
	}
	n := min(len(p), e.left)
	for i := 0; i < n; {
		i += copy(p[i:n], manyX)
	}
	e.left -= n
	return n, nil
}

// allocatedBy returns the bytes that f allocates, freed or not.
func allocatedBy(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// heapPeak returns by how much the live heap grows at most while f runs.
func heapPeak(t *testing.T, f func()) uint64 {
	live := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before, peak := live(), uint64(0)
	stop := make(chan struct{})
	var watch sync.WaitGroup
	watch.Go(func() {
		for {
			peak = max(peak, live())
			select {
			case <-stop:
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	})
	f()
	close(stop)
	watch.Wait()
	t.Logf("live heap grew by at most %d KiB", (max(peak, before)-before)>>10)
	return max(peak, before) - before
}
