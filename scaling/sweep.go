package scaling

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/plinth-ml/plinth/model/gpt"
	"github.com/plinth-ml/plinth/train"
)

// Recipe is what all runs of a sweep share, so that they differ in size and tokens alone. Each run's learning rate decays to the end of
// that run (Hoffmann et al. 2022, section 3: a loss read off a longer run before its rate has decayed is too high). The zero value of
// a field means the default given with it.
type Recipe struct {
	HeadDim int `json:"head_dim"` // of attention, where it divides the width; else half of it; 16

	// The peak learning rate is LR·(BaseWidth/width)^LRPower.
	LR        float64 `json:"lr"`         // 0.024, for muon
	BaseWidth int     `json:"base_width"` // 64
	LRPower   float64 `json:"lr_power"`   // 1, as in muP (Yang et al. 2022, arXiv 2203.03466); negative: none, one rate for all widths

	// The batch is Batch·(D/BaseTokens)^BatchPower tokens for a run on D, in whole sequences (Bergsma et al. 2025, Power Lines, arXiv 2505.13738).
	Batch      int     `json:"batch"`       // tokens; 4096
	BaseTokens int64   `json:"base_tokens"` // 4e6
	BatchPower float64 `json:"batch_power"` // 0.383; negative: none, one batch for all

	Optimizer string  `json:"optimizer"`  // as train.Options; muon
	Schedule  string  `json:"schedule"`   // as train.Options; linear
	MinLR     float64 `json:"min_lr"`     // share of the peak left at the end; none
	ValTokens int     `json:"val_tokens"` // held-out tokens that the loss is measured on, the same for all runs; 131072
	Repeat    bool    `json:"repeat"`     // runs may see the training text more than once
	Seed      uint64  `json:"seed"`       // of initial weights and order of the data
}

func (r Recipe) resolve() Recipe {
	r.HeadDim = cmp.Or(r.HeadDim, 16)
	r.LR = cmp.Or(r.LR, 0.024)
	r.BaseWidth = cmp.Or(r.BaseWidth, 64)
	r.LRPower = cmp.Or(r.LRPower, 1)
	r.Batch = cmp.Or(r.Batch, 4096)
	r.BaseTokens = cmp.Or(r.BaseTokens, 4_000_000)
	r.BatchPower = cmp.Or(r.BatchPower, 0.383)
	r.ValTokens = cmp.Or(r.ValTokens, 1<<17)
	r.Optimizer = cmp.Or(r.Optimizer, "muon")
	r.Schedule = cmp.Or(r.Schedule, "linear")
	return r
}

// Shape of a rung of the ladder: layers of width.
type Shape struct {
	Layers int `json:"layers"`
	Width  int `json:"width"`
}

// Label is the form that ParseShape reads: 3x96.
func (s Shape) Label() string { return fmt.Sprintf("%dx%d", s.Layers, s.Width) }

// ParseShape reads layers x width, such as 3x96.
func ParseShape(text string) (Shape, error) {
	var s Shape
	if n, err := fmt.Sscanf(text, "%dx%d", &s.Layers, &s.Width); n != 2 || err != nil || s.Label() != text || s.Layers < 1 || s.Width < 1 {
		return s, fmt.Errorf("size %q is not layers x width, such as 3x96", text)
	}
	return s, nil
}

// Trial is a planned run: its shape and what the recipe makes of it.
type Trial struct {
	Shape
	Name         string  `json:"name"`
	Heads        int     `json:"heads"`
	Batch        int     `json:"batch"` // sequences per step
	Steps        int     `json:"steps"` // optimiser steps
	LR           float64 `json:"lr"`    // peak
	N            int64   `json:"n"`     // parameters, embeddings included
	NonEmbedding int64   `json:"n_non_embedding"`
	D            int64   `json:"d"`      // tokens trained on
	C            float64 `json:"c"`      // FLOPs of training, forward and backward, attention included
	Epochs       float64 `json:"epochs"` // D over the training text; 0: not known
}

// Text is what a ladder needs to know of its prepared data.
type Text struct {
	Vocab, Seq int
	Tokens     int64 // of the training split's sequences; 0: unlimited
}

// config is the model of a shape.
func (r Recipe) config(s Shape, t Text) gpt.Config {
	heads := 1
	for _, dim := range []int{r.HeadDim, r.HeadDim / 2} {
		if dim > 0 && s.Width%dim == 0 {
			heads = s.Width / dim
			break
		}
	}
	return gpt.Shape(s.Layers, s.Width, heads, t.Vocab, t.Seq)
}

// perToken is the number of FLOPs to train a shape on one token.
func (r Recipe) perToken(s Shape, t Text) float64 {
	return r.resolve().config(s, t).Cost(t.Seq).Train()
}

// Trial plans a run of a shape on about the given number of tokens: the nearest whole number of steps.
func (r Recipe) Trial(s Shape, tokens float64, t Text) (Trial, error) {
	r = r.resolve()
	c := r.config(s, t)
	if err := c.Check(); err != nil {
		return Trial{}, fmt.Errorf("scaling: %s: %w", s.Label(), err)
	}
	if !(tokens >= 1 && tokens < 1e15) {
		return Trial{}, fmt.Errorf("scaling: %s on %g tokens", s.Label(), tokens)
	}
	seq := float64(t.Seq)
	batch := max(1, math.Round(float64(r.Batch)*math.Pow(tokens/float64(r.BaseTokens), max(0, r.BatchPower))/seq))
	steps := max(1, math.Round(tokens/(batch*seq)))
	cost := c.Cost(t.Seq)
	b := Trial{Shape: s, Heads: c.Heads, Batch: int(batch), Steps: int(steps), N: cost.Params, D: int64(batch * steps * seq),
		NonEmbedding: cost.Params - int64(t.Vocab+t.Seq)*int64(s.Width)}
	b.LR = r.LR * math.Pow(float64(r.BaseWidth)/float64(s.Width), max(0, r.LRPower))
	b.C = cost.Train() * float64(b.D)
	b.Name = fmt.Sprintf("%s-%d", s.Label(), b.D)
	if _, err := r.options(b, t.Seq, "").Resolve(c.Sizes()); err != nil {
		return b, fmt.Errorf("scaling: %s: %w", b.Name, err)
	}
	if t.Tokens > 0 {
		b.Epochs = float64(b.D) / float64(t.Tokens)
		if b.Epochs > 1 && !r.Repeat {
			return b, fmt.Errorf("scaling: %s on %d tokens: the training text has %d; a law of fresh data needs more text or fewer tokens (or repeat it, and say so)", s.Label(), b.D, t.Tokens)
		}
	}
	return b, nil
}

// Ladder plans every shape at every number of tokens per parameter.
func (r Recipe) Ladder(shapes []Shape, perParam []float64, t Text) ([]Trial, error) {
	var list []Trial
	for _, s := range shapes {
		n := float64(r.resolve().config(s, t).Cost(t.Seq).Params)
		for _, ratio := range perParam {
			b, err := r.Trial(s, ratio*n, t)
			if err != nil {
				return nil, err
			}
			list = append(list, b)
		}
	}
	return list, nil
}

// IsoFLOP plans, for every budget of FLOPs, the shapes that spend it on least to most tokens per parameter (Hoffmann et al. 2022, section 3.2).
func (r Recipe) IsoFLOP(shapes []Shape, budgets []float64, least, most float64, t Text) ([]Trial, error) {
	var list []Trial
	for _, budget := range budgets {
		before := len(list)
		for _, s := range shapes {
			tokens := budget / r.perToken(s, t)
			if ratio := tokens / float64(r.resolve().config(s, t).Cost(t.Seq).Params); !(ratio >= least && ratio <= most) {
				continue
			}
			b, err := r.Trial(s, tokens, t)
			if err != nil {
				return nil, err
			}
			list = append(list, b)
		}
		if len(list) == before {
			return nil, fmt.Errorf("scaling: no size spends %.3g FLOPs on %g to %g tokens per parameter", budget, least, most)
		}
	}
	return list, nil
}

// options are those of the training loop.
func (r Recipe) options(b Trial, seq int, dir string) train.Options {
	minLR := r.MinLR
	if minLR == 0 {
		minLR = -1
	}
	// A run that rewound would have skipped text that the others saw: it stops, and is marked.
	return train.Options{Steps: b.Steps, Batch: b.Batch, Seq: seq, LR: b.LR, MinLR: minLR, Schedule: r.Schedule, Optimizer: r.Optimizer, Seed: r.Seed,
		OnSpike: "stop", ValEvery: -1, Keep: 1, RunDir: dir, Resume: true}
}

// order sorts trials so that the longest begin first, which leaves no worker idle for long at the end, and refuses a run planned twice.
func order(trials []Trial) ([]Trial, error) {
	list := slices.Clone(trials)
	slices.SortFunc(list, func(a, b Trial) int { return cmp.Or(cmp.Compare(b.C, a.C), cmp.Compare(a.Name, b.Name)) })
	for i := range list[:max(0, len(list)-1)] {
		if list[i].Name == list[i+1].Name {
			return nil, fmt.Errorf("scaling: run %s is planned twice", list[i].Name)
		}
	}
	if len(list) == 0 {
		return nil, errors.New("scaling: no run is planned")
	}
	return list, nil
}
