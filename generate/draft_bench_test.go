package generate_test

import (
	"slices"
	"testing"

	"github.com/plinth-ml/plinth/generate"
	"github.com/plinth-ml/plinth/internal/kernel/cpu"
)

// BenchmarkLookup writes 64 tokens after a text that repeats itself, with and without look-up. A random model falls into repetition by itself.
func BenchmarkLookup(b *testing.B) {
	m := large(b, 4)
	for _, o := range []struct {
		name string
		o    generate.EngineOptions
	}{{"plain", generate.EngineOptions{}}, {"look-up", generate.EngineOptions{Lookup: 3}}} {
		e := generate.New(m, cpu.New(cpu.Options{Threads: 2}), o.o)
		r := generate.Request{Prompt: slices.Repeat(text(1, 40), 4), Options: generate.Options{MaxTokens: 65}}
		b.Run(o.name, func(b *testing.B) {
			before := e.Stats()
			for b.Loop() {
				mustGenerate(b, e, r)
			}
			s := e.Stats()
			b.ReportMetric(float64(s.Decoded-before.Decoded)/(s.Decode-before.Decode).Seconds(), "tokens/s")
			if n := s.Drafted - before.Drafted; n > 0 {
				b.ReportMetric(100*float64(s.Accepted-before.Accepted)/float64(n), "%accepted")
			}
		})
	}
}
