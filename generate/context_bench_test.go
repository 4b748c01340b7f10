package generate_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/plinth-ml/plinth/generate"
	"github.com/plinth-ml/plinth/internal/kernel/cpu"
	"github.com/plinth-ml/plinth/model/llama"
	"github.com/plinth-ml/plinth/nn"
	"github.com/plinth-ml/plinth/tensor"
)

// large returns a random Llama of 110 million parameters, 12 query heads of 64 over kv key heads.
func large(b *testing.B, kv int) *llama.Model {
	m, err := llama.New(llama.Config{ModelType: "llama", Vocab: 32000, Context: 8192, Width: 768, Hidden: 2048, Layers: 12, Heads: 12, KVHeads: kv, Activation: "silu",
		NormEps: 1e-5, InitStd: 0.02, Tied: true, Rope: nn.RopeConfig{Type: "default", Theta: 10000}})
	if err != nil {
		b.Fatal(err)
	}
	nn.Init(m.Params(), 1, false)
	return m
}

// BenchmarkContext writes 16 tokens after 4080 that are in the cache, and after 16.
func BenchmarkContext(b *testing.B) {
	for _, kv := range []int{12, 4} {
		m := large(b, kv)
		for _, n := range []int{16, 4080} {
			for _, d := range []tensor.DType{tensor.F32, tensor.F16, tensor.Q8_0} {
				e := generate.New(m, cpu.New(cpu.Options{Threads: 2}), generate.EngineOptions{Cache: nn.KVOptions{Type: d}})
				prompt := slices.Repeat(text(1, 97), 60)[:n]
				r := generate.Request{Prompt: prompt, Options: generate.Options{MaxTokens: 1}}
				mustGenerate(b, e, r)
				r.MaxTokens = 17
				b.Run(fmt.Sprintf("kv=%d/context=%d/%s", kv, n, d), func(b *testing.B) {
					before := e.Stats()
					for b.Loop() {
						mustGenerate(b, e, r)
					}
					s := e.Stats()
					b.ReportMetric(float64(s.Decoded-before.Decoded)/(s.Decode-before.Decode).Seconds(), "tokens/s")
					b.ReportMetric(float64(e.CacheBytes())/1e6, "MB")
				})
			}
		}
	}
}
