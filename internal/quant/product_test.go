package quant

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"unsafe"
)

var products = []Format{Q8_0, Q4_0, Q4_K, Q5_K, Q6_K}

// wild returns blocks of any codes and scales, scales finite and not too large.
func wild(r *rand.Rand, f Format, blocks int) []byte {
	_, size := f.Block()
	b := make([]byte, blocks*size)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	for i := range blocks {
		block := b[i*size:][:size]
		halves := []int{0}
		switch f {
		case Q4_K, Q5_K:
			halves = []int{0, 2}
		case Q6_K:
			halves = []int{208}
		}
		for _, h := range halves {
			putHalf(block[h:], float32(r.NormFloat64()))
		}
	}
	return b
}

// normals returns n numbers whose size changes from block to block; some blocks are zero, or codes of ±127 throughout.
func normals(r *rand.Rand, n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		switch i / 32 % 11 {
		case 3:
		case 5:
			x[i] = float32(1 - 2*(i%2))
		case 6:
			x[i] = -3
		default:
			x[i] = float32(r.NormFloat64() * math.Exp2(float64(i/32%7)))
		}
	}
	return x
}

// TestVariants: every variant gives the bits of the definition, for every tail of rows on either side and at odd addresses.
func TestVariants(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 12))
	for _, f := range products {
		unit, _ := f.Block()
		for _, blocks := range []int{0, 1, 2, 5} {
			K := blocks * unit
			for _, M := range []int{1, 2, 3, 4, 5, 7, 8, 9, 15, 17, 24} {
				for _, N := range []int{1, 2, 3, 4, 5, 7, 11, 16, 17, 31, 32, 35} {
					if (M > 9 || blocks == 5) && N%4 == 0 && N < 30 {
						continue
					}
					x := normals(r, M*K)
					w := append(make([]byte, 1), wild(r, f, N*blocks)...)[1:]
					var want []float32
					for _, k := range Variants() {
						name := fmt.Sprintf("%s %s M=%d N=%d K=%d", k.Name(), f, M, N, K)
						var a Activations
						var s Scratch
						a.Reset(f, M+3, K) // memory with other content first
						for i := range M + 3 {
							k.Quantize(&a, i, normals(r, K))
						}
						a.Reset(f, M, K)
						for i := range M {
							k.Quantize(&a, i, x[i*K:(i+1)*K])
						}
						const pad, guard = 3, 77
						c := make([]float32, M*(N+pad))
						for i := range c {
							c[i] = guard
						}
						k.Mul(&s, &Product{A: &a, From: 0, To: M, W: w, N0: 0, N1: N, C: c, LDC: N + pad})
						for i := range c {
							if i%(N+pad) >= N && c[i] != guard {
								t.Fatalf("%s: wrote behind row %d", name, i/(N+pad))
							}
						}
						if want == nil {
							want = c
							continue
						}
						for i, v := range c {
							if math.Float32bits(v) != math.Float32bits(want[i]) {
								t.Fatalf("%s: element %d, %d is %v, want %v", name, i/(N+pad), i%(N+pad), v, want[i])
							}
						}
					}
				}
			}
		}
	}
}

// TestExtremes: the largest codes and scales with the largest activations, whose sums must fit where every variant keeps them.
func TestExtremes(t *testing.T) {
	const M, N, blocks = 9, 17, 2
	for _, f := range products {
		unit, size := f.Block()
		for _, code := range []byte{0x00, 0x7f, 0x80, 0xff} {
			w := bytes.Repeat([]byte{code}, N*blocks*size)
			for i := range N * blocks {
				block := w[i*size:][:size]
				switch f {
				case Q4_K, Q5_K:
					putHalf(block, 1)
					putHalf(block[2:], 1)
				case Q6_K:
					putHalf(block[208:], 1)
				default:
					putHalf(block, 1)
				}
			}
			var want []float32
			for _, k := range Variants() {
				var a Activations
				var s Scratch
				a.Reset(f, M, blocks*unit)
				x := make([]float32, blocks*unit)
				for i := range M {
					for j := range x {
						x[j] = float32(1 - i%3%2*2) // of one sign, or of the other
						if i > 6 && j/16%2 > 0 {
							x[j] = -x[j]
						}
					}
					k.Quantize(&a, i, x)
				}
				c := make([]float32, M*N)
				k.Mul(&s, &Product{A: &a, To: M, W: w, N1: N, C: c, LDC: N})
				if want == nil {
					want = c
				} else if !slices.Equal(c, want) {
					t.Errorf("%s %s: codes %#x: %v, want %v", k.Name(), f, code, c, want)
				}
			}
		}
	}
}

// TestParts: rectangles of a product are the product.
func TestParts(t *testing.T) {
	r := rand.New(rand.NewPCG(13, 14))
	for _, f := range products {
		unit, _ := f.Block()
		const M, N = 21, 50
		K := 3 * unit
		x, w := normals(r, M*K), wild(r, f, 3*N)
		for _, k := range Variants() {
			var a Activations
			var s Scratch
			a.Reset(f, M, K)
			for i := range M {
				k.Quantize(&a, i, x[i*K:(i+1)*K])
			}
			whole, parts := make([]float32, M*N), make([]float32, M*N)
			k.Mul(&s, &Product{A: &a, To: M, W: w, N1: N, C: whole, LDC: N})
			for _, i := range [][2]int{{0, 5}, {5, 6}, {6, 16}, {16, 21}} {
				for _, n := range [][2]int{{0, 1}, {1, 18}, {18, 34}, {34, 50}} {
					k.Mul(&s, &Product{A: &a, From: i[0], To: i[1], W: w, N0: n[0], N1: n[1], C: parts, LDC: N})
				}
			}
			for i, v := range whole {
				if math.Float32bits(parts[i]) != math.Float32bits(v) {
					t.Fatalf("%s %s: element %d is %v in parts, %v whole", k.Name(), f, i, parts[i], v)
				}
			}
		}
	}
}

// TestQuantize: codes, scales and sums of every variant are those of the definition, which are what kernel.MatMul says, for blocks of all sorts.
func TestQuantize(t *testing.T) {
	r := rand.New(rand.NewPCG(15, 16))
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	for _, f := range products {
		unit, _ := f.Block()
		sh := f.shape()
		const blocks, M = 40, 11
		K := blocks * unit
		tolerance, smallest := 0.5001, faint // a code is rounded
		if unit == 32 {                      // and so is a scale
			tolerance, smallest = 0.5+127*0x1p-11, 127*0x1p-25
		}
		for _, rows := range []int{1, 3, M} {
			var x [M][]float32
			for i := range rows {
				x[i] = normals(r, K)
				for b := range blocks {
					at := x[i][b*unit+r.IntN(unit):]
					switch b {
					case 1:
						at[0] = nan
					case 2:
						at[0] = inf
					case 3:
						at[0] = -inf
					case 4, 5, 6: // subnormal, faint and just not faint
						for j := range unit {
							x[i][b*unit+j] = float32(math.Ldexp(r.Float64()-0.5, []int{-130, -102, -98}[b-4]))
						}
					case 7: // ties
						for j := range unit {
							x[i][b*unit+j] = float32(r.IntN(127)) + 0.5
						}
						at[0] = 127
					case 8:
						at[0] = 1e38 // near the largest; that itself rounds to infinity on the way back
					case 9:
						for j := range unit {
							x[i][b*unit+j] = -1
						}
					}
				}
			}
			var want *Activations
			for _, k := range Variants() {
				var a Activations
				a.Reset(f, rows, K)
				for i := range rows {
					k.Quantize(&a, i, x[i])
				}
				if want == nil {
					want = &a
				}
				for i := range rows {
					for b := range blocks {
						name := fmt.Sprintf("%s %s, row %d of %d, block %d", k.Name(), f, i, rows, b)
						at := a.slot(i, b)
						if d, w := a.scale[at], want.scale[at]; math.Float32bits(d) != math.Float32bits(w) && (d == d || w == w) {
							t.Fatalf("%s: scale %v, want %v", name, d, w)
						}
						part, sums := 0, a.code[at*unit:(at+1)*unit]
						for j, c := range sums {
							if c != want.code[at*unit+j] || c == -128 {
								t.Fatalf("%s: code %d is %d, want %d", name, j, c, want.code[at*unit+j])
							}
							if v, near := x[i][b*unit+j], a.scale[at]*float32(c); !(math.Abs(float64(v-near)) <= tolerance*float64(a.scale[at])+smallest) && a.scale[at] == a.scale[at] {
								t.Fatalf("%s: %v became %v", name, v, near)
							}
							part += int(c)
							if (j+1)%sh.sub != 0 {
								continue
							}
							if sh.subs() == 1 && a.start[at] != -sh.bias*int32(part) || sh.subs() > 1 && int(a.sum[at*sh.subs()+j/sh.sub]) != part {
								t.Fatalf("%s: the sum up to code %d is not %d", name, j, part)
							}
							part = 0
						}
						if b >= 1 && b <= 3 && a.scale[at] == a.scale[at] {
							t.Fatalf("%s: scale %v of a block that is not finite", name, a.scale[at])
						}
					}
				}
			}
		}
	}
}

// A variant that is wrong does not pass the check.
func TestSelfCheck(t *testing.T) {
	for _, k := range Variants() {
		if err := k.selfCheck(); err != nil {
			t.Error(err)
		}
		if k == goKernel {
			continue
		}
		bad := *k
		bad.dot[Q5_K], bad.tile[Q5_K][1] = bad.dot[Q4_K], bad.tile[Q8_0][1]
		if bad.selfCheck() == nil {
			t.Errorf("%s with another format's dot product passes the self-check", k.Name())
		}
		bad = *k
		bad.tile[Q6_K][groupRows] = func(out *float32, blocks int, code *uint8, d, dMin *float32, scale *int32, pair *int16, aCode *int8, aScale *float32, aSum unsafe.Pointer, w *byte, ahead, stream, step int) {
		}
		if bad.selfCheck() == nil {
			t.Errorf("%s without a tile passes the self-check", k.Name())
		}
	}
}
