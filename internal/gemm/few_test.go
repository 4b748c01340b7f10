package gemm

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/plinth-ml/plinth/internal/vec"
)

// narrow makes a random right side [k, n], the memory of Few's B, in which it begins at column col, and its values.
func narrow(r *rand.Rand, stored Stored, k, n, col int) (b []byte, ldb int, wide []float32) {
	half := func(at []byte) float32 { // a number in 1/8 to 1
		h := uint16(0x3000 + r.IntN(0xc00) + r.IntN(2)<<15)
		at[0], at[1] = byte(h), byte(h>>8)
		return vec.F16(h)
	}
	wide = make([]float32, k*n)
	switch stored {
	case F16:
		ldb = 2*n + 6
		b = make([]byte, (k-1)*ldb+2*n)
		for i := range wide {
			wide[i] = half(b[i/n*ldb+2*(i%n):])
		}
	case Q8Values:
		ldb = n/32*34 + 34
		b = make([]byte, (k-1)*ldb+n/32*34)
		var scale float32
		for i := range wide {
			block := b[i/n*ldb+i%n/32*34:]
			if i%32 == 0 {
				scale = half(block)
			}
			code := int8(r.Uint32())
			block[2+i%32] = byte(code)
			wide[i] = float32(code) * scale
		}
	case Q8Keys:
		ldb = col + n + 32
		b = make([]byte, k/32*34*ldb)
		scales := make([]float32, n)
		for i := range wide {
			group := b[i/n/32*34*ldb:]
			if i/n%32 == 0 {
				scales[i%n] = half(group[2*(col+i%n):])
			}
			code := int8(r.Uint32())
			group[(2+i/n%32)*ldb+col+i%n] = byte(code)
			wide[i] = float32(code) * scales[i%n]
		}
	}
	return b, ldb, wide
}

// Products of few rows have the bits of products with the right side in float32.
func TestFew(t *testing.T) {
	for _, kern := range Variants() {
		if !kern.HasFew(1) {
			continue
		}
		r := rand.New(rand.NewPCG(1, 2))
		for _, stored := range []Stored{F16, Q8Keys, Q8Values} {
			for m := 1; m <= 9; m++ {
				for _, n := range []int{32, 64, 96, 128} {
					for _, k := range []int{32, 64, 128, 256} {
						if stored != Q8Keys {
							k -= r.IntN(32)
						}
						for _, acc := range []bool{false, true} {
							col := 32 * r.IntN(3)
							b, ldb, wide := narrow(r, stored, k, n, col)
							p := Few{M: m, N: n, K: k, LDA: k + 3, LDB: ldb, LDC: n + 5, B: b, Stored: stored, Col: col, Alpha: 0.3, Accumulate: acc}
							if acc {
								p.Alpha = 1
							}
							p.A, p.C = make([]float32, (m-1)*p.LDA+k), make([]float32, (m-1)*p.LDC+n)
							for i := range p.A {
								p.A[i] = float32(r.NormFloat64())
							}
							for i := range p.C {
								p.C[i] = float32(r.NormFloat64())
							}
							want := slices.Clone(p.C)
							var s Scratch
							kern.Serial(&s, &Product{M: m, N: n, K: k, A: p.A, B: wide, C: want, LDA: p.LDA, LDC: p.LDC, Alpha: p.Alpha, Accumulate: acc})
							kern.Few(&p)
							if !slices.Equal(p.C, want) {
								t.Fatal(fmt.Sprint(kern.Name(), ": stored ", stored, " ", m, "x", n, "x", k, " acc ", acc, ":\n", p.C, "\nwant\n", want))
							}
						}
					}
				}
			}
		}
	}
}

func TestFewChecks(t *testing.T) {
	for _, kern := range Variants() {
		for i, p := range []Few{
			{M: 1, N: 32, K: 257, A: make([]float32, 300), C: make([]float32, 32), LDB: 64, B: make([]byte, 64*300)},
			{M: 1, N: 31, K: 4, A: make([]float32, 4), C: make([]float32, 32), LDB: 64, B: make([]byte, 64*4)},
			{M: 1, N: 32, K: 4, A: make([]float32, 4), C: make([]float32, 32), LDB: 64, B: make([]byte, 64*4-1)},
			{M: 2, N: 32, K: 4, A: make([]float32, 7), LDA: 4, C: make([]float32, 64), LDC: 32, LDB: 64, B: make([]byte, 64*4)},
			{M: 1, N: 32, K: 33, A: make([]float32, 33), C: make([]float32, 32), LDB: 32, B: make([]byte, 34*64), Stored: Q8Keys},
			{M: 1, N: 32, K: 32, A: make([]float32, 32), C: make([]float32, 32), LDB: 64, B: make([]byte, 34*64), Stored: Q8Keys, Col: 33},
		} {
			func() {
				defer func() {
					if recover() == nil {
						t.Errorf("%s: case %d passed", kern.Name(), i)
					}
				}()
				kern.Few(&p)
			}()
		}
	}
}
