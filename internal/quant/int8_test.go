package quant

import (
	"math"
	"slices"
	"testing"

	"github.com/plinth-ml/plinth/internal/random"
)

// numbers are n normal numbers of a key, some of them large.
func numbers(key random.Key, n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(key.Normal(uint64(i)))
		if i%37 == 5 {
			x[i] *= 20
		}
	}
	return x
}

// Every variant gives the bits of the definition, at all tails, and a row has the same bits whatever is beside it.
func TestInt8Variants(t *testing.T) {
	for _, K := range []int{0, 1, 4, 15, 16, 33, 64, 100} {
		for _, N := range []int{1, 31, 32, 33, 70} {
			for _, M := range []int{1, 11, 12, 13, 25} {
				key := random.NewKey(uint64(K*1000000 + N*1000 + M))
				x, b, bias := numbers(key.Named("x"), M*K), numbers(key.Named("b"), K*N), numbers(key.Named("bias"), N)
				var w Int8Weights
				w.Set(b, M%2 == 0, K, N)
				mul := func(k *Kernel, from, m int) []float32 {
					var a Int8Rows
					var s Scratch
					a.Reset(m+40, K) // of another size first: the memory is used again
					for i := range a.code {
						a.code[i] = 99
					}
					a.Reset(m, K)
					for i := range m {
						k.QuantizeInt8(&a, i, x[(from+i)*K:(from+i+1)*K])
					}
					c := make([]float32, m*(N+3))
					k.MulInt8(&s, &Int8Product{A: &a, W: &w, To: m, N1: N, C: c, LDC: N + 3, Bias: bias})
					return c
				}
				want := mul(goKernel, 0, M)
				for _, k := range Variants() {
					if got := mul(k, 0, M); !slices.Equal(bits(got), bits(want)) {
						t.Fatalf("%s: [%d, %d]·[%d, %d] differs from the definition", k.Name(), M, K, K, N)
					}
					if got := mul(k, M-1, 1); !slices.Equal(bits(got), bits(want[(M-1)*(N+3):])) {
						t.Fatalf("%s: [%d, %d]·[%d, %d]: the last row alone differs", k.Name(), M, K, K, N)
					}
				}
			}
		}
	}
}

func bits(x []float32) []uint32 {
	b := make([]uint32, len(x))
	for i, v := range x {
		b[i] = math.Float32bits(v)
	}
	return b
}

// The error of a product is that of rounding both sides to 127 steps of their largest numbers.
func TestInt8Error(t *testing.T) {
	const M, K, N = 5, 200, 40
	key := random.NewKey(1)
	x, b := numbers(key.Named("x"), M*K), numbers(key.Named("b"), K*N)
	for _, trans := range []bool{false, true} {
		var w Int8Weights
		var a Int8Rows
		var s Scratch
		w.Set(b, trans, K, N)
		a.Reset(M, K)
		k := For("")
		for i := range M {
			k.QuantizeInt8(&a, i, x[i*K:(i+1)*K])
		}
		c := make([]float32, M*N)
		k.MulInt8(&s, &Int8Product{A: &a, W: &w, To: M, N1: N, C: c, LDC: N})
		for i := range M {
			for n := range N {
				sum, bound := 0.0, 0.0
				for j := range K {
					y := b[j*N+n]
					if trans {
						y = b[n*K+j]
					}
					u, v := float64(x[i*K+j]), float64(y)
					sum += u * v
					du, dv := float64(a.scale[i])/2*1.001, float64(w.scale[n])/2*1.001
					bound += math.Abs(u)*dv + math.Abs(v)*du + du*dv
				}
				if got := float64(c[i*N+n]); math.Abs(got-sum) > bound {
					t.Errorf("trans %v, element [%d, %d]: %v, want %v within %v", trans, i, n, got, sum, bound)
				}
			}
		}
	}
}

// A row with a NaN or an infinity is NaN and others are not; a row of zeros gives the bias.
func TestInt8Special(t *testing.T) {
	const K, N = 32, 33
	x := numbers(random.NewKey(2), 4*K)
	x[K+3], x[2*K+31] = float32(math.NaN()), float32(math.Inf(-1))
	clear(x[3*K:])
	for _, k := range Variants() {
		var w Int8Weights
		var a Int8Rows
		var s Scratch
		w.Set(numbers(random.NewKey(3), K*N), false, K, N)
		a.Reset(4, K)
		for i := range 4 {
			k.QuantizeInt8(&a, i, x[i*K:(i+1)*K])
		}
		bias, c := numbers(random.NewKey(4), N), make([]float32, 4*N)
		k.MulInt8(&s, &Int8Product{A: &a, W: &w, To: 4, N1: N, C: c, LDC: N, Bias: bias})
		for i, v := range c {
			if row := i / N; math.IsNaN(float64(v)) != (row == 1 || row == 2) || row == 3 && v != bias[i%N] {
				t.Errorf("%s: element [%d, %d] is %v", k.Name(), row, i%N, v)
			}
		}
	}
}

func BenchmarkInt8(b *testing.B) {
	const M, K, N = 480, 384, 1536
	k := For("")
	var w Int8Weights
	var a Int8Rows
	var s Scratch
	w.Set(numbers(random.NewKey(1), K*N), true, K, N)
	x, c := numbers(random.NewKey(2), M*K), make([]float32, M*N)
	a.Reset(M, K)
	b.SetBytes(M * K * N) // multiply-adds as bytes
	for b.Loop() {
		for i := range M {
			k.QuantizeInt8(&a, i, x[i*K:(i+1)*K])
		}
		k.MulInt8(&s, &Int8Product{A: &a, W: &w, To: M, N1: N, C: c, LDC: N})
	}
}
