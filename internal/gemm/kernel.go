package gemm

import (
	"fmt"
	"sync"
)

// KC is the length of a block of K. Each block is one chain of multiply-adds from zero, for every variant and path.
const KC = 256

// tileFunc computes C[m,n] = alpha*(A·B) + (C when load, else 0) for one tile and one block of K.
// Element (i,p) of A is a[i*ars+p*acs], (p,j) of B is b[p*ldb+j], (i,j) of C is c[i*ldc+j].
// 1 <= k, 1 <= m <= mr, 1 <= n <= nr; a variant that is not masked takes n = nr only.
type tileFunc func(k int, a *float32, ars, acs int, b *float32, ldb int, c *float32, ldc, m, n int, alpha float32, load bool)

// panelFunc computes tiles of mr x nr elements, one below the other, from packed operands. Tile t reads A from a[t*step],
// each with the strides of a panel, and all read B from b; meanwhile lines of 64 bytes from next on are fetched into the cache.
type panelFunc func(k int, a *float32, step int, b, c *float32, ldc, tiles int, next *float32, lines int, alpha float32, load bool)

// directFunc computes such tiles from rows of A where they lie, lda elements apart, and packed B.
type directFunc func(k int, a *float32, lda int, b, c *float32, ldc, tiles int, next *float32, lines int, alpha float32, load bool)

// rowFunc computes one row of C over four panels of nr columns: element (p,j) of panel q is b[q*panel+p*ldb+j].
type rowFunc func(k int, a *float32, acs int, b *float32, ldb, panel int, c *float32, alpha float32, load bool)

// moveFunc copies or transposes a strip: dst[p*w+i] = src[p*ld+i] or src[i*ld+p] for p < k and a fixed count of i.
type moveFunc func(dst *float32, w int, src *float32, ld, k int)

// mover holds the data movements of a variant; the zero value means plain Go.
type mover struct {
	transpose4  moveFunc // k a multiple of 8
	transpose12 moveFunc
	transpose16 moveFunc
	copy4       moveFunc // k >= 1
	copy12      moveFunc
	copy16      moveFunc
	addTo8      func(y, x *float32, n int)
	fetch       func(p *float32, n int) // starts to move n elements into the cache
}

// Kernel is one variant of the product: a micro-kernel that computes tiles of mr x nr elements, with its packing.
type Kernel struct {
	name   string
	mr, nr int
	block  int  // rows of A in a task, a multiple of mr: block*KC floats stay in the second-level cache
	cols   int  // columns of a task, fewer where that leaves less than minTasks; a multiple of nr
	masked bool // tile takes any n
	mover
	tile      tileFunc
	panel     panelFunc  // or nil
	direct    directFunc // or nil
	row4      rowFunc    // or nil
	few       few
	half      halfFuncs // for stored right sides
	dot32     dotFunc   // for right sides in float32, with TransB; or nil
	fused     tileFunc  // tile for stored right sides, where tile rounds each product; or nil
	peak      func(n int)
	peakFLOPs int // FLOPs of one iteration of peak
}

// Name is "go", "avx2", "avx512" or "neon".
func (k *Kernel) Name() string { return k.name }

// Variants lists the kernels that this CPU can run and that pass their self-check, slowest first; "go" is always the
// first. Do not modify the list.
func Variants() []*Kernel { return variants() }

var variants = sync.OnceValue(func() []*Kernel {
	ks := []*Kernel{goKernel()}
	for _, k := range simdKernels() {
		if k.selfCheck() == nil {
			ks = append(ks, k)
		}
	}
	return ks
})

// Best is the fastest variant.
func Best() *Kernel {
	ks := Variants()
	return ks[len(ks)-1]
}

// ByName returns the variant of that name, or an error that lists those there are.
func ByName(name string) (*Kernel, error) {
	var names []string
	for _, k := range Variants() {
		if k.name == name {
			return k, nil
		}
		names = append(names, k.name)
	}
	return nil, fmt.Errorf("gemm: no kernel %q on this CPU; there are %v", name, names)
}

// selfCheck compares products that take every path with a plain loop: full tiles and all tails, operands packed and not, one and two
// blocks of K, alpha and accumulation. All numbers are small integers, so that every order of summation is exact.
func (k *Kernel) selfCheck() error {
	M, N := 3*k.mr+5, 4*k.nr+3
	fill := func(n, period int) []float32 {
		x := make([]float32, n)
		for i := range x {
			x[i] = float32(i%period - period/2)
		}
		return x
	}
	a, b, start := fill(M*(KC+3), 7), fill((KC+3)*N, 11), fill(M*N, 5)
	var s Scratch
	for _, t := range []struct {
		m, k           int
		trans, acc, in bool // in: B packed beforehand
		alpha          float32
	}{
		{M, 19, false, false, false, 1}, {M, 19, true, true, false, 2}, {M, KC + 3, false, false, true, 2}, {M, KC + 3, true, false, true, 1},
		{1, 19, false, true, true, 1}, {1, KC + 3, true, false, false, 2}, {k.mr - 1, 19, false, true, false, 1}, {k.mr, 19, true, true, true, 2},
	} {
		c := append([]float32(nil), start[:t.m*N]...)
		p := Product{M: t.m, N: N, K: t.k, A: a[:t.m*t.k], B: b[:t.k*N], C: c, TransA: t.trans, TransB: t.trans, Alpha: t.alpha, Accumulate: t.acc}
		if t.in {
			p.Packed = new(Packed)
			k.Pack(p.Packed, p.B, 0, t.trans, t.k, N)
		}
		k.Serial(&s, &p)
		for i := range t.m {
			for j := range N {
				var want float32
				for q := range t.k {
					if t.trans {
						want += a[q*t.m+i] * b[j*t.k+q]
					} else {
						want += a[i*t.k+q] * b[q*N+j]
					}
				}
				want *= t.alpha
				if t.acc {
					want += start[i*N+j]
				}
				if c[i*N+j] != want {
					return fmt.Errorf("gemm: %s: product of %d rows, K %d: element %d,%d is %v, want %v", k.name, t.m, t.k, i, j, c[i*N+j], want)
				}
			}
		}
	}
	return k.checkHalf(&s)
}
