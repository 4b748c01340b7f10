package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/plinth-ml/plinth/adapt"
	"github.com/plinth-ml/plinth/data"
	"github.com/plinth-ml/plinth/generate"
	"github.com/plinth-ml/plinth/internal/kernel"
	"github.com/plinth-ml/plinth/model/t5"
	"github.com/plinth-ml/plinth/nn"
	"github.com/plinth-ml/plinth/tensor"
	"github.com/plinth-ml/plinth/tokenizer"
	"github.com/plinth-ml/plinth/train"
)

// t5Sentinels is how many sentinels T5's tokenizer has.
const t5Sentinels = 100

// withSentinels gives a tokenizer that has no sentinels those of T5.
func withSentinels(tok *tokenizer.Tokenizer) (*tokenizer.Tokenizer, error) {
	names := data.Sentinels(t5Sentinels)
	if _, ok := tok.ID(names[t5Sentinels-1]); ok {
		return tok, nil
	}
	return tok.WithSpecial(names...)
}

// t5Job trains on corrupted spans.
func (t *trainCmd) t5Job(c *common, k *kernel.Set, m *t5.Model, sets mixture, tok *tokenizer.Tokenizer, o train.Options) (trainJob, error) {
	if t.Recompute || t.ZLoss != 0 {
		return trainJob{}, usagef("--recompute and --z-loss are not for --family t5")
	}
	spans, err := data.SpansFor(tok, o.Seq)
	if err != nil {
		return trainJob{}, err
	}
	if id, ok := tok.SpecialID("<pad>"); ok {
		pad := int(id)
		m.Config.Pad, m.Config.Start = &pad, &pad
	}
	source, err := sets.source(t.Mix, c.Seed, o.Seq, o.Batch)
	if err != nil {
		return trainJob{}, err
	}
	obj, err := adapt.NewSpanCorruption(m, source, o.Seq, spans, c.Seed)
	if err != nil {
		return trainJob{}, err
	}
	nn.Init(m.Params(), c.Seed, true)
	var last adapt.SpanScores
	j := trainJob{
		loop: func(h train.Hooks) (*train.Loop, error) { return train.Minimize(obj, k, o, h) },
		validation: func(r train.Result) string {
			if last.Tokens == 0 { // of a run that was finished before
				return fmt.Sprintf("validation %.4f nats per target token", r.ValLoss)
			}
			return fmt.Sprintf("validation %.4f nats per target token; of those that are text %.4f, %.1f %% right", last.Loss, last.Text, 100*last.Accuracy)
		},
		try: "plinth adapt --task summarize --model " + t.Out,
	}
	vals, err := sets.vals(o.Seq, t.ValTokens)
	if err != nil || vals == nil {
		return j, err
	}
	splits := make([]train.Split, len(vals))
	for i, v := range vals {
		splits[i] = v
	}
	tape := tensor.Evaluation(k)
	j.hooks.Validate = func(ctx context.Context, _ int) (float64, float64, error) {
		last, err = obj.Evaluate(ctx, tape, splits, o.Micro)
		return last.Loss, 0, err
	}
	j.hooks.Sample = func(ctx context.Context, _ int) (string, error) {
		p, err := obj.Held(splits[0], 0)
		if err != nil || len(p.Source) == 0 {
			return "", err
		}
		found, err := generate.NewSeq2SeqSearcher(m, k).Search(ctx, []generate.SearchRequest{{Source: p.Source,
			BeamOptions: generate.BeamOptions{Beams: 1, MaxTokens: 2 * len(p.Target), Stop: m.Ends()}}})
		if err != nil {
			return "", err
		}
		return filled(tok, spans, p, found[0][0].IDs), nil
	}
	return j, nil
}

// filled is a source whose gaps show what stood there and what a model wrote: [truth: guess].
func filled(tok *tokenizer.Tokenizer, spans data.Spans, p adapt.Pair, written []int32) string {
	truth, guess := spans.Gaps(p.Source, p.Target), spans.Gaps(p.Source, written)
	var b strings.Builder
	from, gap := 0, 0
	for at, id := range p.Source {
		if gap == len(truth) || id != spans.Sentinel-int32(gap) {
			continue
		}
		fmt.Fprintf(&b, "%s [%s: %s] ", strings.TrimSpace(tok.DecodeText(p.Source[from:at])), tok.DecodeText(truth[gap]), tok.DecodeText(guess[gap]))
		from, gap = at+1, gap+1
	}
	return b.String() + tok.DecodeText(p.Source[from:])
}
