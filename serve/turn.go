package serve

import (
	"context"
	"sync/atomic"
	"time"
)

// turn lets a few requests at a time through, one to what computes for one at a time.
type turn struct {
	taken   chan struct{}
	waiting *atomic.Int32
}

// maxTurns is the most requests that wait for their turn.
const maxTurns = 64

func newTurn(n int) turn { return turn{make(chan struct{}, n), new(atomic.Int32)} }

// take calls f when it is the request's turn, unless the server is about to stop.
func (s *Server) take(ctx context.Context, t turn, f func() error) error {
	if err := s.open(); err != nil {
		return err
	}
	return t.take(ctx, f)
}

// take calls f when it is the request's turn.
func (t turn) take(ctx context.Context, f func() error) error {
	if t.waiting.Add(1) > maxTurns {
		t.waiting.Add(-1)
		return tooMany(time.Second)
	}
	select {
	case t.taken <- struct{}{}:
		t.waiting.Add(-1)
	case <-ctx.Done():
		t.waiting.Add(-1)
		return ctx.Err()
	}
	defer func() { <-t.taken }()
	return f()
}
