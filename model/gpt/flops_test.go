package gpt_test

import (
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/plinth-ml/plinth/internal/kernel"
	"github.com/plinth-ml/plinth/internal/kernel/suite"
	"github.com/plinth-ml/plinth/model"
	"github.com/plinth-ml/plinth/model/gpt"
	"github.com/plinth-ml/plinth/nn"
	"github.com/plinth-ml/plinth/tensor"
)

// counted is the FLOPs of products by what the engine can tell apart: the sizes of a product with weights, attention, the head.
func counted(p model.Product) string {
	switch p.Op {
	case "scores", "values":
		if p.Pass == model.BackwardInput {
			return "AttentionGrad"
		}
		return "Attention"
	case "head":
		return "CrossEntropy"
	}
	return fmt.Sprintf("%dx%dx%d", p.M, p.N, p.K)
}

// TestFLOPsOfEngine runs forward and backward on a set that counts its products, and finds Shape's products, exactly.
func TestFLOPsOfEngine(t *testing.T) {
	const batch, seq = 3, 11
	for _, c := range []gpt.Config{
		{ModelType: gpt.TypeGPT2, Vocab: 40, Context: 16, Width: 24, Layers: 2, Heads: 3, Activation: "gelu_new", LayerNormEps: 1e-5, InitStd: 0.02},
		{ModelType: gpt.TypeGPT3, Vocab: 37, Context: 16, Width: 20, Layers: 3, Heads: 2, HeadDim: 7, Hidden: 50, Window: 4, Activation: "gelu", LayerNormEps: 1e-5, InitStd: 0.02},
	} {
		for _, r := range []model.Recompute{model.RecomputeNone, model.RecomputeFull} {
			want := map[string]float64{}
			for _, p := range c.Shape().Products(batch, seq, r) {
				want[counted(p)] += p.Seen()
			}
			for _, k := range suite.Sets() {
				if got := engineFLOPs(t, k, c, batch, seq, r == model.RecomputeFull); !maps.Equal(got, want) {
					t.Errorf("%s on %s, recompute %d: the engine did\n%v, the shape says\n%v", c.ModelType, k.Name, r, got, want)
				}
			}
		}
	}
}

func engineFLOPs(t *testing.T, k *kernel.Set, c gpt.Config, batch, seq int, recompute bool) map[string]float64 {
	t.Helper()
	m, err := gpt.New(c)
	if err != nil {
		t.Fatal(err)
	}
	nn.Init(m.Params(), 1, true)
	profiled, times := kernel.Profile(k)
	tape := tensor.Training(profiled)
	lengths, ids := make([]int, batch), make([]int32, batch*seq)
	for i := range lengths {
		lengths[i] = seq
	}
	for i := range ids {
		ids[i] = int32(i % c.Vocab)
	}
	seqs := nn.NewSeqs(lengths...)
	x := m.Embed(tape, tensor.IDs(ids), seqs)
	body := func(x *tensor.Tensor) *tensor.Tensor { return m.Body(tape, x, seqs, nil, 0, c.Layers) }
	if recompute {
		x = tape.Recompute(x, body)
	} else {
		x = body(x)
	}
	m.Head().Loss(tape, m.Norm(tape, x), tensor.CrossEntropy{Targets: tensor.IDs(ids), Scale: 1})
	tape.Backward()
	got := map[string]float64{}
	for _, op := range times.Ops() {
		switch {
		case strings.HasPrefix(op.Op, "MatMul"):
			got[op.Shape] += op.FLOPs
		case op.FLOPs > 0:
			got[op.Op] += op.FLOPs
		}
	}
	return got
}
