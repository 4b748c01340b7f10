package generate

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/plinth-ml/plinth/internal/kernel"
	"github.com/plinth-ml/plinth/model"
	"github.com/plinth-ml/plinth/nn"
	"github.com/plinth-ml/plinth/tensor"
)

// EngineOptions bound an engine's memory. The zero value is good.
type EngineOptions struct {
	Slots        int    // sequences decoded at once; 0: 8
	MaxContext   int    // positions of a sequence; 0: the model's context
	PrefillChunk int    // most prompt tokens computed in one step, of all sequences together; 0: 512
	BOS          *int32 // stands in for an empty prompt; nil: an empty prompt is an error
	Unpacked     bool   // do not keep a packed copy of the weights: slower, but 4 bytes per parameter less; for weights in training
}

// Engine decodes with one model. Calls from several goroutines wait for each other. It keeps a packed copy of the weights of its own: after
// changing weights call their Changed. Engines on one model, each on a kernel set of its own, may run at once.
type Engine struct {
	mu    sync.Mutex
	model model.Decoder
	opt   EngineOptions
	err   error // of the options, told by every call

	tape    *tensor.Tape
	kv      *nn.KV
	slots   int // of kv
	sampler sampler
	onToken func(req int, id int32)

	active []*sequence
	free   []int // slots without a sequence

	batch, counts    []int // slot and new tokens of each sequence of a step
	input, positions []int32
	seqs             nn.Seqs
	wanted           []wanted
	rows             []int32
	logitRows        int // at once
}

// logitElements bounds the logits held at once.
const logitElements = 1 << 22

// sequence is a request in progress.
type sequence struct {
	index  int
	slot   int
	opt    *Options
	ids    []int32 // prompt and output
	prompt int
	fed    int // ids in the cache
	limit  int // most ids, the output included
	out    *Result
}

// wanted is a row of a step whose logits are needed: it predicts the id at position at of the sequence.
type wanted struct {
	seq *sequence
	at  int
}

// New returns an engine. It allocates its cache when Generate first needs it. Options that the model cannot serve are reported by
// every later call.
func New(m model.Decoder, k *kernel.Set, o EngineOptions) *Engine {
	size := m.Sizes()
	e := &Engine{model: m, tape: tensor.Inference(k)}
	if o.Unpacked {
		e.tape = tensor.Evaluation(k)
	}
	if o.Slots == 0 {
		o.Slots = 8
	}
	if o.MaxContext == 0 {
		o.MaxContext = size.Context
	}
	if o.PrefillChunk == 0 {
		o.PrefillChunk = 512
	}
	switch {
	case o.Slots < 0:
		e.err = fmt.Errorf("generate: %d slots", o.Slots)
	case o.MaxContext < 0 || o.MaxContext > size.Context:
		e.err = fmt.Errorf("generate: a context of %d tokens, the model has %d", o.MaxContext, size.Context)
	case o.PrefillChunk < 0:
		e.err = fmt.Errorf("generate: a prefill chunk of %d tokens", o.PrefillChunk)
	case o.BOS != nil && (*o.BOS < 0 || int(*o.BOS) >= size.Vocab):
		e.err = fmt.Errorf("generate: BOS is id %d, the vocabulary has %d", *o.BOS, size.Vocab)
	}
	e.opt, e.logitRows = o, max(1, logitElements/max(size.Vocab, 1))
	return e
}

// Generate continues every request's prompt and returns the results in the order of the requests. onToken, unless nil, is called
// on the calling goroutine with each token as soon as it is chosen, a stop id included. A request that cannot be served is an error
// before any work. When ctx ends, Generate returns what there is and ctx's error.
func (e *Engine) Generate(ctx context.Context, reqs []Request, onToken func(req int, id int32)) ([]Result, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.err != nil {
		return nil, e.err
	}
	results := make([]Result, len(reqs))
	waiting := make([]*sequence, len(reqs))
	positions := 1
	for i := range reqs {
		s, err := e.admit(&reqs[i])
		if err != nil {
			return nil, fmt.Errorf("generate: request %d: %w", i, err)
		}
		s.index, s.out = i, &results[i]
		waiting[i], positions = s, max(positions, s.limit-1)
	}
	if len(reqs) == 0 {
		return results, nil
	}
	e.onToken = onToken
	defer func() { e.onToken = nil }()
	e.reserve(min(e.opt.Slots, len(reqs)), positions)
	for len(waiting)+len(e.active) > 0 {
		if err := ctx.Err(); err != nil {
			return results, err
		}
		for len(waiting) > 0 && len(e.free) > 0 {
			s := waiting[0]
			waiting = waiting[1:]
			if s.begin(); s.feed() == 0 {
				s.out.Finish = Length
				continue
			}
			s.slot = e.free[len(e.free)-1]
			e.free = e.free[:len(e.free)-1]
			e.active = append(e.active, s)
		}
		if err := e.step(); err != nil {
			return results, fmt.Errorf("generate: %w", err)
		}
	}
	return results, nil
}

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

// admit checks a request.
func (e *Engine) admit(r *Request) (*sequence, error) {
	vocab, context := e.model.Sizes().Vocab, e.opt.MaxContext
	if err := r.Check(vocab); err != nil {
		return nil, err
	}
	prompt := r.Prompt
	if len(prompt) == 0 {
		if e.opt.BOS == nil {
			return nil, fmt.Errorf("the prompt is empty and no BOS is known")
		}
		prompt = []int32{*e.opt.BOS}
	}
	for i, id := range prompt {
		if id < 0 || int(id) >= vocab {
			return nil, fmt.Errorf("token %d of the prompt is id %d, the vocabulary has %d", i, id, vocab)
		}
	}
	s := &sequence{opt: &r.Options, ids: slices.Clone(prompt), prompt: len(prompt), limit: context + 1} // the last token needs no position
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
	return s, nil
}

// reserve makes an empty cache of at least the given size.
func (e *Engine) reserve(slots, positions int) {
	if e.kv == nil || slots > e.slots || positions > e.kv.Max {
		if e.kv != nil {
			positions = max(positions, e.kv.Max)
		}
		e.slots = max(slots, e.slots)
		e.kv = nil // the old may go before the new comes
		e.kv = model.NewKV(e.model, e.slots, positions)
	}
	e.active, e.free = e.active[:0], e.free[:0]
	for s := e.slots - 1; s >= 0; s-- {
		e.kv.Truncate(s, 0)
		if s < slots {
			e.free = append(e.free, s)
		}
	}
}

// begin prepares the result.
func (s *sequence) begin() {
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

// step computes a chunk of every prompt that is not in the cache yet and one token of every sequence that decodes.
func (e *Engine) step() error {
	e.batch, e.counts, e.input, e.wanted, e.rows = e.batch[:0], e.counts[:0], e.input[:0], e.wanted[:0], e.rows[:0]
	e.seqs.Spans = e.seqs.Spans[:0]
	budget := e.opt.PrefillChunk
	for _, s := range e.active {
		n := s.feed() - s.fed
		if len(s.ids) == s.prompt { // prefill
			n = min(n, budget)
			budget -= n
		}
		if n == 0 {
			continue // its turn comes in a later step
		}
		from := len(e.input)
		e.batch, e.counts = append(e.batch, s.slot), append(e.counts, n)
		e.seqs.Spans = append(e.seqs.Spans, tensor.Span{Start: from, Len: n})
		e.input = append(e.input, s.ids[s.fed:s.fed+n]...)
		for i := range n {
			if at := s.fed + i + 1; at == len(s.ids) || s.opt.Echo && at < s.prompt {
				e.wanted = append(e.wanted, wanted{s, at})
				e.rows = append(e.rows, int32(from+i))
			}
		}
		s.fed += n
	}
	var err error
	if e.positions, err = e.kv.Begin(e.batch, e.counts, e.positions[:0]); err != nil {
		return err
	}
	e.seqs.Positions = tensor.IDs(e.positions)
	t := e.tape
	t.Reset()
	x := e.model.Embed(t, tensor.IDs(e.input), &e.seqs)
	x = e.model.Body(t, x, &e.seqs, e.kv, 0, e.model.Sizes().Layers)
	e.kv.End()
	for from := 0; from < len(e.wanted); from += e.logitRows {
		to := min(from+e.logitRows, len(e.wanted))
		t.Scope(func() *tensor.Tensor {
			logits := e.model.Head().Logits(t, e.model.Norm(t, t.Gather(x, tensor.IDs(e.rows[from:to])))) // [to-from, V]
			err = e.take(logits, e.wanted[from:to])
			return x
		})
		if err != nil {
			return err
		}
	}
	e.active = slices.DeleteFunc(e.active, func(s *sequence) bool {
		if s.out.Finish == "" && s.limit == s.prompt && s.fed == s.feed() {
			s.out.Finish = Length
		}
		if s.out.Finish != "" {
			e.kv.Truncate(s.slot, 0)
			e.free = append(e.free, s.slot)
		}
		return s.out.Finish != ""
	})
	return nil
}

// take uses logits [len(rows), V].
func (e *Engine) take(logits *tensor.Tensor, rows []wanted) error {
	_, V := logits.Dims2()
	for i, w := range rows {
		s, row := w.seq, logits.F32()[i*V:(i+1)*V]
		if w.at < s.prompt {
			lp, top := s.logProb(row, s.ids[w.at])
			s.out.PromptLogProbs = append(s.out.PromptLogProbs, lp)
			if top != nil {
				s.out.PromptTop = append(s.out.PromptTop, top)
			}
			if lp != lp {
				return fmt.Errorf("request %d, position %d: %w", s.index, w.at, errNaN)
			}
			continue
		}
		id, err := e.sampler.next(row, s.ids, s.prompt, s.opt)
		if err != nil {
			return fmt.Errorf("request %d, position %d: %w", s.index, w.at, err)
		}
		e.accept(s, id, row)
	}
	return nil
}

// accept makes id the next token of a sequence.
func (e *Engine) accept(s *sequence, id int32, row []float32) {
	s.ids = append(s.ids, id)
	s.out.IDs = append(s.out.IDs, id)
	if s.opt.LogProbs || s.opt.TopLogProbs > 0 {
		lp, top := s.logProb(row, id)
		if s.opt.LogProbs {
			s.out.LogProbs = append(s.out.LogProbs, lp)
		}
		if top != nil {
			s.out.Top = append(s.out.Top, top)
		}
	}
	if e.onToken != nil {
		e.onToken(s.index, id)
	}
	switch {
	case slices.Contains(s.opt.Stop, id), s.opt.StopFunc != nil && s.opt.StopFunc(s.out.IDs):
		s.out.Finish = Stop
	case s.opt.MaxTokens > 0 && len(s.out.IDs) == s.opt.MaxTokens:
		s.out.Finish = Length
	case len(s.ids) == s.limit:
		s.out.Finish = Context
	}
}

// logProb returns the log-probability of id, and the most probable tokens where they are asked for.
func (s *sequence) logProb(row []float32, id int32) (float64, []TokenProb) {
	sum := logSum(row)
	var top []TokenProb
	if s.opt.TopLogProbs > 0 {
		top = topLogProbs(row, s.opt.TopLogProbs, sum)
	}
	return float64(row[id]) - sum, top
}
