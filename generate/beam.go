package generate

import (
	"context"
	"fmt"
	"math"
	"slices"
	"sync"

	"github.com/plinth-ml/plinth/internal/kernel"
	"github.com/plinth-ml/plinth/model"
	"github.com/plinth-ml/plinth/nn"
	"github.com/plinth-ml/plinth/tensor"
)

// Early says when a beam search ends before MaxTokens.
type Early string

// The three ways of transformers' early_stopping.
const (
	EarlyHeuristic Early = ""      // when all results are ended and no running sequence is better at its length so far
	EarlyFull      Early = "full"  // when all results are ended
	EarlyNever     Early = "never" // when no running sequence could become better, were it of the length that suits it best
)

// BeamOptions say how a beam search goes. The zero value is a search of width 4.
type BeamOptions struct {
	Beams         int      `json:"num_beams,omitempty"`            // sequences followed at once; 0: 4; 1: the most probable token each time
	MaxTokens     int      `json:"max_tokens,omitempty"`           // most tokens to generate; 0: as many as the context holds
	MinTokens     int      `json:"min_tokens,omitempty"`           // fewest tokens before one of Stop: transformers' min_new_tokens
	LengthPenalty *float64 `json:"length_penalty,omitempty"`       // a result's score is its log-probability / length^this; nil: 1; 0: no penalty
	Early         Early    `json:"early_stopping,omitempty"`       // see there
	NoRepeat      int      `json:"no_repeat_ngram_size,omitempty"` // no run of so many tokens occurs twice; 0: off
	Stop          []int32  `json:"stop_ids,omitempty"`             // ids that end a sequence
	Return        int      `json:"num_return_sequences,omitempty"` // most results of a request; 0: 1
}

// SearchRequest is one search.
type SearchRequest struct {
	Source []int32 // for an encoder-decoder: the tokens of the source
	Prompt []int32 // what results begin with; for an encoder-decoder behind its start id, and empty as a rule
	BeamOptions
}

// Found is a result of a search.
type Found struct {
	IDs   []int32 `json:"ids"`   // generated ids; a stop id that ended the sequence is the last
	Score float64 `json:"score"` // log-probability / length^LengthPenalty
}

// Searcher runs beam searches on one model, as transformers' generate does with num_beams: the same ids, but for ties. Calls from several
// goroutines wait for each other.
//
// Sequences that begin alike share pages of the cache; what an encoder makes of a source is computed once, and read by all of its sequences
// together.
type Searcher struct {
	mu    sync.Mutex
	run   *runner
	whole model.Seq2Seq // or nil
	cross *nn.KV        // with whole: keys and values of the sources
}

// NewSearcher returns a searcher on a decoder.
func NewSearcher(m model.Decoder, k *kernel.Set) *Searcher {
	r := newRunner(m, k, EngineOptions{})
	r.kv = model.NewKV(m, nn.KVOptions{})
	return &Searcher{run: r}
}

// NewSeq2SeqSearcher returns a searcher on an encoder-decoder.
func NewSeq2SeqSearcher(m model.Seq2Seq, k *kernel.Set) *Searcher {
	s := NewSearcher(m.Decoder(), k)
	s.whole, s.cross = m, model.NewKV(m.Decoder(), nn.KVOptions{})
	return s
}

// atOnce bounds the sequences that are computed together.
const atOnce = 64

// Search returns the results of each request, the best first, in the order of the requests. A request that cannot be served is an error before any
// work. When ctx ends, Search returns its error.
func (s *Searcher) Search(ctx context.Context, reqs []SearchRequest) ([][]Found, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]*search, len(reqs))
	for i := range reqs {
		var err error
		if list[i], err = s.admit(&reqs[i]); err != nil {
			return nil, fmt.Errorf("generate: request %d: %w", i, err)
		}
	}
	results := make([][]Found, len(reqs))
	for from := 0; from < len(list); {
		to, beams := from+1, list[from].Beams
		for to < len(list) && beams+list[to].Beams <= atOnce {
			beams += list[to].Beams
			to++
		}
		if err := s.group(ctx, list[from:to]); err != nil {
			return nil, fmt.Errorf("generate: %w", err)
		}
		for i, x := range list[from:to] {
			results[from+i] = x.ended[:min(len(x.ended), max(1, x.Return))]
		}
		from = to
	}
	return results, nil
}

// search is a request in progress.
type search struct {
	BeamOptions
	source  []int32
	penalty float64
	prompt  int // ids that results begin with
	limit   int // most ids
	slot    int // of the source
	beams   []beam
	ended   []Found // the best first
	done    bool
}

// beam is a running sequence.
type beam struct {
	ids   []int32
	score float64 // log-probability
	slot  int
}

// admit checks a request.
func (s *Searcher) admit(r *SearchRequest) (*search, error) {
	size := s.run.model.Sizes()
	x := &search{BeamOptions: r.BeamOptions, source: r.Source, penalty: 1}
	if x.Beams == 0 {
		x.Beams = 4
	}
	if x.LengthPenalty != nil {
		x.penalty = *x.LengthPenalty
	}
	ids := r.Prompt
	if s.whole != nil {
		ids = append([]int32{s.whole.Start()}, ids...)
	}
	switch {
	case (s.whole != nil) != (len(r.Source) > 0):
		return nil, fmt.Errorf("a source of %d tokens: an encoder-decoder needs one, a decoder has none", len(r.Source))
	case len(ids) == 0:
		return nil, fmt.Errorf("the prompt is empty")
	case len(ids) > size.Context:
		return nil, fmt.Errorf("the prompt has %d tokens, the context %d", len(ids), size.Context)
	case x.Beams < 1 || x.Beams > atOnce:
		return nil, fmt.Errorf("num_beams is %d, not within 1 to %d", x.Beams, atOnce)
	case x.MaxTokens < 0 || x.NoRepeat < 0 || x.MinTokens < 0:
		return nil, fmt.Errorf("max_tokens is %d, min_tokens %d, no_repeat_ngram_size %d", x.MaxTokens, x.MinTokens, x.NoRepeat)
	case x.Return < 0 || x.Return > x.Beams:
		return nil, fmt.Errorf("num_return_sequences is %d of %d beams", x.Return, x.Beams)
	case x.Early != EarlyHeuristic && x.Early != EarlyFull && x.Early != EarlyNever:
		return nil, fmt.Errorf("early_stopping is %q", x.Early)
	case math.IsNaN(x.penalty) || math.IsInf(x.penalty, 0):
		return nil, fmt.Errorf("length_penalty is %v", x.penalty)
	}
	for i, id := range slices.Concat(x.Stop, r.Source, ids) {
		if id < 0 || int(id) >= size.IDs() || i < len(x.Stop) && int(id) >= size.Vocab {
			return nil, fmt.Errorf("id %d, the vocabulary has %d", id, size.Vocab)
		}
	}
	x.prompt, x.limit = len(ids), size.Context+1 // the last token needs no position
	if x.MaxTokens > 0 {
		x.limit = min(x.limit, x.prompt+x.MaxTokens)
	}
	x.beams = []beam{{ids: ids}}
	return x, nil
}

// group searches several requests together.
func (s *Searcher) group(ctx context.Context, list []*search) error {
	s.run.refresh(false)
	for _, x := range list {
		x.beams[0].slot = s.run.kv.Slot()
	}
	defer func() {
		for _, x := range list {
			x.release(s.run.kv)
		}
	}()
	if s.whole != nil {
		defer s.forget(list)
		if err := s.encode(list); err != nil {
			return err
		}
	}
	for running := slices.Clone(list); len(running) > 0; {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := s.step(running); err != nil {
			return err
		}
		running = slices.DeleteFunc(running, func(x *search) bool { return x.done })
	}
	return nil
}

// encode fills the cross-attention's cache with the sources.
func (s *Searcher) encode(list []*search) error {
	var ids []int32
	var lengths, slots []int
	for _, x := range list {
		x.slot = s.cross.Slot()
		ids, lengths, slots = append(ids, x.source...), append(lengths, len(x.source)), append(slots, x.slot)
	}
	if _, err := s.cross.Begin(slots, lengths, nil); err != nil {
		return err
	}
	t, seqs := s.run.tape, nn.NewSeqs(lengths...)
	t.Reset()
	s.whole.Remember(t, s.whole.Encode(t, model.Input{IDs: tensor.IDs(ids), Seqs: seqs}), seqs.Spans, s.cross)
	s.cross.End()
	return nil
}

func (s *Searcher) forget(list []*search) {
	for _, x := range list {
		s.cross.Release(x.slot)
	}
}

// step computes the next token of every running sequence.
func (s *Searcher) step(list []*search) error {
	r := s.run
	r.clear()
	var sources []int
	var spans []tensor.Span
	for _, x := range list {
		first := len(r.input)
		for i := range x.beams {
			b := &x.beams[i]
			if most := r.model.Sizes().Switch; most > 0 && r.kv.Len(b.slot) == most { // turned with the short frequencies, for a prompt is computed at once
				r.kv.Release(b.slot)
				b.slot = r.kv.Slot()
			}
			r.want(r.add(b.slot, b.ids[r.kv.Len(b.slot):], len(b.ids)) + len(b.ids) - r.kv.Len(b.slot) - 1)
		}
		sources, spans = append(sources, x.slot), append(spans, tensor.Span{Start: first, Len: len(r.input) - first})
	}
	if err := r.begin(); err != nil {
		return err
	}
	if s.whole != nil {
		if _, err := s.cross.Begin(sources, make([]int, len(sources)), nil); err != nil {
			return err
		}
		r.seqs.Cross = &nn.Cross{KV: s.cross, Queries: spans}
	}
	var places []place // of the rows
	for i, x := range list {
		for b := range x.beams {
			places = append(places, place{i, b})
		}
	}
	next := make([]extensions, len(list))
	for i, x := range list {
		next[i].most = max(2, 1+len(x.Stop)) * x.Beams
	}
	err := r.run(func(from int, logits *tensor.Tensor) error {
		N, V := logits.Dims2()
		for i, p := range places[from : from+N] {
			x, row := list[p.search], logits.F32()[i*V:(i+1)*V]
			sum := LogSum(row)
			if math.IsNaN(sum) {
				return errNaN
			}
			next[p.search].add(p.beam, x.beams[p.beam].score-sum, row, x.banned(x.beams[p.beam].ids))
		}
		return nil
	})
	for i, x := range list {
		if err == nil {
			x.advance(r.kv, next[i].list)
		}
	}
	return err
}

// place is a running sequence of a search.
type place struct{ search, beam int }

// extension is a running sequence and what may follow it.
type extension struct {
	beam  int
	id    int32
	score float64
}

// extensions are the best, the best first; of equals, the earlier beam and the lower id.
type extensions struct {
	list []extension
	most int
}

// add offers every token behind a sequence: its score is base and the token's logit.
func (c *extensions) add(beam int, base float64, logits []float32, banned []int32) {
	for id, l := range logits {
		score := base + float64(l)
		full := len(c.list) == c.most
		if full && score <= c.list[c.most-1].score || slices.Contains(banned, int32(id)) {
			continue
		}
		if full {
			c.list = c.list[:c.most-1]
		}
		at := len(c.list)
		for at > 0 && c.list[at-1].score < score {
			at--
		}
		c.list = slices.Insert(c.list, at, extension{beam, int32(id), score})
	}
}

// banned are the ids that would make the last NoRepeat ids of a sequence occur twice, and while it is short those that end it.
func (x *search) banned(ids []int32) (list []int32) {
	if len(ids)-x.prompt < x.MinTokens {
		list = append(list, x.Stop...)
	}
	n := x.NoRepeat
	if n == 0 || len(ids)+1 < n {
		return list
	}
	tail := ids[len(ids)+1-n:]
	for i := 0; i+n <= len(ids); i++ {
		if slices.Equal(ids[i:i+n-1], tail) {
			list = append(list, ids[i+n-1])
		}
	}
	return list
}

// advance chooses among the candidates, the best first: those that end are results if they are among the first Beams, and the first Beams of the
// others run on.
func (x *search) advance(kv *nn.KV, list []extension) {
	length := len(x.beams[0].ids) + 1
	var running []extension
	for i, c := range list {
		switch ends := slices.Contains(x.Stop, c.id) || length == x.limit; {
		case !ends && len(running) < x.Beams:
			running = append(running, c)
		case ends && i < x.Beams:
			ids := append(slices.Clone(x.beams[c.beam].ids[x.prompt:]), c.id)
			x.end(Found{ids, c.score / math.Pow(float64(len(ids)), x.penalty)})
		}
	}
	if x.done = len(running) == 0 || x.settled(running[0].score, length-x.prompt); !x.done {
		x.follow(kv, running)
	}
}

// end makes f a result where it is among the best.
func (x *search) end(f Found) {
	at := len(x.ended)
	for at > 0 && x.ended[at-1].Score < f.Score {
		at--
	}
	x.ended = slices.Insert(x.ended, at, f)
	x.ended = x.ended[:min(len(x.ended), x.Beams)]
}

// settled tells whether a search is over whose best running sequence has so many generated ids and the given score.
func (x *search) settled(best float64, length int) bool {
	if len(x.ended) < x.Beams {
		return false
	}
	if x.Early == EarlyNever && x.penalty > 0 {
		length = x.limit - x.prompt
	}
	return x.Early == EarlyFull || best/math.Pow(float64(length), x.penalty) <= x.ended[x.Beams-1].Score
}

// follow makes the candidates the running sequences: the first that continues one takes its slot over, the others share its pages.
func (x *search) follow(kv *nn.KV, running []extension) {
	old, taken := x.beams, make([]bool, len(x.beams))
	x.beams = nil
	for _, c := range running {
		b := beam{append(slices.Clone(old[c.beam].ids), c.id), c.score, old[c.beam].slot}
		if taken[c.beam] {
			b.slot = kv.Slot()
			kv.Share(b.slot, old[c.beam].slot, kv.Len(old[c.beam].slot))
		}
		taken[c.beam] = true
		x.beams = append(x.beams, b)
	}
	for i, b := range old {
		if !taken[i] {
			kv.Release(b.slot)
		}
	}
}

// release gives the slots of all running sequences back.
func (x *search) release(kv *nn.KV) {
	for _, b := range x.beams {
		kv.Release(b.slot)
	}
	x.beams = nil
}
