package generate

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"time"
)

// Call is a Generate in progress. Whoever runs it computes steps of the engine, for all, whenever nobody else does.
type Call struct {
	engine  *Engine
	ctx     context.Context
	seqs    []*sequence // as long as the call has not arrived
	results []Result
	left    int     // sequences that are not done
	told    bool    // somebody listens
	fresh   []Token // of this step

	// Under Engine.mu:
	said []Token
	done bool
	err  error
	news chan struct{} // has a value when there is something to look at
}

// Token is one that a request got.
type Token struct {
	Request int // its number in the call
	ID      int32
	LogProb float64     // with Options.LogProbs
	Top     []TokenProb // with Options.TopLogProbs
	Told    time.Time   // when the step that chose it had ended
}

// errBroken is told to the others when a step panics.
var errBroken = errors.New("the engine broke down")

// Generate continues every request's prompt and returns the results in the order of the requests. onToken, unless nil, is called
// on the calling goroutine with each token soon after it is chosen, a stop id included; while it runs, others go on. A request that cannot be
// served is an error before any work. When ctx ends, Generate returns what there is and ctx's error, after at most one step.
func (e *Engine) Generate(ctx context.Context, reqs []Request, onToken func(Token)) ([]Result, error) {
	c, err := e.start(ctx, reqs, nil, onToken != nil)
	if err != nil {
		return nil, err
	}
	return c.Run(onToken)
}

// Start is the first part of Generate, of which Call.Run is the second: it puts the requests into the queue. accept, unless nil, is told what they meet there; when
// it returns an error, that is Start's and nothing has changed. No two calls of accept run at once, and the next one sees what became of this.
func (e *Engine) Start(ctx context.Context, reqs []Request, accept func(Queue) error) (*Call, error) {
	return e.start(ctx, reqs, accept, true)
}

func (e *Engine) start(ctx context.Context, reqs []Request, accept func(Queue) error, told bool) (*Call, error) {
	if e.err != nil {
		return nil, e.err
	}
	c := &Call{engine: e, ctx: ctx, results: make([]Result, len(reqs)), left: len(reqs), told: told, news: make(chan struct{}, 1)}
	for i := range reqs {
		s, err := e.admit(&reqs[i])
		if err != nil {
			return nil, fmt.Errorf("generate: request %d: %w", i, err)
		}
		s.index, s.call, s.out = i, c, &c.results[i]
		c.seqs = append(c.seqs, s)
	}
	if len(reqs) == 0 {
		c.done, c.err = true, ctx.Err()
		return c, nil
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if accept != nil {
		if err := accept(e.queue(reqs[0].Scope)); err != nil {
			return nil, err
		}
	}
	e.arrived = append(e.arrived, c)
	return c, nil
}

// Run waits for the results, as Generate does. It is called once, soon after Start, also when the context has ended meanwhile.
func (c *Call) Run(onToken func(Token)) ([]Result, error) {
	e := c.engine
	var heard []Token
	for {
		var done bool
		heard, done = e.listen(c, heard)
		for _, t := range heard {
			if onToken != nil {
				onToken(t)
			}
		}
		if done {
			return c.results, c.err
		}
		select {
		case e.turn <- struct{}{}:
			e.drive(c)
		case <-c.news:
		}
	}
}

// listen returns the tokens that were not told yet, in the place of those that were heard before, and whether they are the last.
func (e *Engine) listen(c *Call, heard []Token) ([]Token, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	heard, c.said = c.said, heard[:0]
	return heard, c.done
}

// drive computes one step, unless c is done before it, and gives the turn back.
func (e *Engine) drive(c *Call) {
	runtime.Gosched() // others tell what the step before gave them: while every processor computes they would wait for a long time
	whole := false
	defer func() {
		if !whole { // a panic goes by: nobody shall wait for ever
			e.endAll(errBroken)
		}
		for _, c := range e.calls {
			e.say(c, false)
		}
		e.publish(time.Time{})
		<-e.turn
	}()
	e.receive()
	if !slices.Contains(e.calls, c) {
		whole = true
		return
	}
	e.fill()
	e.publish(time.Now())
	if len(e.active) > 0 {
		if err := e.step(); err != nil {
			e.endAll(fmt.Errorf("generate: %w", err))
		}
	}
	for i := len(e.calls) - 1; i >= 0; i-- {
		if c := e.calls[i]; c.left == 0 || c.err != nil {
			e.end(c, nil)
		}
	}
	whole = true
}

// receive takes calls over that have arrived, and ends those whose context has ended.
func (e *Engine) receive() {
	e.mu.Lock()
	arrived, spent := e.arrived, e.names.spent
	e.arrived, e.names.spent = nil, false
	e.mu.Unlock()
	for spent && e.target.forget() {
	}
	for _, c := range arrived {
		e.calls, e.waiting, c.seqs = append(e.calls, c), append(e.waiting, c.seqs...), nil
	}
	for i := len(e.calls) - 1; i >= 0; i-- {
		if c := e.calls[i]; c.ctx.Err() != nil {
			e.end(c, c.ctx.Err())
		}
	}
}

// fill gives free slots to sequences that wait: of the scope that has the fewest, the one that came first.
func (e *Engine) fill() {
	if len(e.active) == 0 {
		for _, r := range []*runner{e.target, e.draft} {
			if r != nil {
				r.refresh(e.opt.Unpacked)
			}
		}
	}
	for len(e.waiting) > 0 && len(e.active) < e.opt.Slots {
		i := next(e.active, e.waiting, func(s *sequence) string { return s.scope.name })
		s := e.waiting[i]
		e.waiting = slices.Delete(e.waiting, i, i+1)
		if s.begin(); s.feed() == 0 {
			s.out.Finish = Length
			s.call.left--
			continue
		}
		s.slot = e.target.kv.Slot()
		e.active = append(e.active, s)
	}
}

// endAll ends all calls with an error.
func (e *Engine) endAll(err error) {
	for len(e.calls) > 0 {
		e.end(e.calls[0], err)
	}
}

// end takes a call out of the engine.
func (e *Engine) end(c *Call, err error) {
	if c.err == nil {
		c.err = err
	}
	of := func(s *sequence) bool { return s.call == c }
	for _, s := range e.active {
		if of(s) && err != errBroken {
			e.leave(s, false)
			e.pace.end(s)
		}
	}
	e.active, e.waiting = slices.DeleteFunc(e.active, of), slices.DeleteFunc(e.waiting, of)
	e.calls = slices.DeleteFunc(e.calls, func(o *Call) bool { return o == c })
	e.say(c, true)
}

// say hands what is fresh over to the caller.
func (e *Engine) say(c *Call, done bool) {
	if len(c.fresh) == 0 && !done {
		return
	}
	now := time.Now()
	for i := range c.fresh {
		c.fresh[i].Told = now
	}
	e.mu.Lock()
	c.said, c.done = append(c.said, c.fresh...), done
	e.mu.Unlock()
	c.fresh = c.fresh[:0]
	select {
	case c.news <- struct{}{}:
	default:
	}
}

// publish tells the load; since is when the step began, zero between steps.
func (e *Engine) publish(since time.Time) {
	l := Load{Active: len(e.active), Waiting: len(e.waiting), Since: since, Stats: e.stats}
	for _, s := range e.waiting {
		l.Tokens += len(s.ids)
	}
	for _, r := range []*runner{e.target, e.draft} {
		if r != nil {
			l.CacheBytes += r.kv.Bytes()
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.load = l
	e.left.pace, e.left.active, e.left.waiting = e.pace, e.left.active[:0], e.left.waiting[:0]
	for _, s := range e.active {
		e.left.active = append(e.left.active, s.left(e.target.kv.Len(s.slot), &e.pace))
	}
	for _, s := range e.waiting {
		e.left.waiting = append(e.left.waiting, s.left(0, &e.pace))
	}
}

// fail ends the call of a sequence after this step.
func (s *sequence) fail(err error) {
	if s.call.err == nil {
		s.call.err = fmt.Errorf("generate: request %d: %w", s.index, err)
	}
}
