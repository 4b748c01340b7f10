package generate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/plinth-ml/plinth/internal/kernel"
	"github.com/plinth-ml/plinth/model"
	"github.com/plinth-ml/plinth/nn"
)

// EngineOptions bound an engine's memory and say how it goes about its work. The zero value is good. None of them but Cache.Type changes a result.
type EngineOptions struct {
	Slots        int    // sequences decoded at once; 0: 8
	MaxContext   int    // positions of a sequence; 0: the model's context, beyond which only models with model.Sizes.Grows go
	PrefillChunk int    // most prompt tokens computed in one step, of all sequences together; 0: 512
	BOS          *int32 // stands in for an empty prompt; nil: an empty prompt is an error
	Unpacked     bool   // never keep a packed copy of float32 weights: slower for some sequences at once, but 4 bytes per parameter less; for weights in training

	// Cache is how keys and values are kept. Its Max bounds the positions of all sequences, and of those kept for reuse; 0: Slots x MaxContext.
	Cache nn.KVOptions

	// Speculation: tokens are proposed cheaply and checked by the model, several in one step.
	Draft       model.Decoder // proposes tokens: a smaller model with the same vocabulary; nil: none
	Lookup      int           // propose what followed the last occurrence of the last Lookup tokens, or of fewer; 0: do not
	DraftTokens int           // most tokens proposed at once; 0: 8
}

// Engine decodes with one model. Calls from several goroutines share its steps: a request joins those in progress as soon as there is a slot, and gets
// the tokens that it would get alone. Once it has decoded several sequences at once it keeps a packed copy of float32 weights of its own: after
// changing weights, while no call runs, call their Changed. Engines on one model, each on a kernel set of its own, may run at once.
//
// Keys and values of sequences that ended stay in the cache while there is room: a request of the same scope that begins alike computes only
// the rest of its prompt.
type Engine struct {
	opt EngineOptions
	err error // of the options, told by every call

	// Whoever has put its token into turn computes steps, and alone may touch what follows.
	turn            chan struct{}
	target          *runner
	draft           *runner // or nil
	sampler         sampler
	calls           []*Call
	waiting, active []*sequence
	wanted          []wanted
	stats           Stats
	pace            pace

	mu      sync.Mutex // of what follows, and of what calls are told
	arrived []*Call
	load    Load
	left    backlog
	names   names
}

// Load is how busy an engine is, as of the beginning or the end of its last step; calls that came since are counted among those that wait.
type Load struct {
	Active     int       `json:"active"`         // sequences that are computed
	Waiting    int       `json:"waiting"`        // sequences that wait for a slot
	Tokens     int       `json:"waiting_tokens"` // of their prompts
	CacheBytes int       `json:"cache_bytes"`    // memory of the cache, that of the draft model included
	Since      time.Time `json:"since"`          // when the step that is computed now began; zero between steps
	Stats      Stats     `json:"stats"`
}

// Stats is what an engine has done so far. The time of a step is divided among its rows.
type Stats struct {
	Prefilled int           `json:"prefill_tokens"` // prompt tokens computed
	Decoded   int           `json:"decode_tokens"`  // tokens chosen by single steps: all but the first of each sequence
	Prefill   time.Duration `json:"prefill_ns"`
	Decode    time.Duration `json:"decode_ns"`
	Preempted int           `json:"preempted"` // times that a sequence went back to wait for room in the cache
	Usage
}

// New returns an engine. It takes memory for its cache as sequences grow. Options that the model cannot serve are reported by every later call.
func New(m model.Decoder, k *kernel.Set, o EngineOptions) *Engine {
	size := m.Sizes()
	if o.Slots == 0 {
		o.Slots = 8
	}
	if o.MaxContext == 0 {
		o.MaxContext = size.Context
	}
	if o.PrefillChunk == 0 {
		o.PrefillChunk = 512
	}
	if o.DraftTokens == 0 {
		o.DraftTokens = 8
	}
	e := &Engine{opt: o, err: o.check(size), turn: make(chan struct{}, 1), pace: pace{answer: guess}}
	if e.err != nil {
		return e
	}
	e.target = newRunner(m, k, o)
	if most := e.target.kv.Max(); most < o.MaxContext {
		e.opt.MaxContext = most // so that every request fits when it is alone
	}
	if o.Draft != nil {
		e.draft = newRunner(o.Draft, k, o)
	}
	return e
}

// maxGrown bounds the positions of a sequence that grows beyond its model's context.
const maxGrown = 1 << 24

func (o *EngineOptions) check(size model.Sizes) error {
	switch {
	case o.Slots < 0:
		return fmt.Errorf("generate: %d slots", o.Slots)
	case o.MaxContext < 0 || o.MaxContext > size.Context && !size.Grows || o.MaxContext > maxGrown:
		return fmt.Errorf("generate: a context of %d tokens, the model has %d", o.MaxContext, size.Context)
	case o.PrefillChunk < 0:
		return fmt.Errorf("generate: a prefill chunk of %d tokens", o.PrefillChunk)
	case o.BOS != nil && (*o.BOS < 0 || int(*o.BOS) >= size.Vocab):
		return fmt.Errorf("generate: BOS is id %d, the vocabulary has %d", *o.BOS, size.Vocab)
	case o.Cache.Type != kernel.F32 && o.Cache.Type != kernel.F16 && o.Cache.Type != kernel.Q8_0:
		return fmt.Errorf("generate: a cache of %s, not of f32, f16 or q8_0", o.Cache.Type)
	case o.Cache.Page < 0 || o.Cache.Max < 0:
		return fmt.Errorf("generate: a cache of %d positions in pages of %d", o.Cache.Max, o.Cache.Page)
	case o.Lookup < 0 || o.DraftTokens < 0:
		return fmt.Errorf("generate: look-up of %d tokens, drafts of %d", o.Lookup, o.DraftTokens)
	case o.Lookup > 0 && o.Draft != nil:
		return errors.New("generate: a draft model and look-up exclude each other")
	case o.Draft != nil && o.Draft.Sizes().Vocab != size.Vocab:
		return fmt.Errorf("generate: the draft model has a vocabulary of %d, the model %d", o.Draft.Sizes().Vocab, size.Vocab)
	case o.Draft != nil && o.Draft.Sizes().Virtual != size.Virtual:
		return fmt.Errorf("generate: the draft model has %d virtual tokens, the model %d", o.Draft.Sizes().Virtual, size.Virtual)
	}
	return nil
}

// Load is how busy the engine is. It waits for nothing.
func (e *Engine) Load() Load {
	e.mu.Lock()
	defer e.mu.Unlock()
	l := e.load
	for _, c := range e.arrived {
		l.Waiting += len(c.seqs)
		for _, s := range c.seqs {
			l.Tokens += len(s.ids)
		}
	}
	return l
}

// Stats is what the engine has done so far.
func (e *Engine) Stats() Stats { return e.Load().Stats }

// CacheBytes is the memory of the cache, that of the draft model included.
func (e *Engine) CacheBytes() int { return e.Load().CacheBytes }

// Score returns the natural log-probability of each token given the earlier ones of its sequence; the first, which nothing
// predicts, is 0. A sequence may be one token longer than the context.
func (e *Engine) Score(ctx context.Context, seqs [][]int32) ([][]float64, error) {
	reqs := make([]Request, len(seqs))
	for i, ids := range seqs {
		if len(ids) == 0 {
			return nil, fmt.Errorf("generate: sequence %d to score is empty", i)
		}
		reqs[i] = Request{Prompt: ids, Options: Options{MaxTokens: -1, Echo: true}}
	}
	results, err := e.Generate(ctx, reqs, nil)
	if err != nil {
		return nil, err
	}
	scores := make([][]float64, len(seqs))
	for i := range results {
		scores[i] = results[i].PromptLogProbs
	}
	return scores, nil
}

// leave takes a sequence out of the caches; with keep, its keys and values stay for others.
func (e *Engine) leave(s *sequence, keep bool) {
	keep = keep && s.scope.own == nil && s.limit > s.prompt // a prompt that was only scored is seldom continued
	if s.slot >= 0 {
		e.target.leave(s.slot, s.scope, s.ids, keep)
	}
	if s.draftSlot >= 0 {
		e.draft.leave(s.draftSlot, s.scope, s.ids, keep)
	}
	s.slot, s.draftSlot = -1, -1
}

// preempt sends the sequence that came last back to wait, to be computed again: its results stay the same. It reports whether there was another.
func (e *Engine) preempt() bool {
	last := len(e.active) - 1
	if last < 1 {
		return false
	}
	s := e.active[last]
	e.leave(s, false)
	s.begun = false
	e.stats.Preempted++
	e.active = e.active[:last]
	e.waiting = slices.Insert(e.waiting, 0, s)
	return true
}
