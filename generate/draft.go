package generate

import (
	"errors"
	"fmt"

	"github.com/plinth-ml/plinth/nn"
	"github.com/plinth-ml/plinth/tensor"
)

// Speculation (Leviathan et al. 2022; Chen et al. 2023): tokens proposed by something cheap are rows of one step of the model. The model then chooses as
// it would have alone, token by token, for its random numbers are keyed by position; proposals only decide how many choices a step yields.
// So every result is that of plain decoding, bit for bit, at any temperature. A draft model draws with the request's own options and random
// numbers, which makes its choice the model's wherever their distributions agree. Proposals know no constraint: those that break it are not chosen.

// propose gives every sequence that decodes a draft.
func (e *Engine) propose() error {
	drafting := false
	for _, s := range e.active {
		s.draft, s.base, s.missed = s.draft[:0], len(s.ids), false
		if room := e.room(s); room > 0 {
			if e.opt.Lookup > 0 {
				s.draft = lookup(s.draft, s.ids, e.opt.Lookup, room)
			}
			drafting = e.draft != nil
		}
	}
	for drafting {
		var err error
		if drafting, err = e.draftStep(); err != nil {
			return fmt.Errorf("draft model: %w", err)
		}
	}
	for _, s := range e.active {
		s.out.Drafted += len(s.draft)
		e.stats.Drafted += len(s.draft)
	}
	return nil
}

// room is the number of tokens to propose for a sequence.
func (e *Engine) room(s *sequence) int {
	if (e.opt.Lookup == 0 && e.draft == nil) || s.rows != nil || len(s.ids) == s.prompt || e.target.kv.Len(s.slot) != len(s.ids)-1 {
		return 0 // its prompt is not done
	}
	n := min(s.reach, s.limit-1-len(s.ids)) // the model chooses one more itself
	if most := e.target.model.Sizes().Switch; most > 0 && !s.scope.long {
		n = min(n, max(0, most-len(s.ids)))
	}
	if size := e.target.model.Sizes(); size.Grows { // beyond it each token has frequencies of its own
		n = min(n, max(0, size.Context-len(s.ids)))
	}
	if e.draft != nil {
		n = min(n, e.draft.model.Sizes().Context-len(s.ids))
	}
	return n
}

// lookup appends to draft what followed the last earlier occurrence of the last n ids, or of as many as occurred, at most room ids.
func lookup(draft, ids []int32, n, room int) []int32 {
	for n = min(n, len(ids)-1); n > 0; n-- {
		last := ids[len(ids)-n:]
		for at := len(ids) - n - 1; at >= 0; at-- {
			if common(ids[at:at+n], last) == n {
				follow := ids[at+n:]
				return append(draft, follow[:min(room, len(follow))]...)
			}
		}
	}
	return draft
}

// draftStep adds one token to every draft that has room, and reports whether one has more. Before that it computes what the draft model has not seen.
func (e *Engine) draftStep() (more bool, err error) {
	r := e.draft
	r.clear()
	e.wanted = e.wanted[:0]
	budget := e.opt.PrefillChunk
	for _, s := range e.active {
		if len(s.draft) >= e.room(s) {
			continue
		}
		if s.draftSlot < 0 {
			s.draftSlot = r.kv.Slot()
			if at, n := r.find(s.scope, s.ids[:len(s.ids)-1]); n >= worth {
				r.reuse(s.draftSlot, at, n)
			}
		}
		ids := append(s.ids, s.draft...)
		fed := r.kv.Len(s.draftSlot)
		n := min(len(ids)-fed, budget)
		if budget -= n; n == 0 {
			continue
		}
		row := r.add(s.draftSlot, ids[fed:fed+n], len(ids))
		if fed+n == len(ids) {
			e.wanted = append(e.wanted, wanted{s, len(ids)})
			r.want(row + n - 1)
		}
	}
	for err = r.begin(); errors.Is(err, nn.ErrFull) && r.forget(); err = r.begin() {
	}
	if len(r.input) == 0 || errors.Is(err, nn.ErrFull) {
		return false, nil // without room for it there is no draft
	}
	return true, r.run(e.extend)
}

// extend chooses the next token of drafts from logits [n, V].
func (e *Engine) extend(from int, logits *tensor.Tensor) error {
	N, V := logits.Dims2()
	for i, w := range e.wanted[from : from+N] {
		s := w.seq
		id, err := e.sampler.next(logits.F32()[i*V:(i+1)*V], append(s.ids, s.draft...), s.prompt, s.opt, nil)
		if err != nil {
			s.fail(fmt.Errorf("draft model, position %d: %w", w.at, err))
			continue
		}
		s.draft = append(s.draft, id)
	}
	return nil
}

// settle forgets the positions of tokens that were proposed and not chosen, and learns from them how many to propose next.
func (e *Engine) settle(s *sequence) {
	if n := len(s.draft); n > 0 {
		if chosen := len(s.ids) - s.base - 1; chosen >= n {
			s.reach = min(2*s.reach, e.opt.DraftTokens)
		} else {
			s.reach = chosen + 1
		}
	}
	e.target.kv.Truncate(s.slot, len(s.ids)-1)
	if s.draftSlot >= 0 {
		e.draft.kv.Truncate(s.draftSlot, len(s.ids)-1)
	}
}
