package pool

import (
	"os"
	"runtime"
	"sync"
)

// The scheduler asks what has come over the network when a processor has nothing to run, and else every ten milliseconds. With a worker on every processor a
// request would wait for that long, and letting others run does not help: there are none, so the caller itself goes on. It must wait for something that the network
// poller brings. That costs a tenth of the tokens of eight users when it is done every two milliseconds, so only when the poller has something to bring.

// echo is a pipe whose other end answers.
type echo struct {
	mu     sync.Mutex
	pipe   *os.File
	back   chan struct{}
	poller int // file descriptor
}

// newEcho makes the one of the process; nil where the system does not tell whether the poller has something to bring.
var newEcho = sync.OnceValue(func() *echo {
	r, w, err := os.Pipe()
	if err != nil {
		return nil
	}
	e := &echo{pipe: w, back: make(chan struct{}), poller: pollerOf(r)}
	if e.poller < 0 {
		r.Close()
		w.Close()
		return nil
	}
	go func() {
		for b := make([]byte, 1); ; e.back <- struct{}{} {
			if _, err := r.Read(b); err != nil {
				panic(err) // nobody closes it
			}
		}
	}()
	return e
})

// yield lets others run, those included for whom something has come over the network.
func yield() {
	if e := newEcho(); e != nil && ready(e.poller) && e.mu.TryLock() {
		if _, err := e.pipe.Write([]byte{0}); err == nil {
			<-e.back
		}
		e.mu.Unlock()
	}
	runtime.Gosched() // behind those that have just become ready
}
