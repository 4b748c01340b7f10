package vec

import (
	"encoding/binary"
	"math"
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

// A block comes back within half a scale and half a unit of the scale's last place; the codes of the largest magnitude are 127.
func TestQ8(t *testing.T) {
	eachVariant(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(3, 4))
		for blocks := range 7 {
			x, y, b := make([]float32, 32*blocks), make([]float32, 32*blocks), make([]byte, 34*blocks)
			for i := range blocks {
				part, codes := x[32*i:32*i+32], make([]int8, 32)
				for j := range part {
					part[j] = float32(r.NormFloat64()) * float32(i)
				}
				binary.LittleEndian.PutUint16(b[34*i:], Q8FromF32(codes, part))
				top := int8(0)
				for j, c := range codes {
					b[34*i+2+j] = byte(c)
					top = max(top, c, -c)
				}
				if i > 0 && top != 127 || i == 0 && top != 0 {
					t.Fatalf("block %d: the largest code is %d", i, top)
				}
			}
			F32FromQ8(y, b)
			for i := range x {
				block := b[34*(i/32):]
				scale := float64(widen16(binary.LittleEndian.Uint16(block)))
				if y[i] != float32(scale*float64(int8(block[2+i%32]))) {
					t.Fatalf("element %d: %v is not code times scale", i, y[i])
				}
				if d := math.Abs(float64(y[i] - x[i])); d > scale*(0.5+127*0x1p-11)+1e-7 {
					t.Fatalf("element %d: %v came back as %v, scale %v", i, x[i], y[i], scale)
				}
			}
		}
	})
}

// Halves go away from zero, as C's roundf does.
func TestQ8Rounding(t *testing.T) {
	codes := make([]int8, 6)
	if scale := Q8FromF32(codes, []float32{127, 2.5, -2.5, 3.5, 0.49999997, -126.5}); scale != 0x3c00 {
		t.Fatalf("scale %#x, want 1", scale)
	}
	for i, want := range []int8{127, 3, -3, 4, 0, -127} {
		if codes[i] != want {
			t.Errorf("code %d is %d, want %d", i, codes[i], want)
		}
	}
}
