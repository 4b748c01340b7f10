package serve

import (
	"context"
	"sync/atomic"
	"time"
)

// turn lets one request at a time through to what computes for one at a time.
type turn struct {
	taken   chan struct{}
	waiting *atomic.Int32
}

// maxTurns is the most requests that wait for their turn.
const maxTurns = 64

func newTurn() turn { return turn{make(chan struct{}, 1), new(atomic.Int32)} }

// take calls f when it is the request's turn.
func (s *Server) take(ctx context.Context, m *Model, f func() error) error {
	if err := s.open(); err != nil {
		return err
	}
	if m.turn.waiting.Add(1) > maxTurns {
		m.turn.waiting.Add(-1)
		return tooMany(time.Second)
	}
	select {
	case m.turn.taken <- struct{}{}:
		m.turn.waiting.Add(-1)
	case <-ctx.Done():
		m.turn.waiting.Add(-1)
		return ctx.Err()
	}
	defer func() { <-m.turn.taken }()
	return f()
}
