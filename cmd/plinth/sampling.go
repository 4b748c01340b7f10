package main

import (
	"math"
	"strconv"
	"strings"

	"github.com/plinth-ml/plinth/generate"
)

// samplingFlags say how tokens are chosen.
type samplingFlags struct {
	Temperature float64 `default:"0.8" help:"0 chooses the most probable token, 1 draws from the model's own distribution." placeholder:"F"`
	TopK        int     `default:"40" help:"Keep the K most probable tokens; 0 keeps all." placeholder:"K"`
	TopP        float64 `default:"0.95" help:"Keep the most probable tokens that hold this mass; 1 keeps all, 0 the most probable." placeholder:"F"`
	MinP        float64 `default:"0.05" help:"Keep tokens at least this many times as probable as the best." placeholder:"F"`
	Typical     float64 `default:"1" help:"Keep the most typical tokens that hold this mass; 1 keeps all." placeholder:"F"`

	RepetitionPenalty float64  `default:"1" help:"Above 1 discourages tokens of prompt and output, 1 does nothing." placeholder:"F"`
	PresencePenalty   float64  `default:"0" help:"Taken once from each token already written." placeholder:"F"`
	FrequencyPenalty  float64  `default:"0" help:"Taken each time a token was written." placeholder:"F"`
	PenaltyWindow     int      `default:"64" help:"Penalties see this many last tokens; 0 means all." placeholder:"N"`
	LogitBias         []string `help:"Add to a token's logit; -inf bans it." placeholder:"ID=F"`
	Stop              []string `help:"End a sequence before this text." placeholder:"TEXT" sep:"none"`
}

// sampling translates the flags but Stop.
func (g *samplingFlags) sampling() (generate.Options, error) {
	o := generate.Options{Temperature: g.Temperature, TopK: g.TopK, TopP: g.TopP, MinP: g.MinP, Typical: g.Typical,
		RepetitionPenalty: g.RepetitionPenalty, PresencePenalty: g.PresencePenalty, FrequencyPenalty: g.FrequencyPenalty, PenaltyWindow: g.PenaltyWindow}
	switch {
	case !(g.Typical > 0 && g.Typical <= 1):
		return o, usagef("--typical %v is not above 0 and at most 1", g.Typical)
	case !(g.RepetitionPenalty > 0):
		return o, usagef("--repetition-penalty %v is not above 0", g.RepetitionPenalty)
	case g.TopP == 0: // where 0 is off for the library, it is the least mass here, as for transformers and llama.cpp
		o.TopP = math.SmallestNonzeroFloat64
	}
	for _, s := range g.LogitBias {
		id, value, ok := strings.Cut(s, "=")
		n, err := strconv.ParseInt(id, 10, 32)
		v, err2 := strconv.ParseFloat(value, 32)
		if !ok || err != nil || err2 != nil || math.IsNaN(v) {
			return o, usagef("--logit-bias %q is not ID=NUMBER", s)
		}
		if o.LogitBias == nil {
			o.LogitBias = map[int32]float32{}
		}
		o.LogitBias[int32(n)] = float32(v)
	}
	for _, s := range g.Stop {
		if s == "" {
			return o, usagef("--stop is empty")
		}
	}
	return o, nil
}
