package generate_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/plinth-ml/plinth/generate"
	"github.com/plinth-ml/plinth/internal/kernel/cpu"
	"github.com/plinth-ml/plinth/model/gpt"
	"github.com/plinth-ml/plinth/nn"
)

// BenchmarkDecode continues prompts of 16 tokens by 64 with a GPT-2 of 10 million parameters (8 layers, width 256, vocabulary 16,000).
func BenchmarkDecode(b *testing.B) {
	m, err := gpt.New(gpt.Config{ModelType: gpt.TypeGPT2, Vocab: 16000, Context: 256, Width: 256, Layers: 8, Heads: 4, Activation: "gelu_new", LayerNormEps: 1e-5, InitStd: 0.02})
	if err != nil {
		b.Fatal(err)
	}
	nn.Init(m.Params(), 1, false)
	k := cpu.New(cpu.Options{Threads: 2})
	for _, o := range []struct {
		name string
		o    generate.Options
	}{{"greedy", generate.Options{}}, {"top-p", generate.Options{Temperature: 0.8, TopP: 0.9}}, {"top-k", generate.Options{Temperature: 0.8, TopK: 40, TopP: 0.9}}} {
		for _, batch := range []int{1, 8} {
			b.Run(fmt.Sprintf("%s/batch=%d", o.name, batch), func(b *testing.B) {
				e := generate.New(m, k, generate.EngineOptions{Slots: batch})
				reqs := make([]generate.Request, batch)
				for i := range reqs {
					reqs[i] = generate.Request{Prompt: make([]int32, 16), Options: o.o}
					reqs[i].MaxTokens, reqs[i].Seed = 64, uint64(i)
				}
				b.ReportAllocs()
				for b.Loop() {
					if _, err := e.Generate(context.Background(), reqs, nil); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(64*batch*b.N)/b.Elapsed().Seconds(), "tokens/s")
			})
		}
	}
}
