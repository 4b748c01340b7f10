package suite

import (
	"math"
	"testing"

	"github.com/plinth-ml/plinth/internal/kernel"
)

// table tests the ops on tables of rows and the sums over rows.
func table(t *testing.T, s *kernel.Set, d *data) {
	for _, sh := range shapes() {
		N, C := sh[0], sh[1]
		for _, V := range []int{1, 29} {
			w, ids, dy := d.in(V*C), d.ids(N, 0, V), d.in(N*C)
			for _, acc := range []bool{false, true} {
				y := d.out(N*C, "Gather %v of %d, acc %v", sh, V, acc)
				before := floats(y)
				s.Gather(y, w, ids, C, acc)
				if d.plain() {
					W := floats(w)
					near(t, "Gather", floats(y), each(func(i int) float64 {
						v := W[int(ids.I32()[i/C])*C+i%C]
						if acc {
							v += before[i]
						}
						return v
					}, N*C), exact)
				}
			}
			dw := d.out(V*C, "ScatterAdd %v to %d", sh, V)
			want := floats(dw)
			s.ScatterAdd(dw, dy, ids, C)
			if d.plain() {
				for i, v := range floats(dy) {
					want[int(ids.I32()[i/C])*C+i%C] += v
				}
				near(t, "ScatterAdd", floats(dw), want, exact)
			}
		}
		y, x := d.out(C, "SumRows %v", sh), d.in(N*C)
		want := floats(y)
		s.SumRows(y, x)
		if d.plain() {
			for i, v := range floats(x) {
				want[i%C] += v
			}
			near(t, "SumRows", floats(y), want, exact)
		}
	}
}

// sequences tests means over spans, with rows that are in none and spans that are empty.
func sequences(t *testing.T, s *kernel.Set, d *data) {
	for _, C := range []int{1, 7, 16, 33, 300} {
		for _, spans := range [][]kernel.Span{
			nil,
			{{Start: 0, Len: 1}},
			{{Start: 2, Len: 5}, {Start: 7, Len: 0}, {Start: 9, Len: 30}, {Start: 39, Len: 1}},
			{{Start: 20, Len: 21}, {Start: 1, Len: 4}},
			{{Start: 0, Len: 200}, {Start: 200, Len: 200}},
		} {
			N, S := 41, len(spans)
			for _, sp := range spans {
				N = max(N, sp.End())
			}
			x, dy := d.in(N*C), d.in(S*C)
			y := d.out(S*C, "SeqMean %v of %d", spans, C)
			dx := d.out(N*C, "SeqMeanGrad %v of %d", spans, C)
			dxAcc := d.out(N*C, "SeqMeanGrad %v of %d added", spans, C)
			want, wantX, wantAcc := make([]float64, S*C), make([]float64, N*C), floats(dxAcc)
			s.SeqMean(y, x, spans, C)
			s.SeqMeanGrad(dx, dy, spans, C, false)
			s.SeqMeanGrad(dxAcc, dy, spans, C, true)
			if !d.plain() {
				continue
			}
			X, DY := floats(x), floats(dy)
			for i, sp := range spans {
				for r := sp.Start; r < sp.End(); r++ {
					for j := range C {
						want[i*C+j] += X[r*C+j] / float64(sp.Len)
						wantX[r*C+j] += DY[i*C+j] / float64(sp.Len)
						wantAcc[r*C+j] += DY[i*C+j] / float64(sp.Len)
					}
				}
			}
			near(t, "SeqMean", floats(y), want, exact)
			near(t, "SeqMeanGrad", floats(dx), wantX, exact)
			near(t, "SeqMeanGrad added", floats(dxAcc), wantAcc, exact)
		}
	}
}

// angles returns the cosines and sines [positions, D/2] as float32 values.
func angles(positions, D int, base float64) (cos, sin []float64) {
	for p := range positions {
		for i := range D / 2 {
			a := float64(p) * math.Pow(base, -2*float64(i)/float64(D))
			cos, sin = append(cos, float64(float32(math.Cos(a)))), append(sin, float64(float32(math.Sin(a))))
		}
	}
	return cos, sin
}

func rope(t *testing.T, s *kernel.Set, d *data) {
	const positions = 50
	for D := 2; D <= 80; D += 2 {
		for v := range 4 {
			N, H := []int{0, 3, 40, 7}[(D/2+v)%4], 1+D%3
			if D == 64 {
				N, H = 300, 4
			}
			R := D // of each head, what turns
			if D%3 == 0 {
				R = max(2, D/4&^1)
			}
			cos, sin := angles(positions, R, 10000)
			r := &kernel.Rope{Heads: H, HeadDim: D, Pairs: v&1 != 0, Inverse: v&2 != 0, Pos: d.ids(N, 0, positions), Cos: d.from(cos), Sin: d.from(sin)}
			if R < D {
				r.Dims = R
			}
			ld := H * D
			if D%4 == 0 {
				r.Stride = H*D + 5
				ld = r.Stride
			}
			x := d.in(N * ld)
			y := d.out(N*ld, "rope D=%d R=%d H=%d N=%d pairs=%v inverse=%v", D, R, H, N, r.Pairs, r.Inverse)
			want := floats(y)
			s.Rope(y, x, r)
			if d.plain() {
				X := floats(x)
				for i := range N * H { // what does not turn
					at := i/H*ld + i%H*D
					copy(want[at+R:at+D], X[at+R:at+D])
				}
				for i := range N * H * (R / 2) {
					n, h, j := i/(H*(R/2)), i/(R/2)%H, i%(R/2)
					a := n*ld + h*D + j
					b := a + R/2
					if r.Pairs {
						a = n*ld + h*D + 2*j
						b = a + 1
					}
					at := int(r.Pos.I32()[n])*(R/2) + j
					turn := complex(cos[at], sin[at])
					if r.Inverse {
						turn = complex(cos[at], -sin[at])
					}
					z := complex(X[a], X[b]) * turn
					want[a], want[b] = real(z), imag(z)
				}
				near(t, "rope", floats(y), want, exact)
			}
			in := d.keep(clone(x), "rope D=%d R=%d pairs=%v inverse=%v in place", D, R, r.Pairs, r.Inverse)
			s.Rope(in, in, r)
		}
	}
}
