package generate

import (
	"fmt"
	"math"

	"github.com/plinth-ml/plinth/generate/constrain"
)

// Options say how tokens are chosen and when to stop. The zero value chooses the most probable token each time until the context
// is full. A filter at its zero value is off. The order is: penalties, logit bias, constraint, top-k, typical, top-p, min-p, temperature.
type Options struct {
	MaxTokens int `json:"max_tokens,omitempty"` // most tokens to generate; 0: as many as the context holds; -1: none (with Echo: score the prompt)

	Temperature float64 `json:"temperature,omitempty"` // 0: the most probable token, the lowest id of equals; 1: the model's distribution
	TopK        int     `json:"top_k,omitempty"`       // keep the k most probable tokens
	Typical     float64 `json:"typical_p,omitempty"`   // keep the most typical tokens that hold this mass; 0 and 1: off
	TopP        float64 `json:"top_p,omitempty"`       // keep the most probable tokens that hold this mass; 0 and 1: off
	MinP        float64 `json:"min_p,omitempty"`       // keep tokens at least this many times as probable as the best

	RepetitionPenalty float64           `json:"repetition_penalty,omitempty"` // above 1 discourages tokens of prompt and output; 0 and 1: off
	PresencePenalty   float64           `json:"presence_penalty,omitempty"`   // taken once from the logit of each generated token
	FrequencyPenalty  float64           `json:"frequency_penalty,omitempty"`  // taken for each time a token was generated
	PenaltyWindow     int               `json:"penalty_window,omitempty"`     // penalties see this many last tokens; 0: all
	LogitBias         map[int32]float32 `json:"logit_bias,omitempty"`         // added to logits; -Inf bans a token

	Stop     []int32                `json:"stop_ids,omitempty"` // ids that end the sequence, such as end-of-text
	StopFunc func(ids []int32) bool `json:"-"`                  // sees the generated ids after each token; true ends the sequence

	// Constraint keeps the text within a language. An id of Stop may come where the text is complete and nowhere else; where it is and nothing can
	// follow, the sequence ends without one. nil: any text.
	Constraint *constrain.Constraint `json:"-"`

	Seed uint64 `json:"seed,omitempty"` // equal requests with equal seeds give equal tokens

	LogProbs    bool `json:"logprobs,omitempty"`     // return the log-probability of each generated token
	TopLogProbs int  `json:"top_logprobs,omitempty"` // return the n most probable tokens at each place
	Echo        bool `json:"echo,omitempty"`         // return log-probabilities of the prompt too
}

// Request is one sequence to continue.
type Request struct {
	Prompt   []int32   `json:"prompt"`
	Segments []Segment `json:"segments,omitempty"` // the prompt in parts, in the place of Prompt
	Scope    string    `json:"scope,omitempty"`    // keys and values are reused among requests of one scope only
	Options
}

// Why a sequence ended.
const (
	Stop    = "stop"    // a stop id, StopFunc, or a Constraint that nothing can follow
	Length  = "length"  // MaxTokens
	Context = "context" // no position is left
)

// Result is what one request gave. Log-probabilities are natural logarithms of the model's own distribution: the log-softmax of the
// logits in float64, before penalties, bias, constraint, filters and temperature.
type Result struct {
	IDs            []int32       `json:"ids"`                           // generated ids; a stop id that ended the sequence is the last
	LogProbs       []float64     `json:"logprobs,omitempty"`            // of each generated id, with LogProbs
	Top            [][]TokenProb `json:"top_logprobs,omitempty"`        // at each generated id, most probable first, with TopLogProbs
	PromptLogProbs []float64     `json:"prompt_logprobs,omitempty"`     // of each prompt id given the earlier, with Echo; the first is 0
	PromptTop      [][]TokenProb `json:"prompt_top_logprobs,omitempty"` // at each prompt id, with Echo and TopLogProbs; the first is nil
	Finish         string        `json:"finish_reason"`                 // Stop, Length or Context; empty when Generate was interrupted
	Unfinished     bool          `json:"unfinished,omitempty"`          // it ended before the Constraint was satisfied
	Usage
}

// Usage is how the engine came by a result. It depends on what the engine did before, and beside.
type Usage struct {
	Cached   int `json:"cached_tokens,omitempty"`   // first tokens of the prompt whose keys and values were there already
	Drafted  int `json:"drafted_tokens,omitempty"`  // proposed by look-up or the draft model
	Accepted int `json:"accepted_tokens,omitempty"` // of these, chosen by the model
}

// TokenProb is a token and its log-probability.
type TokenProb struct {
	ID      int32   `json:"id"`
	LogProb float64 `json:"logprob"`
}

// Check reports the first option that has no meaning for a vocabulary of the given size, by its JSON name.
func (o *Options) Check(vocab int) error {
	for _, f := range []struct {
		name      string
		v, lo, hi float64
	}{
		{"temperature", o.Temperature, 0, math.MaxFloat32},
		{"typical_p", o.Typical, 0, 1}, {"top_p", o.TopP, 0, 1}, {"min_p", o.MinP, 0, 1},
		{"repetition_penalty", o.RepetitionPenalty, 0, math.MaxFloat32},
		{"presence_penalty", o.PresencePenalty, -math.MaxFloat32, math.MaxFloat32},
		{"frequency_penalty", o.FrequencyPenalty, -math.MaxFloat32, math.MaxFloat32},
	} {
		switch {
		case f.v >= f.lo && f.v <= f.hi:
		case f.hi == 1:
			return fmt.Errorf("%s is %v, not within 0 to 1", f.name, f.v)
		case f.lo == 0:
			return fmt.Errorf("%s is %v, not a finite number from 0", f.name, f.v)
		default:
			return fmt.Errorf("%s is %v, not a finite number", f.name, f.v)
		}
	}
	switch {
	case o.MaxTokens < -1:
		return fmt.Errorf("max_tokens is %d; -1 means none, 0 as many as the context holds", o.MaxTokens)
	case o.TopK < 0:
		return fmt.Errorf("top_k is %d, below 0", o.TopK)
	case o.PenaltyWindow < 0:
		return fmt.Errorf("penalty_window is %d, below 0", o.PenaltyWindow)
	case o.TopLogProbs < 0 || o.TopLogProbs > vocab:
		return fmt.Errorf("top_logprobs is %d, not within 0 to %d, the vocabulary", o.TopLogProbs, vocab)
	}
	for id, b := range o.LogitBias {
		if id < 0 || int(id) >= vocab {
			return fmt.Errorf("logit_bias names id %d, the vocabulary has %d", id, vocab)
		}
		if b != b || math.IsInf(float64(b), 1) {
			return fmt.Errorf("logit_bias of id %d is %v", id, b)
		}
	}
	if c := o.Constraint; c != nil && c.Vocab() > vocab {
		return fmt.Errorf("the constraint is for a vocabulary of %d, the model has %d", c.Vocab(), vocab)
	}
	for _, id := range o.Stop {
		if id < 0 || int(id) >= vocab {
			return fmt.Errorf("stop_ids has id %d, the vocabulary has %d", id, vocab)
		}
	}
	return nil
}
