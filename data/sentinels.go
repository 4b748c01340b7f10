package data

import (
	"fmt"

	"github.com/plinth-ml/plinth/tokenizer"
)

// Sentinels are the names of T5's n sentinels in the order of their ids: <extra_id_0> has the last one.
func Sentinels(n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = sentinel(n - 1 - i)
	}
	return names
}

func sentinel(i int) string { return fmt.Sprintf("<extra_id_%d>", i) }

// SpansFor are the spans of sequences of so many tokens with a tokenizer's sentinels: as many as the sequences need must be there, their ids counting
// down from that of <extra_id_0>.
func SpansFor(tok *tokenizer.Tokenizer, tokens int) (Spans, error) {
	var s Spans
	var ok bool
	if s.EOS, ok = tok.EOS(); !ok {
		return s, fmt.Errorf("data: the tokenizer has no end-of-text token")
	}
	if s.Sentinel, ok = tok.ID(sentinel(0)); !ok {
		return s, fmt.Errorf("data: the tokenizer has no %s: span corruption needs T5's sentinels (plinth tokenizer train --sentinels 100)", sentinel(0))
	}
	if err := s.Check(tokens, tok.VocabSize()); err != nil {
		return s, err
	}
	_, spans := s.Count(tokens)
	for i := range spans {
		if id, ok := tok.ID(sentinel(i)); !ok || id != s.Sentinel-int32(i) {
			return s, fmt.Errorf("data: sequences of %d tokens need %d sentinels, ids down from %d; the tokenizer has %d", tokens, spans, s.Sentinel, i)
		}
	}
	return s, nil
}

// Gaps cuts a target, perhaps one that a model wrote, into what stands behind each sentinel of the source: element i belongs to sentinel number i and is nil
// where the target has none. Ends of documents inside are left out.
func (s Spans) Gaps(source, target []int32) [][]int32 {
	spans := 0
	for _, id := range source {
		if id == s.Sentinel-int32(spans) {
			spans++
		}
	}
	gaps, at := make([][]int32, spans), -1
	for _, id := range target {
		switch n := int(s.Sentinel - id); {
		case id == s.EOS:
		case n >= 0 && n < spans:
			at = n
		case at >= 0:
			gaps[at] = append(gaps[at], id)
		}
	}
	return gaps
}
