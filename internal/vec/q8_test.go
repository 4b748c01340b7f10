package vec

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"
)

// Every variant has the bits of the plain products, for every length.
func TestMulI8(t *testing.T) {
	eachVariant(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(1, 2))
		for n := range 70 {
			y, x, s := make([]float32, n+1), make([]int8, n), make([]float32, n)
			for i := range x {
				x[i], s[i] = int8(r.Uint32()), float32(r.NormFloat64())
			}
			y[n] = 7
			MulI8(y[:n], x, s)
			for i := range x {
				if want := float32(x[i]) * s[i]; y[i] != want {
					t.Fatalf("element %d of %d: %v, want %v", i, n, y[i], want)
				}
			}
			if y[n] != 7 {
				t.Fatalf("%d elements wrote behind the end", n)
			}
		}
	})
}

// Every variant has the bits of the plain products.
func TestF32FromQ8(t *testing.T) {
	eachVariant(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(3, 4))
		for blocks := range 7 {
			y, b := make([]float32, 32*blocks), make([]byte, 34*blocks)
			for i := range b {
				b[i] = byte(r.Uint32())
			}
			F32FromQ8(y, b)
			for i, v := range y {
				block := b[i/32*34:]
				scale := float64(widen16(binary.LittleEndian.Uint16(block)))
				if want := float32(scale * float64(int8(block[2+i%32]))); v != want && (v == v || want == want) {
					t.Fatalf("element %d: %v, want %v", i, v, want)
				}
			}
		}
	})
}
