package cpu

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/plinth-ml/plinth/internal/kernel"
)

// plainAttention is the definition in float64 with the scores stored; it returns o, lse, dq, dk, dv, dbias.
func plainAttention(a *kernel.Attention, g *kernel.AttentionGrad) (o, lse, dq, dk, dv, dbias []float64) {
	H, KV, D := a.Heads, a.KVHeads, a.HeadDim
	ldq, ldk, ldv, ldo := dense(a.LDQ, H*D), dense(a.LDK, KV*D), dense(a.LDV, KV*D), dense(a.LDO, H*D)
	q, k, v, do := a.Q.F32(), a.K.F32(), a.V.F32(), g.DO.F32()
	o, lse = make([]float64, a.O.Len()), make([]float64, a.LSE.Len())
	dq, dk, dv = make([]float64, len(q)), make([]float64, len(k)), make([]float64, len(v))
	dbias = make([]float64, a.Bias.Len())
	scale := a.Scale
	if scale == 0 {
		scale = 1 / math.Sqrt(float64(D))
	}
	for s, qs := range a.Queries {
		ks := a.Keys[s]
		for h := range H {
			kv := h * KV / H
			for i := range qs.Len {
				at := ks.Len - qs.Len + i
				Q, O := (qs.Start+i)*ldq+h*D, (qs.Start+i)*ldo+h*D
				var p, slope []float64
				var sum float64
				for j := range ks.Len {
					slope = append(slope, 1)
					x := math.Inf(-1)
					if (!a.Causal || j <= at) && (a.Window == 0 || max(at-j, j-at) < a.Window) {
						x = 0
						for d := range D {
							x += float64(q[Q+d]) * float64(k[(ks.Start+j)*ldk+kv*D+d])
						}
						x *= scale
						if a.SoftCap != 0 {
							x = a.SoftCap * math.Tanh(x/a.SoftCap)
							slope[j] -= x * x / (a.SoftCap * a.SoftCap)
						}
						if !a.Bias.None() {
							x += float64(a.Bias.F32()[(h*a.BiasQ+at)*a.BiasK+j])
						}
					}
					p = append(p, math.Exp(x))
					sum += p[j]
				}
				lse[(qs.Start+i)*H+h] = math.Log(sum)
				if sum == 0 {
					continue
				}
				var delta float64
				dp := make([]float64, ks.Len)
				for j := range p {
					p[j] /= sum
					for d := range D {
						x := (ks.Start+j)*ldv + kv*D + d
						o[O+d] += p[j] * float64(v[x])
						dp[j] += float64(do[O+d]) * float64(v[x])
						dv[x] += p[j] * float64(do[O+d])
					}
					delta += p[j] * dp[j]
				}
				for j := range p {
					ds := p[j] * (dp[j] - delta)
					if !a.Bias.None() {
						dbias[(h*a.BiasQ+at)*a.BiasK+j] += ds
					}
					ds *= slope[j]
					for d := range D {
						x := (ks.Start+j)*ldk + kv*D + d
						dq[Q+d] += scale * ds * float64(k[x])
						dk[x] += scale * ds * float64(q[Q+d])
					}
				}
			}
		}
	}
	return o, lse, dq, dk, dv, dbias
}

// problem is a case of the attention tests: lens are (queries, keys) of each sequence.
type problem struct {
	heads, kv, d int
	lens         [][2]int
	causal       bool
	window       int
	bias         bool
	pad          int // added to every stride
	softCap      float64
}

var problems = []problem{
	{heads: 1, kv: 1, d: 8, lens: [][2]int{{1, 1}}, causal: true},
	{heads: 2, kv: 2, d: 64, lens: [][2]int{{64, 64}, {5, 5}, {130, 130}}, causal: true},
	{heads: 2, kv: 2, d: 16, lens: [][2]int{{40, 40}, {129, 129}}},
	{heads: 6, kv: 2, d: 32, lens: [][2]int{{70, 70}, {3, 200}}, causal: true, pad: 5},
	{heads: 5, kv: 1, d: 20, lens: [][2]int{{150, 150}}, causal: true},
	{heads: 1, kv: 1, d: 32, lens: [][2]int{{600, 600}}, causal: true},
	{heads: 2, kv: 1, d: 16, lens: [][2]int{{300, 300}}, causal: true, window: 20},
	{heads: 2, kv: 2, d: 16, lens: [][2]int{{300, 300}, {1, 290}}, window: 33},
	{heads: 2, kv: 2, d: 16, lens: [][2]int{{7, 90}, {100, 33}, {4, 0}, {0, 9}}, pad: 3},
	{heads: 3, kv: 1, d: 16, lens: [][2]int{{9, 4}}, causal: true},
	{heads: 4, kv: 2, d: 16, lens: [][2]int{{140, 140}, {50, 50}, {2, 60}}, bias: true},
	{heads: 2, kv: 2, d: 24, lens: [][2]int{{140, 140}}, bias: true, causal: true, window: 130},
	{heads: 4, kv: 2, d: 16, lens: [][2]int{{140, 140}, {3, 270}}, causal: true, softCap: 2},
	{heads: 2, kv: 2, d: 16, lens: [][2]int{{140, 140}, {3, 270}}, bias: true, softCap: 0.5},
}

func (p problem) build() (*kernel.Attention, *kernel.AttentionGrad) {
	a := &kernel.Attention{Heads: p.heads, KVHeads: p.kv, HeadDim: p.d, Causal: p.causal, Window: p.window, SoftCap: p.softCap}
	nq, nk, top := 1, 2, 0 // a gap before the first sequence
	for _, l := range p.lens {
		a.Queries = append(a.Queries, kernel.Span{Start: nq, Len: l[0]})
		a.Keys = append(a.Keys, kernel.Span{Start: nk, Len: l[1]})
		nq, nk, top = nq+l[0], nk+l[1], max(top, l[1])
	}
	h, kv := p.heads*p.d, p.kv*p.d
	if p.pad > 0 {
		a.LDQ, a.LDK, a.LDV, a.LDO = h+p.pad, kv+p.pad, kv+2*p.pad, h+3*p.pad
	}
	h, kv = h+3*p.pad, kv+3*p.pad
	a.Q, a.K, a.V, a.O, a.LSE = random(1, nq*h), random(2, nk*kv), random(3, nk*kv), zeros(nq*h), zeros(nq*p.heads)
	g := &kernel.AttentionGrad{DO: random(4, nq*h), DQ: zeros(nq * h), DK: zeros(nk * kv), DV: zeros(nk * kv)}
	if p.bias {
		a.BiasQ, a.BiasK = top+1, top+2
		n := p.heads * a.BiasQ * a.BiasK
		a.Bias, g.DBias = random(5, n), zeros(n)
	}
	return a, g
}

func TestAttention(t *testing.T) {
	each(t, func(t *testing.T, s *kernel.Set) {
		for _, p := range problems {
			t.Run(fmt.Sprintf("%+v", p), func(t *testing.T) {
				a, g := p.build()
				o, lse, dq, dk, dv, dbias := plainAttention(a, g)
				s.Attention(a)
				got := slices.Clone(a.LSE.F32())
				for i := range got {
					if got[i] == float32(lse[i]) { // -Inf
						got[i], lse[i] = 0, 0
					}
				}
				near(t, "lse", kernel.OfF32(got), lse, 1e-5)
				near(t, "o", a.O, o, 1e-5)
				s.AttentionGrad(a, g)
				near(t, "dq", g.DQ, dq, 2e-5)
				near(t, "dk", g.DK, dk, 2e-5)
				near(t, "dv", g.DV, dv, 2e-5)
				near(t, "dbias", g.DBias, dbias, 2e-5)
			})
		}
	})
}

// A query has the same bits alone, in any chunk, and beside any other sequence.
func TestAttentionRowsStandAlone(t *testing.T) {
	each(t, func(t *testing.T, s *kernel.Set) {
		for _, p := range problems {
			a, _ := p.build()
			s.Attention(a)
			want := kernel.OfF32(slices.Clone(a.O.F32()))
			wantLSE := kernel.OfF32(slices.Clone(a.LSE.F32()))
			for _, chunk := range []int{1, 3, 50, 97} {
				clear(a.O.F32())
				clear(a.LSE.F32())
				for i, q := range a.Queries {
					for q0 := 0; q0 < q.Len; q0 += chunk {
						b := *a
						k, n := a.Keys[i], min(chunk, q.Len-q0)
						if rest := q.Len - q0 - n; rest > 0 {
							if !p.causal || k.Len < rest {
								continue
							}
							k.Len -= rest // keys after the chunk's last query are not there yet
						}
						b.Queries, b.Keys = []kernel.Span{{Start: q.Start + q0, Len: n}}, []kernel.Span{k}
						s.Attention(&b)
						for r := b.Queries[0].Start; r < b.Queries[0].End(); r++ {
							o, w := r*dense(a.LDO, p.heads*p.d), p.heads*p.d
							same(t, fmt.Sprintf("%+v chunk %d row %d", p, chunk, r), a.O.Slice(o, o+w), want.Slice(o, o+w))
							same(t, fmt.Sprintf("%+v chunk %d lse %d", p, chunk, r), a.LSE.Slice(r*p.heads, (r+1)*p.heads), wantLSE.Slice(r*p.heads, (r+1)*p.heads))
						}
					}
				}
			}
		}
	})
}

// One pass, and two passes where there are fewer (sequence, head) pairs than workers, give the same bits.
func TestAttentionGradPassesAgree(t *testing.T) {
	for _, p := range problems {
		a, g := p.build()
		New(Options{Threads: 1}).Attention(a)
		New(Options{Threads: 1}).AttentionGrad(a, g)
		h := *g
		h.DQ, h.DK, h.DV, h.DBias = zeros(g.DQ.Len()), zeros(g.DK.Len()), zeros(g.DV.Len()), kernel.Buf{}
		New(Options{Threads: 8}).AttentionGrad(a, &h)
		same(t, fmt.Sprintf("%+v dq", p), h.DQ, g.DQ)
		same(t, fmt.Sprintf("%+v dk", p), h.DK, g.DK)
		same(t, fmt.Sprintf("%+v dv", p), h.DV, g.DV)
	}
}
