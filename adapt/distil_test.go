package adapt_test

import (
	"context"
	"strings"
	"testing"

	"github.com/plinth-ml/plinth/adapt"
	"github.com/plinth-ml/plinth/internal/kernel/cpu"
	"github.com/plinth-ml/plinth/model"
	"github.com/plinth-ml/plinth/tensor"
	"github.com/plinth-ml/plinth/train"
)

// With labels that say nothing a student learns what its teacher says, and with labels alone what they say.
func TestDistilled(t *testing.T) {
	ctx, k := context.Background(), cpu.New(cpu.Options{Threads: 1})
	taught, test := topics(48, 1), topics(90, 2)
	for i := range taught {
		x := &taught[i]
		x.Teacher = make([]float32, 3)
		x.Teacher[x.Label] = 4
		x.Label = 0
	}
	f := adapt.FineTuning{Loss: adapt.SingleLabel, Examples: taught, Batch: 16, Seed: 1}
	for _, c := range []struct {
		hard        float64
		least, most float64
	}{{0, 0.8, 1}, {1, 0, 0.4}} {
		f.Model, f.Distil = headed(t, model.SequenceTask, model.Mean, 3), &adapt.Distillation{Hard: c.hard}
		if _, err := f.Run(ctx, k, f.Defaults(train.Options{Steps: 150, LR: 3e-3}, 0), nil, nil); err != nil {
			t.Fatal(err)
		}
		got, err := adapt.Predict(ctx, tensor.Evaluation(k), f.Model, test)
		if err != nil {
			t.Fatal(err)
		}
		if a := adapt.Accuracy(got, test); a < c.least || a > c.most {
			t.Errorf("share of labels %v: accuracy %v", c.hard, a)
		}
	}
	for want, spoil := range map[string]func(f *adapt.FineTuning){
		"temperature -1":         func(f *adapt.FineTuning) { f.Distil = &adapt.Distillation{Temperature: -1} },
		"without class weights":  func(f *adapt.FineTuning) { f.ClassWeights = []float64{1, 1, 1} },
		"0 scores of a teacher":  func(f *adapt.FineTuning) { f.Examples = topics(3, 1) },
		"distillation is for lo": func(f *adapt.FineTuning) { f.Loss = adapt.MultiLabel },
	} {
		bad := f
		if spoil(&bad); bad.Check() == nil || !strings.Contains(bad.Check().Error(), want) {
			t.Errorf("%s: %v", want, bad.Check())
		}
	}
}
