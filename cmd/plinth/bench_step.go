package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/plinth-ml/plinth/data"
	"github.com/plinth-ml/plinth/internal/kernel"
	"github.com/plinth-ml/plinth/internal/kernel/cpu"
	"github.com/plinth-ml/plinth/internal/random"
	"github.com/plinth-ml/plinth/model/gpt"
	"github.com/plinth-ml/plinth/nn"
	"github.com/plinth-ml/plinth/train"
)

type benchStepCmd struct {
	Size    string `help:"A named size, in place of --layers --width --heads; plinth show lists them." placeholder:"NAME"`
	Layers  int    `default:"6" help:"Layers." placeholder:"N"`
	Width   int    `default:"384" help:"Width of the residual stream." placeholder:"N"`
	Heads   int    `default:"6" help:"Attention heads." placeholder:"N"`
	Vocab   int    `help:"Vocabulary; 0 means the size's, or 1024." placeholder:"N"`
	Seq     int    `default:"256" help:"Tokens per sequence." placeholder:"N"`
	Batch   int    `default:"8" help:"Sequences per step." placeholder:"N"`
	Steps   int    `default:"10" help:"Steps measured, after two to warm up." placeholder:"N"`
	Profile bool   `help:"Print the time, FLOP/s and bytes/s of every op."`

	Recompute bool `help:"Compute activations again in the backward pass."`
}

func (*benchStepCmd) Help() string {
	return "The step of plinth train on random tokens: batch, forward, loss, backward, clipping, AdamW. Example: plinth bench step --layers 4 --width 128 --heads 4 --seq 64 --batch 12 --profile"
}

// warmSteps are the steps after which all memory is there.
const warmSteps = 2

func (b *benchStepCmd) Run(ctx context.Context, c *common) error {
	config, err := b.config()
	if err != nil {
		return err
	}
	m, err := gpt.New(config)
	if err != nil {
		return usageError{err}
	}
	if b.Steps < 1 {
		return usagef("--steps %d is not at least 1", b.Steps)
	}
	o := train.Options{Steps: warmSteps + b.Steps, Batch: b.Batch, Micro: b.Batch, Seq: b.Seq, LR: 1e-4, Recompute: b.Recompute, OnSpike: "ignore", Seed: c.Seed}
	if _, err := o.Resolve(m.Sizes()); err != nil {
		return flagError(err)
	}
	if err := train.Fits(m, o); err != nil {
		return err
	}
	c.say("measuring the ceilings ...")
	ceiling := cpu.Ceilings(c.Threads, 100*time.Millisecond)
	k := c.kernels()
	var times *kernel.Times
	if b.Profile {
		k, times = kernel.Profile(k)
	}
	nn.Init(m.Params(), c.Seed, true)
	var seconds []float64
	var flops float64
	loop, err := train.New(m, k, randomTokens{config.Vocab, b.Seq, c.Seed}, o, train.Hooks{Progress: func(e train.Event) {
		switch {
		case e.TokensPerSecond == 0: // not a step
		case e.Step > warmSteps:
			seconds = append(seconds, float64(b.Batch*b.Seq)/e.TokensPerSecond)
			flops = e.FLOPsPerSecond / e.TokensPerSecond * float64(b.Batch*b.Seq)
		case e.Step == warmSteps && times != nil:
			times.Reset()
		}
	}})
	if err != nil {
		return err
	}
	r, err := loop.Run(ctx)
	if err != nil {
		return err
	}
	ceiling.FMA = max(ceiling.FMA, cpu.PeakFLOPs(c.Threads, 100*time.Millisecond))
	return b.report(c, k.Name, r, seconds, flops, ceiling, times)
}

// report prints the median step beside the ceilings, and the ops.
func (b *benchStepCmd) report(c *common, kernels string, r train.Result, seconds []float64, flops float64, ceiling cpu.Ceiling, times *kernel.Times) error {
	total := 0.0
	for _, s := range seconds {
		total += s
	}
	slices.Sort(seconds)
	median := seconds[len(seconds)/2]
	out := struct {
		Kernels string          `json:"kernels"`
		Threads int             `json:"threads"`
		Params  int64           `json:"params"`
		Seconds float64         `json:"seconds"` // of a step, median
		Fastest float64         `json:"fastest_seconds"`
		Tokens  float64         `json:"tokens_per_second"`
		FLOPs   float64         `json:"flops_per_second"`
		FMA     float64         `json:"fma_flops_per_second"`
		Share   float64         `json:"share"`
		PeakRSS int64           `json:"peak_rss_bytes"`
		Work    float64         `json:"flops_per_step"`
		Ops     []kernel.OpTime `json:"ops,omitempty"` // sums over all steps measured
	}{kernels, ceiling.Threads, r.Params, median, seconds[0], float64(b.Batch*b.Seq) / median, flops / median, ceiling.FMA, flops / median / ceiling.FMA, r.PeakRSS, flops, nil}
	var text strings.Builder
	fmt.Fprintf(&text, "%s, %d threads: %s parameters, %d x %d tokens, %sFLOP per step\n", kernels, ceiling.Threads, count(r.Params), b.Batch, b.Seq, count(flops))
	fmt.Fprintf(&text, "step: median %.4f s, fastest %.4f s, %.0f tokens/s, %.1f GFLOP/s, %.1f %% of the live peak of %.1f GFLOP/s; peak memory %.0f MB\n",
		median, seconds[0], out.Tokens, out.FLOPs/1e9, 100*out.Share, ceiling.FMA/1e9, float64(r.PeakRSS)/1e6)
	fmt.Fprintf(&text, "ceilings: one thread %.1f GFLOP/s, memory read %.1f GB/s, copy %.1f GB/s\n", ceiling.FMA1/1e9, ceiling.Read/1e9, ceiling.Copy/1e9)
	if times != nil {
		out.Ops = times.Ops()
		fmt.Fprintf(&text, "\n%s", times.Table(len(seconds), total, ceiling.FMA))
	}
	return c.finish(out, text.String())
}

// config is the shape that the flags ask for.
func (b *benchStepCmd) config() (gpt.Config, error) {
	config := gpt.Shape(b.Layers, b.Width, b.Heads, 1024, b.Seq)
	if b.Size != "" {
		size, err := gpt.ByName(b.Size)
		if err != nil {
			return config, usageError{err}
		}
		config = size.Config
	}
	if b.Vocab != 0 {
		config.Vocab = b.Vocab
	}
	return config, nil
}

// randomTokens is a source of uniform tokens: the time of a step does not depend on what they are.
type randomTokens struct {
	vocab, seq int
	seed       uint64
}

func (r randomTokens) Fingerprint() string {
	return fmt.Sprintf("random vocab %d seq %d seed %d", r.vocab, r.seq, r.seed)
}

func (r randomTokens) Fill(b *data.Batch, step, from, to int) error {
	key := random.NewKey(r.seed, uint64(step))
	b.IDs, b.Targets, b.Lengths = b.IDs[:0], b.Targets[:0], b.Lengths[:0]
	for i := from; i < to; i++ {
		for t := range r.seq {
			b.IDs = append(b.IDs, int32(key.Uint64(uint64(2*(i*r.seq+t)))%uint64(r.vocab)))
			b.Targets = append(b.Targets, int32(key.Uint64(uint64(2*(i*r.seq+t)+1))%uint64(r.vocab)))
		}
		b.Lengths = append(b.Lengths, r.seq)
	}
	return nil
}
