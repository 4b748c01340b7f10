package serve

import (
	"bytes"
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"net/http"
	"slices"
	"time"

	"github.com/plinth-ml/plinth/chat"
	"github.com/plinth-ml/plinth/generate"
	"github.com/plinth-ml/plinth/generate/constrain"
)

// randomSeed is that of a request that brings none.
func randomSeed() uint64 { return rand.Uint64() }

// usage counts tokens as OpenAI does.
type usage struct {
	Prompt     int `json:"prompt_tokens"`
	Completion int `json:"completion_tokens"`
	Total      int `json:"total_tokens"`
	Details    struct {
		Cached int `json:"cached_tokens"`
	} `json:"prompt_tokens_details"`
	Speculation *speculation `json:"completion_tokens_details,omitempty"`
	Truncated   int          `json:"truncated_tokens,omitempty" doc:"of the prompt, not read because truncation was asked for"`
}

type speculation struct {
	Accepted int `json:"accepted_prediction_tokens"`
	Rejected int `json:"rejected_prediction_tokens"`
}

// choice is one text that is written.
type choice struct {
	answer chat.Answer
	prompt int // its number among the prompts
	finish string
}

// job is what a request wants written: choices of each prompt.
type job struct {
	m       *Model
	scope   string
	prompts [][]int32
	n       int // choices per prompt
	options generate.Options
	stops   []string
	marks   []string // of tool calls
	cut     int      // tokens of the prompts that truncation took away
	one     bool     // call at most, behind which the text ends

	asked *asked              // the language that the text is bound to; nil: any
	form  *constrain.CallForm // that calls are bound to; nil: any

	continues bool // the text goes on where the prompt's ends: it may begin with a space

	// Since start.
	call    *generate.Call
	started time.Time
	choices []*choice
}

// open refuses work while the server is about to stop.
func (s *Server) open() error {
	if s.draining.Load() {
		return &apiError{Status: http.StatusServiceUnavailable, Type: "server_error", Message: "the server is about to stop", RetryAfter: 5}
	}
	return nil
}

// tooMany is the answer where too much waits already.
func tooMany(after time.Duration) error {
	return &apiError{Status: http.StatusTooManyRequests, Type: "rate_limit_error", Code: "queue_full", RetryAfter: max(1, int(math.Ceil(after.Seconds()))), Message: "too many requests wait for this model: try again"}
}

// Bounds of what waits for a model.
const (
	leastWait  = 2 * time.Second // a wait that is never too long, unless Options.MaxWait says so
	maxWaiting = 1024            // sequences
)

// accept refuses a job that meets a queue in which it would wait too long, and says when such a job would not be refused any more.
func (s *Server) accept(m *Model, q generate.Queue, sequences, tokens int) error {
	longest, most := s.o.MaxWait, s.o.QueueTokens
	if longest == 0 {
		longest = max(leastWait, q.Answer/3)
	}
	if most == 0 {
		most = max(4*m.Context, 32768)
	}
	switch {
	case q.Wait > longest:
		return tooMany(q.Wait - longest)
	case q.Waiting > 0 && (q.Tokens+tokens > most || q.Waiting+sequences > maxWaiting): // where none waits one job is taken, whatever its size
		return tooMany(q.Wait)
	}
	return nil
}

// full refuses a request for text before it is read, where every model that writes would refuse even the smallest.
func (s *Server) full(r *http.Request) error {
	var soonest *apiError
	for _, p := range s.shelf.places {
		if !p.able(writes) {
			continue
		}
		var e *apiError
		if m := s.shelf.loaded(p); m == nil || !errors.As(s.accept(m, m.Engine.Queue(s.scope(r)), 1, 1), &e) {
			return nil
		}
		if soonest == nil || e.RetryAfter < soonest.RetryAfter {
			soonest = e
		}
	}
	if soonest == nil {
		return nil
	}
	return soonest
}

// start puts a job that was checked into its model's queue, or refuses it.
func (s *Server) start(ctx context.Context, j *job) error {
	if err := s.open(); err != nil {
		return err
	}
	var reqs []generate.Request
	tokens := 0
	for p, ids := range j.prompts {
		for i := range j.n {
			o := j.options
			o.Seed += uint64(i)
			o.StopFunc = j.stopper()
			reqs = append(reqs, generate.Request{Prompt: ids, Scope: j.scope, Options: o})
			stream := j.m.Tokenizer.NewStream()
			if j.continues {
				stream = j.m.Tokenizer.StreamAfter(ids)
			}
			j.choices = append(j.choices, &choice{prompt: p, answer: chat.Answer{Stream: stream, Ends: j.options.Stop, Stops: j.stops, Marks: j.marks}})
			tokens += len(ids)
		}
	}
	var err error
	j.started = time.Now()
	j.call, err = j.m.Engine.Start(ctx, reqs, func(q generate.Queue) error { return s.accept(j.m, q, len(reqs), tokens) })
	return err
}

// run writes the choices of a job, which it starts where that was not done before. token, unless nil, is told each token and what of the text can be shown with it.
func (s *Server) run(ctx context.Context, j *job, token func(i int, t generate.Token, text string)) ([]*choice, []generate.Result, usage, error) {
	var u usage
	if j.call == nil {
		if err := s.start(ctx, j); err != nil {
			return nil, nil, u, err
		}
	}
	choices, first := j.choices, true
	results, err := j.call.Run(func(t generate.Token) {
		if first {
			first = false
			s.metrics.first(j.m, time.Since(j.started))
		}
		text := choices[t.Request].answer.Push(t.ID)
		if token != nil {
			token(t.Request, t, text)
		}
		s.metrics.event(j.m, time.Since(t.Told))
	})
	switch {
	case errors.Is(err, constrain.ErrComplex):
		err = badRequest(j.asked.param, "%v", constrain.ErrComplex)
	case errors.Is(err, generate.ErrBanned):
		err = badRequest("logit_bias", "it bans every token that may come here")
	}
	for i, r := range results {
		if i%j.n == 0 {
			u.Prompt += len(j.prompts[i/j.n])
			u.Details.Cached += r.Cached
		}
		u.Completion += len(r.IDs)
		if r.Drafted > 0 {
			if u.Speculation == nil {
				u.Speculation = &speculation{}
			}
			u.Speculation.Accepted += r.Accepted
			u.Speculation.Rejected += r.Drafted - r.Accepted
		}
		choices[i].finish = finishReason(r.Finish)
	}
	u.Total, u.Truncated = u.Prompt+u.Completion, j.cut
	s.metrics.tokens(j.m, u)
	return choices, results, u, err
}

// stopper looks for what ends a text: stop texts, and where it may have one call the end of that.
func (j *job) stopper() func([]int32) bool {
	stopped := chat.Stopper(j.m.Tokenizer, j.stops)
	if !j.one {
		return stopped
	}
	var text []byte
	return func(ids []int32) bool {
		n := len(text)
		text = j.m.Tokenizer.AppendDecode(text, ids[len(ids)-1:])
		if bytes.ContainsAny(text[n:], "}]>") { // every form of a call ends in one of them
			if _, calls, _ := chat.ParseCalls(string(text)); len(calls) > 0 {
				return true
			}
		}
		return stopped != nil && stopped(ids)
	}
}

// finishReason is why a text ended, as OpenAI says it.
func finishReason(finish string) string {
	if finish == generate.Context {
		return "length"
	}
	return finish
}

// tokenLogProb is a token with its log-probability, as in chat completions. Its text is that behind others: the first of an answer may have a space that the answer does not.
type tokenLogProb struct {
	Token   string         `json:"token"`
	LogProb float64        `json:"logprob"`
	Bytes   []int          `json:"bytes"`
	Top     []tokenLogProb `json:"top_logprobs,omitempty"`
}

func (m *Model) logProb(id int32, lp float64) tokenLogProb {
	b := m.Tokenizer.Token(id)
	t := tokenLogProb{Token: string(b), LogProb: max(lp, -9999), Bytes: make([]int, len(b))}
	for i, c := range b {
		t.Bytes[i] = int(c)
	}
	return t
}

// logProbs is a written token as chat completions tell of it.
func (m *Model) logProbs(t generate.Token) tokenLogProb {
	l := m.logProb(t.ID, t.LogProb)
	for _, o := range t.Top {
		l.Top = append(l.Top, m.logProb(o.ID, o.LogProb))
	}
	return l
}

// ends says whether an id ends the texts of a job, and so is no part of them.
func (j *job) ends(id int32) bool { return slices.Contains(j.options.Stop, id) }
