package main

import (
	"context"
	"errors"
	"math"

	"github.com/plinth-ml/plinth/data"
	"github.com/plinth-ml/plinth/internal/kernel"
	"github.com/plinth-ml/plinth/model"
	"github.com/plinth-ml/plinth/tensor"
	"github.com/plinth-ml/plinth/train"
)

// mixture is the prepared folders that a run trains on.
type mixture []*data.Set

// openMixture opens folders that were prepared with one tokenizer for one sequence length.
func openMixture(dirs []string) (m mixture, err error) {
	defer func() {
		if err != nil {
			err = errors.Join(err, m.Close())
		}
	}()
	for i, dir := range dirs {
		s, err := data.Open(dir, false)
		if err != nil {
			return m, err
		}
		m = append(m, s)
		if a, b := m[0].Info, s.Info; a.Seq != b.Seq || a.Tokenizer != b.Tokenizer {
			return m, usagef("--data %s and %s were prepared with different tokenizers, or for %d and %d tokens", dirs[0], dirs[i], a.Seq, b.Seq)
		}
	}
	return m, nil
}

// Close closes every folder.
func (m mixture) Close() error {
	var errs []error
	for _, s := range m {
		errs = append(errs, s.Close())
	}
	return errors.Join(errs...)
}

// source draws from the folders in the shares given; without shares, in proportion to their tokens.
func (m mixture) source(shares []float64, seed uint64, seq, batch int) (data.Source, error) {
	if shares != nil && len(shares) != len(m) {
		return nil, usagef("--mix has %d shares for %d prepared folders", len(shares), len(m))
	}
	var parts []data.Part
	for i, s := range m {
		split, err := s.Split("train")
		if err != nil {
			return nil, err
		}
		share := float64(s.Info.Train.Tokens)
		if shares != nil {
			share = shares[i]
		}
		parts = append(parts, data.Part{Split: split, Weight: share})
	}
	if len(parts) == 1 {
		return parts[0].Split.Source(seed, seq, batch)
	}
	return data.NewMixture(parts, seed, seq, batch)
}

// vals are what is held out, at most tokens of each folder, in sequences of seq; nil where nothing is.
func (m mixture) vals(seq, tokens int) ([]*data.Val, error) {
	var vals []*data.Val
	for _, s := range m {
		if s.Info.Val.Tokens < 2 {
			continue
		}
		split, err := s.Split("val")
		if err != nil {
			return nil, err
		}
		val, err := split.Val(seq, tokens)
		if err != nil {
			return nil, err
		}
		vals = append(vals, val)
	}
	return vals, nil
}

// validator returns the hook that measures the loss on all that is held out; nil where nothing is.
func (m mixture) validator(d model.Decoder, k *kernel.Set, seq, micro, tokens int) (func(context.Context, int) (float64, float64, error), error) {
	vals, err := m.vals(seq, tokens)
	if err != nil || vals == nil {
		return nil, err
	}
	tape := tensor.Evaluation(k)
	return func(ctx context.Context, _ int) (loss, bits float64, err error) {
		var nats, bytes float64
		counted := 0
		for _, val := range vals {
			s, err := train.Evaluate(ctx, tape, d, val, micro)
			if err != nil {
				return 0, 0, err
			}
			nats += s.Loss * float64(s.Tokens)
			bytes += s.Loss * float64(s.Tokens) / math.Ln2 / s.BitsPerByte
			counted += s.Tokens
		}
		return nats / float64(counted), nats / math.Ln2 / bytes, nil
	}, nil
}
