package constrain

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// BenchmarkToken is the mask and the advance of one token of JSON by a schema, over vocabularies of pieces of words and punctuation: "first" with a
// constraint that was just compiled for each text, "again" with one that has written such texts before.
func BenchmarkToken(b *testing.B) {
	for _, size := range []int{32000, 128000} {
		rng := rand.New(rand.NewPCG(9, 9))
		var texts []string
		for len(texts) < size-258 {
			piece := make([]byte, 1+rng.IntN(9))
			for i := range piece {
				piece[i] = "etaoinshrdlucmfwypvbgkqjxzETAOIN0123456789 _-.,:;\"{}[]()/\\\n"[min(rng.IntN(59), rng.IntN(59))]
			}
			texts = append(texts, string(piece))
		}
		v := byteVocabulary(b, texts...)
		g, err := ParseSchema(schemas[2])
		if err != nil {
			b.Fatal(err)
		}
		run := func(b *testing.B, fresh bool) {
			c := compile(b, g, nil, v)
			eos := []int32{int32(v.Len() - 1)}
			rng := rand.New(rand.NewPCG(1, 1))
			tokens, took := 0, time.Duration(0) // without the choice of a token
			for b.Loop() {
				start := time.Now()
				if fresh {
					c = compile(b, g, nil, v)
				}
				m := c.Start()
				took += time.Since(start)
				for range 60 {
					start := time.Now()
					mask, err := m.Mask(eos)
					took += time.Since(start)
					if err != nil {
						b.Fatal(err)
					}
					id := int32(rng.IntN(v.Len() - 2))
					for !mask.Has(id) {
						id = (id + 1) % int32(v.Len())
					}
					if tokens++; id == eos[0] {
						break
					}
					start = time.Now()
					if err := m.Advance(id); err != nil {
						b.Fatal(err)
					}
					took += time.Since(start)
				}
			}
			b.ReportMetric(took.Seconds()*1e6/float64(tokens), "µs/token")
		}
		b.Run(fmt.Sprintf("first/%d", size), func(b *testing.B) { run(b, true) })
		b.Run(fmt.Sprintf("again/%d", size), func(b *testing.B) { run(b, false) })
	}
}
