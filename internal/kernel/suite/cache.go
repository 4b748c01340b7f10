package suite

import (
	"fmt"
	"testing"

	"github.com/plinth-ml/plinth/internal/kernel"
)

// memory is a cache in use: sequences that grow, their pages interleaved, in the second of two layers.
type memory struct {
	kernel.Cache
	lens []int
}

func newMemory(h struct{ H, KV, D int }, dtype kernel.DType, rows, seqs int) *memory {
	return &memory{kernel.Cache{DType: dtype, Layer: 1, Heads: h.KV, HeadDim: h.D, Rows: rows, Tables: make([][]int32, seqs)}, make([]int, seqs)}
}

// grow makes room for n[s] more tokens of each sequence.
func (m *memory) grow(n []int) {
	for s := range n {
		m.lens[s] += n[s]
		for len(m.Tables[s])*m.Rows < m.lens[s] {
			m.Tables[s] = append(m.Tables[s], int32(len(m.Pages)))
			m.Pages = append(m.Pages, kernel.Alloc(m.DType, 2*m.Part()))
		}
	}
}

// tokens are the rows of some sequences: q, k, v of each, dense.
type tokens struct{ q, k, v []kernel.Buf }

func newTokens(d *data, h struct{ H, KV, D int }, lens ...int) *tokens {
	x := new(tokens)
	for _, n := range lens {
		x.q, x.k, x.v = append(x.q, d.in(n*h.H*h.D)), append(x.k, d.in(n*h.KV*h.D)), append(x.v, d.in(n*h.KV*h.D))
	}
	return x
}

// step attends from n[s] more tokens of each sequence, and returns o of each.
func (m *memory) step(s *kernel.Set, d *data, base kernel.Attention, x *tokens, n ...int) []kernel.Buf {
	wide, narrow := base.Heads*base.HeadDim, base.KVHeads*base.HeadDim
	m.grow(n)
	a := base
	a.Queries = pieces(1, n...)
	a.LDQ, a.LDK, a.LDV = wide+1, narrow+2, narrow+3
	rows := end(a.Queries)
	a.Q, a.K, a.V, a.O = d.in(rows*a.LDQ), d.in(rows*a.LDK), d.in(rows*a.LDV), d.in(rows*wide)
	a.Cache = &m.Cache
	for i, sp := range a.Queries {
		from := m.lens[i] - n[i]
		a.Keys = append(a.Keys, kernel.Span{Len: m.lens[i]})
		for r := range sp.Len {
			at := sp.Start + r
			s.Copy(a.Q.Slice(at*a.LDQ, at*a.LDQ+wide), x.q[i].Slice((from+r)*wide, (from+r+1)*wide))
			s.Copy(a.K.Slice(at*a.LDK, at*a.LDK+narrow), x.k[i].Slice((from+r)*narrow, (from+r+1)*narrow))
			s.Copy(a.V.Slice(at*a.LDV, at*a.LDV+narrow), x.v[i].Slice((from+r)*narrow, (from+r+1)*narrow))
		}
	}
	s.Attention(&a)
	var out []kernel.Buf
	for _, sp := range a.Queries {
		out = append(out, a.O.Slice(sp.Start*wide, sp.End()*wide))
	}
	return out
}

// crossQueries are more than the first of two sequences has keys.
var crossQueries = []kernel.Span{{Start: 0, Len: 9}, {Start: 9, Len: 1}}

// cross stores the keys and values of two sequences, and returns o [10, H·D] of crossQueries.
func (m *memory) cross(s *kernel.Set, h struct{ H, KV, D int }, x *tokens, q kernel.Buf) kernel.Buf {
	var lens []int
	for i := range x.k {
		lens = append(lens, x.k[i].Len()/(h.KV*h.D))
	}
	m.grow(lens)
	for i, n := range lens {
		one := m.Cache
		one.Tables = m.Tables[i : i+1]
		s.Attention(&kernel.Attention{Heads: h.H, KVHeads: h.KV, HeadDim: h.D, K: x.k[i], V: x.v[i], Queries: pieces(0, n), Keys: pieces(0, n), Cache: &one})
	}
	o := kernel.Alloc(q.DType(), q.Len())
	s.Attention(&kernel.Attention{Heads: h.H, KVHeads: h.KV, HeadDim: h.D, Q: q, O: o, Queries: crossQueries, Keys: pieces(0, lens...), Cache: &m.Cache})
	return o
}

// cacheModes are calls over a cache.
var cacheModes = []kernel.Attention{
	{Causal: true},
	{Causal: true, Window: 50, Scale: 0.4},
	{Causal: true, SoftCap: 2},
	{Causal: true, Scale: 1, BiasK: 1023}, // a bias by distance
}

// cacheMode is a mode for heads, with its bias.
func cacheMode(d *data, i int, h struct{ H, KV, D int }) kernel.Attention {
	a := cacheModes[i%len(cacheModes)]
	a.Heads, a.KVHeads, a.HeadDim = h.H, h.KV, h.D
	if a.BiasK > 0 {
		a.Bias = d.in(h.H * a.BiasK)
	}
	return a
}

// cacheTypes are what keys and values are stored in; F32 stands for the type of the data.
var cacheTypes = []kernel.DType{kernel.F32, kernel.F16, kernel.Q8_0}

// steps of three sequences: prompts, one of them in chunks, then single tokens; a sequence may rest.
var cacheSteps = [][]int{{5, 0, 100}, {1, 130, 170}, {1, 1, 1}, {0, 9, 1}, {1, 120, 0}, {121, 1, 1}}

// cacheLens are the lengths after cacheSteps.
func cacheLens() []int {
	lens := make([]int, 3)
	for _, n := range cacheSteps {
		for i := range lens {
			lens[i] += n[i]
		}
	}
	return lens
}

// caches computes attention over caches of every type.
func caches(t *testing.T, s *kernel.Set, d *data) {
	for i, h := range headings {
		for j, dtype := range cacheTypes {
			if dtype == kernel.F32 {
				dtype = d.dtype
			}
			base := cacheMode(d, i+j, h)
			m := newMemory(h, dtype, kernel.KeyTile*(1+i%2), 3)
			x := newTokens(d, h, cacheLens()...)
			for k, n := range cacheSteps {
				for q, o := range m.step(s, d, base, x, n...) {
					d.keep(o, "%d/%d heads of %d, mode %d, cache %d, step %d, sequence %d", h.H, h.KV, h.D, i+j, j, k, q)
				}
			}
			y := newTokens(d, h, 7, 140)
			d.keep(newMemory(h, dtype, kernel.KeyTile, 2).cross(s, h, y, d.in(10*h.H*h.D)), "%d/%d heads of %d, cross-attention, cache %d", h.H, h.KV, h.D, j)
		}
	}
}

// cacheRows checks that a query has the same bits whatever the pages, the chunks and the neighbours; and, over an F32 cache, those without one.
func cacheRows(t *testing.T, s *kernel.Set) {
	d := newData(kernel.F32)
	lens := cacheLens()
	for i, h := range headings {
		y, q := newTokens(d, h, 7, 140), d.in(10*h.H*h.D)
		o := newMemory(h, kernel.F32, kernel.KeyTile, 2).cross(s, h, y, q)
		for i, sp := range crossQueries {
			a := kernel.Attention{Heads: h.H, KVHeads: h.KV, HeadDim: h.D, Q: q, K: y.k[i], V: y.v[i], O: d.in(q.Len()), Queries: []kernel.Span{sp}}
			a.Keys = pieces(0, y.k[i].Len()/(h.KV*h.D))
			s.Attention(&a)
			wide := h.H * h.D
			equal(t, fmt.Sprintf("%+v, cross-attention over a cache", h), o.Slice(sp.Start*wide, sp.End()*wide), a.O, sp.Start, sp.Len, wide)
		}
		for j, dtype := range cacheTypes {
			base := cacheMode(d, i+j+1, h)
			x, wide := newTokens(d, h, lens...), h.H*h.D
			name := fmt.Sprintf("%+v, mode %d, %s", h, i+j+1, dtype)
			alone := make([]kernel.Buf, len(lens))
			for q, n := range lens { // each sequence at once, in one page
				one := &tokens{x.q[q : q+1], x.k[q : q+1], x.v[q : q+1]}
				alone[q] = newMemory(h, dtype, 4*kernel.KeyTile, 1).step(s, d, base, one, n)[0]
				if dtype == kernel.F32 {
					a := base
					a.Q, a.K, a.V, a.O = x.q[q], x.k[q], x.v[q], d.in(n*wide)
					a.Queries, a.Keys = pieces(0, n), pieces(0, n)
					s.Attention(&a)
					equal(t, name+" with and without a cache", alone[q], a.O, 0, n, wide)
				}
			}
			m := newMemory(h, dtype, kernel.KeyTile*(1+i%2), 3)
			for _, n := range cacheSteps {
				for q, o := range m.step(s, d, base, x, n...) {
					equal(t, name, o, alone[q], m.lens[q]-n[q], n[q], wide)
				}
			}
		}
	}
}
