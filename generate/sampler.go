package generate

import (
	"errors"
	"math"
	"slices"

	"github.com/plinth-ml/plinth/generate/constrain"
	"github.com/plinth-ml/plinth/internal/random"
)

// candidate is a token that may be chosen.
type candidate struct {
	id    int32
	logit float64
	p     float64 // softmax of the logits of all candidates, after normalize
}

// before is the order of preference: higher logit, then lower id.
func (a candidate) before(b candidate) bool {
	return a.logit > b.logit || a.logit == b.logit && a.id < b.id
}

// sampler chooses tokens; its memory is reused.
type sampler struct {
	cand  []candidate
	count []int32 // [V], zero between calls
}

// ErrBanned is a sequence for which a bias of -Inf bans each token, or each that the constraint allows.
var ErrBanned = errors.New("logit_bias leaves no token to choose")

var (
	errNaN  = errors.New("the model's logits are not numbers")
	errNone = errors.New("the model gives no token that may be chosen any probability")
)

// next chooses the token that follows ids, of which the first prompt were given, among those that are allowed; nil: all. logits is [V].
func (s *sampler) next(logits []float32, ids []int32, prompt int, o *Options, allowed constrain.Mask) (int32, error) {
	if o.plain() && allowed == nil {
		if id, ok := largest(logits); ok {
			return id, nil
		}
	}
	if s.count == nil {
		s.count = make([]int32, len(logits))
	}
	s.cand = s.cand[:0]
	for id, l := range logits {
		if l != l || l > math.MaxFloat32 {
			return 0, errNaN
		}
		s.cand = append(s.cand, candidate{id: int32(id), logit: float64(l)})
	}
	from := 0
	for from < prompt && int(ids[from]) >= len(logits) {
		from++ // virtual tokens stand in front, and are in no text
	}
	if o.PenaltyWindow > 0 {
		from = max(from, len(ids)-o.PenaltyWindow)
	}
	if o.RepetitionPenalty != 0 && o.RepetitionPenalty != 1 {
		repetition(s.cand, ids[from:], s.count, o.RepetitionPenalty)
	}
	if o.PresencePenalty != 0 || o.FrequencyPenalty != 0 {
		presenceFrequency(s.cand, ids[max(from, prompt):], s.count, o.PresencePenalty, o.FrequencyPenalty)
	}
	for id, b := range o.LogitBias {
		s.cand[id].logit += float64(b)
	}
	if allowed != nil {
		s.cand = slices.DeleteFunc(s.cand, func(c candidate) bool { return !allowed.Has(c.id) })
		if len(s.cand) == 0 {
			return 0, errNone
		}
	}
	best := slices.MinFunc(s.cand, func(a, b candidate) int {
		if a.before(b) {
			return -1
		}
		return 1
	})
	switch {
	case !math.IsInf(best.logit, -1):
	case len(o.LogitBias) > 0:
		return 0, ErrBanned
	default:
		return 0, errNone
	}
	if o.Temperature == 0 {
		return best.id, nil
	}
	c := s.cand
	if o.TopK > 0 {
		c = topK(c, o.TopK)
	}
	if o.Typical > 0 && o.Typical < 1 {
		c = typical(c, o.Typical)
	}
	if o.TopP > 0 && o.TopP < 1 {
		c = topP(c, o.TopP)
	}
	if o.MinP > 0 {
		c = minP(c, o.MinP)
	}
	temperature(c, o.Temperature)
	u := random.NewKey(o.Seed).Named("generate").Float64(uint64(len(ids)))
	return draw(c, u), nil
}

// plain reports whether the token of the largest logit is chosen.
func (o *Options) plain() bool {
	return o.Temperature == 0 && (o.RepetitionPenalty == 0 || o.RepetitionPenalty == 1) && o.PresencePenalty == 0 && o.FrequencyPenalty == 0 && len(o.LogitBias) == 0
}

// largest returns the first of the largest logits, not ok where one is no number or +Inf, or all are -Inf.
func largest(logits []float32) (id int32, ok bool) {
	best := float32(math.Inf(-1))
	for i, l := range logits {
		if !(l <= best) { // NaN too
			if !(l <= math.MaxFloat32) {
				return 0, false
			}
			best, id, ok = l, int32(i), true
		}
	}
	return id, ok
}

// repetition divides positive logits of ids by penalty and multiplies negative ones, once for each id
// (Keskar et al. 2019, CTRL, section 4.1; the sign rule is that of Hugging Face). c is in order of id; count is [V], zero.
func repetition(c []candidate, ids []int32, count []int32, penalty float64) {
	for _, id := range ids {
		if id < 0 { // a row that is no token's
			continue
		}
		if count[id]++; count[id] == 1 {
			if c[id].logit > 0 {
				c[id].logit /= penalty
			} else {
				c[id].logit *= penalty
			}
		}
	}
	for _, id := range ids {
		if id >= 0 {
			count[id] = 0
		}
	}
}

// presenceFrequency takes presence + count·frequency from the logit of each of ids (the penalties of OpenAI's interface).
// c is in order of id; count is [V], zero.
func presenceFrequency(c []candidate, ids []int32, count []int32, presence, frequency float64) {
	for _, id := range ids {
		count[id]++
	}
	for _, id := range ids {
		if n := count[id]; n > 0 {
			c[id].logit -= presence + float64(n)*frequency
			count[id] = 0
		}
	}
}

// topK keeps the k most probable candidates (Fan et al. 2018, section 5.4), in order.
func topK(c []candidate, k int) []candidate {
	return best(c, func(n int, _ candidate) bool { return n == k })
}

// topP keeps the shortest prefix of the candidates, in order of probability, whose mass reaches p: the nucleus
// (Holtzman et al. 2020, section 3.1).
func topP(c []candidate, p float64) []candidate {
	normalize(c)
	mass := 0.0
	return best(c, func(_ int, x candidate) bool { mass += x.p; return mass >= p })
}

// minP keeps candidates whose probability is at least p times that of the best (Nguyen et al. 2024, section 3).
func minP(c []candidate, p float64) []candidate {
	normalize(c)
	top := 0.0
	for _, x := range c {
		top = max(top, x.p)
	}
	return slices.DeleteFunc(c, func(x candidate) bool { return x.p < p*top })
}

// typical keeps the candidates whose information content is nearest to the entropy, until their mass reaches p
// (Meister et al. 2023, section 4).
func typical(c []candidate, p float64) []candidate {
	normalize(c)
	entropy := 0.0
	for _, x := range c {
		if x.p > 0 {
			entropy -= x.p * math.Log(x.p)
		}
	}
	distance := func(x candidate) float64 { return math.Abs(-math.Log(x.p) - entropy) } // +Inf where p is 0
	slices.SortFunc(c, func(a, b candidate) int {
		switch da, db := distance(a), distance(b); {
		case da < db:
			return -1
		case da > db:
			return 1
		}
		return int(a.id) - int(b.id)
	})
	mass := 0.0
	for i, x := range c {
		if mass += x.p; mass >= p {
			return c[:i+1]
		}
	}
	return c
}

// temperature divides logits by t: p is then softmax(logit/t) (Ackley et al. 1985). t is above 0.
func temperature(c []candidate, t float64) {
	top := math.Inf(-1)
	for _, x := range c {
		top = max(top, x.logit)
	}
	for i := range c { // the best is 0, so that a small t overflows nothing upwards
		c[i].logit = (c[i].logit - top) / t
	}
	normalize(c)
}

// normalize sets p to the softmax of the logits.
func normalize(c []candidate) {
	top, sum := math.Inf(-1), 0.0
	for _, x := range c {
		top = max(top, x.logit)
	}
	for i := range c {
		c[i].p = math.Exp(c[i].logit - top)
		sum += c[i].p
	}
	for i := range c {
		c[i].p /= sum
	}
}

// draw returns the candidate at which the cumulative probability passes u in [0, 1).
func draw(c []candidate, u float64) int32 {
	last := c[0].id
	for _, x := range c {
		if x.p > 0 {
			last = x.id
			if u -= x.p; u < 0 {
				break
			}
		}
	}
	return last // where rounding left the sum below 1: the last that has any probability
}

// best returns the most preferred candidates in order, up to and with the one for which last(n, x) is true, n counting from 1.
// It is a heap sort that stops early.
func best(c []candidate, last func(n int, x candidate) bool) []candidate {
	for i := len(c)/2 - 1; i >= 0; i-- {
		sift(c, i)
	}
	n := 0
	for heap := c; len(heap) > 0; { // popped candidates go behind the heap, best last
		end := len(heap) - 1
		heap[0], heap[end] = heap[end], heap[0]
		heap = heap[:end]
		sift(heap, 0)
		if n++; last(n, c[end]) {
			break
		}
	}
	c = c[len(c)-n:]
	slices.Reverse(c)
	return c
}

// sift lets element i of a heap sink to its place; the root is the most preferred.
func sift(c []candidate, i int) {
	for {
		j := 2*i + 1
		if j >= len(c) {
			return
		}
		if j+1 < len(c) && c[j+1].before(c[j]) {
			j++
		}
		if !c[j].before(c[i]) {
			return
		}
		c[i], c[j] = c[j], c[i]
		i = j
	}
}
