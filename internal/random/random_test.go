package random

import (
	"math"
	"testing"
)

// Known answers of the Random123 distribution (kat_vectors, philox4x32 10).
func TestPhiloxKnownAnswers(t *testing.T) {
	for _, c := range []struct {
		ctr    [4]uint32
		k0, k1 uint32
		want   [4]uint32
	}{
		{[4]uint32{}, 0, 0, [4]uint32{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
		{[4]uint32{^uint32(0), ^uint32(0), ^uint32(0), ^uint32(0)}, ^uint32(0), ^uint32(0), [4]uint32{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
		{[4]uint32{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, 0xa4093822, 0x299f31d0, [4]uint32{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
	} {
		if got := philox(c.ctr, c.k0, c.k1); got != c.want {
			t.Errorf("philox(%x) = %x, want %x", c.ctr, got, c.want)
		}
	}
}

func TestBits256(t *testing.T) {
	k := NewKey(3, 1<<40)
	for _, i := range []uint64{0, 1, 1<<32 - 1, 1<<64 - 1} {
		var got [8]uint32
		k.Bits256(i, &got)
		if a, b := k.Bits128(i), k.Bits128(i+1); got != [8]uint32{a[0], a[1], a[2], a[3], b[0], b[1], b[2], b[3]} {
			t.Errorf("index %d: %x, want %x and %x", i, got, a, b)
		}
	}
}

func TestNormalMoments(t *testing.T) {
	k, n := NewKey(7, 3).Named("w"), 200000
	var sum, sq, quad float64
	for i := range n {
		x := k.Normal(uint64(i))
		sum, sq, quad = sum+x, sq+x*x, quad+x*x*x*x
	}
	f := float64(n)
	if m, v, q := sum/f, sq/f, quad/f; math.Abs(m) > 0.01 || math.Abs(v-1) > 0.02 || math.Abs(q-3) > 0.15 {
		t.Fatalf("mean %v variance %v fourth moment %v", m, v, q)
	}
}

func TestPermIsAPermutation(t *testing.T) {
	for _, n := range []uint64{1, 2, 3, 4, 5, 16, 17, 1000, 4097} {
		seen := make([]bool, n)
		p := NewPerm(n, NewKey(5, n))
		fixed := 0
		for i := range n {
			j := p.At(i)
			if j >= n || seen[j] {
				t.Fatalf("n %d: image %d of %d is out of range or repeated", n, j, i)
			}
			seen[j] = true
			if i == j {
				fixed++
			}
		}
		if n >= 1000 && fixed > 20 {
			t.Errorf("n %d: %d fixed points", n, fixed)
		}
	}
}
