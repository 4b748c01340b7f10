package train

import (
	"fmt"
	"slices"
	"strings"

	"github.com/plinth-ml/plinth/internal/kernel"
	"github.com/plinth-ml/plinth/model"
)

// Choices of Options.Schedule, Options.Optimizer, Options.OnSpike, Options.Moments, Options.Activations and Options.OnAlarm; the first is the default.
var (
	Schedules   = []string{"cosine", "linear", "wsd", "constant"}
	Optimizers  = []string{"adamw", "muon"}
	OnSpikes    = []string{"rewind", "stop", "ignore"}
	Moments     = []string{"f32", "bf16"}
	Activations = []string{"f32", "lean", "bf16"}
	OnAlarms    = []string{"warn", "stop"}
)

// Options of a run. The zero value of a field means the default given with it; a negative number means none where that makes sense.
// They are saved as train.json, resolved.
type Options struct {
	Steps int `json:"steps"` // optimiser steps of the run; required
	Batch int `json:"batch"` // sequences per step; 8
	Micro int `json:"micro"` // sequences computed at once; as many as make about 4096 tokens
	Seq   int `json:"seq"`   // tokens of a sequence; the model's context

	LR         float64 `json:"lr"`          // peak learning rate; 1e-3
	MinLR      float64 `json:"min_lr"`      // final learning rate as a fraction of LR; 0.1, negative: 0
	Warmup     int     `json:"warmup"`      // steps of linear rise; Steps/10, at most 200; negative: none
	Schedule   string  `json:"schedule"`    // cosine, linear, wsd or constant; cosine
	DecayShare float64 `json:"decay_share"` // of wsd: the share of the steps, at the end, in which the rate falls; 0.2

	Optimizer   string  `json:"optimizer"`    // adamw, or muon for the matrices of the blocks and adamw for the rest; adamw
	Beta1       float64 `json:"beta1"`        // 0.9
	Beta2       float64 `json:"beta2"`        // 0.95
	Eps         float64 `json:"eps"`          // 1e-8
	Momentum    float64 `json:"momentum"`     // of muon; 0.95
	WeightDecay float64 `json:"weight_decay"` // of matrices; 0.1, negative: none
	Clip        float64 `json:"clip"`         // largest global gradient norm; 1, negative: no limit
	ZLoss       float64 `json:"z_loss"`       // weight of the squared log-sum-exp (PaLM, section 5: 1e-4); none

	EMA float64 `json:"ema,omitempty"` // decay of a running mean of the weights, which is what is validated and exported; none

	Moments string `json:"moments"` // of AdamW: f32, or bf16 for half the memory, rounded up or down at random; f32
	// Activations kept for the backward pass: f32; lean, without those that a pass over memory makes again, the same bits for 0.7 of
	// the memory and some percent more time; or bf16, lean and rounded to bfloat16, for half. f32
	Activations string `json:"activations"`

	Recompute bool   `json:"recompute"` // keep one activation per layer and compute the others again: less memory, a third more time, the same bits
	Seed      uint64 `json:"seed"`      // of whatever the source and the initial weights were drawn with; recorded and checked

	ValEvery    int `json:"val_every"`    // steps between validations; Steps/10; negative: at the end only
	SampleEvery int `json:"sample_every"` // steps between samples; negative or 0: none
	SaveEvery   int `json:"save_every"`   // steps between checkpoints; Steps/10, at most 1000; negative: at the end only
	Keep        int `json:"keep"`         // newest checkpoints kept; 2 (and up to two older ones to rewind to)
	LogEvery    int `json:"log_every"`    // steps between lines of metrics.jsonl; 1

	OnSpike     string  `json:"on_spike"`     // rewind, stop or ignore; rewind. A loss or gradient that is no number stops a run that ignores spikes
	SpikeFactor float64 `json:"spike_factor"` // a spike is a loss above this many times the median of the window; 2
	SpikeWindow int     `json:"spike_window"` // losses that the median is taken of; 32
	RewindSteps int     `json:"rewind_steps"` // go back at least so far (PaLM, section 5.1: about 100); Steps/50, 1 to 100
	SkipBatches int     `json:"skip_batches"` // leave out at least so many steps' batches from there on (PaLM: 200 to 500); 3·RewindSteps
	MaxRewinds  int     `json:"max_rewinds"`  // a run that rewound so often stops at the next spike; 10

	OnAlarm    string `json:"on_alarm"`    // when an objective sees that nothing is learnt: warn or stop; warn
	AlarmSteps int    `json:"alarm_steps"` // steps one after the other, behind the warm-up, of which it sees so; Steps/5, 1 to 100

	RunDir    string  `json:"-"` // the run directory; empty: nothing is written, and nothing can be rewound
	Resume    bool    `json:"-"` // go on from the newest whole checkpoint; without it a directory that holds one is refused
	PeakFLOPs float64 `json:"-"` // this machine's live peak in FLOP/s, for PeakShare; 0: unknown
}

// Resolve fills in the defaults and checks every field; an error names the field as its flag.
func (o Options) Resolve(s model.Sizes) (Options, error) {
	set := func(p *int, v int) {
		if *p == 0 {
			*p = v
		}
	}
	setF := func(p *float64, v float64) {
		if *p == 0 {
			*p = v
		}
	}
	set(&o.Batch, 8)
	set(&o.Seq, s.Context)
	if o.Seq > 0 {
		set(&o.Micro, max(1, min(o.Batch, 4096/o.Seq)))
	}
	setF(&o.LR, 1e-3)
	setF(&o.MinLR, 0.1)
	set(&o.Warmup, min(200, o.Steps/10))
	setF(&o.DecayShare, 0.2)
	setF(&o.Beta1, 0.9)
	setF(&o.Beta2, 0.95)
	setF(&o.Eps, 1e-8)
	setF(&o.Momentum, 0.95)
	setF(&o.WeightDecay, 0.1)
	setF(&o.Clip, 1)
	set(&o.ValEvery, max(1, o.Steps/10))
	set(&o.SaveEvery, max(1, min(1000, o.Steps/10)))
	set(&o.Keep, 2)
	set(&o.LogEvery, 1)
	setF(&o.SpikeFactor, 2)
	set(&o.SpikeWindow, 32)
	set(&o.RewindSteps, max(1, min(100, o.Steps/50)))
	set(&o.SkipBatches, 3*o.RewindSteps)
	set(&o.MaxRewinds, 10)
	set(&o.AlarmSteps, max(1, min(100, o.Steps/5)))
	for _, c := range []struct {
		flag  string
		v     *string
		known []string
	}{{"schedule", &o.Schedule, Schedules}, {"optimizer", &o.Optimizer, Optimizers}, {"on-spike", &o.OnSpike, OnSpikes},
		{"moments", &o.Moments, Moments}, {"activations", &o.Activations, Activations}, {"on-alarm", &o.OnAlarm, OnAlarms}} {
		if *c.v == "" {
			*c.v = c.known[0]
		}
		if !slices.Contains(c.known, *c.v) {
			return o, fmt.Errorf("train: %s is %q; known: %s", c.flag, *c.v, strings.Join(c.known, ", "))
		}
	}
	return o, o.check(s)
}

func (o Options) check(s model.Sizes) error {
	for _, f := range []struct {
		flag string
		v    int
	}{
		{"steps", o.Steps}, {"batch", o.Batch}, {"micro", o.Micro}, {"seq", o.Seq}, {"keep", o.Keep}, {"log-every", o.LogEvery},
		{"spike-window", o.SpikeWindow}, {"rewind-steps", o.RewindSteps}, {"skip-batches", o.SkipBatches}, {"max-rewinds", o.MaxRewinds}, {"alarm-steps", o.AlarmSteps},
	} {
		if f.v < 1 {
			return fmt.Errorf("train: %s is %d, it must be at least 1", f.flag, f.v)
		}
	}
	for _, f := range []struct {
		flag     string
		v, limit float64
	}{
		{"lr", o.LR, 1e3}, {"eps", o.Eps, 1}, {"beta1", o.Beta1, 1}, {"beta2", o.Beta2, 1}, {"momentum", o.Momentum, 1}, {"decay-share", o.DecayShare, 1.000001},
	} {
		if !(f.v > 0 && f.v < f.limit) {
			return fmt.Errorf("train: %s is %v, not between 0 and %v", f.flag, f.v, f.limit)
		}
	}
	switch {
	case o.Batch > maxTokens/o.Seq:
		return fmt.Errorf("train: batch %d of %d tokens each: more than %d tokens per step", o.Batch, o.Seq, maxTokens)
	case o.Seq > s.Context:
		return fmt.Errorf("train: seq is %d, the model's context is %d", o.Seq, s.Context)
	case o.Micro > o.Batch:
		return fmt.Errorf("train: micro is %d, larger than batch %d", o.Micro, o.Batch)
	case o.Warmup > o.Steps:
		return fmt.Errorf("train: warmup is %d, the run has %d steps", o.Warmup, o.Steps)
	case o.Recompute && o.Activations != "f32":
		return fmt.Errorf("train: activations %s and recompute exclude each other: recomputation keeps no activations", o.Activations)
	case !(o.SpikeFactor > 1):
		return fmt.Errorf("train: spike-factor is %v, it must be above 1", o.SpikeFactor)
	case !(o.MinLR <= 1):
		return fmt.Errorf("train: min-lr is %v, a fraction of lr", o.MinLR)
	case !(o.ZLoss >= 0 && o.ZLoss < 1):
		return fmt.Errorf("train: z-loss is %v, not within 0 to 1", o.ZLoss)
	case !(o.EMA >= 0 && o.EMA < 1):
		return fmt.Errorf("train: ema is %v, not within 0 to 1", o.EMA)
	case o.Clip != o.Clip || o.WeightDecay != o.WeightDecay:
		return fmt.Errorf("train: clip is %v, weight-decay %v", o.Clip, o.WeightDecay)
	case o.WeightDecay*o.LR >= 1:
		return fmt.Errorf("train: lr %v times weight-decay %v is not below 1: a step would wipe the weights out", o.LR, o.WeightDecay)
	}
	return nil
}

// momentType is the type that AdamW's moments are stored in.
func (o Options) momentType() kernel.DType {
	if o.Moments == "bf16" {
		return kernel.BF16
	}
	return kernel.F32
}

// maxTokens bounds the tokens of a step, which stand in memory as ids and targets: 2 GB of them.
const maxTokens = 1 << 28

// maths are the fields, by JSON name, that a resumed run must share with the saved one.
var maths = strings.Fields(`steps batch micro seq lr min_lr warmup schedule decay_share optimizer beta1 beta2 eps momentum weight_decay
	clip z_loss seed moments activations ema`)

// ofRate are those that bear on nothing but the learning rates: they may change where the rates of the steps that are done stay the same.
var ofRate = strings.Fields("steps min_lr warmup schedule decay_share")
