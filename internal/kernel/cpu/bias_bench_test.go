package cpu

import (
	"fmt"
	"testing"

	"github.com/plinth-ml/plinth/internal/kernel"
)

// BenchmarkAttentionBias is attention of 8 sequences of 512 tokens, 8 heads of 64, both ways, and with a bias by distance.
func BenchmarkAttentionBias(b *testing.B) {
	s := New(Options{})
	const T, H, D, B = 512, 8, 64, 8
	n := B * T * H * D
	for _, bias := range []bool{false, true} {
		a := &kernel.Attention{Heads: H, KVHeads: H, HeadDim: D, Q: random(1, n), K: random(2, n), V: random(3, n), O: zeros(n), LSE: zeros(B * T * H), Scale: 1}
		g := &kernel.AttentionGrad{DO: random(4, n), DQ: zeros(n), DK: zeros(n), DV: zeros(n)}
		for i := range B {
			a.Queries = append(a.Queries, kernel.Span{Start: i * T, Len: T})
		}
		a.Keys = a.Queries
		if bias {
			a.BiasK = 2*T - 1
			a.Bias, g.DBias = random(5, H*a.BiasK), zeros(H*a.BiasK)
		}
		b.Run(fmt.Sprintf("forward/bias=%v", bias), func(b *testing.B) {
			for b.Loop() {
				s.Attention(a)
			}
		})
		b.Run(fmt.Sprintf("backward/bias=%v", bias), func(b *testing.B) {
			for b.Loop() {
				s.AttentionGrad(a, g)
			}
		})
	}
}
