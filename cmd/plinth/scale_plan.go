package main

import (
	"github.com/plinth-ml/plinth/model"
	"github.com/plinth-ml/plinth/scaling"
)

type scalePlanCmd struct {
	FLOPs      *float64 `name:"flops" group:"Budget (one of them):" help:"Budget in FLOPs of training." placeholder:"F"`
	Hours      *float64 `group:"Budget (one of them):" help:"Budget in hours of --devices." placeholder:"H"`
	Money      *float64 `group:"Budget (one of them):" help:"Budget in money, for device hours at --price." placeholder:"M"`
	TargetLoss *float64 `group:"Budget (one of them):" help:"The least compute for which the deciding law predicts this loss." placeholder:"L"`
	Published  string   `group:"Budget (one of them):" help:"A published model, laid out as its authors did: gpt3-175b, mt-nlg-530b, palm-540b, ...; gpt3 or all compares several." placeholder:"NAME"`

	Device  string  `group:"Machine:" help:"Name of a device, or its peak in FLOP/s." placeholder:"NAME|F"`
	Devices int     `group:"Machine:" help:"How many." placeholder:"N"`
	MFU     float64 `name:"mfu" group:"Machine:" help:"Share of peak that the model's FLOPs reach; 0 means 0.4." default:"0" placeholder:"X"`
	Price   float64 `group:"Machine:" help:"Price of a device for an hour." placeholder:"M"`

	By      string  `group:"Model:" help:"Law that decides: approach-1, approach-2, hoffmann, hoffmann-unrounded, epoch, muennighoff, kaplan, or yours. Default: yours with --law, otherwise epoch." placeholder:"NAME"`
	Law     string  `group:"Model:" help:"Your own law, a file that plinth scale fit wrote." placeholder:"FILE"`
	Vocab   int     `group:"Model:" default:"50257" help:"Vocabulary." placeholder:"N"`
	Context int     `group:"Model:" default:"2048" help:"Tokens of a sequence." placeholder:"N"`
	HeadDim int     `group:"Model:" default:"0" help:"Size of an attention head; 0 means 64 below 2 G parameters, 128 above." placeholder:"N"`
	Count   string  `group:"Model:" default:"all" enum:"all,no-positions,no-embeddings" help:"What the shown N counts: all, no-positions, no-embeddings (Kaplan's)."`
	Seen    bool    `group:"Model:" help:"Count attention as the pairs that the mask leaves, not as the full square."`
	Unique  float64 `group:"Model:" help:"Tokens of text at hand; more are repetitions." placeholder:"D"`
	Batch   int     `group:"Model:" default:"0" help:"Sequences in a step; 0 means the rule." placeholder:"N"`

	Search     bool    `group:"Layout:" help:"Find the layout that fits into memory and is estimated fastest."`
	Data       int     `group:"Layout:" help:"Replicas; 0 means what is left." default:"0" placeholder:"N"`
	Tensor     int     `group:"Layout:" help:"Devices that share each layer." default:"0" placeholder:"N"`
	Pipeline   int     `group:"Layout:" help:"Stages of layers." default:"0" placeholder:"N"`
	Micro      int     `group:"Layout:" help:"Sequences in a micro-batch." default:"0" placeholder:"N"`
	Interleave int     `group:"Layout:" help:"Stages on one device." default:"0" placeholder:"N"`
	Zero       int     `group:"Layout:" help:"ZeRO stage: shard the optimiser (1), gradients too (2), weights too (3)." default:"0" placeholder:"N"`
	Shards     int     `group:"Layout:" help:"Replicas that ZeRO shards over; 0 means all." default:"0" placeholder:"N"`
	Sequence   bool    `group:"Layout:" help:"Split norms and dropout along the sequence, among the devices of --tensor."`
	Recompute  string  `group:"Layout:" default:"none" enum:"none,fused,selective,full" help:"Activations made again in the backward pass: none, fused (scores, never stored), selective (attention), full."`
	Precision  string  `group:"Layout:" default:"mixed18" enum:"fp32,mixed16,mixed18,mixed20,adafactor" help:"Bytes of a parameter with gradient and optimiser: fp32, mixed16, mixed18, mixed20, adafactor."`
	Efficiency float64 `group:"Layout:" default:"0.6" help:"Share of peak inside products." placeholder:"X"`
}

func (*scalePlanCmd) Help() string {
	return "Example: plinth scale plan --flops 1e21\n         plinth scale plan --hours 24 --devices 8 --device h100 --search\n         plinth scale plan --published mt-nlg-530b"
}

func (p *scalePlanCmd) Run(c *common) error {
	o, err := p.options()
	if err != nil {
		return err
	}
	if p.Published != "" {
		if list := scaling.ModelFamily(p.Published); len(list) > 1 {
			return p.table(c, list, o)
		}
		m, err := scaling.ModelByName(p.Published)
		if err != nil {
			return usagef("--published: %w", err)
		}
		r, err := scaling.PlanPublished(m, o)
		if err != nil {
			return flagError(err)
		}
		return c.finish(r, publishedText(r))
	}
	r, err := scaling.Plan(o)
	if err != nil {
		return flagError(err)
	}
	return c.finish(r, planText(r))
}

// table compares several published models with the optimum.
func (p *scalePlanCmd) table(c *common, list []scaling.PublishedModel, o scaling.PlanOptions) error {
	if o.Layout != nil || o.Search {
		return usagef("--published %s is %d models: a layout needs one", p.Published, len(list))
	}
	var rows []*scaling.PublishedPlan
	for _, m := range list {
		r, err := scaling.PlanPublished(m, o)
		if err != nil {
			return flagError(err)
		}
		rows = append(rows, r)
	}
	return c.finish(map[string]any{"models": rows}, publishedTable(rows))
}

// options checks what the library cannot see.
func (p *scalePlanCmd) options() (scaling.PlanOptions, error) {
	o := scaling.PlanOptions{Devices: p.Devices, MFU: p.MFU, Price: p.Price,
		By: p.By, Rule: scaling.ShapeOptions{Vocab: p.Vocab, Context: p.Context, HeadDim: p.HeadDim, Count: model.Conventions[p.Count]},
		Seen: p.Seen, Unique: p.Unique, Batch: p.Batch, Search: p.Search, Precision: p.Precision, Efficiency: p.Efficiency}
	given := 0
	for _, f := range []struct {
		name string
		flag *float64
		to   *float64
	}{{"flops", p.FLOPs, &o.FLOPs}, {"hours", p.Hours, &o.Hours}, {"money", p.Money, &o.Money}, {"target-loss", p.TargetLoss, &o.TargetLoss}} {
		if f.flag == nil {
			continue
		}
		if !(*f.flag > 0) {
			return o, usagef("--%s is %v, not positive", f.name, *f.flag)
		}
		*f.to = *f.flag
		given++
	}
	if p.Published != "" {
		given++
	}
	if given != 1 {
		return o, usagef("give one budget, --flops, --hours, --money or --target-loss, or a --published model: there are %d", given)
	}
	for _, f := range []struct {
		name string
		v    int
	}{{"vocab", p.Vocab}, {"context", p.Context}} {
		if f.v < 1 || f.v > 1<<24 {
			return o, usagef("--%s %d is not within 1 to %d", f.name, f.v, 1<<24)
		}
	}
	switch {
	case p.HeadDim < 0 || p.HeadDim > 1<<12:
		return o, usagef("--head-dim %d is not within 0 to %d", p.HeadDim, 1<<12)
	case p.Efficiency == 0:
		return o, usagef("--efficiency is 0, not positive")
	}
	if p.Device != "" {
		d, err := scaling.DeviceByName(p.Device)
		if err != nil {
			return o, usagef("--device: %w", err)
		}
		o.Device = d
	}
	if p.Law != "" {
		var err error
		if o.Law, err = scaling.ReadLaw(p.Law); err != nil {
			return o, err
		}
	}
	var err error
	o.Layout, err = p.layout()
	return o, err
}

// layout is nil where no flag asks for one.
func (p *scalePlanCmd) layout() (*scaling.Layout, error) {
	recompute, err := model.RecomputeByName(p.Recompute)
	if err != nil {
		return nil, usagef("--%w", err)
	}
	l := scaling.Layout{Data: p.Data, Tensor: p.Tensor, Pipeline: p.Pipeline, Micro: p.Micro, Interleave: p.Interleave, ZeRO: p.Zero,
		Shards: p.Shards, Sequence: p.Sequence, Recompute: recompute, Precision: p.Precision}
	if l == (scaling.Layout{Precision: p.Precision}) {
		return nil, nil
	}
	if p.Search {
		return nil, usagef("--search finds the layout: leave --data, --tensor, --pipeline, --micro, --interleave, --zero, --shards, --sequence and --recompute out")
	}
	return &l, nil
}
