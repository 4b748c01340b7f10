package serve

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/plinth-ml/plinth/generate"
)

// completionRequest is the body of POST /v1/completions.
type completionRequest struct {
	Model     string  `json:"model"`
	Prompt    prompts `json:"prompt"`
	MaxTokens *int    `json:"max_tokens"`
	LogProbs  *int    `json:"logprobs"`
	Echo      bool    `json:"echo"`
	BestOf    *int    `json:"best_of"`
	Suffix    *string `json:"suffix"`
	language
	sampling
}

// prompts is one prompt or several, each a text or a list of ids.
type prompts struct {
	texts []string
	ids   [][]int32
}

func (p *prompts) UnmarshalJSON(b []byte) error { return p.read("prompt", b) }

// read is UnmarshalJSON for a field of another name.
func (p *prompts) read(param string, b []byte) error {
	*p = prompts{}
	var one string
	var list []json.RawMessage
	switch {
	case bytes.Equal(b, []byte("null")):
		return nil
	case json.Unmarshal(b, &one) == nil:
		p.texts = []string{one}
		return nil
	case json.Unmarshal(b, &list) != nil || len(list) == 0:
	case json.Unmarshal(b, &p.texts) == nil:
		return nil
	case json.Unmarshal(b, &p.ids) == nil:
		p.texts = nil
		return nil
	default:
		var ids []int32
		if json.Unmarshal(b, &ids) == nil {
			*p = prompts{ids: [][]int32{ids}}
			return nil
		}
	}
	return badRequest(param, "neither a text, nor a list of texts, of ids, or of lists of ids")
}

// encode returns the ids of the prompts: texts with what the tokenizer puts around a model's input.
func (p *prompts) encode(m *Model) ([][]int32, error) {
	list := p.ids
	for _, text := range p.texts {
		ids, err := m.Tokenizer.AppendIDs(nil, []byte(text), true)
		if err != nil {
			return nil, badRequest("prompt", "%v", err)
		}
		list = append(list, m.Tokenizer.AddSpecial(ids))
	}
	if len(list) == 0 {
		return nil, badRequest("prompt", "it is missing")
	}
	if len(list) > maxChoices {
		return nil, badRequest("prompt", "%d prompts, at most %d", len(list), maxChoices)
	}
	for i, ids := range list {
		if len(ids) == 0 {
			if len(m.Stops) == 0 {
				return nil, badRequest("prompt", "it is empty, and the model has no token that begins a document")
			}
			list[i] = m.Stops[:1] // an empty prompt begins a document
		}
		for _, id := range ids {
			if id < 0 || int(id) >= m.Vocab {
				return nil, badRequest("prompt", "%d is no id of the vocabulary of %d", id, m.Vocab)
			}
		}
	}
	return list, nil
}

// completionAnswer is a completion, or a piece of one.
type completionAnswer struct {
	ID      string             `json:"id"`
	Object  string             `json:"object"`
	Created int64              `json:"created"`
	Model   string             `json:"model"`
	Choices []completionChoice `json:"choices"`
	Usage   *usage             `json:"usage,omitempty"`
}

type completionChoice struct {
	Index    int                 `json:"index"`
	Text     string              `json:"text"`
	LogProbs *completionLogProbs `json:"logprobs"`
	Finish   *string             `json:"finish_reason"`
}

// completionLogProbs are lists with one entry a token; a first token that nothing predicts has null.
type completionLogProbs struct {
	Tokens        []string             `json:"tokens"`
	TokenLogProbs []*float64           `json:"token_logprobs"`
	Top           []map[string]float64 `json:"top_logprobs"`
	Offsets       []int                `json:"text_offset"`
	at            int
}

// add appends a token, whose text differs at the beginning of a text from that behind others.
func (l *completionLogProbs) add(m *Model, begins bool, id int32, lp *float64, top []generate.TokenProb) {
	text := string(m.Tokenizer.Token(id))
	if begins {
		text = m.Tokenizer.Decode([]int32{id})
	}
	l.Tokens, l.TokenLogProbs, l.Offsets = append(l.Tokens, text), append(l.TokenLogProbs, lp), append(l.Offsets, l.at)
	l.at += len([]rune(text))
	var best map[string]float64
	if top != nil {
		best = map[string]float64{}
		for i := len(top) - 1; i >= 0; i-- { // of ids with the same text the most probable stays
			best[string(m.Tokenizer.Token(top[i].ID))] = max(top[i].LogProb, -9999)
		}
		if lp != nil {
			if _, ok := best[text]; !ok {
				best[text] = max(*lp, -9999)
			}
		}
	}
	l.Top = append(l.Top, best)
}

// completions answers POST /v1/completions.
func (s *Server) completions(w http.ResponseWriter, r *http.Request) error {
	var q completionRequest
	if err := decode(r, &q); err != nil {
		return err
	}
	j, err := s.completionJob(r.Context(), &q)
	if err != nil {
		return err
	}
	j.scope = s.scope(r)
	a := &completionAnswer{ID: s.id("cmpl"), Object: "text_completion", Created: time.Now().Unix(), Model: j.m.Name}
	if q.Stream {
		return s.streamCompletion(w, r, &q, j, a)
	}
	choices, results, u, err := s.run(r.Context(), j, nil)
	if err != nil {
		return err
	}
	for i, c := range choices {
		c.answer.End()
		one := completionChoice{Index: i, Text: c.answer.Text(), Finish: &c.finish}
		if q.Echo {
			one.Text = j.m.Tokenizer.Decode(j.prompts[c.prompt]) + one.Text
		}
		if q.LogProbs != nil {
			one.LogProbs = j.logProbs(&q, c, &results[i])
		}
		a.Choices = append(a.Choices, one)
	}
	a.Usage = &u
	writeJSON(w, http.StatusOK, a)
	return nil
}

// logProbs are those of a whole completion, with echo those of the prompt first.
func (j *job) logProbs(q *completionRequest, c *choice, r *generate.Result) *completionLogProbs {
	l := &completionLogProbs{}
	finite := func(v float64) *float64 { v = max(v, -9999); return &v }
	at := func(top [][]generate.TokenProb, i int) []generate.TokenProb {
		if i < len(top) {
			return top[i]
		}
		return nil
	}
	if q.Echo {
		for i, id := range j.prompts[c.prompt] {
			var lp *float64
			if i > 0 {
				lp = finite(r.PromptLogProbs[i])
			}
			l.add(j.m, i == 0, id, lp, at(r.PromptTop, i))
		}
	}
	for i, id := range r.IDs {
		if !j.ends(id) {
			l.add(j.m, false, id, finite(r.LogProbs[i]), at(r.Top, i))
		}
	}
	return l
}

// completionJob checks a request.
func (s *Server) completionJob(ctx context.Context, q *completionRequest) (*job, error) {
	m, err := s.model(ctx, q.Model, writes)
	if err != nil {
		return nil, err
	}
	j := &job{m: m, stops: q.Stop, continues: true}
	if j.options, j.n, err = q.options(m); err != nil {
		return nil, err
	}
	if q.Suffix != nil && *q.Suffix != "" {
		return nil, badRequest("suffix", "text cannot be put in front of a suffix")
	}
	if q.BestOf != nil && *q.BestOf != j.n {
		return nil, badRequest("best_of", "%d: all n choices are returned, and no others are written", *q.BestOf)
	}
	if j.prompts, err = q.Prompt.encode(m); err != nil {
		return nil, err
	}
	if len(j.prompts)*j.n > maxChoices {
		return nil, badRequest("n", "%d choices of %d prompts are more than %d", j.n, len(j.prompts), maxChoices)
	}
	sixteen := 16 // OpenAI's default
	asked := q.MaxTokens
	if asked == nil {
		asked = &sixteen
	}
	longest := 0
	for i := range j.prompts {
		if j.prompts[i], err = q.cut(j, j.prompts[i], max(0, *asked)); err != nil {
			return nil, err
		}
		longest = max(longest, len(j.prompts[i]))
	}
	none := *asked == 0
	if none && !q.Echo {
		return nil, badRequest("max_tokens", "0 tokens only with echo")
	}
	if longest > m.Context || !none && longest == m.Context {
		return nil, m.fits("prompt", make([]int32, longest))
	}
	if j.options.MaxTokens, err = m.maxTokens("max_tokens", asked, longest); err != nil {
		return nil, err
	}
	if none {
		j.options.MaxTokens = -1
	}
	if q.LogProbs != nil {
		if *q.LogProbs < 0 || *q.LogProbs > maxTop {
			return nil, badRequest("logprobs", "%d is not within 0 to %d", *q.LogProbs, maxTop)
		}
		j.options.LogProbs, j.options.TopLogProbs, j.options.Echo = true, min(*q.LogProbs, m.Vocab), q.Echo
	}
	j.options.Stop = m.Stops
	if format, err := q.format(); err != nil || format == nil {
		return j, err
	} else {
		return j, s.bind(ctx, j, format)
	}
}

// streamCompletion answers with pieces.
func (s *Server) streamCompletion(w http.ResponseWriter, r *http.Request, q *completionRequest, j *job, a *completionAnswer) error {
	if q.Echo && q.LogProbs != nil {
		return badRequest("stream", "the log-probabilities of a prompt are not streamed")
	}
	of := func(c completionChoice) *completionAnswer {
		a.Choices = []completionChoice{c}
		return a
	}
	offsets := make([]int, len(j.prompts)*j.n)
	return s.answerInPieces(w, r, j, q.StreamOptions, inPieces{
		begin: func(send func(any)) {
			for i := range offsets {
				if q.Echo {
					send(of(completionChoice{Index: i, Text: j.m.Tokenizer.Decode(j.prompts[i/j.n])}))
				}
			}
		},
		token: func(send func(any), i int, t generate.Token, text string) {
			c := completionChoice{Index: i, Text: text}
			if q.LogProbs != nil && !j.ends(t.ID) {
				lp := max(t.LogProb, -9999)
				c.LogProbs = &completionLogProbs{at: offsets[i]}
				c.LogProbs.add(j.m, false, t.ID, &lp, t.Top)
				offsets[i] = c.LogProbs.at
			}
			if text != "" || c.LogProbs != nil {
				send(of(c))
			}
		},
		end: func(send func(any), i int, c *choice) {
			send(of(completionChoice{Index: i, Text: c.answer.End(), Finish: &c.finish}))
		},
		usage: func(u usage) any {
			a.Choices, a.Usage = []completionChoice{}, &u
			return a
		},
	})
}
