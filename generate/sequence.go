package generate

import (
	"fmt"
	"slices"

	"github.com/plinth-ml/plinth/generate/constrain"
)

// sequence is a request in progress.
type sequence struct {
	index  int // of the call's requests
	call   *Call
	scope  scope
	opt    *Options
	ids    []int32 // prompt and output
	prompt int
	rows   []given // of the prompt: its ids are negative there
	limit  int     // most ids, the output included
	out    *Result
	match  *constrain.Matcher // behind ids; nil: no constraint

	slot  int  // of the model's cache, -1 while it waits
	begun bool // some of its tokens are in the cache

	draft     []int32 // proposed to follow ids
	base      int     // ids that the draft follows
	missed    bool    // a token of the draft was not chosen: the rest counts nothing
	reach     int     // most tokens to propose next
	draftSlot int     // of the draft model's cache, or -1
}

// admit checks a request.
func (e *Engine) admit(r *Request) (*sequence, error) {
	size, context := e.target.model.Sizes(), e.opt.MaxContext
	if err := r.Check(size.Vocab); err != nil {
		return nil, err
	}
	prompt, rows, err := e.promptOf(r, size)
	if err != nil {
		return nil, err
	}
	s := &sequence{opt: &r.Options, rows: rows, scope: scope{name: r.Scope}, prompt: len(prompt), slot: -1, draftSlot: -1, reach: min(4, e.opt.DraftTokens)}
	if r.Constraint != nil {
		s.match = r.Constraint.Start()
	}
	s.limit = context + 1 // the last token needs no position
	switch {
	case r.MaxTokens < 0 && len(prompt) > context+1:
		return nil, fmt.Errorf("the prompt has %d tokens, with a context of %d at most %d can be scored", len(prompt), context, context+1)
	case r.MaxTokens >= 0 && len(prompt) > context:
		return nil, fmt.Errorf("the prompt has %d tokens, the context %d", len(prompt), context)
	case r.MaxTokens < 0:
		s.limit = len(prompt)
	case r.MaxTokens > 0:
		s.limit = min(s.limit, len(prompt)+r.MaxTokens)
	}
	s.ids = append(make([]int32, 0, len(prompt)+min(s.limit-len(prompt), 256)), prompt...)
	return s, nil
}

// begin prepares the result, once.
func (s *sequence) begin() {
	if s.out.IDs != nil {
		return
	}
	s.out.IDs = []int32{}
	if s.opt.Echo {
		s.out.PromptLogProbs = make([]float64, 1, s.prompt)
		if s.opt.TopLogProbs > 0 {
			s.out.PromptTop = make([][]TokenProb, 1, s.prompt)
		}
	}
}

// feed is the number of ids that the cache must hold for the next token, or for all that is asked.
func (s *sequence) feed() int {
	switch {
	case s.limit > s.prompt:
		return len(s.ids)
	case s.opt.Echo:
		return s.prompt - 1
	}
	return 0
}

// grow says how many of the n tokens behind those in the cache are computed at once, and with the frequencies of what length, where those follow the length
// beyond the context: a prompt has those of its own length, and each token behind it those of the sequence that it ends, also when it is computed again.
func (s *sequence) grow(fed, n, context int) (count, length int) {
	if fed < s.prompt {
		return min(n, s.prompt-fed), s.prompt
	}
	if fed+n > context {
		n = min(n, max(1, context-fed))
	}
	return n, fed + n
}

// reusable is the number of first ids whose keys and values may come from another sequence: what the model says at them is not asked for.
func (s *sequence) reusable() int {
	if s.opt.Echo {
		return 0
	}
	return len(s.ids) - 1
}

// accept makes id the next token of a sequence.
func (e *Engine) accept(s *sequence, id int32, row []float32) {
	if i := len(s.ids) - s.base; i < len(s.draft) {
		if s.missed = s.draft[i] != id; !s.missed {
			s.out.Accepted++
			e.stats.Accepted++
		}
	}
	s.ids = append(s.ids, id)
	s.out.IDs = append(s.out.IDs, id)
	t := Token{Request: s.index, ID: id}
	if s.opt.LogProbs || s.opt.TopLogProbs > 0 {
		t.LogProb, t.Top = s.logProb(row, id)
		if s.opt.LogProbs {
			s.out.LogProbs = append(s.out.LogProbs, t.LogProb)
		}
		if t.Top != nil {
			s.out.Top = append(s.out.Top, t.Top)
		}
	}
	if s.call.told {
		s.call.fresh = append(s.call.fresh, t)
	}
	stopped := slices.Contains(s.opt.Stop, id)
	if s.match != nil && !stopped {
		if err := s.match.Advance(id); err != nil {
			s.fail(err)
			return
		}
		stopped = s.match.Ended()
	}
	switch {
	case stopped, s.opt.StopFunc != nil && s.opt.StopFunc(s.out.IDs):
		s.out.Finish = Stop
	case s.opt.MaxTokens > 0 && len(s.out.IDs) == s.opt.MaxTokens:
		s.out.Finish = Length
	case len(s.ids) == s.limit:
		s.out.Finish = Context
	}
}

// logProb returns the log-probability of id, and the most probable tokens where they are asked for.
func (s *sequence) logProb(row []float32, id int32) (float64, []TokenProb) {
	sum := LogSum(row)
	var top []TokenProb
	if s.opt.TopLogProbs > 0 {
		top = topLogProbs(row, s.opt.TopLogProbs, sum)
	}
	return float64(row[id]) - sum, top
}
