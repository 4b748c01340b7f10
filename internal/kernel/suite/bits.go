package suite

import (
	"fmt"
	"testing"

	"github.com/plinth-ml/plinth/internal/kernel"
)

// equal fails unless rows [i, i+n) of C elements of all have the bits of part.
func equal(t *testing.T, name string, part, all kernel.Buf, i, n, C int) {
	t.Helper()
	same(t, fmt.Sprintf("%s: rows %d to %d alone", name, i, i+n), floats(part), floats(all.Slice(i*C, (i+n)*C)))
}

// rows checks that a row has the same bits whatever rows stand beside it.
func rows(t *testing.T, s *kernel.Set) {
	d := newData(kernel.F32)
	productRows(t, s, d)
	for _, C := range []int{1, 7, 33, 100, 768} {
		const N = 37
		x, y, w, b := d.in(N*C), d.in(N*C), d.in(C), d.in(C)
		for _, op := range []struct {
			name string
			run  func(y, x, x2 kernel.Buf)
		}{
			{"softmax", func(y, x, _ kernel.Buf) { s.Softmax(y, x, C) }},
			{"softmax grad", func(y, x, x2 kernel.Buf) { s.SoftmaxGrad(y, x2, x, C, true) }},
			{"LayerNorm", func(y, x, _ kernel.Buf) { n := x.Len() / C; s.LayerNorm(y, d.in(n), d.in(n), x, w, b, 1e-5) }},
			{"RMSNorm", func(y, x, _ kernel.Buf) { s.RMSNorm(y, d.in(x.Len()/C), x, w, 1e-5) }},
			{"LayerNorm dx", func(y, x, x2 kernel.Buf) {
				n := x.Len() / C
				mean, rstd := d.in(n), d.in(n)
				s.LayerNorm(clone(x), mean, rstd, x, w, b, 1e-5)
				s.LayerNormGrad(y, d.in(C), d.in(C), x2, x, w, mean, rstd, true)
			}},
			{"RMSNorm dx", func(y, x, x2 kernel.Buf) {
				rstd := d.in(x.Len() / C)
				s.RMSNorm(clone(x), rstd, x, w, 1e-5)
				s.RMSNormGrad(y, d.in(C), x2, x, w, rstd, false)
			}},
			{"SwiGLU", func(y, x, x2 kernel.Buf) { s.SwiGLU(y, x, x2) }},
			{"SwiGLU dgate", func(y, x, x2 kernel.Buf) { s.SwiGLUGrad(y, clone(x), x2, x, x2, true) }},
			{"SwiGLU dup", func(y, x, x2 kernel.Buf) { s.SwiGLUGrad(clone(x), y, x2, x, x2, false) }},
			{"MulTo", func(y, x, x2 kernel.Buf) { s.MulTo(y, x, x2) }},
			{"Axpy", func(y, x, _ kernel.Buf) { s.Axpy(y, 0.3, x) }},
			{"gelu", func(y, x, _ kernel.Buf) { s.Act(kernel.GELU, y, x) }},
			{"gelu_tanh", func(y, x, _ kernel.Buf) { s.Act(kernel.GELUTanh, y, x) }},
			{"silu", func(y, x, _ kernel.Buf) { s.Act(kernel.SiLU, y, x) }},
			{"tanh", func(y, x, _ kernel.Buf) { s.Act(kernel.Tanh, y, x) }},
			{"sigmoid", func(y, x, _ kernel.Buf) { s.Act(kernel.Sigmoid, y, x) }},
			{"gelu grad", func(y, x, x2 kernel.Buf) { s.ActGrad(kernel.GELU, y, x2, x, true) }},
			{"gelu_tanh grad", func(y, x, x2 kernel.Buf) { s.ActGrad(kernel.GELUTanh, y, x2, x, false) }},
			{"silu grad", func(y, x, x2 kernel.Buf) { s.ActGrad(kernel.SiLU, y, x2, x, false) }},
			{"tanh grad", func(y, x, x2 kernel.Buf) { s.ActGrad(kernel.Tanh, y, x2, x, false) }},
			{"sigmoid grad", func(y, x, x2 kernel.Buf) { s.ActGrad(kernel.Sigmoid, y, x2, x, false) }},
		} {
			start := d.in(N * C)
			all := clone(start)
			op.run(all, x, y)
			for _, r := range [][2]int{{0, 1}, {1, 1}, {N - 1, 1}, {5, 8}, {20, 17}} {
				from, to := r[0]*C, (r[0]+r[1])*C
				part := clone(start.Slice(from, to))
				op.run(part, x.Slice(from, to), y.Slice(from, to))
				equal(t, fmt.Sprintf("%s of %d", op.name, C), part, all, r[0], r[1], C)
			}
		}
	}
	cos, sin := angles(40, 24, 10000)
	x, pos := d.in(9*2*24), d.ids(9, 0, 40)
	all := d.in(x.Len())
	r := kernel.Rope{Heads: 2, HeadDim: 24, Pos: pos, Cos: d.from(cos), Sin: d.from(sin)}
	s.Rope(all, x, &r)
	for i := range 9 {
		part := d.in(48)
		r.Pos = pos.Slice(i, i+1)
		s.Rope(part, x.Slice(i*48, (i+1)*48), &r)
		equal(t, "rope", part, all, i, 1, 48)
	}
	entropyRows(t, s, d)
}

// productRows: M from 1 to 64, from B as it is and packed, with an epilogue.
func productRows(t *testing.T, s *kernel.Set, d *data) {
	const M = 64
	for _, nk := range [][2]int{{33, 70}, {96, 64}, {7, 5}, {50, 600}} {
		N, K := nk[0], nk[1]
		for _, transB := range []bool{false, true} {
			a, b, bias, residual := d.in(M*K), d.in(K*N), d.in(N), d.in(M*N)
			var packed kernel.Packed
			s.Pack(&packed, b, transB, K, N)
			run := func(i, n int, p *kernel.Packed) kernel.Buf {
				c := kernel.Alloc(kernel.F32, n*N)
				m := &kernel.MatMul{M: n, N: N, K: K, A: a.Slice(i*K, (i+n)*K), C: c, TransB: transB, Packed: p,
					Bias: bias, Act: kernel.GELUTanh, Residual: residual.Slice(i*N, (i+n)*N)}
				if p == nil {
					m.B = b
				}
				s.MatMul(m)
				return c
			}
			all := run(0, M, nil)
			name := fmt.Sprintf("product N=%d K=%d transB=%v", N, K, transB)
			for n := 1; n <= M; n++ {
				equal(t, name, run(0, n, nil), all, 0, n, N)
				equal(t, name+" packed", run(M-n, n, &packed), all, M-n, n, N)
			}
			for i := range M {
				equal(t, name, run(i, 1, nil), all, i, 1, N)
			}
			part := func(i, n int) kernel.Buf { // the rows are columns of A
				m := &kernel.MatMul{M: n, N: N, K: K, A: a.Slice(i, M*K-(M-i-n)), LDA: M, TransA: true, B: b, TransB: transB, C: d.in(n * N)}
				s.MatMul(m)
				return m.C
			}
			all = part(0, M)
			for _, r := range [][2]int{{0, 1}, {5, 1}, {M - 1, 1}, {3, 8}, {17, 40}, {0, 63}} {
				equal(t, name+" transA", part(r[0], r[1]), all, r[0], r[1], N)
			}
		}
	}
}

// entropyRows: the loss of a row, and its dx, alone and among rows of which some count nothing.
func entropyRows(t *testing.T, s *kernel.Set, d *data) {
	for _, sz := range [][3]int{{21, 37, 9}, {600, 50, 16}, {40, 1000, 64}} {
		N, V, C := sz[0], sz[1], sz[2]
		for _, ignored := range []bool{false, true} {
			x, w, bias, ids := d.in(N*C), d.in(V*C), d.in(V), d.ids(N, 0, V)
			for i := range N {
				if ignored && i%4 == 1 {
					ids.I32()[i] = -1
				}
			}
			run := func(i, n int) (loss, dx kernel.Buf) {
				loss, dx = d.in(n), d.in(n*C)
				s.CrossEntropy(&kernel.CrossEntropy{X: x.Slice(i*C, (i+n)*C), W: w, Bias: bias, Targets: ids.Slice(i, i+n), V: V, C: C,
					ZLoss: 1e-4, Scale: 0.5, Loss: loss, DX: dx, DW: d.in(V * C)})
				return loss, dx
			}
			allLoss, allDX := run(0, N)
			name := fmt.Sprintf("cross-entropy %v ignored=%v", sz, ignored)
			for _, r := range [][2]int{{0, 1}, {1, 1}, {2, 1}, {N - 1, 1}, {3, 9}, {0, N / 2}, {N / 2, N - N/2}} {
				loss, dx := run(r[0], r[1])
				equal(t, name, loss, allLoss, r[0], r[1], 1)
				equal(t, name+" dx", dx, allDX, r[0], r[1], C)
			}
		}
	}
}

// attentionRows checks that a query has the same bits when its sequence is alone or among others, and when it comes
// alone (decoding), in a chunk (of a prompt) or with all queries; and that so do the gradients of a sequence.
func attentionRows(t *testing.T, s *kernel.Set) {
	d := newData(kernel.F32)
	for i, T := range []int{5, 33, 129, 300, 600} {
		for mode := range 8 {
			if T > 300 && mode != 0 {
				continue // one long prompt is enough
			}
			h := headings[(i+mode)%len(headings)]
			if T > 300 {
				h = headings[5]
			}
			wide, narrow := h.H*h.D, h.KV*h.D
			spans := pieces(0, 3, T, 70)
			at, n := spans[1].Start, end(spans)
			q, k, v, do := d.in(n*wide), d.in(n*narrow), d.in(n*narrow), d.in(n*wide)
			base := kernel.Attention{Heads: h.H, KVHeads: h.KV, HeadDim: h.D, Causal: mode&1 == 0}
			if mode&2 != 0 {
				base.Window = 10
			}
			if mode&4 != 0 {
				base.BiasQ, base.BiasK = max(T, 70), max(T, 70)
				base.Bias = d.in(h.H * base.BiasQ * base.BiasK)
			}
			name := fmt.Sprintf("T=%d %+v causal=%v window=%d bias=%v", T, h, base.Causal, base.Window, mode&4 != 0)
			all := base
			all.Q, all.K, all.V, all.O, all.LSE, all.Queries, all.Keys = q, k, v, d.in(n*wide), d.in(n*h.H), spans, spans
			s.Attention(&all)
			allGrad := &kernel.AttentionGrad{DO: do, DQ: d.in(n * wide), DK: d.in(n * narrow), DV: d.in(n * narrow)}
			s.AttentionGrad(&all, allGrad)

			part := func(from, to, last int) kernel.Attention { // queries [from, to) with keys [0, last)
				a := base
				a.Q, a.O, a.LSE = q.Slice((at+from)*wide, (at+to)*wide), d.in((to-from)*wide), d.in((to-from)*h.H)
				a.K, a.V = k.Slice(at*narrow, (at+last)*narrow), v.Slice(at*narrow, (at+last)*narrow)
				a.Queries, a.Keys = pieces(0, to-from), pieces(0, last)
				s.Attention(&a)
				equal(t, name+" o", a.O, all.O, at+from, to-from, wide)
				equal(t, name+" lse", a.LSE, all.LSE, at+from, to-from, h.H)
				return a
			}
			alone := part(0, T, T)
			g := &kernel.AttentionGrad{DO: do.Slice(at*wide, (at+T)*wide), DQ: d.in(T * wide), DK: d.in(T * narrow), DV: d.in(T * narrow)}
			s.AttentionGrad(&alone, g)
			equal(t, name+" dq", g.DQ, allGrad.DQ, at, T, wide)
			equal(t, name+" dk", g.DK, allGrad.DK, at, T, narrow)
			equal(t, name+" dv", g.DV, allGrad.DV, at, T, narrow)
			if !base.Causal {
				continue // earlier queries see later keys
			}
			step := max(1, T/40)
			for j := 0; j < T; j += step {
				part(j, j+1, j+1) // one token with its cache
			}
			for _, c := range [][2]int{{0, T / 3}, {T / 3, T}, {T / 2, T/2 + 2}} {
				part(c[0], c[1], c[1]) // a chunk with its cache
			}
		}
	}
}

// masks checks that sequence boundaries are what a mask is: a bias of -Inf between documents, and on padding, gives
// what spans give, forward and backward.
func masks(t *testing.T, s *kernel.Set) {
	d := newData(kernel.F32)
	const T, H, D, W = 45, 2, 8, 16
	for _, gap := range []int{0, 4} { // documents end to end, and with padding between
		for _, causal := range []bool{true, false} {
			name := fmt.Sprintf("gap %d causal=%v", gap, causal)
			spans := pieces(gap, 12, 1, 19)
			bySpans := kernel.Attention{Heads: H, KVHeads: H, HeadDim: D, Q: d.in(T * W), K: d.in(T * W), V: d.in(T * W), O: d.in(T * W),
				LSE: d.in(T * H), Queries: spans, Keys: spans, Causal: causal}
			do, rest := d.in(T*W), make([]bool, T)
			mask := spanMask(&bySpans)
			n := end(spans)
			byBias := bySpans
			byBias.O, byBias.LSE = d.in(T*W), d.in(T*H)
			byBias.Queries, byBias.Keys = pieces(0, T), pieces(0, T)
			byBias.BiasQ, byBias.BiasK = T, T
			byBias.Bias = kernel.Alloc(kernel.F32, H*T*T)
			s.Fill(byBias.Bias, inf(-1))
			for i := range n {
				for j := range n {
					rest[i] = rest[i] || mask[i*n+j]
					for h := range H {
						if mask[i*n+j] {
							byBias.Bias.F32()[(h*T+i)*T+j] = 0
						}
					}
				}
			}
			var grads [2]kernel.AttentionGrad
			for i, a := range []*kernel.Attention{&bySpans, &byBias} {
				s.Attention(a)
				grads[i] = kernel.AttentionGrad{DO: do, DQ: d.from(make([]float64, T*W)), DK: d.from(make([]float64, T*W)), DV: d.from(make([]float64, T*W))}
				s.AttentionGrad(a, &grads[i])
			}
			for i := range T { // padding queries see nothing
				if !rest[i] {
					s.Fill(bySpans.O.Slice(i*W, (i+1)*W), 0)
					s.Fill(bySpans.LSE.Slice(i*H, (i+1)*H), inf(-1))
				}
			}
			near(t, name+" o", floats(byBias.O), floats(bySpans.O), summed)
			near(t, name+" lse", floats(byBias.LSE), floats(bySpans.LSE), summed)
			near(t, name+" dq", floats(grads[1].DQ), floats(grads[0].DQ), summed)
			near(t, name+" dk", floats(grads[1].DK), floats(grads[0].DK), summed)
			near(t, name+" dv", floats(grads[1].DV), floats(grads[0].DV), summed)
		}
	}
}
