package gemm

import (
	"fmt"
	"testing"
	"time"

	"github.com/plinth-ml/plinth/internal/pool"
	"github.com/plinth-ml/plinth/internal/quant"
)

// benchProduct reports the rate of a product as its fastest call, and the share of the fastest reading of the ceiling,
// taken between the calls: on a shared machine the rest is other people's time.
func benchProduct(b *testing.B, threads int, sh shape) {
	for _, k := range Variants()[1:] {
		b.Run(fmt.Sprintf("%s/threads=%d", k.name, threads), func(b *testing.B) {
			p := pool.New(threads)
			defer p.Close()
			e := New(k, p)
			m := sh.make()
			if sh.packed {
				m.Packed = new(Packed)
				e.Pack(m.Packed, m.B, m.LDB, m.TransB, m.K, m.N)
			}
			e.Mul(m)
			flops := 2 * float64(m.M) * float64(m.N) * float64(m.K)
			var peak, rate float64
			lastPeak := time.Time{}
			for b.Loop() {
				start := time.Now()
				e.Mul(m)
				rate = max(rate, flops/time.Since(start).Seconds())
				if time.Since(lastPeak) > 20*time.Millisecond {
					b.StopTimer()
					peak = max(peak, e.PeakFLOPs(2*time.Millisecond))
					lastPeak = time.Now()
					b.StartTimer()
				}
			}
			b.ReportMetric(rate/1e9, "GFLOP/s")
			b.ReportMetric(100*rate/peak, "%peak")
		})
	}
}

func BenchmarkSquare(b *testing.B) {
	for _, n := range []int{128, 256, 512, 1024, 2048, 4096} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			for _, threads := range []int{1, 2} {
				benchProduct(b, threads, shape{m: n, n: n, k: n})
			}
		})
	}
}

// BenchmarkInfer has the shapes of small batches over packed weights.
func BenchmarkInfer(b *testing.B) {
	for _, s := range [][3]int{{1, 768, 768}, {1, 3072, 768}, {8, 768, 768}, {16, 3072, 768}, {32, 128, 128}, {64, 384, 384}, {64, 768, 3072},
		{128, 512, 128}, {128, 768, 768}, {256, 384, 1536}, {256, 3072, 768}} {
		b.Run(fmt.Sprintf("%dx%dx%d", s[0], s[1], s[2]), func(b *testing.B) {
			benchProduct(b, 2, shape{m: s[0], n: s[1], k: s[2], packed: true})
		})
	}
}

// BenchmarkTrain has the three products of a linear layer [width -> out] over a number of tokens, weights stored [out, width].
func BenchmarkTrain(b *testing.B) {
	for _, s := range [][3]int{{768, 128, 512}, {768, 384, 384}, {1024, 384, 1536}, {2048, 768, 768}} {
		tokens, in, out := s[0], s[1], s[2]
		b.Run(fmt.Sprintf("tokens=%d/%dto%d", tokens, in, out), func(b *testing.B) {
			b.Run("y", func(b *testing.B) { benchProduct(b, 2, shape{m: tokens, n: out, k: in, tb: true, bias: true}) })
			b.Run("dx", func(b *testing.B) { benchProduct(b, 2, shape{m: tokens, n: in, k: out}) })
			b.Run("dw", func(b *testing.B) { benchProduct(b, 2, shape{m: out, n: in, k: tokens, ta: true, acc: true}) })
		})
	}
}

// BenchmarkTile has the shapes of attention tiles, run inside a task.
func BenchmarkTile(b *testing.B) {
	for _, s := range []shape{{m: 64, n: 64, k: 64, tb: true}, {m: 64, n: 64, k: 64}, {m: 64, n: 128, k: 64}, {m: 1, n: 64, k: 64, tb: true}} {
		for _, k := range Variants()[1:] {
			b.Run(fmt.Sprintf("%dx%dx%d/transB=%v/%s", s.m, s.n, s.k, s.tb, k.name), func(b *testing.B) {
				m := s.make()
				var scratch Scratch
				for range b.N {
					k.Serial(&scratch, m)
				}
				rate := 2 * float64(m.M) * float64(m.N) * float64(m.K) * float64(b.N) / b.Elapsed().Seconds()
				b.ReportMetric(rate/1e9, "GFLOP/s")
			})
		}
	}
}

// BenchmarkRow is the product of one row with a matrix too large for the caches.
func BenchmarkRow(b *testing.B) {
	for _, s := range []shape{{packed: true}, {}, {tb: true}} {
		s.m, s.n, s.k = 1, 4096, 4096
		b.Run(fmt.Sprintf("packed=%v/transB=%v", s.packed, s.tb), func(b *testing.B) {
			b.SetBytes(4 * 4096 * 4096)
			benchProduct(b, 2, s)
		})
	}
}

// BenchmarkHalf is a product with a stored right side: few rows at the speed of memory, many beside the same product in float32.
func BenchmarkHalf(b *testing.B) {
	for _, k := range Variants()[1:] {
		for _, f := range []quant.Format{quant.BF16, quant.F16, quant.NF4} {
			for _, m := range []int{1, 2, 4, 8, 16, 512} {
				for _, threads := range []int{1, 2} {
					N, K := 64<<10, 1024
					if m > 16 {
						N = 2048
					}
					b.Run(fmt.Sprintf("%s/%s/M=%d/threads=%d", k.name, f, m, threads), func(b *testing.B) {
						p := pool.New(threads)
						defer p.Close()
						e := New(k, p)
						w := make([]byte, f.Bytes(N*K))
						for i := range w {
							w[i] = byte(i % 61)
						}
						m := &Product{M: m, N: N, K: K, A: make([]float32, m*K), Stored: w, Format: f, C: make([]float32, m*N)}
						e.Mul(m)
						b.SetBytes(int64(len(w)))
						for b.Loop() {
							e.Mul(m)
						}
						b.ReportMetric(2*float64(m.M)*float64(N)*float64(K)*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
					})
				}
			}
		}
	}
}
