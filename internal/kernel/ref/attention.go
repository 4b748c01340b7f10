package ref

import (
	"fmt"
	"math"

	"github.com/plinth-ml/plinth/internal/kernel"
)

// heads is an Attention with its strides resolved.
type heads[T float] struct {
	*kernel.Attention
	ldq, ldk, ldv, ldo int
	q, k, v, bias      []T
	scale              float64
}

func newHeads[T float](op string, a *kernel.Attention) *heads[T] {
	D := a.HeadDim
	if D <= 0 || a.Heads <= 0 || a.KVHeads <= 0 || a.Heads%a.KVHeads != 0 || len(a.Queries) != len(a.Keys) {
		panic(fmt.Sprintf("ref: %s: %d heads on %d of dim %d, %d query spans, %d key spans", op, a.Heads, a.KVHeads, D, len(a.Queries), len(a.Keys)))
	}
	h := &heads[T]{Attention: a, q: of[T](a.Q), k: of[T](a.K), v: of[T](a.V), bias: of[T](a.Bias), scale: a.Scale}
	if h.scale == 0 {
		h.scale = 1 / math.Sqrt(float64(D))
	}
	h.ldq, h.ldo = dense(a.LDQ, a.Heads*D), dense(a.LDO, a.Heads*D)
	h.ldk, h.ldv = dense(a.LDK, a.KVHeads*D), dense(a.LDV, a.KVHeads*D)
	option(op, "Bias", a.Bias, a.Heads*max(1, a.BiasQ)*a.BiasK)
	nq, nk := 0, 0
	for s, q := range a.Queries {
		k := a.Keys[s]
		nq, nk = max(nq, q.End()), max(nk, k.End())
		if h.bias != nil && !a.BiasFits(q.Len, k.Len) {
			panic(fmt.Sprintf("ref: %s: sequence %d has %d queries, %d keys; Bias is [%d,%d,%d]", op, s, q.Len, k.Len, a.Heads, a.BiasQ, a.BiasK))
		}
	}
	checkSpans(op, a.Queries, nq)
	checkSpans(op, a.Keys, nk)
	wantRows(op, "Q", a.Q, nq, a.Heads*D, h.ldq)
	wantRows(op, "K", a.K, nk, a.KVHeads*D, h.ldk)
	wantRows(op, "V", a.V, nk, a.KVHeads*D, h.ldv)
	return h
}

// sees reports whether query j of sequence s sees its key i.
func (h *heads[T]) sees(s, j, i int) bool {
	apart := h.Keys[s].Len - h.Queries[s].Len + j - i
	return !(h.Causal && apart < 0 || h.Window > 0 && max(apart, -apart) >= h.Window)
}

// probs sets p [Tk] to the softmax of the scores of query j of sequence s in a head, and returns their log-sum-exp.
func (h *heads[T]) probs(p []float64, s, head, j int) float64 {
	D, Q, K := h.HeadDim, h.Queries[s], h.Keys[s]
	at := K.Len - Q.Len + j // the query's position
	q := h.q[(Q.Start+j)*h.ldq+head*D:][:D]
	for i := range p {
		if !h.sees(s, j, i) {
			p[i] = math.Inf(-1)
			continue
		}
		p[i] = h.cap(h.scale * dot(q, h.key(s, head, i)))
		if h.bias != nil {
			p[i] += float64(h.bias[h.BiasAt(head, at)+i])
		}
	}
	return softmaxRow(p)
}

// drop sets factors [Tk] to what the dropout multiplies the probabilities of query j of sequence s in a head by.
func (h *heads[T]) drop(factors []float64, s, head, j int) {
	d := h.DropOf(h.Queries[s].Start+j, head)
	for i := range factors {
		if factors[i] = 1; h.Drop.P != 0 {
			factors[i] = d.Factor(i)
		}
	}
}

// cap bounds a score.
func (h *heads[T]) cap(score float64) float64 {
	if h.SoftCap == 0 {
		return score
	}
	return h.SoftCap * math.Tanh(score/h.SoftCap)
}

// slope is the derivative of cap at a score.
func (h *heads[T]) slope(score float64) float64 {
	if h.SoftCap == 0 {
		return 1
	}
	c := math.Tanh(score / h.SoftCap)
	return 1 - c*c
}

func (h *heads[T]) kvHead(head int) int { return head * h.KVHeads / h.Heads }

func (h *heads[T]) key(s, head, i int) []T {
	return h.k[(h.Keys[s].Start+i)*h.ldk+h.kvHead(head)*h.HeadDim:][:h.HeadDim]
}

func (h *heads[T]) value(s, head, i int) []T {
	return h.v[(h.Keys[s].Start+i)*h.ldv+h.kvHead(head)*h.HeadDim:][:h.HeadDim]
}

func dot[T float](a, b []T) float64 {
	sum := 0.0
	for i, v := range a {
		sum += float64(v) * float64(b[i])
	}
	return sum
}

func axpyRow[T float](y []float64, a float64, x []T) {
	for i, v := range x {
		y[i] += a * float64(v)
	}
}

func store[T float](y []T, sums []float64) {
	for i, v := range sums {
		y[i] = T(v)
	}
}

// attention writes zeros, and a log-sum-exp of -Inf, for a query that sees no key.
func attention[T float](a *kernel.Attention) {
	if a.Cache != nil {
		a = remember[T]("Attention", a)
		if a.Q.None() {
			return
		}
	}
	h, D := newHeads[T]("Attention", a), a.HeadDim
	o, lse := of[T](a.O), of[T](a.LSE)
	sum := make([]float64, D)
	for s, Q := range a.Queries {
		wantRows("Attention", "O", a.O, Q.End(), a.Heads*D, h.ldo)
		if lse != nil {
			wantRows("Attention", "LSE", a.LSE, Q.End(), a.Heads, a.Heads)
		}
		p, kept := make([]float64, a.Keys[s].Len), make([]float64, a.Keys[s].Len)
		for head := range a.Heads {
			for j := range Q.Len {
				l := h.probs(p, s, head, j)
				h.drop(kept, s, head, j)
				clear(sum)
				for i, w := range p {
					if kept[i] == 0 {
						w = 0 // whatever it was
					}
					if h.sees(s, j, i) {
						axpyRow(sum, w*kept[i], h.value(s, head, i))
					}
				}
				row := Q.Start + j
				store(o[row*h.ldo+head*D:][:D], sum)
				if lse != nil {
					lse[row*a.Heads+head] = T(l)
				}
			}
		}
	}
}

// attentionGrad recomputes the probabilities P and the factors M of their dropout. With dP = M (dO·Vᵀ): dBias = P (dP - Σ P dP), dS = dBias cap',
// dQ = dS K scale, dK = dSᵀ Q scale, dV = (M P)ᵀ dO.
func attentionGrad[T float](a *kernel.Attention, g *kernel.AttentionGrad) {
	const op = "AttentionGrad"
	h, D := newHeads[T](op, a), a.HeadDim
	option(op, "DBias", g.DBias, a.Bias.Len())
	do, dq, dk, dv := of[T](g.DO), of[T](g.DQ), of[T](g.DK), of[T](g.DV)
	dBias := of[T](g.DBias)
	sumBias := make([]float64, len(dBias))
	for s, Q := range a.Queries {
		K := a.Keys[s]
		wantRows(op, "DO", g.DO, Q.End(), a.Heads*D, h.ldo)
		wantRows(op, "DQ", g.DQ, Q.End(), a.Heads*D, h.ldq)
		wantRows(op, "DK", g.DK, K.End(), a.KVHeads*D, h.ldk)
		wantRows(op, "DV", g.DV, K.End(), a.KVHeads*D, h.ldv)
		p, dp, kept, sumQ := make([]float64, K.Len), make([]float64, K.Len), make([]float64, K.Len), make([]float64, D)
		width := a.KVHeads * D
		sumK, sumV := make([]float64, K.Len*width), make([]float64, K.Len*width)
		for head := range a.Heads {
			col := h.kvHead(head) * D
			for j := range Q.Len {
				h.probs(p, s, head, j)
				h.drop(kept, s, head, j)
				row := Q.Start + j
				doRow, q := do[row*h.ldo+head*D:][:D], h.q[row*h.ldq+head*D:][:D]
				mean := 0.0
				for i, w := range p {
					if w == 0 {
						continue
					}
					dp[i] = kept[i] * dot(doRow, h.value(s, head, i))
					mean += w * dp[i]
				}
				clear(sumQ)
				for i, w := range p {
					if w == 0 {
						continue
					}
					ds := w * (dp[i] - mean)
					if dBias != nil {
						sumBias[a.BiasAt(head, K.Len-Q.Len+j)+i] += ds
					}
					ds *= h.slope(h.scale * dot(q, h.key(s, head, i)))
					axpyRow(sumQ, ds*h.scale, h.key(s, head, i))
					axpyRow(sumK[i*width+col:][:D], ds*h.scale, q)
					axpyRow(sumV[i*width+col:][:D], w*kept[i], doRow)
				}
				store(dq[row*h.ldq+head*D:][:D], sumQ)
			}
		}
		for i := range K.Len {
			store(dk[(K.Start+i)*h.ldk:][:width], sumK[i*width:][:width])
			store(dv[(K.Start+i)*h.ldv:][:width], sumV[i*width:][:width])
		}
	}
	addTo(dBias, sumBias)
}
