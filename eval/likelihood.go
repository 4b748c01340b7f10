package eval

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/plinth-ml/plinth/eval/task"
	"github.com/plinth-ml/plinth/generate"
	"github.com/plinth-ml/plinth/internal/kernel"
	"github.com/plinth-ml/plinth/model"
	"github.com/plinth-ml/plinth/nn"
	"github.com/plinth-ml/plinth/tensor"
	"github.com/plinth-ml/plinth/tokenizer"
)

// Likelihoods answers requests with a decoder: sorted, so that what neighbours begin with is computed once.
type Likelihoods struct {
	Model     model.Decoder
	Tokenizer *tokenizer.Tokenizer
	Cut       int // requests that were cut at their start, being longer than the model's context

	tape      *tensor.Tape
	kv        *nn.KV
	base      int     // slot of what the last batch began with
	shared    []int32 // its ids
	seqs      nn.Seqs
	positions []int32
}

// batchRows is the number of rows computed at once, and batchLogits the number of logits.
const batchRows, batchLogits = 2048, 1 << 22

// NewLikelihoods returns a scorer.
func NewLikelihoods(m model.Decoder, tok *tokenizer.Tokenizer, k *kernel.Set) *Likelihoods {
	l := &Likelihoods{Model: m, Tokenizer: tok, tape: tensor.Inference(k), kv: model.NewKV(m, nn.KVOptions{})}
	l.base = l.kv.Slot()
	return l
}

// asked is a request as ids: those from the given one on are the continuation.
type asked struct {
	ids  []int32
	from int
	at   int // place of the request
}

// fed are the ids that enter the model: the last predicts nothing that is asked for.
func (a asked) fed() []int32 { return a.ids[:len(a.ids)-1] }

// ids are the tokens of a text, with the token that the tokenizer begins texts with.
func (l *Likelihoods) ids(text string) []int32 {
	return l.Tokenizer.AddSpecial(l.Tokenizer.Encode(text))
}

// encode is lm-evaluation-harness's: spaces at the context's end belong to the continuation, and both are encoded as one text.
func (l *Likelihoods) encode(r task.Request) (asked, error) {
	context := strings.TrimRight(r.Context, " ")
	a := asked{ids: l.ids(r.Context + r.Continuation), from: len(l.ids(context))}
	if a.from == 0 || a.from >= len(a.ids) {
		return a, fmt.Errorf("eval: of %d tokens of the context %.40q with %.40q, %d are the context: want one at least of each", len(a.ids), r.Context, r.Continuation, a.from)
	}
	most := l.Model.Sizes().Context + 1
	if cut := len(a.ids) - most; cut > 0 {
		if cut >= a.from {
			return a, fmt.Errorf("eval: the continuation %.40q of %d tokens does not fit into a context of %d", r.Continuation, len(a.ids)-a.from, most-1)
		}
		a.ids, a.from = a.ids[cut:], a.from-cut
		l.Cut++
	}
	return a, nil
}

// Fits says whether the request needs no cut.
func (l *Likelihoods) Fits(r task.Request) bool {
	return len(l.ids(r.Context+r.Continuation)) <= l.Model.Sizes().Context+1
}

// Answer returns the likelihood of every request. The same request has the same bits whatever it is asked with.
func (l *Likelihoods) Answer(ctx context.Context, requests []task.Request) ([]task.Likelihood, error) {
	all := make([]asked, len(requests))
	for i, r := range requests {
		a, err := l.encode(r)
		if err != nil {
			return nil, err
		}
		a.at = i
		all[i] = a
	}
	slices.SortStableFunc(all, func(a, b asked) int { return slices.Compare(a.ids, b.ids) })
	answers := make([]task.Likelihood, len(requests))
	for len(all) > 0 {
		if err := ctx.Err(); err != nil {
			return nil, context.Cause(ctx)
		}
		n, shared := l.next(all)
		if err := l.batch(all[:n], shared, answers); err != nil {
			return nil, err
		}
		all = all[n:]
	}
	return answers, nil
}

// next returns how many requests make a batch, and how many ids all of them begin with and need no logits of.
func (l *Likelihoods) next(all []asked) (n, shared int) {
	sum := 0 // of the lengths
	shared = all[0].from - 1
	for n < len(all) {
		s := min(shared, all[n].from-1, begin(all[0].ids, all[n].ids))
		if s+sum+len(all[n].ids)-(n+1)*s > batchRows && n > 0 {
			break
		}
		sum, shared = sum+len(all[n].ids), s
		n++
	}
	return n, shared
}

// begin is the number of ids that a and b begin with alike.
func begin(a, b []int32) int {
	n := 0
	for n < min(len(a), len(b)) && a[n] == b[n] {
		n++
	}
	return n
}

// batch answers requests whose first ids are shared.
func (l *Likelihoods) batch(all []asked, shared int, answers []task.Likelihood) error {
	keep := min(shared, begin(l.shared, all[0].ids))
	l.kv.Truncate(l.base, keep)
	l.shared = append(l.shared[:keep], all[0].ids[keep:shared]...)
	if keep < shared {
		if _, err := l.run([]int{l.base}, [][]int32{l.shared[keep:]}, nil); err != nil {
			return err
		}
	}
	var slots []int
	var parts [][]int32
	var rows []int32 // wanted, ascending
	first := make([]int, len(all))
	row := 0
	for i, a := range all {
		if i > 0 && a.from == all[i-1].from && slices.Equal(a.fed(), all[i-1].fed()) {
			first[i] = first[i-1]
			continue
		}
		slot := l.kv.Slot()
		l.kv.Share(slot, l.base, shared)
		slots, parts = append(slots, slot), append(parts, a.fed()[shared:])
		first[i] = len(rows)
		for at := a.from - 1; at < len(a.ids)-1; at++ {
			rows = append(rows, int32(row+at-shared))
		}
		row += len(a.fed()) - shared
	}
	x, err := l.run(slots, parts, rows)
	if err != nil {
		return err
	}
	for _, s := range slots {
		l.kv.Release(s)
	}
	for i := range all {
		answers[all[i].at].Greedy = true
	}
	V := l.Model.Sizes().Vocab
	for from := 0; from < len(rows); from += max(1, batchLogits/V) {
		to := min(from+max(1, batchLogits/V), len(rows))
		l.tape.Scope(func() *tensor.Tensor {
			some := make([]int32, to-from)
			for i := range some {
				some[i] = int32(from + i)
			}
			logits := l.Model.Head().Logits(l.tape, l.tape.Gather(x, tensor.IDs(some))) // [to-from, V]
			for i, a := range all {
				for j, id := range a.ids[a.from:] {
					if r := first[i] + j - from; r >= 0 && r < to-from {
						lp, greedy := logProb(logits.F32()[r*V:(r+1)*V], id)
						answers[a.at].LogProb += lp
						answers[a.at].Greedy = answers[a.at].Greedy && greedy
					}
				}
			}
			return x
		})
	}
	return nil
}

// run feeds ids to slots, and returns the features of the wanted rows, [rows, C].
func (l *Likelihoods) run(slots []int, parts [][]int32, rows []int32) (*tensor.Tensor, error) {
	var ids []int32
	lengths := make([]int, len(parts))
	l.seqs.Spans = l.seqs.Spans[:0]
	for i, p := range parts {
		l.seqs.Spans = append(l.seqs.Spans, tensor.Span{Start: len(ids), Len: len(p)})
		ids, lengths[i] = append(ids, p...), len(p)
	}
	var err error
	if l.positions, err = l.kv.Begin(slots, lengths, l.positions[:0]); err != nil {
		return nil, err
	}
	l.seqs.Positions = tensor.IDs(l.positions)
	t := l.tape
	t.Reset()
	x := l.Model.Body(t, l.Model.Embed(t, tensor.IDs(ids), &l.seqs), &l.seqs, l.kv, 0, l.Model.Sizes().Layers)
	l.kv.End()
	if rows == nil {
		return nil, nil
	}
	return l.Model.Norm(t, t.Gather(x, tensor.IDs(rows))), nil
}

// logProb is ln softmax(logits)[id], and whether no other logit is higher and none before it as high.
func logProb(logits []float32, id int32) (float64, bool) {
	best := 0
	for i, v := range logits {
		if v > logits[best] {
			best = i
		}
	}
	return float64(logits[id]) - generate.LogSum(logits), best == int(id)
}
