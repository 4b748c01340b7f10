package vec

import (
	"fmt"
	"testing"
)

// Bytes are those read and written, at a size that stays in the first-level cache (a row) or in none (a whole model).
func BenchmarkVec(b *testing.B) {
	const row, big = 1024, 1 << 22
	halves := make([]uint16, row)
	keepGrad := testStep
	keepGrad.ZeroGrad = false // with gradients of 0 the moments would decay to subnormals, which are slow
	table := []struct {
		name  string
		n     int
		bytes int // per element
		f     func(s [][]float32)
	}{
		{"Exp", row, 8, func(s [][]float32) { Exp(s[0], s[1]) }},
		{"ExpSum", row, 8, func(s [][]float32) { ExpSum(s[0], s[1], 1) }},
		{"Tanh", row, 8, func(s [][]float32) { Tanh(s[0], s[1]) }},
		{"GELU", row, 8, func(s [][]float32) { GELU(s[0], s[1]) }},
		{"GELUTanh", row, 8, func(s [][]float32) { GELUTanh(s[0], s[1]) }},
		{"GELUTanhGrad", row, 12, func(s [][]float32) { GELUTanhGrad(s[0], s[1], s[2]) }},
		{"SwiGLUGrad", row, 20, func(s [][]float32) { SwiGLUGrad(s[0], s[4], s[1], s[2], s[3]) }},
		{"LayerNorm", row, 16, func(s [][]float32) { LayerNorm(s[0], s[1], s[2], s[3], testEps) }},
		{"LayerNormGrad", row, 32, func(s [][]float32) {
			LayerNormGrad(s[0], s[4], s[5], s[1], s[2], s[3], testMean, testRstd)
		}},
		{"Add", row, 12, func(s [][]float32) { Add(s[0], s[1], s[2]) }},
		{"Axpy", row, 12, func(s [][]float32) { Axpy(s[0], 0.25, s[1]) }},
		{"Dot", row, 8, func(s [][]float32) { Dot(s[0], s[1]) }},
		{"Max", row, 4, func(s [][]float32) { Max(s[0]) }},
		{"F32FromF16", row, 6, func(s [][]float32) { F32FromF16(s[0], halves) }},
		{"F16FromF32", row, 6, func(s [][]float32) { F16FromF32(halves, s[0]) }},
		{"BF16FromF32", row, 6, func(s [][]float32) { BF16FromF32(halves, s[0]) }},
		{"SumSquares", row, 4, func(s [][]float32) { SumSquares(s[0]) }},
		{"AdamW", row, 28, func(s [][]float32) { AdamW(s[0], s[1], s[2], s[3], keepGrad) }},
		{"AdamW", big, 28, func(s [][]float32) { AdamW(s[0], s[1], s[2], s[3], keepGrad) }},
	}
	before := Variant()
	defer func() {
		if err := Use(before); err != nil {
			b.Fatal(err)
		}
	}()
	for _, c := range table {
		for _, name := range Variants() {
			b.Run(fmt.Sprintf("%s/%d/%s", c.name, c.n, name), func(b *testing.B) {
				if err := Use(name); err != nil {
					b.Fatal(err)
				}
				s := make([][]float32, 6)
				for i := range s {
					s[i] = adamWState(c.n)[i%4]
				}
				b.SetBytes(int64(c.n * c.bytes))
				for b.Loop() {
					c.f(s)
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(c.n), "ns/elem")
			})
		}
	}
}

func BenchmarkSelfCheck(b *testing.B) {
	for b.Loop() {
		if err := selfCheck(active); err != nil {
			b.Fatal(err)
		}
	}
}
