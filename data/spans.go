package data

import (
	"fmt"
	"math"
	"slices"

	"github.com/plinth-ml/plinth/internal/random"
)

// Spans is T5's span corruption (Raffel et al. 2020, section 3.1.4): spans of a text are left out of the source, each replaced by a sentinel of its own,
// and the target is each sentinel with what stood there. Zero values are the paper's.
type Spans struct {
	Density  float64 // share of the tokens that are left out; 0: 0.15
	Mean     float64 // mean length of a span; 0: 3
	Sentinel int32   // the first sentinel's id; those that follow count down from it
	EOS      int32   // ends sources and targets
}

func (s Spans) numbers() (density, mean float64) {
	if density, mean = s.Density, s.Mean; density == 0 {
		density = 0.15
	}
	if mean == 0 {
		mean = 3
	}
	return density, mean
}

// Check reports numbers that have no meaning for sequences of so many tokens of a vocabulary.
func (s Spans) Check(tokens, vocab int) error {
	density, mean := s.numbers()
	if !(density > 0 && density < 1) || !(mean >= 1) || math.IsInf(mean, 0) {
		return fmt.Errorf("data: span corruption of a share %v in spans of %v on average", density, mean)
	}
	if tokens < 2 {
		return fmt.Errorf("data: span corruption of %d tokens", tokens)
	}
	_, spans := s.Count(tokens)
	if s.EOS < 0 || int(s.EOS) >= vocab || int(s.Sentinel) >= vocab || int(s.Sentinel)-spans+1 < 0 {
		return fmt.Errorf("data: %d sentinels down from %d and EOS %d in a vocabulary of %d", spans, s.Sentinel, s.EOS, vocab)
	}
	return nil
}

// Count is the number of tokens that are left out of n, and of their spans.
func (s Spans) Count(n int) (noise, spans int) {
	density, mean := s.numbers()
	noise = min(max(int(math.RoundToEven(float64(n)*density)), 1), n-1)
	return noise, min(max(int(math.RoundToEven(float64(noise)/mean)), 1), n-noise)
}

// Lengths are those of the source and the target that are made of n tokens.
func (s Spans) Lengths(n int) (source, target int) {
	noise, spans := s.Count(n)
	return n - noise + spans + 1, noise + spans + 1
}

// TokensFor is the largest number of tokens whose source has at most so many: the length of the sequences to pack for full sources. It is
// random_spans_helper of the paper's code; 512 gives 568, with targets of 114.
func (s Spans) TokensFor(source int) int {
	n := 2
	for {
		if next, _ := s.Lengths(n + 1); next > source {
			return n
		}
		n++
	}
}

// Corrupt appends the source and the target of a text to source and target. The spans are a function of the key.
func (s Spans) Corrupt(source, target, ids []int32, key random.Key) (newSource, newTarget []int32) {
	noise, spans := s.Count(len(ids))
	kept := segments(len(ids)-noise, spans, key.Named("kept"))
	gone := segments(noise, spans, key.Named("gone"))
	at := 0
	for i := range spans {
		sentinel := s.Sentinel - int32(i)
		source = append(append(source, ids[at:at+kept[i]]...), sentinel)
		at += kept[i]
		target = append(append(target, sentinel), ids[at:at+gone[i]]...)
		at += gone[i]
	}
	return append(source, s.EOS), append(target, s.EOS)
}

// segments are n items cut at random into parts of at least one: every cut is as likely as any other.
func segments(n, parts int, key random.Key) []int {
	cuts := make([]int, 0, parts+1)
	cuts = append(cuts, 0)
	order := random.NewPerm(uint64(max(1, n-1)), key)
	for i := range parts - 1 {
		cuts = append(cuts, 1+int(order.At(uint64(i))))
	}
	cuts = append(cuts, n)
	slices.Sort(cuts)
	lengths := make([]int, parts)
	for i := range lengths {
		lengths[i] = cuts[i+1] - cuts[i]
	}
	return lengths
}
