package train

import (
	"context"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/plinth-ml/plinth/model"
	"github.com/plinth-ml/plinth/nn"
	"github.com/plinth-ml/plinth/tensor"
)

// normed is twoHeads with a batch norm in front of the heads.
type normed struct {
	twoHeads
	Norm *nn.BatchNorm `name:"norm"`
}

func newNormed() *normed {
	o := &normed{*newTwoHeads(), nn.NewBatchNorm(8, 1)}
	nn.Init(nn.Params(o.Norm), 1, true)
	return o
}

func (o *normed) Params() []nn.Named {
	return append(o.twoHeads.Params(), prefixed("norm.", nn.Params(o.Norm))...)
}
func (o *normed) Sizes() model.Sizes { return model.Sizes{Context: 1} }

func prefixed(prefix string, list []nn.Named) []nn.Named {
	for i := range list {
		list[i].Name = prefix + list[i].Name
	}
	return list
}

type normedPart struct {
	*twoHeadsPart
	norm *nn.BatchNorm
}

func (o *normed) Part(reuse Part, step, from, to int) (Part, error) {
	p, err := o.twoHeads.Part(nil, step, from, to)
	return &normedPart{p.(*twoHeadsPart), o.Norm}, err
}

func (p *normedPart) Loss(t *tensor.Tape, of, sums []float64) {
	x := p.norm.Forward(t, t.Gather(p.o.Table.Weight.T(), tensor.IDs(p.ids)), tensor.ReLU, nil)
	for _, v := range t.CrossEntropy(x, p.o.Parity.Weight.T(), p.o.Parity.Bias.T(), tensor.CrossEntropy{Targets: tensor.IDs(p.parity), Scale: 1 / of[0]}).F32() {
		sums[0] += float64(v)
	}
}

// Statistics are moved by the forward pass, not by the optimiser, and go on where they were when a run is resumed.
func TestStatistics(t *testing.T) {
	run := func(dir string, until int) *normed {
		m := newNormed()
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		l, err := Minimize(m, kernels(), Options{Steps: 12, Batch: 16, LR: 0.05, WeightDecay: 0.1, OnSpike: "ignore", RunDir: dir, Resume: true},
			Hooks{Progress: func(e Event) {
				if e.Step == until {
					cancel()
				}
			}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := l.Run(ctx); (err != nil) != (until > 0) {
			t.Fatal(err)
		}
		return m
	}
	dir := t.TempDir()
	whole := run(filepath.Join(dir, "whole"), 0)
	run(filepath.Join(dir, "cut"), 6)
	resumed := run(filepath.Join(dir, "cut"), 0)
	for i, p := range whole.Params() {
		if !reflect.DeepEqual(p.T().F32(), resumed.Params()[i].T().F32()) {
			t.Errorf("%s differs in a resumed run", p.Name)
		}
	}
	if mean := whole.Norm.Mean.T().F32(); mean[0] == 0 || whole.Norm.Var.T().F32()[0] == 1 {
		t.Errorf("running means %v have not moved", mean)
	}
}
