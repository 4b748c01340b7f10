package main

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/plinth-ml/plinth/model"
	"github.com/plinth-ml/plinth/scaling"
)

type scalePlanCmd struct {
	FLOPs      *float64 `name:"flops" group:"Budget (one of them):" help:"Budget in FLOPs of training." placeholder:"F"`
	Hours      *float64 `group:"Budget (one of them):" help:"Budget in hours of --devices." placeholder:"H"`
	Money      *float64 `group:"Budget (one of them):" help:"Budget in money, for device hours at --price." placeholder:"M"`
	TargetLoss *float64 `group:"Budget (one of them):" help:"The least compute for which the deciding law predicts this loss." placeholder:"L"`
	Published  string   `group:"Budget (one of them):" help:"A published model, laid out as its authors did: gpt3-175b, mt-nlg-530b, palm-540b, ...; gpt3 or all compares several." placeholder:"NAME"`

	Device  string   `group:"Machine:" help:"Name of a device, or its peak in FLOP/s." placeholder:"NAME|F"`
	Devices int      `group:"Machine:" help:"How many." placeholder:"N"`
	MFU     float64  `name:"mfu" group:"Machine:" help:"Share of peak that the model's FLOPs reach; 0 means 0.4." default:"0" placeholder:"X"`
	Price   *float64 `group:"Machine:" help:"Price of a device for an hour." placeholder:"M"`

	By      string   `group:"Model:" help:"Law that decides: approach-1, approach-2, hoffmann, hoffmann-unrounded, epoch, muennighoff, kaplan, or yours. Default: yours with --law, otherwise epoch." placeholder:"NAME"`
	Law     string   `group:"Model:" help:"Your own law, a file that plinth scale fit wrote." placeholder:"FILE"`
	Vocab   *int     `group:"Model:" help:"Vocabulary (default: 50257)." placeholder:"N"`
	Context *int     `group:"Model:" help:"Tokens of a sequence (default: 2048)." placeholder:"N"`
	HeadDim *int     `group:"Model:" help:"Size of an attention head; 0 means 64 below 2 G parameters, 128 above." placeholder:"N"`
	Count   string   `group:"Model:" default:"all" enum:"all,no-positions,no-embeddings" help:"What the shown N counts: all, no-positions, no-embeddings (Kaplan's)."`
	Seen    bool     `group:"Model:" help:"Count attention as the pairs that the mask leaves, not as the full square."`
	Unique  *float64 `group:"Model:" help:"Tokens of text at hand; more are repetitions." placeholder:"D"`
	Batch   int      `group:"Model:" default:"0" help:"Sequences in a step; 0 means the rule." placeholder:"N"`

	Search     bool    `group:"Layout:" help:"Find the layout that fits into memory and is estimated fastest."`
	Data       *int    `group:"Layout:" help:"Replicas; 0 means what is left." placeholder:"N"`
	Tensor     *int    `group:"Layout:" help:"Devices that share each layer." placeholder:"N"`
	Pipeline   *int    `group:"Layout:" help:"Stages of layers." placeholder:"N"`
	Micro      *int    `group:"Layout:" help:"Sequences in a micro-batch." placeholder:"N"`
	Interleave *int    `group:"Layout:" help:"Stages on one device." placeholder:"N"`
	Zero       *int    `group:"Layout:" help:"ZeRO stage: shard the optimiser (1), gradients too (2), weights too (3)." placeholder:"N"`
	Shards     *int    `group:"Layout:" help:"Replicas that ZeRO shards over; 0 means all." placeholder:"N"`
	Sequence   *bool   `group:"Layout:" help:"Split norms and dropout along the sequence, among the devices of --tensor."`
	Recompute  *string `group:"Layout:" help:"Activations made again in the backward pass: none (default), fused (scores, never stored), selective (attention), full."`
	Precision  *string `group:"Layout:" help:"Bytes of a parameter with gradient and optimiser: fp32, mixed16, mixed18 (default), mixed20, adafactor."`
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
		if o.Layout, err = p.layout(m.Layout); err != nil {
			return err
		}
		r, err := scaling.PlanPublished(m, o)
		if err != nil {
			return flagError(err)
		}
		return errors.Join(c.finish(r, publishedText(r)), fits(r.Device, r.Layout, r.Leanest))
	}
	if o.Layout, err = p.layout(scaling.Layout{}); err != nil {
		return err
	}
	r, err := scaling.Plan(o)
	switch {
	case errors.Is(err, scaling.ErrNoShape) && p.Law != "":
		return usagef("%w; a law of your own sweep wants the --vocab and --context of its models", flagError(err))
	case err != nil:
		return flagError(err)
	}
	err = c.finish(r, planText(r))
	if r.Cost != nil {
		err = errors.Join(err, fits(o.Device.Name, r.Cost.Layout, r.Cost.Leanest))
	}
	return err
}

// fits is an error where the layout, or the leanest if none was asked for, is more than a device holds.
func fits(device string, list ...*scaling.Proposal) error {
	for _, p := range list {
		if p != nil && !p.Fits {
			return fmt.Errorf("the model does not fit on %d x %s: %s needs %s of each", p.Layout.Devices(), device, layoutName(p.Layout), gb(p.Memory.Total))
		}
	}
	return nil
}

// table compares several published models with the optimum.
func (p *scalePlanCmd) table(c *common, list []scaling.PublishedModel, o scaling.PlanOptions) error {
	if len(p.layoutFlags()) > 0 || o.Search {
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
	o := scaling.PlanOptions{Devices: p.Devices, MFU: p.MFU, Price: value(p.Price),
		By: p.By, Rule: scaling.ShapeOptions{Vocab: value(p.Vocab), Context: value(p.Context), HeadDim: value(p.HeadDim), Count: model.Conventions[p.Count]},
		Seen: p.Seen, Unique: value(p.Unique), Batch: p.Batch, Search: p.Search, Precision: value(p.Precision), Efficiency: p.Efficiency}
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
		for _, f := range []struct {
			name  string
			given bool
		}{{"vocab", p.Vocab != nil}, {"context", p.Context != nil}, {"head-dim", p.HeadDim != nil}, {"unique", p.Unique != nil}, {"price", p.Price != nil}} {
			if f.given {
				return o, usagef("--%s has no effect on a --published model", f.name)
			}
		}
	}
	if given != 1 {
		return o, usagef("give one budget, --flops, --hours, --money or --target-loss, or a --published model: there are %d", given)
	}
	for _, f := range []struct {
		name string
		v    *int
	}{{"vocab", p.Vocab}, {"context", p.Context}} {
		if f.v != nil && (*f.v < 1 || *f.v > 1<<24) {
			return o, usagef("--%s %d is not within 1 to %d", f.name, *f.v, 1<<24)
		}
	}
	switch {
	case o.Rule.HeadDim < 0 || o.Rule.HeadDim > 1<<12:
		return o, usagef("--head-dim %d is not within 0 to %d", o.Rule.HeadDim, 1<<12)
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
		o.Law, err = scaling.ReadLaw(p.Law)
		switch {
		case errors.As(err, new(*fs.PathError)):
			return o, err
		case err != nil:
			return o, fmt.Errorf("--law wants a file that plinth scale fit --out wrote: %w", err)
		}
	}
	return o, nil
}

// layoutFlags names what was given of a layout.
func (p *scalePlanCmd) layoutFlags() []string {
	var given []string
	for _, f := range []struct {
		name  string
		given bool
	}{{"data", p.Data != nil}, {"tensor", p.Tensor != nil}, {"pipeline", p.Pipeline != nil}, {"micro", p.Micro != nil}, {"interleave", p.Interleave != nil}, {"zero", p.Zero != nil},
		{"shards", p.Shards != nil}, {"sequence", p.Sequence != nil}, {"recompute", p.Recompute != nil}, {"precision", p.Precision != nil && !p.Search}} {
		if f.given {
			given = append(given, "--"+f.name)
		}
	}
	return given
}

// layout is l, a published layout or none, with what the flags change; nil where they ask for nothing. Replicas and shards that
// are not given follow the devices.
func (p *scalePlanCmd) layout(l scaling.Layout) (*scaling.Layout, error) {
	given := p.layoutFlags()
	switch {
	case len(given) == 0:
		return nil, nil
	case p.Search:
		return nil, usagef("--search finds the layout: leave %s out", strings.Join(given, ", "))
	}
	if p.Devices > 0 || p.Data != nil || p.Tensor != nil || p.Pipeline != nil {
		l.Data, l.Shards = 0, 0
	}
	replace(&l.Data, p.Data)
	replace(&l.Tensor, p.Tensor)
	replace(&l.Pipeline, p.Pipeline)
	replace(&l.Micro, p.Micro)
	replace(&l.Interleave, p.Interleave)
	replace(&l.ZeRO, p.Zero)
	replace(&l.Shards, p.Shards)
	replace(&l.Sequence, p.Sequence)
	replace(&l.Precision, p.Precision)
	if p.Recompute != nil {
		var err error
		if l.Recompute, err = model.RecomputeByName(*p.Recompute); err != nil {
			return nil, usagef("--%w", err)
		}
	}
	return &l, nil
}

// value is zero for a flag that was not given.
func value[T any](flag *T) (v T) {
	replace(&v, flag)
	return v
}

// replace changes v where the flag was given.
func replace[T any](v, flag *T) {
	if flag != nil {
		*v = *flag
	}
}
