package gemm

import (
	"fmt"
	"testing"

	"github.com/plinth-ml/plinth/internal/pool"
)

// matrix is the patches as a matrix that is stored, by the definition.
func (p *Patches) matrix() []float32 {
	rows, cols := p.Dims()
	a := make([]float32, rows*cols)
	at := 0
	for b := range p.B {
		for y := range p.OutH {
			for x := range p.OutW {
				for ky := range p.KH {
					for kx := range p.KW {
						for c := range p.C {
							iy, ix := y*p.Stride-p.Top+ky, x*p.Stride-p.Left+kx
							if iy >= 0 && iy < p.H && ix >= 0 && ix < p.W {
								a[at] = p.X[((b*p.H+iy)*p.W+ix)*p.C+c]
							}
							at++
						}
					}
				}
			}
		}
	}
	return a
}

func TestPatches(t *testing.T) {
	list := []Patches{
		{B: 1, H: 1, W: 1, C: 1, KH: 1, KW: 1, OutH: 1, OutW: 1, Stride: 1},
		{B: 2, H: 7, W: 7, C: 5, KH: 3, KW: 3, OutH: 7, OutW: 7, Stride: 1, Top: 1, Left: 1},
		{B: 1, H: 9, W: 8, C: 3, KH: 3, KW: 3, OutH: 5, OutW: 4, Stride: 2, Top: 1, Left: 1},
		{B: 3, H: 6, W: 5, C: 4, KH: 2, KW: 1, OutH: 4, OutW: 7, Stride: 1, Top: -1, Left: 2},
		{B: 2, H: 8, W: 8, C: 2, KH: 4, KW: 4, OutH: 2, OutW: 2, Stride: 4},
		{B: 1, H: 3, W: 3, C: 2, KH: 5, KW: 7, OutH: 3, OutW: 3, Stride: 1, Top: 2, Left: 3}, // windows wider than the picture
		{B: 2, H: 13, W: 12, C: 40, KH: 3, KW: 3, OutH: 13, OutW: 12, Stride: 1, Top: 1, Left: 1},
		{B: 0, H: 3, W: 3, C: 2, KH: 1, KW: 1, OutH: 3, OutW: 3, Stride: 1},
	}
	each(t, func(t *testing.T, k *Kernel) {
		for _, p := range list {
			p.X = random(p.B * p.H * p.W * p.C)
			a := p.matrix()
			rows, cols := p.Dims()
			for _, N := range []int{1, 8, 33, 150} {
				for _, trans := range []bool{false, true} {
					M, K := rows, cols
					if trans {
						M, K = K, M
					}
					b, bias, residual := random(K*N), random(N), random(M*N)
					want := Product{M: M, N: N, K: K, A: a, TransA: trans, B: b, C: make([]float32, M*N), Bias: bias, Residual: residual, Act: relu}
					oracle(k, &want)
					if rows%2 == 0 { // the residual first: the product plus bias is what it is without the rest
						want.ActLast = true
						plain := want
						plain.Act, plain.Residual, plain.ActLast = nil, nil, false
						oracle(k, &plain)
						for i, v := range residual {
							want.C[i] = max(plain.C[i]+v, 0)
						}
					}
					var packed Packed
					k.Pack(&packed, b, 0, false, K, N)
					for threads := 1; threads <= 3; threads += 2 {
						e := New(k, pool.New(threads))
						for _, w := range []*Packed{nil, &packed} {
							got := want
							got.A, got.Patches, got.Packed, got.C = nil, &p, w, make([]float32, M*N)
							e.Mul(&got)
							sameBits(t, fmt.Sprintf("%+v N=%d transposed=%v threads=%d packed=%v", [9]int{p.B, p.H, p.W, p.C, p.KH, p.KW, p.Stride, p.Top, p.Left},
								N, trans, threads, w != nil), got.C, want.C)
						}
						e.p.Close()
					}
				}
			}
		}
	})
}

func TestPatchesPanicOnSizes(t *testing.T) {
	p := Patches{X: random(8), B: 1, H: 2, W: 2, C: 2, KH: 1, KW: 1, OutH: 2, OutW: 2, Stride: 1}
	for _, m := range []Product{
		{M: 5, N: 1, K: 2, B: random(2), C: random(5)},
		{M: 4, N: 1, K: 2, TransA: true, B: random(2), C: random(4)},
		{M: 4, N: 1, K: 3, B: random(3), C: random(4)},
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%+v did not panic", m)
				}
			}()
			m.Patches = &p
			var s Scratch
			Best().Serial(&s, &m)
		}()
	}
}
