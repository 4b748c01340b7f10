package scaling

import (
	"cmp"
	"fmt"
	"math"

	"github.com/plinth-ml/plinth/model"
)

// PlanOptions ask for a plan. Exactly one budget is given: FLOPs, Hours, Money or TargetLoss.
type PlanOptions struct {
	FLOPs      float64 // of training
	Hours      float64 // of all Devices
	Money      float64 // for device hours at Price
	TargetLoss float64 // the least compute for which law By predicts it

	Device  Device
	Devices int     // 0: not known, no wall-clock
	MFU     float64 // model FLOPs utilisation; 0 means 0.4
	Price   float64 // of a device for an hour; 0: not known

	By   string   // law that decides, in PlanLaws or "yours"; "" means yours where given, else epoch
	Law  *LawFile // yours
	Rule ShapeOptions
	Seen bool // attention's FLOPs are those that the mask leaves, not the full square

	Unique float64 // tokens of text at hand; 0: enough
	Batch  int     // sequences; 0 means BatchTokens

	Layout     *Layout // over Devices
	Search     bool    // for a Layout
	Precision  string  // of Search
	Efficiency float64 // share of peak inside products, of Layout and Search; 0 means 0.6
}

// LawRow is what one law makes of a budget.
type LawRow struct {
	Name   string    `json:"name"`
	Source string    `json:"source"`
	Count  string    `json:"count"` // what N counts
	N      float64   `json:"n"`
	D      float64   `json:"d"`
	Loss   *float64  `json:"loss,omitempty"` // by this law; Kaplan's is L(C_min), of compute-efficient training
	NRange *Interval `json:"n_ci,omitempty"` // of the bootstrap
	LRange *Interval `json:"loss_ci,omitempty"`
	Beyond float64   `json:"beyond,omitempty"` // compute, relative to the largest run of your fit
	Excess *float64  `json:"excess"`           // of loss over the optimum, by the law that decides
}

// ShapeRow is a concrete model.
type ShapeRow struct {
	Shape    model.Shape `json:"-"`
	Layers   int         `json:"layers"`
	Width    int         `json:"width"`
	Heads    int         `json:"heads"`
	HeadDim  int         `json:"head_dim"`
	Context  int         `json:"context"`
	Vocab    int         `json:"vocab"`
	Params   int64       `json:"params"`
	Counted  int64       `json:"counted"`   // by the convention
	PerToken float64     `json:"per_token"` // FLOPs of forward and backward, exact
	Exact    float64     `json:"exact_flops"`
	SixND    float64     `json:"six_nd"`
}

// Training is how the run is driven.
type Training struct {
	Tokens        float64 `json:"tokens"`
	Batch         int     `json:"batch"` // sequences
	BatchTokens   float64 `json:"batch_tokens"`
	CriticalBatch float64 `json:"critical_batch"` // tokens, by Kaplan et al. at the final loss
	Steps         float64 `json:"steps"`
	LR            float64 `json:"lr"`
	Warmup        float64 `json:"warmup_tokens"`
}

// OverRow is a smaller model that is trained longer for the same loss.
type OverRow struct {
	Share   float64 `json:"share"` // of the optimum's N
	N       float64 `json:"n"`
	D       float64 `json:"d"`       // +Inf becomes 0: never
	Compute float64 `json:"compute"` // of training, relative to the optimum
	PaysAt  float64 `json:"pays_at"` // tokens of inference from which it is cheaper in all, at 2N FLOPs each
}

// Repetition is what repeated data costs (Muennighoff et al. 2023).
type Repetition struct {
	Unique float64 `json:"unique"`
	Epochs float64 `json:"epochs"`
	Fresh  float64 `json:"loss_fresh"` // with as many fresh tokens
	Loss   float64 `json:"loss"`       // with the repeated ones
	Worth  float64 `json:"worth"`      // fresh tokens that the repeated are worth
}

// Cost is the time and the money of the run.
type Cost struct {
	DeviceHours float64    `json:"device_hours"`
	Hours       float64    `json:"hours,omitempty"`
	MFU         float64    `json:"mfu"`
	Money       float64    `json:"money,omitempty"`
	Layout      *Proposal  `json:"layout,omitempty"`
	Leanest     *Proposal  `json:"leanest,omitempty"` // the layout with the least memory, where none was asked for
	Others      []Proposal `json:"others,omitempty"`  // the next best of a search
}

// PlanResult is a plan.
type PlanResult struct {
	Budget   float64     `json:"budget_flops"`
	By       string      `json:"by"`
	Laws     []LawRow    `json:"laws"`
	Shape    ShapeRow    `json:"shape"`
	Training Training    `json:"training"`
	Loss     *float64    `json:"loss,omitempty"` // of Shape after Training.Tokens, by the law that decides; nil where it is none of loss
	Over     []OverRow   `json:"over_training"`
	Repeated *Repetition `json:"repeated,omitempty"`
	Cost     *Cost       `json:"cost,omitempty"`
}

// Plan says what a budget is best spent on. Errors begin with the name of the option.
func Plan(o PlanOptions) (*PlanResult, error) {
	r, err := plan(o)
	// What hours and money buy depends on the utilisation of the layout, which depends on the model that they buy.
	buys := o.MFU == 0 && (o.Hours > 0 || o.Money > 0)
	for range 8 {
		if err != nil || !buys || r.Cost.Layout == nil || math.Abs(r.Cost.MFU/cmp.Or(o.MFU, 0.4)-1) < 0.005 {
			break
		}
		o.MFU = r.Cost.MFU
		r, err = plan(o)
	}
	return r, err
}

// plan is Plan at one utilisation.
func plan(o PlanOptions) (*PlanResult, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	laws, judge, err := o.laws()
	if err != nil {
		return nil, err
	}
	C, err := o.budget(judge)
	if err != nil {
		return nil, err
	}
	r := &PlanResult{Budget: C, By: judge.Name, Laws: compare(laws, judge, C, o.Law)}
	N, _ := judge.Optimum(C)
	rule := o.Rule
	rule.Count = model.AllParams
	if judge.Convention == NonEmbedding {
		rule.Count = model.NoEmbeddings
	}
	if l := o.Layout; l != nil {
		rule.Tensor, rule.Stages = l.Tensor, l.Pipeline*l.chunks()
	}
	s, err := ShapeFor(N, rule)
	if err != nil {
		return nil, err
	}
	N = float64(s.Params().By(rule.Count)) // the shape's, from here on
	D := C / 6 / N
	if o.Hours > 0 || o.Money > 0 { // which buy what the model really does
		D = C * float64(s.Context) / s.FLOPs(1, s.Context, model.RecomputeNone).Model(true)
	}
	r.Shape = o.shapeRow(s, D)
	loss := efficientLoss(judge, N, D)
	r.Training = training(s, D, loss, o.Batch)
	if !math.IsNaN(loss) {
		r.Loss = &loss
		if !isKaplan(judge) { // whose law of N and D is of another kind of training
			r.Over = overTrain(judge, N, D)
		}
	}
	if o.Unique > 0 {
		r.Repeated = repeat(N, D, o.Unique)
	}
	if o.Device.Peak > 0 {
		if r.Cost, err = o.cost(s, r); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// check looks at what every plan needs.
func (o PlanOptions) check() error {
	switch {
	case !(o.MFU >= 0 && o.MFU <= 1):
		return fmt.Errorf("scaling: mfu is %v, not within 0 to 1", o.MFU)
	case !(o.Efficiency >= 0 && o.Efficiency <= 1):
		return fmt.Errorf("scaling: efficiency is %v, not within 0 to 1", o.Efficiency)
	case o.Devices < 0:
		return fmt.Errorf("scaling: devices is %d, not positive", o.Devices)
	case !(o.Price >= 0) || math.IsInf(o.Price, 0):
		return fmt.Errorf("scaling: price is %v, not a positive number", o.Price)
	case o.Batch < 0:
		return fmt.Errorf("scaling: batch is %d, not positive", o.Batch)
	case !(o.Unique >= 0):
		return fmt.Errorf("scaling: unique is %v, not a positive number", o.Unique)
	}
	return nil
}

// laws lists what to ask, yours last, and the law that decides.
func (o PlanOptions) laws() (all []PublishedLaw, judge PublishedLaw, err error) {
	all = PlanLaws
	var yours PublishedLaw
	if o.Law != nil {
		yours = PublishedLaw{"yours", fmt.Sprintf("fit to %d runs", o.Law.Runs), o.Law.Convention, o.Law}
		all = append(all[:len(all):len(all)], yours)
	}
	switch {
	case o.By == "yours" && o.Law == nil:
		return nil, judge, fmt.Errorf("scaling: by is yours, but there is no law of yours")
	case o.Law != nil && (o.By == "" || o.By == "yours"):
		return all, yours, nil
	}
	judge, err = planLaw(cmp.Or(o.By, "epoch"))
	return all, judge, err
}

// budget turns what is given into FLOPs.
func (o PlanOptions) budget(judge PublishedLaw) (float64, error) {
	given := 0
	for _, b := range []struct {
		name string
		v    float64
	}{{"flops", o.FLOPs}, {"hours", o.Hours}, {"money", o.Money}, {"target_loss", o.TargetLoss}} {
		if b.v < 0 || math.IsNaN(b.v) || math.IsInf(b.v, 0) {
			return 0, fmt.Errorf("scaling: %s is %v, not a positive number", b.name, b.v)
		}
		if b.v > 0 {
			given++
		}
	}
	mfu := cmp.Or(o.MFU, 0.4)
	switch {
	case given != 1:
		return 0, fmt.Errorf("scaling: flops, or one of hours, money and target_loss, must be positive, and only one")
	case (o.Hours > 0 || o.Money > 0) && o.Device.Peak == 0:
		return 0, fmt.Errorf("scaling: device is missing: hours and money buy FLOPs of a device")
	case (o.Search || o.Layout != nil) && o.Device.Peak == 0:
		return 0, fmt.Errorf("scaling: device is missing: a layout needs one")
	case o.Hours > 0 && o.Devices == 0:
		return 0, fmt.Errorf("scaling: devices is 0, not positive")
	case o.Money > 0 && o.Price == 0:
		return 0, fmt.Errorf("scaling: price is 0, not positive: money buys device hours")
	case o.TargetLoss > 0:
		return ComputeFor(judge, o.TargetLoss)
	case o.Hours > 0:
		return o.Hours * 3600 * float64(o.Devices) * o.Device.Peak * mfu, nil
	case o.Money > 0:
		return o.Money / o.Price * 3600 * o.Device.Peak * mfu, nil
	}
	return o.FLOPs, nil
}

// compare asks every law. The judge's loss counts N by its own convention, so that it judges laws of the same convention only.
func compare(laws []PublishedLaw, judge PublishedLaw, C float64, yours *LawFile) []LawRow {
	var rows []LawRow
	best := judge.Loss(judge.Optimum(C))
	for _, l := range laws {
		N, D := l.Optimum(C)
		row := LawRow{Name: l.Name, Source: l.Source, Count: l.Convention, N: N, D: D}
		if v := efficientLoss(l, N, D); !math.IsNaN(v) {
			row.Loss = &v
		}
		if v := judge.Loss(N, D) - best; !math.IsNaN(v) && l.Convention == judge.Convention && (l.Name == judge.Name || !isKaplan(judge)) {
			row.Excess = &v
		}
		if l.Name == "yours" {
			row.Beyond = C / yours.C.Max
			if len(yours.Draws) > 1 {
				n, _ := yours.OptimumInterval(C)
				loss := yours.LossInterval(N, D)
				row.NRange, row.LRange = &n, &loss
			}
		}
		rows = append(rows, row)
	}
	return rows
}

func (o PlanOptions) shapeRow(s model.Shape, D float64) ShapeRow {
	p := s.Params()
	perToken := s.FLOPs(1, s.Context, model.RecomputeNone).Model(!o.Seen) / float64(s.Context)
	counted := p.By(o.Rule.Count)
	return ShapeRow{Shape: s, Layers: s.Layers, Width: s.Width, Heads: s.Heads, HeadDim: s.Head(), Context: s.Context, Vocab: s.Vocab, Params: p.Total(), Counted: counted,
		PerToken: perToken, Exact: perToken * D, SixND: 6 * float64(counted) * D}
}

// training picks batch, steps, rate and warm-up; batch is in sequences, 0 for the rule, rounded to a power of two.
func training(s model.Shape, D, loss float64, batch int) Training {
	if batch == 0 {
		batch = max(1, 1<<int(max(0, math.Round(math.Log2(BatchTokens(D)/float64(s.Context))))))
	}
	t := Training{Tokens: D, Batch: batch, BatchTokens: float64(batch * s.Context), LR: LearningRate(float64(s.Params().Total())), Warmup: WarmupTokens(D)}
	t.Steps = math.Ceil(D / t.BatchTokens)
	if !math.IsNaN(loss) {
		t.CriticalBatch = KaplanBatch.Tokens(loss)
	}
	return t
}

// overTrain says what the loss of N parameters after D tokens costs with fewer parameters. Inference is 2N FLOPs a token.
func overTrain(l Predictor, N, D float64) []OverRow {
	var rows []OverRow
	for _, share := range []float64{0.75, 0.5, 0.35, 0.25} {
		row := OverRow{Share: share, N: share * N}
		if d := tokensFor(l, row.N, l.Loss(N, D)); !math.IsInf(d, 1) {
			row.D, row.Compute = d, row.N*d/(N*D)
			row.PaysAt = max(0, 6*(row.N*d-N*D)/(2*(N-row.N)))
		}
		rows = append(rows, row)
	}
	return rows
}

// repeat asks Muennighoff's law about D tokens of U unique ones.
func repeat(N, D, U float64) *Repetition {
	r := &Repetition{Unique: U, Epochs: D / min(U, D), Fresh: Muennighoff.RepeatedLoss(N, D, D), Loss: Muennighoff.RepeatedLoss(N, D, U)}
	_, r.Worth = Muennighoff.Effective(N, D, U)
	return r
}

// cost is the time at the given utilisation, or of a layout.
func (o PlanOptions) cost(s model.Shape, r *PlanResult) (*Cost, error) {
	c := &Cost{MFU: cmp.Or(o.MFU, 0.4)}
	efficiency := cmp.Or(o.Efficiency, 0.6)
	switch {
	case (o.Search || o.Layout != nil) && o.Devices == 0:
		return nil, fmt.Errorf("scaling: devices is 0, not positive: a layout divides them")
	case o.Search:
		list, err := Search(s, r.Training.Batch, o.Devices, o.Device, o.Precision, efficiency, 5)
		if err != nil {
			return nil, err
		}
		c.Layout, c.Others = &list[0], list[1:]
		r.Training = training(s, r.Training.Tokens, math.NaN(), list[0].Batch).withCritical(r.Training.CriticalBatch)
	case o.Layout != nil:
		l := o.Layout.Filled(o.Devices)
		if o.Batch == 0 {
			r.Training = training(s, r.Training.Tokens, math.NaN(), nearestMultiple(r.Training.Batch, l.Data*l.Micro)).withCritical(r.Training.CriticalBatch)
		}
		if err := l.Check(s, r.Training.Batch, o.Devices); err != nil {
			return nil, err
		}
		c.Layout = propose(l, s, r.Training.Batch, o.Device, efficiency)
	case o.Devices > 0:
		c.Leanest = leanest(s, r.Training.Batch, o.Devices, o.Device, o.Precision, efficiency)
	}
	flops := r.Shape.PerToken * r.Training.Tokens
	if o.Seen { // a utilisation counts attention as the full square
		flops = s.FLOPs(1, s.Context, model.RecomputeNone).Model(true) / float64(s.Context) * r.Training.Tokens
	}
	if c.Layout != nil {
		c.MFU = c.Layout.Step.MFU
	}
	c.DeviceHours = flops / (o.Device.Peak * c.MFU) / 3600
	c.Money = c.DeviceHours * o.Price
	if o.Devices > 0 {
		c.Hours = c.DeviceHours / float64(o.Devices)
	}
	return c, nil
}

func (t Training) withCritical(tokens float64) Training {
	t.CriticalBatch = tokens
	return t
}
