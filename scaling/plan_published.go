package scaling

import (
	"cmp"
	"fmt"
	"math"

	"github.com/plinth-ml/plinth/model"
)

// PublishedPlan is a published model beside what the laws would have done with its compute.
type PublishedPlan struct {
	Name     string     `json:"name"`
	Year     float64    `json:"year"`
	Source   string     `json:"source"`
	Shape    ShapeRow   `json:"shape"`
	Tokens   float64    `json:"tokens,omitempty"`
	Printed  float64    `json:"printed_flops,omitempty"` // as the authors count
	Training *Training  `json:"training,omitempty"`      // as published: batch, rate and warm-up are 0 where unknown
	Rules    *Training  `json:"rules,omitempty"`         // what our rules say for the same model and tokens
	Budget   float64    `json:"budget_flops,omitempty"`  // 6ND
	By       string     `json:"by,omitempty"`
	Laws     []LawRow   `json:"laws,omitempty"`
	Loss     float64    `json:"loss,omitempty"`      // of the published N and D, by the law that decides
	Excess   float64    `json:"excess,omitempty"`    // over its optimum for the same compute
	SameLoss float64    `json:"same_loss,omitempty"` // share of the compute that the optimum needs for that loss
	Device   string     `json:"device,omitempty"`
	Devices  int        `json:"devices,omitempty"`
	MFU      float64    `json:"mfu,omitempty"`
	StepTime float64    `json:"step_seconds,omitempty"` // at the published utilisation
	Days     float64    `json:"days,omitempty"`
	Layout   *Proposal  `json:"layout,omitempty"`
	Leanest  *Proposal  `json:"leanest,omitempty"` // on the machine asked for, where no layout is known
	Others   []Proposal `json:"others,omitempty"`  // of Search
}

// PlanPublished lays a published model out as its authors did, or as o.Layout or o.Search say on o.Devices, and compares its N and D with the optimum of the same 6ND.
func PlanPublished(p PublishedModel, o PlanOptions) (*PublishedPlan, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	laws, judge, err := o.laws()
	if err != nil {
		return nil, err
	}
	s := p.Shape
	r := &PublishedPlan{Name: p.Name, Year: p.Year, Source: p.Source, Shape: o.shapeRow(s, p.Tokens), Tokens: p.Tokens, Printed: p.FLOPs,
		Device: p.Device, Devices: cmp.Or(o.Devices, p.Devices), MFU: o.MFU}
	if o.Device.Peak == 0 && r.Devices == p.Devices {
		r.MFU = cmp.Or(o.MFU, p.MFU) // on their machine
	}
	batch := cmp.Or(o.Batch, p.Batch)
	if p.Tokens > 0 && !s.Bidirectional {
		convention := model.AllParams
		if judge.Convention == NonEmbedding {
			convention = model.NoEmbeddings
		}
		N := float64(s.Params().By(convention))
		r.Budget, r.By = 6*N*p.Tokens, judge.Name
		r.Laws = compare(laws, judge, r.Budget, o.Law)
		loss := judge.Loss(N, p.Tokens)
		if isKaplan(judge) { // no loss of this training: his optimum's is of another kind
			loss = math.NaN()
		}
		if !math.IsNaN(loss) {
			r.Loss, r.Excess = loss, loss-judge.Loss(judge.Optimum(r.Budget))
			if least, err := ComputeFor(judge, loss); err == nil {
				r.SameLoss = least / r.Budget
			}
		}
		rules := training(s, p.Tokens, loss, 0)
		r.Rules = &rules
	}
	if batch > 0 {
		r.Training = &Training{Tokens: p.Tokens, Batch: batch, BatchTokens: float64(batch * s.Context), LR: p.LR, Warmup: p.Warmup, Steps: math.Ceil(p.Tokens / float64(batch*s.Context))}
	}
	d := o.Device
	if d.Peak == 0 && p.Device != "" {
		if d, err = DeviceByName(p.Device); err != nil {
			return nil, err
		}
	}
	r.Device = d.Name
	if d.Peak == 0 || r.Devices == 0 || batch == 0 {
		if o.Search || o.Layout != nil {
			return nil, fmt.Errorf("scaling: devices and device are needed for a layout of %s", p.Name)
		}
		return r, nil
	}
	if r.MFU > 0 {
		r.StepTime = s.FLOPs(batch, s.Context, model.RecomputeNone).Model(true) / (float64(r.Devices) * d.Peak * r.MFU)
		r.Days = r.StepTime * p.Tokens / float64(batch*s.Context) / 86400
	}
	efficiency := cmp.Or(o.Efficiency, 0.6)
	l := o.Layout
	if l == nil && p.Layout != (Layout{}) && !o.Search {
		l = &p.Layout
		if o.Devices > 0 { // replicas follow the devices
			l.Data, l.Shards = 0, 0
		}
	}
	switch {
	case o.Search:
		list, err := Search(s, batch, r.Devices, d, o.Precision, efficiency, 5)
		if err != nil {
			return nil, err
		}
		r.Layout, r.Others = &list[0], list[1:]
	case l != nil:
		filled := l.Filled(r.Devices)
		if err := filled.Check(s, batch, r.Devices); err != nil {
			return nil, err
		}
		r.Layout = propose(filled, s, batch, d, efficiency)
	case o.Device.Peak > 0 || o.Devices > 0:
		r.Leanest = leanest(s, batch, r.Devices, d, o.Precision, efficiency)
	}
	return r, nil
}
