package serve

import (
	"bytes"
	"context"
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

	form *constrain.CallForm // that calls are bound to; nil: any

	continues bool // the text goes on where the prompt's ends: it may begin with a space
}

// check refuses a job while too much waits already.
func (s *Server) check(j *job) error {
	if err := s.open(); err != nil {
		return err
	}
	most := s.o.QueueTokens
	if most == 0 {
		most = max(4*j.m.Context, 32768)
	}
	l := j.m.Engine.Load()
	if l.Waiting == 0 {
		return nil // a slot may be free: one job is always taken, whatever its size
	}
	tokens := l.Tokens
	for _, p := range j.prompts {
		tokens += len(p) * j.n
	}
	if tokens > most {
		return tooMany(1 + l.Active/4)
	}
	return nil
}

// open refuses work while the server is about to stop.
func (s *Server) open() error {
	if s.draining.Load() {
		return &apiError{Status: http.StatusServiceUnavailable, Type: "server_error", Message: "the server is about to stop", RetryAfter: 5}
	}
	return nil
}

// tooMany is the answer where too much waits already.
func tooMany(seconds int) error {
	return &apiError{Status: http.StatusTooManyRequests, Type: "rate_limit_error", Code: "queue_full", RetryAfter: seconds, Message: "too many requests wait for this model: try again"}
}

// run writes the choices of a job that was checked. token, unless nil, is told each token and what of the text can be shown with it.
func (s *Server) run(ctx context.Context, j *job, token func(i int, t generate.Token, text string)) ([]*choice, []generate.Result, usage, error) {
	var u usage
	var reqs []generate.Request
	var choices []*choice
	for p, ids := range j.prompts {
		for i := range j.n {
			o := j.options
			o.Seed += uint64(i)
			o.StopFunc = j.stopper()
			reqs = append(reqs, generate.Request{Prompt: ids, Scope: j.scope, Options: o})
			stream := j.m.Tokenizer.NewStream()
			if j.continues {
				for _, id := range ids {
					stream.Push(id)
				}
			}
			choices = append(choices, &choice{prompt: p, answer: chat.Answer{Stream: stream, Ends: j.options.Stop, Stops: j.stops, Marks: j.marks}})
		}
	}
	start, first := time.Now(), time.Time{}
	results, err := j.m.Engine.Generate(ctx, reqs, func(t generate.Token) {
		if first.IsZero() {
			first = time.Now()
			s.metrics.first(j.m, first.Sub(start))
		}
		text := choices[t.Request].answer.Push(t.ID)
		if token != nil {
			token(t.Request, t, text)
		}
	})
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

// tokenLogProb is a token with its log-probability, as in chat completions.
type tokenLogProb struct {
	Token   string         `json:"token"`
	LogProb float64        `json:"logprob"`
	Bytes   []int          `json:"bytes"`
	Top     []tokenLogProb `json:"top_logprobs,omitempty"`
}

func (m *Model) logProb(id int32, lp float64) tokenLogProb {
	b := m.Tokenizer.AppendDecode(nil, []int32{id})
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
