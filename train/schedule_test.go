package train

import (
	"math"
	"strings"
	"testing"

	"github.com/plinth-ml/plinth/model"
)

func TestRate(t *testing.T) {
	base := Options{Steps: 100, LR: 2, MinLR: 0.1, Warmup: 10, DecayShare: 0.2}
	for _, c := range []struct {
		schedule string
		step     int
		want     float64
	}{
		{"cosine", 0, 0.2}, {"cosine", 4, 1}, {"cosine", 9, 2}, {"cosine", 10, 2}, {"cosine", 55, 1.1}, {"cosine", 100, 0.2}, {"cosine", 1000, 0.2},
		{"cosine", 40, 0.2 + 1.8*0.75}, // a third of the way: (1+cos 60°)/2
		{"linear", 9, 2}, {"linear", 10, 2}, {"linear", 55, 1.1}, {"linear", 100, 0.2},
		{"wsd", 0, 0.2}, {"wsd", 10, 2}, {"wsd", 79, 2}, {"wsd", 80, 2}, {"wsd", 85, 0.2 + 1.8*0.5}, {"wsd", 100, 0.2},
		{"constant", 4, 1}, {"constant", 10, 2}, {"constant", 99, 2},
	} {
		o := base
		o.Schedule = c.schedule
		if got := o.Rate(c.step); math.Abs(got-c.want) > 1e-12 {
			t.Errorf("%s at %d: %v, want %v", c.schedule, c.step, got, c.want)
		}
	}
	none := Options{Steps: 10, LR: 1, MinLR: -1, Warmup: -1, Schedule: "linear"}
	if none.Rate(0) != 1 || none.Rate(10) != 0 {
		t.Errorf("without warm-up and floor: %v, %v", none.Rate(0), none.Rate(10))
	}
}

func TestResolve(t *testing.T) {
	s := model.Sizes{Layers: 2, Width: 16, Heads: 2, Vocab: 19, Context: 1024}
	o, err := Options{Steps: 5000}.Resolve(s)
	if err != nil || o.Batch != 8 || o.Micro != 4 || o.Seq != 1024 || o.Warmup != 200 || o.RewindSteps != 100 || o.SkipBatches != 300 || o.Schedule != "cosine" {
		t.Errorf("%+v, %v", o, err)
	}
	if again, err := o.Resolve(s); err != nil || again != o {
		t.Errorf("resolved twice: %+v, %v", again, err)
	}
	for want, o := range map[string]Options{
		"steps is 0": {}, "seq is 2000": {Steps: 1, Seq: 2000}, "micro is 9": {Steps: 1, Micro: 9}, `schedule is "cos"`: {Steps: 1, Schedule: "cos"},
		`optimizer is "sgd"`: {Steps: 1, Optimizer: "sgd"}, "lr is NaN": {Steps: 1, LR: math.NaN()}, "beta2 is 1": {Steps: 1, Beta2: 1},
		"warmup is 5": {Steps: 4, Warmup: 5}, "spike-factor is 0.5": {Steps: 1, SpikeFactor: 0.5}, "batch is -1": {Steps: 1, Batch: -1},
		"z-loss is -1": {Steps: 1, ZLoss: -1}, "min-lr is 2": {Steps: 1, MinLR: 2}, "weight-decay": {Steps: 1, WeightDecay: math.NaN()},
	} {
		if _, err := o.Resolve(s); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", o, err, want)
		}
	}
}
