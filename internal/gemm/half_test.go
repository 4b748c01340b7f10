package gemm

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/plinth-ml/plinth/internal/pool"
	"github.com/plinth-ml/plinth/internal/quant"
)

// storedFormats are those that a right side may have.
var storedFormats = []quant.Format{quant.F16, quant.BF16, quant.NF4, quant.FP4}

// stored makes n random numbers in a format, whole blocks, offset bytes behind an even address, and their values. Some are subnormal or zero; with wild, some are infinite or NaN.
func stored(r *rand.Rand, f quant.Format, n, offset int, wild bool) (b []byte, wide []float32) {
	wide = make([]float32, n)
	for i := range wide {
		wide[i] = float32(r.NormFloat64())
		switch x := r.IntN(200); {
		case x < 10:
			wide[i] *= 0x1p-16
		case x < 15 && f == quant.BF16:
			wide[i] *= 0x1p-130
		case x == 15:
			wide[i] = float32(math.Copysign(0, -1))
		case x == 16 && wild:
			wide[i] = float32(math.Inf(1 - 2*r.IntN(2)))
		case x == 17 && wild:
			wide[i] = float32(math.NaN())
		}
	}
	b = make([]byte, f.Bytes(n)+offset)[offset:]
	f.Encode(b, wide)
	f.Decode(wide, b)
	return b, wide
}

// A product with a stored right side is the one with the same numbers in float32, bit for bit, for all tails of M, N and K, wherever its bytes lie;
// the portable variant, which rounds the products of the latter, has the same bits as the others.
func TestHalf(t *testing.T) {
	best := Best()
	p := pool.New(2)
	defer p.Close()
	for _, f := range storedFormats {
		r := rand.New(rand.NewPCG(3, uint64(f)))
		for _, n := range []int{1, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33, 40, 48, 63, 64, 65, 80, 131} {
			for _, k := range []int{0, 1, 5, 15, 16, 31, 32, 33, 63, 64, 96, 97, 255, 256, 257, 288, 512, 519, 800} {
				if unit, _ := f.Block(); k%unit != 0 {
					continue
				}
				for _, m := range []int{1, 2, 3, 7, 13} {
					if m > 3 && (n > 40 || k > 300) && (n+k+m)%5 != 0 {
						continue
					}
					lda, ldc, acc, alpha := k+r.IntN(3), n+r.IntN(3), r.IntN(2) == 0, float32(1)
					if r.IntN(3) == 0 {
						alpha = 0.3
					}
					weights, wide := stored(r, f, n*k, r.IntN(2), m == 3)
					a, start := make([]float32, m*lda), make([]float32, m*ldc)
					for i := range a {
						a[i] = float32(r.NormFloat64()) * 0x1p-3
						if f == quant.BF16 && r.IntN(50) == 0 {
							a[i] *= 0x1p-10 // products round to subnormals and zeros
						}
					}
					for i := range start {
						start[i] = float32(r.NormFloat64())
					}
					product := Product{M: m, N: n, K: k, A: a, LDA: lda, LDC: ldc, Alpha: alpha, Accumulate: acc}
					want := slices.Clone(start)
					plain := product
					plain.B, plain.TransB, plain.C = wide, true, want
					var s Scratch
					best.Serial(&s, &plain)
					for _, kern := range Variants() {
						if kern.fused != nil && m*n*k > 20000 && (n+k)%7 != 0 {
							continue
						}
						got := slices.Clone(start)
						narrow := product
						narrow.Stored, narrow.Format, narrow.C = weights, f, got
						if n%2 == 0 {
							kern.Serial(&s, &narrow)
						} else {
							New(kern, p).Mul(&narrow)
						}
						sameBits(t, fmt.Sprintf("%s: %s [%d,%d]·[%d,%d]ᵀ, rows of C %d apart", kern.Name(), f, m, k, n, k, ldc), got, want)
					}
				}
			}
		}
	}
}

// Row i has the same bits for every M, in products large enough to be packed and cut in every way.
func TestHalfRows(t *testing.T) {
	p := pool.New(3)
	defer p.Close()
	for _, f := range storedFormats {
		r := rand.New(rand.NewPCG(4, uint64(f)))
		const most, N, K = 300, 133, 704
		weights, wide := stored(r, f, N*K, 1, false)
		a := make([]float32, most*K)
		for i := range a {
			a[i] = float32(r.NormFloat64())
		}
		for _, kern := range Variants()[1:] {
			e := New(kern, p)
			want := make([]float32, most*N)
			e.Mul(&Product{M: most, N: N, K: K, A: a, B: wide, TransB: true, C: want})
			for m := 1; m <= most; m++ {
				if m > 64 && m%50 != 0 {
					continue
				}
				got := make([]float32, m*N)
				e.Mul(&Product{M: m, N: N, K: K, A: a, Stored: weights, Format: f, C: got})
				if !slices.Equal(got, want[:m*N]) {
					t.Fatalf("%s: %s: %d rows differ from the same rows among %d", kern.Name(), f, m, most)
				}
			}
		}
	}
}

// A variant that is wrong does not pass the self-check.
func TestHalfCheck(t *testing.T) {
	for _, k := range Variants() {
		if k.half[0].dot == nil {
			continue
		}
		for i := range 2 {
			bad := *k
			bad.half[i].dot = bad.half[1-i].dot
			if bad.checkHalf(new(Scratch)) == nil {
				t.Errorf("%s with another format's dot product passes", k.name)
			}
			bad = *k
			bad.half[i].widen = func(dst *float32, src *byte, ld, k, ahead int) {}
			if bad.checkHalf(new(Scratch)) == nil {
				t.Errorf("%s that widens nothing passes", k.name)
			}
		}
	}
}

func TestHalfSizes(t *testing.T) {
	for _, p := range []Product{
		{M: 1, N: 2, K: 3, A: make([]float32, 3), Stored: make([]byte, 11), C: make([]float32, 2)},
		{M: 1, N: 2, K: 3, A: make([]float32, 3), Stored: make([]byte, 12), Format: quant.Q8_0, C: make([]float32, 2)},
		{M: 1, N: 2, K: 64, A: make([]float32, 64), Stored: make([]byte, 71), Format: quant.NF4, C: make([]float32, 2)},
		{M: 1, N: 4, K: 32, A: make([]float32, 32), Stored: make([]byte, 72), Format: quant.NF4, C: make([]float32, 4)},
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%d bytes of %s for [%d,%d] passed", len(p.Stored), p.Format, p.N, p.K)
				}
			}()
			Best().Serial(new(Scratch), &p)
		}()
	}
}
