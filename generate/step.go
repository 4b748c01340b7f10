package generate

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/plinth-ml/plinth/generate/constrain"
	"github.com/plinth-ml/plinth/nn"
	"github.com/plinth-ml/plinth/tensor"
)

// wanted is a row of a step whose logits are needed: it predicts the id at position at of the sequence.
type wanted struct {
	seq *sequence
	at  int
}

// step computes a chunk of every prompt that is not in the cache yet, and for every sequence that decodes its last token and what is proposed to
// follow it.
func (e *Engine) step() error {
	start := time.Now()
	if err := e.propose(); err != nil {
		return err
	}
	for {
		prefilled, decoded := e.plan()
		err := e.target.begin()
		if errors.Is(err, nn.ErrFull) && (e.target.forget() || e.preempt()) {
			continue
		}
		if err == nil {
			err = e.target.run(e.take)
		}
		if err != nil {
			return err
		}
		e.count(prefilled, decoded, time.Since(start))
		break
	}
	e.active = slices.DeleteFunc(e.active, func(s *sequence) bool {
		if s.out.Finish == "" && s.limit == s.prompt && e.target.kv.Len(s.slot) == s.feed() {
			s.out.Finish = Length
		}
		e.settle(s)
		if s.out.Finish != "" {
			s.out.Unfinished = s.match != nil && s.out.Finish != Stop && !s.match.Complete()
			e.leave(s, true)
			e.pace.end(s)
			s.call.left--
		}
		return s.out.Finish != ""
	})
	return nil
}

// plan fills the target's batch, and returns the rows of prompts and of decoding in it.
func (e *Engine) plan() (prefill, decode int) {
	e.target.clear()
	e.wanted = e.wanted[:0]
	budget := e.opt.PrefillChunk
	for _, s := range e.active {
		e.renew(s)
	}
	for i, s := range e.active {
		if !s.begun && e.target.kv.Len(s.slot) == 0 && e.waits(i) {
			continue
		}
		fed := e.target.kv.Len(s.slot)
		n := s.feed() - fed
		prompt, whole := n > 1 || len(s.ids) == s.prompt, s.feed()
		if size := e.target.model.Sizes(); size.Grows {
			n, whole = s.grow(fed, n, size.Context)
		}
		if prompt {
			n = min(n, budget)
			budget -= n
		}
		if n == 0 {
			continue // its turn comes in a later step
		}
		s.begun = true
		from := e.target.add(s.slot, s.ids[fed:fed+n], whole)
		e.target.give(s, fed, n, from)
		for j := range n {
			if at := fed + j + 1; at == len(s.ids) || s.opt.Echo && at < s.prompt && at >= len(s.out.PromptLogProbs) {
				e.want(s, at, from+j)
			}
		}
		if prompt {
			prefill += n
			continue
		}
		decode++
		for j := range s.draft {
			e.want(s, len(s.ids)+j+1, e.target.add(s.slot, s.draft[j:j+1], s.feed()))
		}
	}
	return prefill, decode
}

// renew drops what is in the cache of a sequence that has grown beyond the length up to which it holds.
func (e *Engine) renew(s *sequence) {
	most := e.target.model.Sizes().Switch
	long := most > 0 && s.feed() > most
	if long != s.scope.long && e.target.kv.Len(s.slot) > 0 {
		e.target.kv.Release(s.slot)
		s.slot, s.begun = e.target.kv.Slot(), false
	}
	s.scope.long = long
	if size := e.target.model.Sizes(); size.Grows && max(s.feed(), s.prompt) > size.Context {
		s.scope.own = s
	}
}

func (e *Engine) want(s *sequence, at, row int) {
	e.wanted = append(e.wanted, wanted{s, at})
	e.target.want(row)
}

// take uses logits [n, V] of the wanted rows from the given one on.
func (e *Engine) take(from int, logits *tensor.Tensor) error {
	N, V := logits.Dims2()
	for i, w := range e.wanted[from : from+N] {
		s, row := w.seq, logits.F32()[i*V:(i+1)*V]
		if w.at < s.prompt {
			lp, top := s.logProb(row, s.ids[w.at])
			s.out.PromptLogProbs = append(s.out.PromptLogProbs, lp)
			if top != nil {
				s.out.PromptTop = append(s.out.PromptTop, top)
			}
			if lp != lp {
				s.fail(fmt.Errorf("position %d: %w", w.at, errNaN))
			}
			continue
		}
		if s.missed || s.out.Finish != "" || s.call.err != nil {
			continue // behind a token that was proposed and not chosen, behind the end, or behind an error
		}
		var allowed constrain.Mask
		var err error
		if s.match != nil {
			allowed, err = s.match.Mask(s.opt.Stop)
		}
		var id int32
		if err == nil {
			id, err = e.sampler.next(row, s.ids, s.prompt, s.opt, allowed)
		}
		if err != nil {
			s.fail(fmt.Errorf("position %d: %w", w.at, err))
			continue
		}
		e.accept(s, id, row)
	}
	return nil
}

// count adds a step to the statistics.
func (e *Engine) count(prefill, decode int, d time.Duration) {
	share := d * time.Duration(prefill) / time.Duration(max(1, prefill+decode))
	e.stats.Prefilled += prefill
	e.stats.Prefill += share
	e.stats.Decode += d - share
	decoded := 0
	for _, s := range e.active {
		if s.base > s.prompt {
			decoded += len(s.ids) - s.base
		}
	}
	e.stats.Decoded += decoded
	e.pace.step(prefill, decoded, share, d-share)
}
