package suite

import (
	"fmt"
	"math"
	"testing"

	"github.com/plinth-ml/plinth/internal/kernel"
	"github.com/plinth-ml/plinth/internal/random"
)

// pieces lays spans out one after the other, with a gap of rows that belong to nothing before each.
func pieces(gap int, lens ...int) []kernel.Span {
	var spans []kernel.Span
	at := 0
	for _, n := range lens {
		spans = append(spans, kernel.Span{Start: at + gap, Len: n})
		at += gap + n
	}
	return spans
}

// end is the number of rows that spans need.
func end(spans []kernel.Span) int {
	n := 0
	for _, s := range spans {
		n = max(n, s.End())
	}
	return n
}

// layouts of sequences: lengths of queries and of keys.
var layouts = []struct {
	gap           int
	queries, keys []int
}{
	{0, []int{1}, []int{1}},
	{0, []int{13}, []int{13}},
	{0, []int{7, 0, 1, 33, 2}, []int{7, 0, 1, 33, 2}}, // ragged
	{2, []int{9, 20}, []int{9, 20}},                   // padding between
	{0, []int{1, 1, 1}, []int{40, 7, 129}},            // cached decoding
	{1, []int{5, 17, 4, 0}, []int{17, 17, 150, 3}},    // chunks of a prompt
	{0, nil, nil},
	{0, []int{140}, []int{140}},
	{0, []int{270, 31}, []int{270, 140}},
}

var headings = []struct{ H, KV, D int }{{1, 1, 8}, {4, 2, 16}, {3, 1, 5}, {2, 2, 33}, {6, 2, 4}, {4, 4, 32}}

func attention(t *testing.T, s *kernel.Set, d *data) {
	for i, l := range layouts {
		for j := range 16 {
			if i >= 7 && j%5 != 0 && j != 2 {
				continue // long ones: a few modes
			}
			h := headings[(i+j)%len(headings)]
			a := &kernel.Attention{Heads: h.H, KVHeads: h.KV, HeadDim: h.D, Queries: pieces(l.gap, l.queries...), Keys: pieces(2*l.gap, l.keys...),
				Causal: j&1 == 0, Window: []int{0, 1, 3, 20}[j/2%4]}
			if (i+j)%3 == 0 {
				a.Scale = 0.7
			}
			if (i+j)%4 == 1 {
				a.SoftCap = 1.5
			}
			if j&8 != 0 {
				a.BiasQ, a.BiasK = 1, 2
				for _, n := range l.keys {
					a.BiasQ, a.BiasK = max(a.BiasQ, n), max(a.BiasK, n+2)
				}
				if j&4 != 0 { // by distance
					a.BiasQ, a.BiasK = 0, 2*a.BiasQ+1
				}
				a.Bias = d.in(h.H * max(1, a.BiasQ) * a.BiasK)
			}
			if (i+j)%2 == 1 { // q, k, v side by side in one row of a product, as models have them
				a.LDQ, a.LDK, a.LDV, a.LDO = h.H*h.D+3, h.KV*h.D+1, h.KV*h.D+2, h.H*h.D+5
			}
			if (i+j)%3 == 1 {
				a.Drop = kernel.Dropout{P: 0.3, Key: random.NewKey(uint64(i), uint64(j))}
			}
			attend(t, s, d, a, fmt.Sprintf("%d/%d heads of %d, queries %v keys %v causal=%v window=%d cap=%v bias=%v drop=%v", h.H, h.KV, h.D,
				l.queries, l.keys, a.Causal, a.Window, a.SoftCap, !a.Bias.None(), a.Drop.P))
		}
	}
	// More queries than keys: the first stand before all keys.
	a := &kernel.Attention{Heads: 2, KVHeads: 1, HeadDim: 6, Queries: pieces(0, 9, 2), Keys: pieces(0, 4, 0), Causal: true}
	attend(t, s, d, a, "more queries than keys, causal")
	b := &kernel.Attention{Heads: 2, KVHeads: 1, HeadDim: 6, Queries: pieces(0, 9, 2), Keys: pieces(0, 4, 0), Window: 3}
	attend(t, s, d, b, "more queries than keys, window")
}

func stride(ld, width int) int {
	if ld == 0 {
		return width
	}
	return ld
}

// attend gives a operands, runs it forward and backward and notes the results.
func attend(t *testing.T, s *kernel.Set, d *data, a *kernel.Attention, name string) {
	nq, nk := end(a.Queries), end(a.Keys)
	wide, narrow := a.Heads*a.HeadDim, a.KVHeads*a.HeadDim
	ldq, ldk, ldv, ldo := stride(a.LDQ, wide), stride(a.LDK, narrow), stride(a.LDV, narrow), stride(a.LDO, wide)
	a.Q, a.K, a.V = d.in(nq*ldq), d.in(nk*ldk), d.in(nk*ldv)
	g := &kernel.AttentionGrad{DO: d.in(nq * ldo), DQ: d.out(nq*ldq, "%s: dq", name), DK: d.out(nk*ldk, "%s: dk", name), DV: d.out(nk*ldv, "%s: dv", name)}
	a.O, a.LSE = d.out(nq*ldo, "%s: o", name), d.out(nq*a.Heads, "%s: lse", name)
	if !a.Bias.None() {
		g.DBias = d.out(a.Bias.Len(), "%s: dbias", name)
	}
	want := plainAttention{o: floats(a.O), lse: floats(a.LSE), dq: floats(g.DQ), dk: floats(g.DK), dv: floats(g.DV), dbias: floats(g.DBias)}
	s.Attention(a)
	s.AttentionGrad(a, g)
	if d.plain() {
		want.compute(a, floats(g.DO), spanMask(a))
		want.compare(t, name, a, g, exact)
	}
	without := *a
	without.LSE, without.O = kernel.Buf{}, d.out(nq*ldo, "%s: o without lse", name)
	s.Attention(&without)
}

// spanMask returns the matrix [rows of Q, rows of K] that says which query sees which key, made from a document number
// and a position of every row, as a model with a mask has it; padding rows have document -1.
func spanMask(a *kernel.Attention) []bool {
	label := func(spans []kernel.Span, first func(s int) int) (document, position []int) {
		document, position = make([]int, end(spans)), make([]int, end(spans))
		for i := range document {
			document[i] = -1
		}
		for s, sp := range spans {
			for i := range sp.Len {
				document[sp.Start+i], position[sp.Start+i] = s, first(s)+i
			}
		}
		return document, position
	}
	docQ, posQ := label(a.Queries, func(s int) int { return a.Keys[s].Len - a.Queries[s].Len })
	docK, posK := label(a.Keys, func(int) int { return 0 })
	mask := make([]bool, len(docQ)*len(docK))
	for i, q := range docQ {
		for j, k := range docK {
			apart := posQ[i] - posK[j]
			mask[i*len(docK)+j] = q >= 0 && q == k && (!a.Causal || apart >= 0) && (a.Window == 0 || apart < a.Window && -apart < a.Window)
		}
	}
	return mask
}

// place is where the bias of a query and a key position stands.
func place(a *kernel.Attention, head, query, key int) int {
	if a.BiasQ == 0 {
		return head*a.BiasK + (a.BiasK-1)/2 + key - query
	}
	return (head*a.BiasQ+query)*a.BiasK + key
}

// plainAttention holds the results of attention with explicit matrices; rows in no span keep what they held.
type plainAttention struct{ o, lse, dq, dk, dv, dbias []float64 }

// compute does softmax(cap(Q Kᵀ scale) + bias, masked) V over all rows of Q and K at once, and its gradient.
func (p *plainAttention) compute(a *kernel.Attention, do []float64, mask []bool) {
	H, D := a.Heads, a.HeadDim
	nq, nk := end(a.Queries), end(a.Keys)
	ldq, ldk := stride(a.LDQ, H*D), stride(a.LDK, a.KVHeads*D)
	ldv, ldo := stride(a.LDV, a.KVHeads*D), stride(a.LDO, H*D)
	q, k, v, bias := floats(a.Q), floats(a.K), floats(a.V), floats(a.Bias)
	scale := a.Scale
	if scale == 0 {
		scale = math.Pow(float64(D), -0.5)
	}
	// The position of each query and key in its sequence, for the bias.
	posQ, posK := make([]int, nq), make([]int, nk)
	for s, Q := range a.Queries {
		K := a.Keys[s]
		for i := range Q.Len {
			r := Q.Start + i
			posQ[r] = K.Len - Q.Len + i
			clear(p.o[r*ldo : r*ldo+H*D])
			clear(p.dq[r*ldq : r*ldq+H*D])
		}
		for i := range K.Len {
			r := K.Start + i
			posK[r] = i
			clear(p.dk[r*ldk : r*ldk+a.KVHeads*D])
			clear(p.dv[r*ldv : r*ldv+a.KVHeads*D])
		}
	}
	for h := range H {
		g := h / (H / a.KVHeads)
		for _, Q := range a.Queries {
			for i := Q.Start; i < Q.End(); i++ {
				p.lse[i*H+h] = math.Inf(-1)
				P, slope, sum := make([]float64, nk), make([]float64, nk), 0.0
				for j := range nk {
					if !mask[i*nk+j] {
						continue
					}
					score := 0.0
					for c := range D {
						score += scale * q[i*ldq+h*D+c] * k[j*ldk+g*D+c]
					}
					slope[j] = 1
					if a.SoftCap != 0 {
						cosh := math.Cosh(score / a.SoftCap)
						score, slope[j] = a.SoftCap*math.Tanh(score/a.SoftCap), 1/(cosh*cosh)
					}
					if bias != nil {
						score += bias[place(a, h, posQ[i], posK[j])]
					}
					P[j] = math.Exp(score)
					sum += P[j]
				}
				if sum == 0 {
					continue
				}
				p.lse[i*H+h] = math.Log(sum)
				// What the dropout multiplies each probability by.
				M := make([]float64, nk)
				for j := range nk {
					if M[j] = 1; a.Drop.P != 0 && mask[i*nk+j] {
						bits := a.Drop.Key.At(uint64(i*H + h)).Bits128(uint64(posK[j] / 8))
						if M[j] = a.Drop.Scale(); bits[posK[j]%8/2]>>(posK[j]%2*16)&0xffff < a.Drop.Drops() {
							M[j] = 0
						}
					}
				}
				mean := 0.0 // Σ P dP = do · o
				for c := range D {
					for j := range nk {
						p.o[i*ldo+h*D+c] += M[j] * P[j] / sum * v[j*ldv+g*D+c]
					}
					mean += do[i*ldo+h*D+c] * p.o[i*ldo+h*D+c]
				}
				for j := range nk {
					if P[j] == 0 {
						continue
					}
					ds := -mean
					for c := range D {
						ds += M[j] * do[i*ldo+h*D+c] * v[j*ldv+g*D+c]
					}
					ds *= P[j] / sum
					if p.dbias != nil {
						p.dbias[place(a, h, posQ[i], posK[j])] += ds
					}
					ds *= slope[j]
					for c := range D {
						p.dq[i*ldq+h*D+c] += ds * scale * k[j*ldk+g*D+c]
						p.dk[j*ldk+g*D+c] += ds * scale * q[i*ldq+h*D+c]
						p.dv[j*ldv+g*D+c] += M[j] * P[j] / sum * do[i*ldo+h*D+c]
					}
				}
			}
		}
	}
}

func (p *plainAttention) compare(t *testing.T, name string, a *kernel.Attention, g *kernel.AttentionGrad, tol float64) {
	t.Helper()
	near(t, name+": o", floats(a.O), p.o, tol)
	near(t, name+": lse", floats(a.LSE), p.lse, tol)
	near(t, name+": dq", floats(g.DQ), p.dq, tol)
	near(t, name+": dk", floats(g.DK), p.dk, tol)
	near(t, name+": dv", floats(g.DV), p.dv, tol)
	near(t, name+": dbias", floats(g.DBias), p.dbias, tol)
}
