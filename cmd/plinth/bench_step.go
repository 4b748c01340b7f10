package main

import (
	"cmp"
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
	Layers  int    `help:"Layers; 6." placeholder:"N"`
	Width   int    `help:"Width of the residual stream; 384." placeholder:"N"`
	Heads   int    `help:"Attention heads; 6." placeholder:"N"`
	Vocab   int    `help:"Vocabulary; the size's, or 1024." placeholder:"N"`
	Seq     int    `help:"Tokens per sequence; 256, or the size's context where that is shorter." placeholder:"N"`
	Batch   int    `default:"8" help:"Sequences per step; 8." placeholder:"N"`
	Micro   int    `help:"Sequences computed at once; all." placeholder:"N"`
	Steps   int    `default:"10" help:"Steps measured, after two to warm up; 10." placeholder:"N"`
	Profile bool   `help:"Print the time, FLOP/s and bytes/s of every op."`

	Recompute   bool   `help:"As in plinth train."`
	Activations string `default:"f32" enum:"f32,lean,bf16" help:"As in plinth train: f32, lean or bf16."`
	Moments     string `default:"f32" enum:"f32,bf16" help:"As in plinth train: f32 or bf16."`
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
	o := train.Options{Steps: warmSteps + b.Steps, Batch: b.Batch, Micro: cmp.Or(b.Micro, b.Batch), Seq: b.Seq, LR: 1e-4, Recompute: b.Recompute,
		Activations: b.Activations, Moments: b.Moments, OnSpike: "ignore", Seed: c.Seed}
	if _, err := o.Resolve(m.Sizes()); err != nil {
		return flagError(err)
	}
	if err := train.Fits(m, o); err != nil {
		return err
	}
	machine := cpu.Options{Threads: c.Threads}
	peak := cpu.PeakFLOPs(machine, 100*time.Millisecond)
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
	ceiling := cpu.Ceilings(machine, 100*time.Millisecond) // after the run, whose memory is measured
	ceiling.FMA = max(ceiling.FMA, peak)
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

// config is the shape that the flags ask for; it fills in what they leave open.
func (b *benchStepCmd) config() (gpt.Config, error) {
	for _, f := range []struct {
		name  string
		value int
		least int
	}{{"layers", b.Layers, 0}, {"width", b.Width, 0}, {"heads", b.Heads, 0}, {"vocab", b.Vocab, 0}, {"seq", b.Seq, 0}, {"micro", b.Micro, 0}, {"batch", b.Batch, 1}, {"steps", b.Steps, 1}} {
		if f.value < f.least {
			return gpt.Config{}, usagef("--%s %d is not at least %d", f.name, f.value, f.least)
		}
	}
	if b.Size == "" {
		b.Seq = cmp.Or(b.Seq, 256)
		return gpt.Shape(cmp.Or(b.Layers, 6), cmp.Or(b.Width, 384), cmp.Or(b.Heads, 6), cmp.Or(b.Vocab, 1024), b.Seq), nil
	}
	if b.Layers+b.Width+b.Heads > 0 {
		return gpt.Config{}, usagef("--size and --layers, --width, --heads exclude each other")
	}
	size, err := gpt.ByName(b.Size)
	if err != nil {
		return gpt.Config{}, usageError{err}
	}
	size.Config.Vocab = cmp.Or(b.Vocab, size.Config.Vocab)
	b.Seq = cmp.Or(b.Seq, min(256, size.Config.Context))
	return size.Config, nil
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
