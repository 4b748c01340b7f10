package quant

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// BenchmarkMul: one thread, weights beyond the second-level cache for few rows.
func BenchmarkMul(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, k := range Variants()[1:] {
		for _, f := range products {
			for _, M := range []int{1, 4, 5, 8, 512} {
				const K = 2048
				N := 8192
				if M > 8 {
					N = 512
				}
				unit, _ := f.Block()
				w := wild(r, f, N*K/unit)
				var a Activations
				var s Scratch
				a.Reset(f, M, K)
				x := normals(r, K)
				for i := range M {
					k.Quantize(&a, i, x)
				}
				c := make([]float32, M*N)
				b.Run(fmt.Sprintf("%s/%s/M=%d", k.Name(), f, M), func(b *testing.B) {
					if M <= 8 {
						b.SetBytes(int64(len(w)))
					}
					for b.Loop() {
						k.Mul(&s, &Product{A: &a, To: M, W: w, N1: N, C: c, LDC: N})
					}
					b.ReportMetric(2*float64(M)*float64(N)*K*float64(b.N)/b.Elapsed().Seconds()/1e9, "GOP/s")
				})
			}
		}
	}
}

// BenchmarkQuantize: one row of activations.
func BenchmarkQuantize(b *testing.B) {
	const K = 2048
	x := normals(rand.New(rand.NewPCG(1, 2)), K)
	for _, k := range Variants() {
		for _, f := range []Format{Q8_0, Q4_K} {
			var a Activations
			a.Reset(f, 1, K)
			b.Run(fmt.Sprintf("%s/%s", k.Name(), f), func(b *testing.B) {
				b.SetBytes(4 * K)
				for b.Loop() {
					k.Quantize(&a, 0, x)
				}
			})
		}
	}
}

// BenchmarkEncode: one block after the other, in bytes of float32.
func BenchmarkEncode(b *testing.B) {
	const n = 16 * block
	r := rand.New(rand.NewPCG(3, 4))
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
	for _, f := range products {
		dst := make([]byte, f.Bytes(n))
		b.Run(f.String(), func(b *testing.B) {
			b.SetBytes(4 * n)
			for b.Loop() {
				f.Encode(dst, x)
			}
		})
	}
}
