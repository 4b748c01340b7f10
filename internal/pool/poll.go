package pool

import (
	"os"
	"runtime"
	"sync"
)

// The scheduler asks what has come over the network when a processor has nothing to run, and else every ten milliseconds. With a worker on every processor a
// request would wait for that long. Letting others run does not help: there are none, so the caller itself goes on. It must wait for something that the network poller brings.

// echo is a pipe whose other end answers.
type echo struct {
	mu   sync.Mutex
	pipe *os.File
	back chan struct{}
}

// newEcho returns nil where there is no pipe.
var newEcho = sync.OnceValue(func() *echo {
	r, w, err := os.Pipe()
	if err != nil {
		return nil
	}
	e := &echo{pipe: w, back: make(chan struct{})}
	go func() {
		defer r.Close()
		for b := make([]byte, 1); ; {
			if _, err := r.Read(b); err != nil {
				close(e.back)
				return
			}
			e.back <- struct{}{}
		}
	}()
	return e
})

// yield lets others run, those included for whom something has come over the network.
func yield() {
	if e := newEcho(); e != nil && e.mu.TryLock() {
		if _, err := e.pipe.Write([]byte{0}); err == nil {
			<-e.back
		}
		e.mu.Unlock()
	}
	runtime.Gosched() // behind those that have just become ready
}
