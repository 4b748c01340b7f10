package scaling

import (
	"math"
	"strings"
	"testing"

	"github.com/plinth-ml/plinth/model"
)

// Hoffmann et al. 2022, appendix D.4: at 1e21 FLOPs approach 1 wants 2.86 billion parameters, and Kaplan's law 4.68, which is its optimum
// for half the compute: at the critical batch C is twice C_min.
func TestHoffmannAgainstKaplan(t *testing.T) {
	l, err := planLaw("approach-1")
	if err != nil {
		t.Fatal(err)
	}
	N, _ := l.Optimum(1e21)
	wantNear(t, "approach 1", N, 2.86e9, 0.003)
	wantNear(t, "Kaplan", KaplanOptimum(1e21/2/PFDay).N, 4.68e9, 0.003)
}

// The tokens that tables 3 and A3 print beside FLOPs and parameters.
func TestApproachTables(t *testing.T) {
	for name, tokens := range map[string][]float64{
		"approach-1": {8.0e9, 20.2e9, 205.1e9, 1.5e12, 3.7e12, 5.9e12, 11.0e12, 21.2e12, 216.2e12},
		"approach-2": {7.7e9, 20.0e9, 219.5e9, 1.7e12, 4.3e12, 7.1e12, 13.4e12, 26.5e12, 292.0e12},
	} {
		l, err := planLaw(name)
		if err != nil {
			t.Fatal(err)
		}
		a := l.Predictor.(allocation)
		for i, C := range a.flops {
			N, D := l.Optimum(C)
			wantNear(t, name+" parameters", N, hoffmannSizes[i], 1e-12)
			wantNear(t, name+" tokens", D, tokens[i], 0.05)
		}
		// Exponents of table 2: 0.50 and 0.49.
		lo, _ := l.Optimum(1e15)
		hi, _ := l.Optimum(1e31)
		wantNear(t, name+" exponent", math.Log(hi/lo)/math.Log(1e16), map[string]float64{"approach-1": 0.50, "approach-2": 0.49}[name], 0.01)
	}
}

// Every size from a million to a trillion has a shape, as lean as published models.
func TestShapeFor(t *testing.T) {
	for _, o := range []ShapeOptions{{Vocab: 4096, Context: 256}, {}, {HeadDim: 128}, {Count: model.NoEmbeddings}} {
		for N := 3e6; N < 1.1e12; N *= 1.37 {
			if N < 60e6 && o.Vocab == 0 && o.Count == model.AllParams || N < 1e7 && o.Count == model.NoEmbeddings {
				continue // embeddings alone are as many
			}
			s, err := ShapeFor(N, o)
			if err != nil {
				t.Fatalf("%+v: %v", o, err)
			}
			miss := 0.05
			if N < 1e9 {
				miss = 0.09
			}
			wantNear(t, "the shape's count", float64(s.Params().By(o.Count)), N, miss)
			if s.Width != s.Heads*s.HeadDim || s.Width%64 != 0 || s.Width > 1024 && s.Width%128 != 0 {
				t.Errorf("%g: width %d, heads %d x %d", N, s.Width, s.Heads, s.HeadDim)
			}
			if r := float64(s.Width) / float64(s.Layers); r < 15 || r > 290 {
				t.Errorf("%g: %d layers of width %d", N, s.Layers, s.Width)
			}
		}
	}
	if _, err := ShapeFor(1e6, ShapeOptions{}); err == nil {
		t.Error("a million parameters hold an embedding of 38 million")
	}
	for _, o := range []ShapeOptions{{Tensor: 8}, {Stages: 6}, {Tensor: 7, Stages: 4}} {
		for _, N := range []float64{1e9, 3e9, 70e9} {
			s, err := ShapeFor(N, o)
			if err != nil || s.Heads%max(1, o.Tensor) != 0 || s.Layers%max(1, o.Stages) != 0 {
				t.Errorf("%g, %+v: %d layers, %d heads, %v", N, o, s.Layers, s.Heads, err)
			}
		}
	}
}

// The rules at the published models: GPT-3's rates exactly, MT-NLG's rate and batch nearly.
func TestTrainingRules(t *testing.T) {
	for _, p := range PublishedModels {
		if strings.HasPrefix(p.Name, "gpt3-") {
			wantNear(t, p.Name+" rate", LearningRate(float64(p.Shape.Params().Total())), p.LR, 0.005)
			wantNear(t, p.Name+" warm-up", WarmupTokens(p.Tokens), p.Warmup, 1e-12)
		}
	}
	wantNear(t, "MT-NLG's rate", LearningRate(530e9), 5e-5, 0.2)
	wantNear(t, "MT-NLG's batch", BatchTokens(270e9), 1920*2048, 0.05)
	wantNear(t, "GPT-2 small's batch", BatchTokens(12*124439808), 524288, 1e-12)
}

// All four budgets lead to the same plan.
func TestPlanBudgets(t *testing.T) {
	base, err := Plan(PlanOptions{FLOPs: 1e21})
	if err != nil {
		t.Fatal(err)
	}
	d := a100(t)
	device := 3600 * d.Peak * 0.5
	for name, o := range map[string]PlanOptions{
		"hours": {Hours: 1e21 / device / 64, Device: d, Devices: 64, MFU: 0.5},
		"money": {Money: 3 * 1e21 / device, Price: 3, Device: d, MFU: 0.5},
		"loss":  {TargetLoss: *base.Laws[4].Loss},
	} {
		r, err := Plan(o)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		wantNear(t, name, r.Budget, 1e21, 1e-9)
		if r.Shape.Params != base.Shape.Params || r.By != "epoch" {
			t.Errorf("%s: %+v, want %+v", name, r.Shape, base.Shape)
		}
		if c := r.Cost; c != nil { // what was paid for is what is done
			wantNear(t, name+" device hours", c.DeviceHours, 1e21/device, 1e-9)
		}
	}
	if base.Laws[4].Name != "epoch" || *base.Laws[4].Excess != 0 {
		t.Errorf("%+v", base.Laws[4])
	}
	for _, l := range base.Laws {
		wantNear(t, l.Name+" spends", 6*l.N*l.D, 1e21, 1e-9)
		if (l.Excess == nil) != (l.Name == "kaplan") || l.Excess != nil && *l.Excess < -1e-12 {
			t.Errorf("%s: %+v", l.Name, l)
		}
	}
}

// A layout's own utilisation decides what hours buy.
func TestPlanHoursWithLayout(t *testing.T) {
	d, err := DeviceByName("h100")
	if err != nil {
		t.Fatal(err)
	}
	r, err := Plan(PlanOptions{Hours: 24, Devices: 8, Device: d, Search: true, Price: 2})
	if err != nil {
		t.Fatal(err)
	}
	wantNear(t, "hours", r.Cost.Hours, 24, 0.01)
	wantNear(t, "money", r.Cost.Money, 2*8*24, 0.01)
	if !r.Cost.Layout.Fits || r.Cost.Layout.Batch != r.Training.Batch || r.Training.CriticalBatch == 0 {
		t.Errorf("%+v", r.Cost.Layout)
	}
}

func TestPlanYours(t *testing.T) {
	l := Law{E: 1.5, A: 300, B: 900, Alpha: 0.33, Beta: 0.32}
	worse, better := l, l
	worse.E, better.E = 1.6, 1.4
	r, err := Plan(PlanOptions{FLOPs: 1e20, Law: &LawFile{Law: l, Convention: AllParams, C: Span{1e16, 1e18}, Draws: []Law{worse, l, better}}, Unique: 1e9})
	if err != nil {
		t.Fatal(err)
	}
	row := r.Laws[len(r.Laws)-1]
	if r.By != "yours" || row.Name != "yours" || row.LRange == nil || row.Beyond != 100 || !(row.LRange.Low < *row.Loss && *row.Loss < row.LRange.High) {
		t.Errorf("%+v", row)
	}
	if q := r.Repeated; q == nil || !(q.Loss > q.Fresh && q.Worth < r.Training.Tokens && q.Worth > 1e9) {
		t.Errorf("%+v", q)
	}
	// Each row reaches the same loss; what training costs more is paid back by inference at PaysAt.
	N, D := float64(r.Shape.Params), r.Training.Tokens
	for _, o := range r.Over {
		if o.D == 0 {
			if o.N*1e9 > 1e30 || l.Loss(o.N, 1e30) < l.Loss(N, D) {
				t.Errorf("%+v reaches the loss", o)
			}
			continue
		}
		wantNear(t, "loss", l.Loss(o.N, o.D), l.Loss(N, D), 1e-9)
		wantNear(t, "whole cost", 6*o.N*o.D+2*o.N*o.PaysAt, 6*N*D+2*N*o.PaysAt, 1e-9)
		if o.Compute < 1-0.01 {
			t.Errorf("%+v costs less than the optimum", o)
		}
	}
}

func TestPlanErrors(t *testing.T) {
	d := a100(t)
	for want, o := range map[string]PlanOptions{
		"flops, or one of":           {},
		"flops is -1":                {FLOPs: -1},
		"flops is NaN":               {FLOPs: math.NaN()},
		"hours is -2":                {Hours: -2, Devices: 1, Device: d},
		"flops, or one of hours":     {FLOPs: 1e20, Hours: 1},
		"device is missing":          {Hours: 1, Devices: 3},
		"devices is 0":               {Hours: 1, Device: d},
		"devices is -1":              {Hours: 1, Device: d, Devices: -1},
		"price is 0":                 {Money: 1, Device: d},
		"price is -1":                {Money: 1, Device: d, Price: -1},
		"mfu is 1.5":                 {Hours: 1, Device: d, Devices: 1, MFU: 1.5},
		"target_loss 1.5 is out":     {TargetLoss: 1.5},
		"target_loss 1e+06 is":       {TargetLoss: 1e6},
		"target_loss needs":          {TargetLoss: 2, By: "approach-1"},
		"by \"newton\"":              {FLOPs: 1e20, By: "newton"},
		"by is yours":                {FLOPs: 1e20, By: "yours"},
		"vocab 50257":                {FLOPs: 1e12},
		"devices is 64, but data 8":  {FLOPs: 1e20, Device: d, Devices: 64, Layout: &Layout{Data: 8}},
		"devices is 0, not positive": {FLOPs: 1e20, Device: d, Search: true},
		"device is missing: a":       {FLOPs: 1e20, Devices: 8, Layout: &Layout{Tensor: 8}},
		"efficiency is 2":            {FLOPs: 1e20, Device: d, Efficiency: 2},
		"devices 1 are too few":      {FLOPs: 1e24, Device: d, Devices: 1, Search: true},
		"batch 1 cannot be divided":  {FLOPs: 1e20, Device: d, Devices: 64, Search: true, Batch: 1},
	} {
		if _, err := Plan(o); err == nil || !strings.Contains(err.Error(), "scaling: "+want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

// A plan has the loss of its own model, and what a device of its machine holds at least; Kaplan's is that of his compute-efficient training.
func TestPlanLoss(t *testing.T) {
	r, err := Plan(PlanOptions{FLOPs: 5e23, Device: a100(t), Devices: 8})
	if err != nil {
		t.Fatal(err)
	}
	epoch, err := planLaw("epoch")
	if err != nil {
		t.Fatal(err)
	}
	wantNear(t, "the plan's loss", *r.Loss, epoch.Loss(float64(r.Shape.Params), r.Training.Tokens), 1e-12)
	if l := r.Cost.Leanest; l == nil || l.Fits || l.Memory.Total < 18*float64(r.Shape.Params)/8 {
		t.Errorf("68 G parameters on eight devices: %+v", l)
	}
	if r, err = Plan(PlanOptions{FLOPs: 1e20, Device: a100(t), Devices: 8}); err != nil || !r.Cost.Leanest.Fits {
		t.Errorf("1e20 FLOPs on eight devices: %v", err)
	}
	if r, err = Plan(PlanOptions{FLOPs: PFDay, By: "kaplan"}); err != nil {
		t.Fatal(err)
	}
	wantNear(t, "Kaplan's loss at a PF-day", *r.Loss, math.Pow(3.1e8, 0.05), 1e-9) // L(C_min), table 5
	if len(r.Over) > 0 {
		t.Error("Kaplan's L(N, D) is not of compute-efficient training")
	}
	if r, err = Plan(PlanOptions{FLOPs: 1e20, By: "approach-1"}); err != nil || r.Loss != nil {
		t.Errorf("approach 1 has no loss: %+v, %v", r, err)
	}
}

// On MT-NLG's machine Search finds what its authors' colleagues did a year later, and nothing that does not fit.
func TestSearch(t *testing.T) {
	p, d := published(t, "mt-nlg-530b"), a100(t)
	list, err := Search(p.Shape, p.Batch, 2240, d, "mixed18", 0.66, 50)
	if err != nil {
		t.Fatal(err)
	}
	best := list[0]
	if l := best.Layout; l.Tensor != 8 || l.Pipeline != 35 || l.Interleave != 3 || !l.Sequence {
		t.Errorf("the best layout is %+v", l)
	}
	// Korthikanti et al. 2022, section 6.3: 39.15 s for 2240 sequences on these 2240 devices, with selective recomputation.
	wantNear(t, "their step", best.Step.Total*2240/float64(best.Batch), 39.15, 0.1)
	theirs := Layout{Data: 8, Tensor: 8, Pipeline: 35, Micro: 1, Recompute: model.RecomputeFull}
	if s := theirs.Step(p.Shape, p.Batch, d, 0.66); s.Total <= best.Step.Total {
		t.Errorf("the published layout takes %v s, the search's best %v", s.Total, best.Step.Total)
	}
	for i, q := range list {
		if q.Memory.Total > Headroom*d.Memory || !q.Fits || q.Layout.Check(p.Shape, q.Batch, 2240) != nil {
			t.Errorf("%+v", q)
		}
		if i > 0 && q.Step.Total/float64(q.Batch) < list[i-1].Step.Total/float64(list[i-1].Batch) {
			t.Errorf("number %d is faster than the one before", i)
		}
	}
	if _, err := Search(p.Shape, 1920, 8, Device{Name: "1e15", Peak: 1e15}, "", 0.5, 1); err == nil {
		t.Error("a search without memory")
	}
}

// All published models can be laid beside the optimum. Gopher and Chinchilla spent about the same compute; the second is the optimum of it.
func TestPlanPublished(t *testing.T) {
	same := map[string]float64{}
	for _, p := range PublishedModels {
		r, err := PlanPublished(p, PlanOptions{})
		if err != nil {
			t.Fatalf("%s: %v", p.Name, err)
		}
		if r.Excess < 0 || r.SameLoss > 1.0001 {
			t.Errorf("%s: %+v", p.Name, r)
		}
		same[p.Name] = r.SameLoss
	}
	wantNear(t, "Chinchilla", same["chinchilla-70b"], 1, 0.01)
	if same["gopher-280b"] > 0.6 || same["mt-nlg-530b"] > 0.4 {
		t.Errorf("%v", same)
	}
	mt, palm := published(t, "mt-nlg-530b"), published(t, "palm-540b")
	for p, seconds := range map[*PublishedModel]float64{&mt: 60.1, &palm: 2048 * 2048 / 238.3e3} {
		r, err := PlanPublished(*p, PlanOptions{})
		if err != nil {
			t.Fatal(err)
		}
		wantNear(t, p.Name+" step at the published MFU", r.StepTime, seconds, 0.002)
		if r.Layout == nil || !r.Layout.Fits {
			t.Errorf("%s: %+v", p.Name, r.Layout)
		}
	}
	r, err := PlanPublished(mt, PlanOptions{Devices: 3360})
	if err != nil || r.Layout.Layout.Data != 12 {
		t.Errorf("420 servers: %+v, %v", r, err)
	}
	if _, err := PlanPublished(mt, PlanOptions{Devices: 2241}); err == nil || !strings.Contains(err.Error(), "devices is 2241") {
		t.Errorf("2241 devices: %v", err)
	}
	if _, err := PlanPublished(published(t, "gpt2"), PlanOptions{Search: true}); err == nil {
		t.Error("a search without devices")
	}
}
