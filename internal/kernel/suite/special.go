package suite

import (
	"fmt"
	"math"
	"testing"

	"github.com/plinth-ml/plinth/internal/kernel"
)

func inf(sign int) float64 { return math.Inf(sign) }

// nanRows fails unless exactly the rows of bad hold NaN, in every element.
func nanRows(t *testing.T, name string, y kernel.Buf, C int, bad ...int) {
	t.Helper()
	is := map[int]bool{}
	for _, i := range bad {
		is[i] = true
	}
	for i, v := range floats(y) {
		if math.IsNaN(v) != is[i/C] {
			t.Errorf("%s: element %d of row %d is %v, NaN belongs in rows %v", name, i%C, i/C, v, bad)
			return
		}
	}
}

// nonFinite: -Inf masks out, NaN stays where it belongs and is not swallowed, and memory outside of the spans is not read.
func nonFinite(t *testing.T, s *kernel.Set) {
	d := newData(kernel.F32)
	nan := float32(math.NaN())
	for _, C := range []int{1, 3, 8, 17, 40, 100} {
		at := C * 2 / 3
		x := d.in(4 * C)
		s.Fill(x.Slice(C, 2*C), inf(-1))
		x.F32()[2*C+at] = nan
		y := d.in(4 * C)
		s.Softmax(y, x, C)
		near(t, "softmax of -Inf", floats(y.Slice(C, 2*C)), make([]float64, C), 0)
		nanRows(t, "softmax", y, C, 2)
		if C > 1 {
			x.F32()[3*C+at] = float32(inf(-1))
			s.Softmax(y, x, C)
			if v := y.F32()[3*C+at]; v != 0 {
				t.Errorf("softmax: weight %v where the logit is -Inf", v)
			}
		}

		x = d.in(3 * C)
		x.F32()[C+at] = nan
		w, b, mean, rstd := d.in(C), d.in(C), d.in(3), d.in(3)
		z := d.in(3 * C)
		s.LayerNorm(z, mean, rstd, x, w, b, 1e-5)
		nanRows(t, "LayerNorm", z, C, 1)
		s.RMSNorm(z, rstd, x, w, 1e-5)
		nanRows(t, "RMSNorm", z, C, 1)
		for f := kernel.Identity; f <= kernel.Sigmoid; f++ {
			s.Act(f, z, x)
			nanRows(t, f.String(), z, 1, C+at)
			if f != kernel.ReLU { // the slope of ReLU compares; dy is what carries the NaN there
				s.ActGrad(f, z, d.in(3*C), x, false)
				if f != kernel.Identity {
					nanRows(t, f.String()+" grad of a NaN", z, 1, C+at)
				}
			}
			s.ActGrad(f, z, x, ones(d, 3*C), false)
			nanRows(t, f.String()+" grad", z, 1, C+at)
		}
		if v := s.SumSquares(x); !math.IsNaN(v) {
			t.Errorf("SumSquares with a NaN: %v", v)
		}
		m := &kernel.MatMul{M: 3, N: 5, K: C, A: x, B: d.in(C * 5), C: d.in(15)}
		s.MatMul(m)
		nanRows(t, "product", m.C, 5, 1)
		c := &kernel.CrossEntropy{X: x, W: d.in(6 * C), Targets: d.ids(3, 0, 6), V: 6, C: C, Scale: 1, Loss: d.in(3), LSE: d.in(3), DX: d.in(3 * C)}
		s.CrossEntropy(c)
		nanRows(t, "loss", c.Loss, 1, 1)
		nanRows(t, "lse", c.LSE, 1, 1)
		nanRows(t, "loss dx", c.DX, C, 1)
	}

	// Rows of the cache after the last key, and padding, may hold anything.
	for _, T := range []int{3, 40, 130} {
		const H, D, rows = 2, 8, 200
		a := &kernel.Attention{Heads: H, KVHeads: H, HeadDim: D, Q: d.in(rows * H * D), K: d.in(rows * H * D), V: d.in(rows * H * D),
			O: kernel.Alloc(kernel.F32, rows*H*D), LSE: kernel.Alloc(kernel.F32, rows*H), Queries: pieces(2, T), Keys: pieces(2, T), Causal: T != 40}
		for _, b := range []kernel.Buf{a.Q, a.K, a.V} {
			s.Fill(b.Slice(0, 2*H*D), math.NaN())
			s.Fill(b.Slice((T+2)*H*D, rows*H*D), math.NaN())
		}
		s.Attention(a)
		nanRows(t, "attention beside NaN", a.O, H*D)
		g := &kernel.AttentionGrad{DO: d.in(rows * H * D), DQ: d.in(rows * H * D), DK: d.in(rows * H * D), DV: d.in(rows * H * D)}
		s.AttentionGrad(a, g)
		nanRows(t, "dq beside NaN", g.DQ, H*D)
		nanRows(t, "dk beside NaN", g.DK, H*D)
		nanRows(t, "dv beside NaN", g.DV, H*D)
		a.Q.F32()[5] = 0
		a.Q.F32()[(2+T/2)*H*D] = nan // one query, one head
		s.Attention(a)
		nanRows(t, "attention with a NaN query", a.O, D, (2+T/2)*H)
	}
}

// hidden: a key or value with a NaN or an infinity in it changes no query that does not see it, with and without a cache, and every query that sees a NaN: by a key all of
// its row, by a value that column (or block of Q8_0).
func hidden(t *testing.T, s *kernel.Set) {
	steps := []int{131, 7, 1, 30} // so many queries at once
	modes := []kernel.Attention{{Causal: true}, {Causal: true, Window: 20}, {Window: 20}, {Causal: true, SoftCap: 2}, {Causal: true, Window: 140, BiasK: 1023}}
	for i, h := range []struct{ H, KV, D int }{{2, 2, 32}, {4, 1, 32}, {3, 1, 5}, {1, 1, 40}, {2, 1, 32}} {
		for j, dtype := range cacheTypes {
			for k := range 2 {
				base := modes[(i+j+2*k)%len(modes)]
				base.Heads, base.KVHeads, base.HeadDim = h.H, h.KV, h.D
				d := newData(kernel.F32)
				if base.BiasK > 0 {
					base.Bias = d.in(h.H * base.BiasK)
				}
				x, wide, narrow := newTokens(d, h, 169), h.H*h.D, h.KV*h.D
				run := func() []float64 {
					m := newMemory(h, dtype, kernel.KeyTile, 1)
					var o []float64
					for _, n := range steps {
						o = append(o, floats(m.step(s, newData(kernel.F32), base, x, n)[0])...)
					}
					if dtype == kernel.F32 { // and without a cache, all at once
						a := base
						a.Q, a.K, a.V, a.O = x.q[0], x.k[0], x.v[0], kernel.Alloc(kernel.F32, 169*wide)
						a.Queries, a.Keys = pieces(0, 169), pieces(0, 169)
						s.Attention(&a)
						o = append(o, floats(a.O)...)
					}
					return o
				}
				clean := run()
				for n, bad := range []float64{math.NaN(), inf(1 - 2*k)} {
					for _, at := range []int{60, 130, 134}[n:] {
						head, col := (i+at)%h.KV, (3*at+k)%h.D
						for which, buf := range []kernel.Buf{x.k[0], x.v[0]} {
							place := &buf.F32()[at*narrow+head*h.D+col]
							kept := *place
							*place = float32(bad)
							got := run()
							*place = kept
							name := fmt.Sprintf("%+v, %s, mode %d, %v at %d, column %d of head %d of %s", h, dtype, k, bad, at, col, head, []string{"k", "v"}[which])
							length, step := 0, 0
							for q := range len(got) / wide { // at the end all 169 again, without a cache
								if q == 169 {
									length = 169
								} else if q < 169 && q == length {
									length += steps[step]
									step++
								}
								apart := q%169 - at
								sees := at < length && (!base.Causal || apart >= 0) && (base.Window == 0 || max(apart, -apart) < base.Window)
								for c := range wide {
									mine := c/h.D*h.KV/h.H == head
									touched := sees && mine && (which == 0 || c%h.D == col || dtype == kernel.Q8_0 && c%h.D/32 == col/32)
									switch v := got[q*wide+c]; {
									case !touched && v != clean[q*wide+c]:
										t.Fatalf("%s: element %d of query %d is %v instead of %v", name, c, q, v, clean[q*wide+c])
									case touched && (n == 0 || dtype == kernel.Q8_0) && !math.IsNaN(v):
										t.Fatalf("%s: element %d of query %d is %v", name, c, q, v)
									}
								}
							}
						}
					}
				}
			}
		}
	}
}

// ones returns n ones.
func ones(d *data, n int) kernel.Buf { return d.from(each(func(int) float64 { return 1 }, n)) }
