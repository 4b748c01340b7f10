package generate_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/plinth-ml/plinth/generate"
	"github.com/plinth-ml/plinth/internal/kernel/cpu"
	"github.com/plinth-ml/plinth/model/t5"
	"github.com/plinth-ml/plinth/nn"
)

// BenchmarkBeam writes 64 tokens from a source of 128 with a random t5-small.
func BenchmarkBeam(b *testing.B) {
	s, err := t5.ByName("t5-small")
	if err != nil {
		b.Fatal(err)
	}
	m, err := t5.New(s.Config)
	if err != nil {
		b.Fatal(err)
	}
	nn.Init(m.Params(), 1, false)
	var source []int32
	for i := range int32(128) {
		source = append(source, 2+i*97)
	}
	for _, beams := range []int{1, 4} {
		b.Run(fmt.Sprint(beams), func(b *testing.B) {
			search := generate.NewSeq2SeqSearcher(m, cpu.New(cpu.Options{}))
			req := []generate.SearchRequest{{Source: source, BeamOptions: generate.BeamOptions{Beams: beams, MaxTokens: 64}}}
			for b.Loop() {
				if _, err := search.Search(context.Background(), req); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(64*float64(b.N)/b.Elapsed().Seconds(), "tokens/s")
		})
	}
}
