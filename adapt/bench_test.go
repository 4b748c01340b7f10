package adapt_test

import (
	"testing"

	"github.com/plinth-ml/plinth/adapt"
	"github.com/plinth-ml/plinth/internal/kernel/cpu"
	"github.com/plinth-ml/plinth/model"
	"github.com/plinth-ml/plinth/model/gpt"
	"github.com/plinth-ml/plinth/nn"
	"github.com/plinth-ml/plinth/tensor"
)

// BenchmarkStep is forward and backward of 8 sequences of 128 tokens, six layers 512 wide: all weights, or adapters of rank 8. It reports the memory of
// activations and of parameters' gradients and moments.
func BenchmarkStep(b *testing.B) {
	const batch, seq = 8, 128
	for _, c := range []struct {
		name string
		lora *adapt.LoRA
	}{
		{"full", nil},
		{"c_attn", &adapt.LoRA{Targets: adapt.ParseNames("c_attn")}},
		{"all-linear", &adapt.LoRA{Targets: adapt.ParseNames("all-linear")}},
		{"all-linear, dropout", &adapt.LoRA{Targets: adapt.ParseNames("all-linear"), Dropout: 0.05}},
		{"all-linear, DoRA", &adapt.LoRA{Targets: adapt.ParseNames("all-linear"), DoRA: true}},
	} {
		b.Run(c.name, func(b *testing.B) {
			k := cpu.New(cpu.Options{})
			m, err := gpt.New(gpt.Shape(6, 512, 8, 4096, seq))
			if err != nil {
				b.Fatal(err)
			}
			nn.Init(m.Params(), 1, c.lora == nil)
			trained := m.Params()
			if c.lora != nil {
				a, err := adapt.AttachLoRA(k, m, nil, *c.lora, 1)
				if err != nil {
					b.Fatal(err)
				}
				trained = a.Params()
			}
			ids, lengths := make([]int32, batch*seq), make([]int, batch)
			for i := range ids {
				ids[i] = int32(i * 7 % 4096)
			}
			for i := range lengths {
				lengths[i] = seq
			}
			seqs, tape := nn.NewSeqs(lengths...), tensor.Training(k)
			step := func() {
				tape.DropoutKey(1)
				x := model.Features(m, tape, tensor.IDs(ids), seqs, nil)
				m.Head().Loss(tape, x, tensor.CrossEntropy{Targets: tensor.IDs(ids), Scale: 1.0 / batch / seq})
				tape.Backward()
				tape.Reset()
			}
			step()
			for b.Loop() {
				step()
			}
			b.ReportMetric(float64(tape.Bytes())/(1<<20), "MiB-activations")
			b.ReportMetric(float64(nn.Count(trained))*12/(1<<20), "MiB-trained")
		})
	}
}
