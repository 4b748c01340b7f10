package generate

import (
	"math"
	"slices"
	"time"
)

// Queue is what a request that comes now meets. Times are estimates from what rows have cost lately, from what is left of the sequences in the engine, and from
// what answers were like; they are 0 while nothing was measured.
type Queue struct {
	Active  int           // sequences that are computed
	Waiting int           // sequences that wait for a slot
	Tokens  int           // of their prompts
	Wait    time.Duration // until the request has a slot
	Answer  time.Duration // that a sequence has its slot while all slots are busy, on average
}

// Queue tells what a request of a scope meets. It waits for nothing.
func (e *Engine) Queue(scope string) Queue {
	if e.err != nil {
		return Queue{}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.queue(scope)
}

// queue is Queue under e.mu.
func (e *Engine) queue(scope string) Queue {
	q := Queue{Active: e.load.Active, Waiting: e.load.Waiting, Tokens: e.load.Tokens}
	waiting := e.left.waiting
	for _, c := range e.arrived {
		for _, s := range c.seqs {
			waiting = append(waiting, s.left(0, &e.left.pace))
			q.Tokens += s.prompt
		}
		q.Waiting += len(c.seqs)
	}
	q.Wait = e.left.pace.wait(e.left.active, waiting, e.opt.Slots, e.opt.PrefillChunk, scope)
	q.Answer = time.Duration(float64(e.opt.Slots) * e.left.pace.sequence())
	return q
}

// backlog is what an engine has still to compute, as of the beginning or the end of its last step.
type backlog struct {
	pace
	active, waiting []left
}

// left is what is left of a sequence.
type left struct {
	scope          string
	prompt, answer int // tokens
}

// left is what is left of a sequence of which some tokens are in the cache.
func (s *sequence) left(fed int, p *pace) left {
	l := left{scope: s.scope.name}
	if n := s.feed() - fed; n > 1 || len(s.ids) == s.prompt {
		l.prompt = n
	}
	if fed == 0 {
		l.prompt = int(math.Ceil(p.computed() * float64(l.prompt)))
	}
	// Whatever was written already, as much as answers have on average is still to come, where there is room: this is exact for answers that all have the greatest
	// length, and for those that end at each token with the same probability.
	l.answer = min(s.limit-len(s.ids), max(1, int(math.Round(p.answer))))
	return l
}

// pace is what a row has cost lately, and what sequences were like.
type pace struct {
	prefill, decode            float64 // nanoseconds
	prefilled, decoded, cached float64 // tokens
	prompt, answer             float64 // tokens of a sequence on average, those that were not cached
	ended                      int     // sequences, as many as the averages go back
}

const (
	paceTime  = 5 * time.Second // of the engine's work, that the rates go back
	paceEnded = 16              // sequences that the averages go back
	guess     = 256             // tokens that answers are taken to have until some have ended
)

// step counts a step.
func (p *pace) step(prefilled, decoded int, prefill, decode time.Duration) {
	keep := math.Exp(-float64(prefill+decode) / float64(paceTime))
	p.cached *= keep
	p.prefill, p.prefilled = p.prefill*keep+float64(prefill), p.prefilled*keep+float64(prefilled)
	p.decode, p.decoded = p.decode*keep+float64(decode), p.decoded*keep+float64(decoded)
}

// end counts a sequence that leaves its slot, unless it was only scored.
func (p *pace) end(s *sequence) {
	if s.limit == s.prompt {
		return
	}
	p.ended = min(p.ended+1, paceEnded)
	p.prompt += (float64(s.prompt-s.out.Cached) - p.prompt) / float64(p.ended)
	p.answer += (float64(len(s.ids)-s.prompt) - p.answer) / float64(p.ended)
}

// computed is the share of prompt tokens that were not in the cache.
func (p *pace) computed() float64 {
	return ratio(p.prefilled, p.prefilled+p.cached, 1)
}

// rows are the nanoseconds that a row of a prompt and one of decoding take.
func (p *pace) rows() (prompt, decode float64) {
	decode = ratio(p.decode, p.decoded, 0)
	return ratio(p.prefill, p.prefilled, decode), decode
}

// sequence is the engine's work for a sequence on average, in nanoseconds.
func (p *pace) sequence() float64 {
	prompt, decode := p.rows()
	return p.prompt*prompt + p.answer*decode
}

// ratio is a/b, or without b something else.
func ratio(a, b, without float64) float64 {
	if b <= 0 {
		return without
	}
	return a / b
}

// wait is the time until one more sequence, of a scope, has a slot. It goes through the steps to come as the engine will: each computes at most chunk rows of
// prompts, and a token of every other sequence; free slots are given away as in next.
func (p *pace) wait(active, waiting []left, slots, chunk int, scope string) time.Duration {
	if len(active)+len(waiting) < slots {
		return 0
	}
	active, waiting = slices.Clone(active), append(slices.Clone(waiting), left{scope: scope})
	row, token := p.rows()
	for now := 0.0; ; {
		for len(active) < slots {
			i := next(active, waiting, func(l left) string { return l.scope })
			if i == len(waiting)-1 {
				return time.Duration(min(now, math.MaxInt64/2))
			}
			active, waiting = append(active, waiting[i]), slices.Delete(waiting, i, i+1)
		}
		steps, prompts := math.MaxInt, false
		for _, l := range active {
			prompts = prompts || l.prompt > 0
			steps = min(steps, max(1, l.answer))
		}
		if prompts {
			steps = 1
		}
		budget := chunk
		for i := range active {
			l := &active[i]
			if l.prompt == 0 {
				l.answer -= steps
				now += token * float64(steps)
				continue
			}
			n := min(l.prompt, budget)
			budget -= n
			now += row * float64(n)
			if l.prompt -= n; l.prompt == 0 {
				l.answer-- // its last row chooses the first token
			}
		}
		active = slices.DeleteFunc(active, func(l left) bool { return l.prompt == 0 && l.answer <= 0 })
	}
}

// next is the place of the one of those that wait which gets a free slot: of the scope that has the fewest, the one that came first.
func next[T any](active, waiting []T, scope func(T) string) int {
	first, fewest := 0, len(active)+1
	for i, w := range waiting {
		if i > 0 && scope(w) == scope(waiting[i-1]) {
			continue
		}
		n := 0
		for _, a := range active {
			if scope(a) == scope(w) {
				n++
			}
		}
		if n < fewest {
			first, fewest = i, n
		}
		if fewest == 0 {
			break
		}
	}
	return first
}
