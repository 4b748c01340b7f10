package adapt_test

import (
	"slices"
	"testing"

	"github.com/plinth-ml/plinth/adapt"
	"github.com/plinth-ml/plinth/internal/kernel/cpu"
	"github.com/plinth-ml/plinth/model"
	"github.com/plinth-ml/plinth/model/bert"
	"github.com/plinth-ml/plinth/nn"
	"github.com/plinth-ml/plinth/tensor"
)

// What is trained beside a frozen body gets the bits that it gets while the body is trained too, and the tape keeps less: adapters of some layers, of all, and virtual tokens.
func TestFrozenBodyKeepsLess(t *testing.T) {
	k := cpu.New(cpu.Options{Threads: 2})
	for _, c := range []struct {
		name   string
		attach func(adapt.Promptable) (adapt.Tuned, error)
		most   float64 // of the bytes with a body that is trained
	}{
		{"query, value", func(m adapt.Promptable) (adapt.Tuned, error) {
			return adapt.AttachLoRA(k, m, nil, adapt.LoRA{Targets: adapt.ParseNames("query,value")}, 1)
		}, 0.8},
		{"all linear layers", func(m adapt.Promptable) (adapt.Tuned, error) {
			return adapt.AttachLoRA(k, m, nil, adapt.LoRA{Targets: adapt.ParseNames("all-linear")}, 1)
		}, 1},
		{"virtual tokens", func(m adapt.Promptable) (adapt.Tuned, error) {
			return adapt.AttachPrompt(k, m, nil, adapt.PromptTuning{Tokens: 4}, 1)
		}, 0.8},
	} {
		run := func(whole bool) (bytes int, grads []float32) {
			config := bert.Shape(4, 64, 50, 64)
			config.Heads, config.Dropout, config.AttnDropout = 2, 0, 0
			m, err := bert.New(config)
			if err != nil {
				t.Fatal(err)
			}
			nn.Init(m.Params(), 1, true)
			a, err := c.attach(m)
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range m.Params() {
				p.T().SetTrain(whole)
			}
			tape := tensor.Training(k)
			ids := m.Sizes().VirtualIDs()
			for i := range 40 {
				ids = append(ids, int32(i*7%50))
			}
			x := m.Encode(tape, model.Input{IDs: tensor.IDs(ids), Seqs: nn.NewSeqs(len(ids))})
			tape.Seed(tape.Mul(x, x))
			bytes = tape.Bytes()
			tape.Backward()
			for _, p := range a.Params() {
				grads = append(grads, p.T().Grad.F32()...)
			}
			return bytes, grads
		}
		all, want := run(true)
		bytes, got := run(false)
		if !slices.Equal(got, want) {
			t.Errorf("%s: other gradients", c.name)
		}
		if float64(bytes) > c.most*float64(all) {
			t.Errorf("%s: %d bytes, %d while the body is trained", c.name, bytes, all)
		}
		t.Logf("%s: %d bytes, %d while the body is trained", c.name, bytes, all)
	}
}
