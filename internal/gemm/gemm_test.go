package gemm

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/plinth-ml/plinth/internal/pool"
)

// fma is a*b + c with a single rounding: the sum in float64 is rounded to odd, so that rounding it again is exact.
func fma(a, b, c float32) float32 {
	p, x := float64(a)*float64(b), float64(c)
	s := p + x
	z := s - p
	rest := (p - (s - z)) + (x - z)
	if bits := math.Float64bits(s); rest != 0 && bits&1 == 0 && !math.IsInf(s, 0) && !math.IsNaN(s) {
		if (rest > 0) == (s > 0) {
			bits++
		} else {
			bits--
		}
		s = math.Float64frombits(bits)
	}
	return float32(s)
}

func mulAdd(a, b, c float32) float32 { return float32(a*b) + c }

// oracle computes m by the definition in doc.go with plain loops.
func oracle(k *Kernel, m *Product) {
	step := fma
	if k.name == "go" {
		step = mulAdd
	}
	p := *m
	p.Packed = nil
	p.resolve(0)
	for i := range p.M {
		for j := range p.N {
			var c float32
			at := i*p.LDC + j
			if p.Accumulate {
				c = p.C[at]
			}
			for k0 := 0; k0 < p.K; k0 += KC {
				var sum float32
				for q := k0; q < min(k0+KC, p.K); q++ {
					ai, bi := i*p.LDA+q, q*p.LDB+j
					if p.TransA {
						ai = q*p.LDA + i
					}
					if p.TransB {
						bi = j*p.LDB + q
					}
					sum = step(p.A[ai], p.B[bi], sum)
				}
				c = step(p.Alpha, sum, c)
			}
			if p.Bias != nil {
				c += p.Bias[j]
			}
			if p.Pre != nil {
				p.Pre[at] = c
			}
			if p.Act != nil {
				y := []float32{c}
				p.Act(y, y)
				c = y[0]
			}
			if p.Residual != nil {
				c += p.Residual[at]
			}
			p.C[at] = c
		}
	}
}

func relu(y, x []float32) {
	for i, v := range x {
		y[i] = max(v, 0)
	}
}

var rng = rand.New(rand.NewPCG(1, 2))

// random returns n numbers in a slice that ends with its allocation, at any alignment.
func random(n int) []float32 {
	s := make([]float32, n+rng.IntN(4))
	s = s[len(s)-n:]
	for i := range s {
		s[i] = rng.Float32()*2 - 1
	}
	return s
}

// shape is a product with its options, from which make builds operands.
type shape struct {
	m, n, k      int
	ta, tb       bool
	pad          int // added to each stride
	alpha        float32
	acc          bool
	bias, act    bool
	pre, residue bool
	packed       bool
}

// make returns a product whose C and Pre hold finite guards; the last row of each operand is not padded.
func (s shape) make() *Product {
	size := func(rows, cols int) (n, ld int) {
		if rows == 0 || cols == 0 {
			return 0, cols + s.pad
		}
		return (rows-1)*(cols+s.pad) + cols, cols + s.pad
	}
	p := &Product{M: s.m, N: s.n, K: s.k, TransA: s.ta, TransB: s.tb, Alpha: s.alpha, Accumulate: s.acc}
	ar, ac, br, bc := s.m, s.k, s.k, s.n
	if s.ta {
		ar, ac = ac, ar
	}
	if s.tb {
		br, bc = bc, br
	}
	var n int
	n, p.LDA = size(ar, ac)
	p.A = random(n)
	n, p.LDB = size(br, bc)
	p.B = random(n)
	n, p.LDC = size(s.m, s.n)
	p.C = random(n)
	if s.bias {
		p.Bias = random(s.n)
	}
	if s.act {
		p.Act = relu
	}
	if s.pre {
		p.Pre = random(n)
	}
	if s.residue {
		p.Residual = random(n)
	}
	return p
}

// clone copies what a product writes.
func clone(p *Product) *Product {
	q := *p
	q.C, q.Pre = slices.Clone(p.C), slices.Clone(p.Pre)
	return &q
}

// equal reports whether the bits are equal; all NaNs are one.
func equal(a, b []float32) bool {
	return slices.EqualFunc(a, b, func(x, y float32) bool {
		return math.Float32bits(x) == math.Float32bits(y) || x != x && y != y
	})
}

func sameBits(t *testing.T, what string, got, want []float32) {
	t.Helper()
	for i := range want {
		if !equal(got[i:i+1], want[i:i+1]) {
			t.Fatalf("%s: element %d is %v, want %v", what, i, got[i], want[i])
		}
	}
}

// check compares Serial with the oracle, bit by bit, over all of C and Pre, padding included.
func check(t *testing.T, k *Kernel, s *Scratch, sh shape) {
	t.Helper()
	got := sh.make()
	want := clone(got)
	oracle(k, want)
	if sh.packed {
		got.Packed = new(Packed)
		k.Pack(got.Packed, got.B, got.LDB, got.TransB, got.K, got.N)
		got.B = nil
	}
	k.Serial(s, got)
	if !equal(got.C, want.C) || !equal(got.Pre, want.Pre) {
		t.Logf("%+v", sh)
		sameBits(t, "C", got.C, want.C)
		sameBits(t, "Pre", got.Pre, want.Pre)
	}
}

// each runs f as a subtest for every variant.
func each(t *testing.T, f func(t *testing.T, k *Kernel)) {
	for _, k := range Variants() {
		t.Run(k.name, func(t *testing.T) { f(t, k) })
	}
}

func TestTails(t *testing.T) {
	each(t, func(t *testing.T, k *Kernel) {
		var s Scratch
		for m := range 27 {
			for n := range 70 {
				depth := []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 17, 33}[rng.IntN(12)]
				flags := rng.IntN(8)
				check(t, k, &s, shape{m: m, n: n, k: depth, ta: flags&1 > 0, tb: flags&2 > 0, packed: flags&4 > 0,
					pad: rng.IntN(3), alpha: 1})
			}
		}
		for _, depth := range []int{255, 256, 257, 258, 511, 513, 770} {
			for range 6 {
				flags := rng.IntN(8)
				check(t, k, &s, shape{m: 1 + rng.IntN(14), n: 1 + rng.IntN(150), k: depth, ta: flags&1 > 0, tb: flags&2 > 0,
					packed: flags&4 > 0, pad: rng.IntN(3), alpha: 1})
			}
		}
	})
}

func TestOptions(t *testing.T) {
	each(t, func(t *testing.T, k *Kernel) {
		var s Scratch
		for flags := range 1 << 9 {
			on := func(bit int) bool { return flags>>bit&1 > 0 }
			sh := shape{m: 1 + rng.IntN(16), n: 1 + rng.IntN(140), k: []int{0, 3, 40, 260}[rng.IntN(4)], ta: on(0), tb: on(1),
				packed: on(2), acc: on(3), alpha: []float32{0, -0.3}[flags>>4&1], pad: rng.IntN(4)}
			if !sh.acc {
				sh.bias, sh.act, sh.pre, sh.residue = on(5), on(6), on(7), on(8)
			}
			check(t, k, &s, sh)
		}
	})
}

func TestLarge(t *testing.T) { // several tasks along M and N, operands packed as a whole
	each(t, func(t *testing.T, k *Kernel) {
		var s Scratch
		for flags := range 8 {
			check(t, k, &s, shape{m: 131, n: 70 + 17*flags, k: 40 + 40*flags, ta: flags&1 > 0, tb: flags&2 > 0, packed: flags&4 > 0,
				bias: true, residue: true})
		}
	})
}

func TestOwnRows(t *testing.T) { // A so large that tasks pack their parts of it; several tasks along M, a last one that is not whole
	each(t, func(t *testing.T, k *Kernel) {
		var s Scratch
		m := 2*max(ownRows/k.mr, 1)*k.mr + k.mr + 1
		for _, ta := range []bool{false, true} {
			sh := shape{m: m, n: 4*k.nr + 3, k: large/m + 3, ta: ta, tb: !ta, pad: 1, acc: ta, alpha: 0.5}
			var j job
			p := *sh.make()
			p.resolve(k.nr)
			if j.plan(k, p, &s, false); !j.ownA || j.blocks < 3 {
				t.Fatalf("%+v is cut into %d blocks, own %v: not what this test is for", sh, j.blocks, j.ownA)
			}
			check(t, k, &s, sh)
		}
	})
}

// TestOwnLastRows: the last tile of a task that packs its part of A may have a single row, or some.
func TestOwnLastRows(t *testing.T) {
	each(t, func(t *testing.T, k *Kernel) {
		if k.row4 == nil {
			t.Skip("no kernel for single rows")
		}
		var s Scratch
		for i := range 4 {
			ta, left := i%2 == 1, 1+i/2*3
			n := 8 * k.nr
			a, b, c := make([]float32, 2*large), make([]float32, large), make([]float32, 40*ownRows*n)
			for m := 20 * ownRows; ; m++ {
				if m > 40*ownRows {
					t.Fatalf("no number of rows leaves %d over", left)
				}
				p := Product{M: m, N: n, K: large/m + 3, TransA: ta}
				p.A, p.B, p.C = a[:m*p.K], b[:p.K*n], c[:m*n]
				var j job
				all := p
				all.resolve(k.nr)
				if j.plan(k, all, &s, false); !j.ownA || m%k.mr != left || j.cols < 4*k.nr {
					continue
				}
				for i := range p.A {
					p.A[i] = float32(i%17) - 8
				}
				for i := range p.B {
					p.B[i] = float32(i%13)/13 - 0.5
				}
				k.Serial(&s, &p)
				one := p
				one.M, one.LDA, one.C = left, p.K, make([]float32, left*n)
				if one.A = p.A[(m-left)*p.K:]; ta {
					one.LDA, one.A = m, p.A[m-left:]
				}
				k.Serial(&s, &one)
				if !slices.Equal(p.C[(m-left)*n:], one.C) {
					t.Errorf("the last %d of %d rows differ from these rows alone", left, m)
				}
				break
			}
		}
	})
}

func TestChunks(t *testing.T) { // operands larger than packLimit
	each(t, func(t *testing.T, k *Kernel) {
		var s Scratch
		depth := packLimit/k.nr + 1 // a chunk is one panel
		check(t, k, &s, shape{m: 1, n: k.nr + 1, k: depth, tb: true})
		if k.name == "go" {
			return
		}
		depth = packLimit/k.block + 1 // a chunk is one block of rows
		check(t, k, &s, shape{m: k.block + 1, n: 1, k: depth, ta: true})
	})
}

// TestRows: the bits of a row do not depend on how many rows there are.
func TestRows(t *testing.T) {
	each(t, func(t *testing.T, k *Kernel) {
		const N, K = 203, 300
		var s Scratch
		for flags := range 8 {
			sh := shape{m: 130, n: N, k: K, tb: flags&1 > 0, bias: flags&2 > 0, packed: flags&4 > 0}
			p := sh.make()
			if sh.packed {
				p.Packed = new(Packed)
				k.Pack(p.Packed, p.B, p.LDB, p.TransB, K, N)
			}
			k.Serial(&s, p)
			want := slices.Clone(p.C)
			for m := 1; m <= 64; m++ {
				p.M = m
				clear(p.C)
				k.Serial(&s, p)
				sameBits(t, fmt.Sprintf("%+v with %d rows", sh, m), p.C[:m*N], want[:m*N])
			}
		}
	})
}

// TestOneRow: B [N,K] in whole lines of the cache, which one row reads as it lies, and about them.
func TestOneRow(t *testing.T) {
	each(t, func(t *testing.T, k *Kernel) {
		var s Scratch
		for _, depth := range []int{16, 32, 47, 48, 49, KC, KC + 16, 2*KC + 7} {
			for n := range 50 {
				check(t, k, &s, shape{m: 1, n: n, k: depth, tb: true, pad: n % 3, alpha: []float32{1, -0.3}[n%2], acc: n%5 == 0})
			}
		}
	})
}

// TestThreads: Mul has the bits of Serial for any number of threads.
func TestThreads(t *testing.T) {
	each(t, func(t *testing.T, k *Kernel) {
		var s Scratch
		for _, threads := range []int{1, 2, 3, 8} {
			p := pool.New(threads)
			e := New(k, p)
			for flags := range 16 {
				sh := shape{m: []int{1, 7, 64, 250}[flags>>2], n: 333, k: 270, ta: flags&1 > 0, tb: flags&2 > 0, bias: true, act: true,
					pre: true, residue: true, packed: flags%3 == 0}
				got := sh.make()
				want := clone(got)
				k.Serial(&s, want)
				if sh.packed {
					got.Packed = new(Packed)
					e.Pack(got.Packed, got.B, got.LDB, got.TransB, got.K, got.N)
				}
				e.Mul(got)
				sameBits(t, fmt.Sprintf("%+v threads %d", sh, threads), got.C, want.C)
				sameBits(t, fmt.Sprintf("%+v threads %d: Pre", sh, threads), got.Pre, want.Pre)
			}
			p.Close()
		}
	})
}

// TestVariantsAgree: the fused variants have equal bits, the portable one is within the error of its extra roundings.
func TestVariantsAgree(t *testing.T) {
	var s Scratch
	p := shape{m: 33, n: 77, k: 600}.make()
	var fused []float32
	Variants()[0].Serial(&s, p)
	portable := slices.Clone(p.C)
	for _, k := range Variants()[1:] {
		k.Serial(&s, p)
		if fused != nil {
			sameBits(t, k.name, p.C, fused)
		}
		fused = slices.Clone(p.C)
		for i, v := range p.C {
			// Sums of 256 products below 1 in magnitude: a few units in the last place of a partial sum below 32.
			if d := math.Abs(float64(v - portable[i])); d > 2e-5 {
				t.Fatalf("%s: element %d is %v, portable %v", k.name, i, v, portable[i])
			}
		}
	}
}

func TestNaNAndInf(t *testing.T) {
	each(t, func(t *testing.T, k *Kernel) {
		var s Scratch
		for _, bad := range []float32{float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1))} {
			for range 30 {
				flags := rng.IntN(4)
				got := shape{m: 1 + rng.IntN(20), n: 1 + rng.IntN(150), k: 1 + rng.IntN(300), ta: flags&1 > 0, tb: flags&2 > 0}.make()
				got.A[rng.IntN(len(got.A))] = bad
				got.B[rng.IntN(len(got.B))] = bad
				for i := range got.C {
					got.C[i] = float32(math.NaN()) // must not be read
				}
				want := clone(got)
				oracle(k, want)
				k.Serial(&s, got)
				sameBits(t, k.name, got.C, want.C)
			}
		}
	})
}

func TestAllocatesNothing(t *testing.T) {
	pl := pool.New(2)
	defer pl.Close()
	each(t, func(t *testing.T, k *Kernel) {
		e := New(k, pl)
		var s Scratch
		p := shape{m: 150, n: 130, k: 120, tb: true, bias: true, act: true}.make()
		small := shape{m: 5, n: 7, k: 9}.make()
		for name, f := range map[string]func(){
			"Mul":    func() { e.Mul(p); e.Mul(small) },
			"Serial": func() { k.Serial(&s, p); k.Serial(&s, small) },
		} {
			if n := testing.AllocsPerRun(20, f); n > 0 {
				t.Errorf("%s allocates %v times", name, n)
			}
		}
	})
}

// TestPackReusesMemory: a smaller matrix fits in the memory of a larger one, and gives its own product.
func TestPackReusesMemory(t *testing.T) {
	each(t, func(t *testing.T, k *Kernel) {
		var s Scratch
		p := new(Packed)
		k.Pack(p, random(90*100), 0, false, 90, 100)
		bytes := p.Bytes()
		got := shape{m: 5, n: 70, k: 80, tb: true}.make()
		if n := testing.AllocsPerRun(5, func() { k.Pack(p, got.B, got.LDB, true, got.K, got.N) }); n > 0 {
			t.Fatalf("Pack allocates %v times", n)
		}
		if kk, n := p.Dims(); kk != 80 || n != 70 || p.Bytes() != bytes {
			t.Fatalf("packed [%d,%d] in %d bytes, want [80,70] in %d", kk, n, p.Bytes(), bytes)
		}
		want := clone(got)
		oracle(k, want)
		got.Packed, got.B = p, nil
		k.Serial(&s, got)
		sameBits(t, "C", got.C, want.C)
	})
}

// TestPackedPart: a product reads the first rows and columns of a larger packed matrix.
func TestPackedPart(t *testing.T) {
	each(t, func(t *testing.T, k *Kernel) {
		var s Scratch
		const K, N = KC + 30, 140
		b, p := random(K*N), new(Packed)
		k.Pack(p, b, 0, false, K, N)
		for _, m := range []int{1, 5, 30, 70} {
			for _, kk := range []int{1, 64, KC + 7, K} {
				for _, n := range []int{1, 32, 47, 128, N} {
					got := shape{m: m, n: n, k: kk}.make()
					got.B, got.LDB = b, N
					want := clone(got)
					oracle(k, want)
					got.Packed, got.B = p, nil
					k.Serial(&s, got)
					sameBits(t, fmt.Sprintf("%dx%dx%d", m, n, kk), got.C, want.C)
				}
			}
		}
	})
}

func TestPeakFLOPs(t *testing.T) {
	p := pool.New(2)
	defer p.Close()
	each(t, func(t *testing.T, k *Kernel) {
		// The slowest machine does more than 10 MFLOP/s, no pair of cores 10 TFLOP/s.
		if f := New(k, p).PeakFLOPs(2 * time.Millisecond); f < 1e7 || f > 1e13 {
			t.Fatalf("%g FLOP/s", f)
		}
	})
}

func ExampleEngine_Mul() {
	p := pool.New(0)
	defer p.Close()
	e := New(Best(), p)
	c := make([]float32, 4)
	e.Mul(&Product{
		M: 2, N: 2, K: 3,
		A:    []float32{1, 2, 3, 4, 5, 6}, // [2,3]
		B:    []float32{1, 0, 0, 1, 1, 1}, // [3,2]
		C:    c,
		Bias: []float32{10, 20},
	})
	fmt.Println(c)
	// Output: [14 25 20 31]
}

func TestPanicsOnSizes(t *testing.T) {
	k := Best()
	wrong := new(Packed)
	k.Pack(wrong, make([]float32, 12), 0, false, 2, 6)
	f := func(n int) []float32 { return make([]float32, n) }
	for name, p := range map[string]Product{
		"negative":   {M: -1, N: 2, K: 3},
		"A":          {M: 2, N: 2, K: 3, A: f(5), B: f(6), C: f(4)},
		"B":          {M: 2, N: 2, K: 3, A: f(6), B: f(5), C: f(4)},
		"C":          {M: 2, N: 2, K: 3, A: f(6), B: f(6), C: f(3)},
		"stride":     {M: 2, N: 2, K: 3, A: f(6), B: f(6), C: f(4), LDB: 1},
		"bias":       {M: 2, N: 2, K: 3, A: f(6), B: f(6), C: f(4), Bias: f(1)},
		"residual":   {M: 2, N: 2, K: 3, A: f(6), B: f(6), C: f(4), Residual: f(3)},
		"accumulate": {M: 2, N: 2, K: 3, A: f(6), B: f(6), C: f(4), Accumulate: true, Bias: f(2)},
		"packed K":   {M: 2, N: 2, K: 3, A: f(6), C: f(4), Packed: wrong},
		"packed N":   {M: 2, N: 7, K: 2, A: f(4), C: f(14), Packed: wrong},
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Fatal("no panic")
				}
			}()
			k.Serial(new(Scratch), &p)
		})
	}
}

func TestByName(t *testing.T) {
	for _, k := range Variants() {
		if got, err := ByName(k.Name()); err != nil || got != k {
			t.Fatalf("ByName(%q) = %v, %v", k.Name(), got, err)
		}
	}
	if _, err := ByName("none"); err == nil {
		t.Fatal("no error for an unknown name")
	}
	if Variants()[0].Name() != "go" {
		t.Fatal("the first variant is not the portable one")
	}
}

// TestSelfCheckFindsFaults: a kernel that computes something else is left out.
func TestSelfCheckFindsFaults(t *testing.T) {
	for _, k := range Variants() {
		if err := k.selfCheck(); err != nil {
			t.Fatal(err)
		}
		bad := *k
		bad.tile = func(kk int, a *float32, ars, acs int, b *float32, ldb int, c *float32, ldc, m, n int, alpha float32, load bool) {
			k.tile(kk, a, ars, acs, b, ldb, c, ldc, m, n, alpha, load)
			*c++
		}
		if bad.selfCheck() == nil {
			t.Fatalf("%s: a wrong tile passes", k.name)
		}
	}
}
