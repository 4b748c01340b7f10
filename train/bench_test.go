package train

import (
	"testing"

	"github.com/plinth-ml/plinth/internal/kernel/cpu"
	"github.com/plinth-ml/plinth/model/gpt"
	"github.com/plinth-ml/plinth/nn"
)

// BenchmarkStep is a step of a 1.3 M parameter GPT on 2048 tokens.
func BenchmarkStep(b *testing.B) {
	for _, optimizer := range Optimizers {
		b.Run(optimizer, func(b *testing.B) {
			m, err := gpt.New(gpt.Shape(4, 128, 4, 4096, 128))
			if err != nil {
				b.Fatal(err)
			}
			nn.Init(m.Params(), 1, true)
			l, err := New(m, cpu.New(cpu.Options{Threads: 2}), words{4096, 128, 1, nil}, Options{Steps: 1 << 30, Batch: 16, Optimizer: optimizer}, Hooks{})
			if err != nil {
				b.Fatal(err)
			}
			var tokens int
			b.ReportAllocs()
			for b.Loop() {
				s, err := l.compute()
				if err != nil {
					b.Fatal(err)
				}
				l.apply(&s)
				tokens += s.tokens
			}
			b.ReportMetric(float64(tokens)/b.Elapsed().Seconds(), "tokens/s")
			b.ReportMetric(float64(tokens)*l.flops/b.Elapsed().Seconds()/1e9, "GFLOP/s")
		})
	}
}
