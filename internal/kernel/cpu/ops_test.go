package cpu

import (
	"fmt"
	"math"
	"testing"

	"github.com/plinth-ml/plinth/internal/kernel"
)

// wide returns the elements of b in float64.
func wide(b kernel.Buf) []float64 {
	s := make([]float64, b.Len())
	for i, v := range b.F32() {
		s[i] = float64(v)
	}
	return s
}

// numeric is the gradient of sum(dy * f(x)) by central differences.
func numeric(f func(x []float64) []float64, x, dy []float64) []float64 {
	const h = 1e-5
	dx := make([]float64, len(x))
	for i := range x {
		old := x[i]
		x[i] = old + h
		up := f(x)
		x[i] = old - h
		down := f(x)
		x[i] = old
		for j := range dy {
			dx[i] += dy[j] * (up[j] - down[j]) / (2 * h)
		}
	}
	return dx
}

// rowwise applies f to each row of c elements and puts the results together.
func rowwise(c int, x []float64, f func(i int, x []float64) []float64) []float64 {
	var y []float64
	for i := 0; i < len(x); i += c {
		y = append(y, f(i/c, x[i:i+c])...)
	}
	return y
}

// plus is a + b; it lets acc cases start from what was there.
func plus(a, b []float64) []float64 {
	for i := range a {
		a[i] += b[i]
	}
	return a
}

func plainAct(f kernel.Act, x float64) float64 {
	switch f {
	case kernel.GELU:
		return x * math.Erfc(-x/math.Sqrt2) / 2
	case kernel.GELUTanh:
		return x / 2 * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(x+0.044715*x*x*x)))
	case kernel.ReLU:
		return max(x, 0)
	case kernel.SiLU:
		return x / (1 + math.Exp(-x))
	case kernel.Tanh:
		return math.Tanh(x)
	case kernel.Sigmoid:
		return 1 / (1 + math.Exp(-x))
	}
	return x
}

func TestActivations(t *testing.T) {
	each(t, func(t *testing.T, s *kernel.Set) {
		for f := kernel.Identity; f <= kernel.Sigmoid; f++ {
			const n = 2*heavy + 77
			x, dy, y, dx := random(1, n), random(2, n), zeros(n), random(3, n)
			want, grad, start := make([]float64, n), make([]float64, n), wide(dx)
			for i, v := range wide(x) {
				want[i] = plainAct(f, v)
				grad[i] = float64(dy.F32()[i]) * (plainAct(f, v+1e-6) - plainAct(f, v-1e-6)) / 2e-6
			}
			s.Act(f, y, x)
			near(t, f.String(), y, want, 2e-6)
			s.ActGrad(f, dx, dy, x, true)
			near(t, f.String()+" grad added", dx, plus(start, grad), 3e-6)
			s.ActGrad(f, dy, dy, x, false)
			near(t, f.String()+" grad in place", dy, grad, 3e-6)
		}
	})
}

func TestElementwise(t *testing.T) {
	each(t, func(t *testing.T, s *kernel.Set) {
		for _, n := range []int{0, 1, 37, light + 5, 3 * light} {
			a, b := random(1, n), random(2, n)
			A, B := wide(a), wide(b)
			up, gate := random(4, n), random(5, n)
			for _, op := range []struct {
				name string
				run  func(y kernel.Buf)
				want func(y, a, b float64) float64
			}{
				{"fill", func(y kernel.Buf) { s.Fill(y, 1.5) }, func(_, _, _ float64) float64 { return 1.5 }},
				{"copy", func(y kernel.Buf) { s.Copy(y, a) }, func(_, a, _ float64) float64 { return a }},
				{"add", func(y kernel.Buf) { s.Add(y, a, b) }, func(_, a, b float64) float64 { return a + b }},
				{"mul", func(y kernel.Buf) { s.Mul(y, a, b) }, func(_, a, b float64) float64 { return a * b }},
				{"mulTo", func(y kernel.Buf) { s.MulTo(y, a, b) }, func(y, a, b float64) float64 { return y + a*b }},
				{"axpy", func(y kernel.Buf) { s.Axpy(y, -0.5, a) }, func(y, a, _ float64) float64 { return y - 0.5*a }},
				{"scale", func(y kernel.Buf) { s.Scale(y, 3, b) }, func(_, _, b float64) float64 { return 3 * b }},
				{"swiglu", func(y kernel.Buf) { s.SwiGLU(y, a, b) }, func(_, a, b float64) float64 { return plainAct(kernel.SiLU, a) * b }},
				{"swiglu dup", func(y kernel.Buf) { s.SwiGLUGrad(random(6, n), y, a, b, up, true) },
					func(y, a, b float64) float64 { return y + a*plainAct(kernel.SiLU, b) }},
				{"swiglu dup written", func(y kernel.Buf) { s.SwiGLUGrad(random(6, n), y, a, gate, up, false) }, nil},
			} {
				y := random(3, n)
				Y := wide(y)
				for i := range Y {
					if op.want == nil {
						Y[i] = A[i] * plainAct(kernel.SiLU, float64(gate.F32()[i]))
						continue
					}
					Y[i] = op.want(Y[i], A[i], B[i])
				}
				op.run(y)
				near(t, fmt.Sprintf("%s of %d", op.name, n), y, Y, 2e-6)
			}
			want := 0.0
			for _, v := range A {
				want += v * v
			}
			if got := s.SumSquares(a); math.Abs(got-want) > 1e-12*want {
				t.Errorf("SumSquares of %d: %v, want %v", n, got, want)
			}
		}
	})
}

func TestNorms(t *testing.T) {
	const eps = 1e-5
	each(t, func(t *testing.T, s *kernel.Set) {
		for _, p := range []struct{ n, c int }{{1, 1}, {3, 7}, {1300, 16}, {21, 33}} {
			name := fmt.Sprintf("%+v ", p)
			x, w, b, dy := random(1, p.n*p.c), random(2, p.c), random(3, p.c), random(4, p.n*p.c)
			W, B, DY := wide(w), wide(b), wide(dy)
			var dw, db, rw []float64
			layer := func(w, b []float64) func(int, []float64) []float64 {
				return func(_ int, x []float64) (y []float64) {
					var mean, square float64
					for _, v := range x {
						mean += v / float64(len(x))
					}
					for _, v := range x {
						square += (v - mean) * (v - mean) / float64(len(x))
					}
					for i, v := range x {
						y = append(y, (v-mean)/math.Sqrt(square+eps)*w[i]+b[i])
					}
					return y
				}
			}
			rms := func(w []float64) func(int, []float64) []float64 {
				return func(_ int, x []float64) (y []float64) {
					var square float64
					for _, v := range x {
						square += v * v / float64(len(x))
					}
					for i, v := range x {
						y = append(y, v/math.Sqrt(square+eps)*w[i])
					}
					return y
				}
			}
			soft := func(_ int, x []float64) (y []float64) {
				var sum float64
				for _, v := range x {
					sum += math.Exp(v)
				}
				for _, v := range x {
					y = append(y, math.Exp(v)/sum)
				}
				return y
			}
			grad := func(f func(int, []float64) []float64) []float64 {
				return rowwise(p.c, wide(x), func(i int, x []float64) []float64 {
					return numeric(func(x []float64) []float64 { return f(i, x) }, x, DY[i*p.c:(i+1)*p.c])
				})
			}
			ones, none := make([]float64, p.c), make([]float64, p.c)
			for i := range ones {
				ones[i] = 1
			}
			dw, db, rw = make([]float64, p.c), make([]float64, p.c), make([]float64, p.c)
			hat, rhat := rowwise(p.c, wide(x), layer(ones, none)), rowwise(p.c, wide(x), rms(ones))
			for i, d := range DY {
				dw[i%p.c] += d * hat[i]
				db[i%p.c] += d
				rw[i%p.c] += d * rhat[i]
			}

			y, mean, rstd, dx := zeros(p.n*p.c), zeros(p.n), zeros(p.n), random(5, p.n*p.c)
			start, gw, gb := wide(dx), zeros(p.c), zeros(p.c)
			s.LayerNorm(y, mean, rstd, x, w, b, eps)
			near(t, name+"layernorm", y, rowwise(p.c, wide(x), layer(W, B)), 1e-5)
			s.LayerNormGrad(dx, gw, gb, dy, x, w, mean, rstd, true)
			want := grad(layer(W, B))
			near(t, name+"layernorm dx added", dx, plus(start, want), 1e-5)
			near(t, name+"layernorm dw", gw, dw, 1e-5)
			near(t, name+"layernorm db", gb, db, 1e-5)
			s.LayerNormGrad(dx, kernel.Buf{}, kernel.Buf{}, dy, x, w, mean, rstd, false)
			near(t, name+"layernorm dx", dx, want, 1e-5)
			s.LayerNormGrad(kernel.Buf{}, gw, kernel.Buf{}, dy, x, w, mean, rstd, false)
			near(t, name+"layernorm dw twice", gw, plus(dw, dw), 1e-5)

			s.RMSNorm(y, rstd, x, w, eps)
			near(t, name+"rmsnorm", y, rowwise(p.c, wide(x), rms(W)), 1e-5)
			start, gw = wide(dx), zeros(p.c)
			s.RMSNormGrad(dx, gw, dy, x, w, rstd, true)
			want = grad(rms(W))
			near(t, name+"rmsnorm dx added", dx, plus(start, want), 1e-5)
			near(t, name+"rmsnorm dw", gw, rw, 1e-5)

			s.Softmax(y, x, p.c)
			near(t, name+"softmax", y, rowwise(p.c, wide(x), soft), 1e-5)
			start = wide(dx)
			s.SoftmaxGrad(dx, dy, y, p.c, true)
			near(t, name+"softmax dx added", dx, plus(start, grad(soft)), 1e-5)

			s.SumRows(gb, dy)
			near(t, name+"sumrows", gb, plus(db, db), 1e-5)
		}
		inf := float32(math.Inf(-1))
		y := random(1, 6)
		s.Softmax(y, kernel.OfF32([]float32{inf, inf, inf, 1, inf, 1}), 3)
		near(t, "softmax of -Inf", y, []float64{0, 0, 0, 0.5, 0, 0.5}, 1e-7)
	})
}

func TestRows(t *testing.T) {
	each(t, func(t *testing.T, s *kernel.Set) {
		for _, p := range []struct{ n, c, v int }{{0, 5, 3}, {1, 1, 1}, {9, 5, 40}, {3000, 12, 50}} {
			name := fmt.Sprintf("%+v ", p)
			ids := make([]int32, p.n)
			for i := range ids {
				ids[i] = int32(i * i % p.v)
			}
			table, y, dy, dw := random(1, p.v*p.c), random(2, p.n*p.c), random(3, p.n*p.c), random(4, p.v*p.c)
			got, added, scattered := make([]float64, p.n*p.c), wide(y), wide(dw)
			for i, id := range ids {
				for j := range p.c {
					got[i*p.c+j] = float64(table.F32()[int(id)*p.c+j])
					scattered[int(id)*p.c+j] += float64(dy.F32()[i*p.c+j])
				}
			}
			s.Gather(y, table, kernel.OfI32(ids), p.c, true)
			near(t, name+"gather added", y, plus(added, got), 1e-6)
			s.Gather(y, table, kernel.OfI32(ids), p.c, false)
			near(t, name+"gather", y, got, 0)
			s.ScatterAdd(dw, dy, kernel.OfI32(ids), p.c)
			near(t, name+"scatter", dw, scattered, 1e-5)
		}

		const n, c = 4000, 6
		spans := []kernel.Span{{Start: 1, Len: 9}, {Start: 10, Len: 0}, {Start: 20, Len: 3900}, {Start: 15, Len: 10}}
		x, y, dy, dx := random(1, n*c), random(2, 4*c), random(3, 4*c), random(4, n*c)
		mean, spread := make([]float64, 4*c), make([]float64, n*c)
		for i, sp := range spans {
			for r := sp.Start; r < sp.End(); r++ {
				for j := range c {
					mean[i*c+j] += float64(x.F32()[r*c+j]) / float64(sp.Len)
					spread[r*c+j] += float64(dy.F32()[i*c+j]) / float64(sp.Len)
				}
			}
		}
		s.SeqMean(y, x, spans, c)
		near(t, "seqmean", y, mean, 1e-5)
		start := wide(dx)
		s.SeqMeanGrad(dx, dy, spans, c, true)
		near(t, "seqmean grad added", dx, plus(start, spread), 1e-5)
		s.SeqMeanGrad(dx, dy, spans, c, false)
		near(t, "seqmean grad", dx, spread, 1e-5)
	})
}

func TestRope(t *testing.T) {
	const n, heads, d, stride, top = 700, 3, 10, 33, 50
	each(t, func(t *testing.T, s *kernel.Set) {
		pos := make([]int32, n)
		for i := range pos {
			pos[i] = int32(i * 7 % top)
		}
		cos, sin := zeros(top*d/2), zeros(top*d/2)
		for i := range cos.F32() {
			angle := float64(i/(d/2)) * math.Pow(100, -float64(i%(d/2))/(d/2))
			cos.F32()[i], sin.F32()[i] = float32(math.Cos(angle)), float32(math.Sin(angle))
		}
		for _, pairs := range []bool{false, true} {
			r := &kernel.Rope{Heads: heads, HeadDim: d, Stride: stride, Pairs: pairs, Pos: kernel.OfI32(pos), Cos: cos, Sin: sin}
			x, y := random(1, n*stride), zeros(n*stride)
			want, back := wide(x), wide(x)
			s.Copy(y, x)
			for i, p := range pos {
				for h := range heads {
					for j := range d / 2 {
						a, b := i*stride+h*d+j, i*stride+h*d+j+d/2
						if pairs {
							a, b = i*stride+h*d+2*j, i*stride+h*d+2*j+1
						}
						C, S := float64(cos.F32()[int(p)*d/2+j]), float64(sin.F32()[int(p)*d/2+j])
						want[a], want[b] = want[a]*C-want[b]*S, want[b]*C+want[a]*S
					}
				}
			}
			s.Rope(y, x, r)
			near(t, fmt.Sprintf("rope pairs=%v", pairs), y, want, 1e-6)
			inverse := *r
			inverse.Inverse = true
			s.Rope(y, y, &inverse)
			near(t, fmt.Sprintf("rope back pairs=%v", pairs), y, back, 1e-6)
		}
	})
}

func TestAdamW(t *testing.T) {
	each(t, func(t *testing.T, s *kernel.Set) {
		const n = light + 9
		p, g, m, v := random(1, n), random(2, n), random(3, n), random(4, n)
		s.Mul(v, v, v)
		P, G, M, V := wide(p), wide(g), wide(m), wide(v)
		a := &kernel.AdamW{LR: 0.01, Beta1: 0.9, Beta2: 0.99, Eps: 1e-8, WeightDecay: 0.1, Step: 3, GradScale: 0.5, ZeroGrad: true}
		for i := range P {
			d := 0.5 * G[i]
			M[i] = 0.9*M[i] + 0.1*d
			V[i] = 0.99*V[i] + 0.01*d*d
			P[i] = P[i]*(1-0.01*0.1) - 0.01*M[i]/(1-math.Pow(0.9, 3))/(math.Sqrt(V[i]/(1-math.Pow(0.99, 3)))+1e-8)
		}
		s.AdamW(a, kernel.AdamWParam{P: p, G: g, M: m, V: v})
		near(t, "p", p, P, 1e-6)
		near(t, "m", m, M, 1e-6)
		near(t, "v", v, V, 1e-6)
		near(t, "g", g, make([]float64, n), 0)
	})
}

func TestMatMul(t *testing.T) {
	each(t, func(t *testing.T, s *kernel.Set) {
		const M, N, K, ldc = 70, 83, 300, 90
		for _, trans := range []bool{false, true} {
			a, b, bias, res := random(1, M*K), random(2, K*N), random(3, N), random(4, M*ldc)
			want, pre, sum := make([]float64, M*ldc), make([]float64, M*ldc), random(5, M*ldc)
			added := wide(sum)
			for i := range M {
				for j := range N {
					var x float64
					for k := range K {
						if trans {
							x += float64(a.F32()[k*M+i]) * float64(b.F32()[j*K+k])
						} else {
							x += float64(a.F32()[i*K+k]) * float64(b.F32()[k*N+j])
						}
					}
					added[i*ldc+j] += x
					pre[i*ldc+j] = 0.25*x + float64(bias.F32()[j])
					want[i*ldc+j] = plainAct(kernel.SiLU, pre[i*ldc+j]) + float64(res.F32()[i*ldc+j])
				}
			}
			m := kernel.MatMul{M: M, N: N, K: K, A: a, B: b, C: zeros(M * ldc), LDC: ldc, TransA: trans, TransB: trans, Alpha: 0.25,
				Bias: bias, Act: kernel.SiLU, Pre: zeros(M * ldc), Residual: res}
			s.MatMul(&m)
			near(t, "c", m.C, want, 1e-5)
			near(t, "pre", m.Pre, pre, 1e-5)
			var p kernel.Packed
			s.Pack(&p, b, trans, K, N)
			q := m
			q.B, q.Packed, q.C = kernel.Buf{}, &p, zeros(M*ldc)
			s.MatMul(&q)
			same(t, "packed", q.C, m.C)
			s.MatMul(&kernel.MatMul{M: M, N: N, K: K, A: a, B: b, C: sum, LDC: ldc, TransA: trans, TransB: trans, Accumulate: true})
			near(t, "accumulated", sum, added, 1e-5)
		}
	})
}
