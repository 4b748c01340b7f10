// Package random gives counter-based random numbers: each is a pure function of a key and an index, so that no state
// is carried, any element can be drawn at any time and by any thread, and a resumed run goes on with the same numbers.
package random

import (
	"math"
	"math/bits"
)

// Key names a stream of numbers, for example by (seed, step, purpose).
type Key struct{ lo, hi uint32 }

// NewKey returns the key of a stream. Equal parts give equal streams; the order of parts matters.
func NewKey(seed uint64, parts ...uint64) Key {
	k := Key{uint32(seed), uint32(seed >> 32)}
	for _, p := range parts {
		k = k.At(p)
	}
	return k
}

// Named extends a key with a name, such as a parameter's path.
func (k Key) Named(name string) Key {
	h := uint64(14695981039346656037) // FNV-1a
	for i := range len(name) {
		h = (h ^ uint64(name[i])) * 1099511628211
	}
	x := block(k, h)
	return Key{x[2], x[3]}
}

// At is the key of stream i of the streams that k names.
func (k Key) At(i uint64) Key {
	x := block(k, i)
	return Key{x[0], x[1]}
}

// block is Philox4x32-10 (Salmon et al. 2011) of the counter (index, 0).
func block(k Key, index uint64) [4]uint32 {
	return philox([4]uint32{uint32(index), uint32(index >> 32), 0, 0}, k.lo, k.hi)
}

func philox(c [4]uint32, k0, k1 uint32) [4]uint32 {
	c0, c1, c2, c3 := c[0], c[1], c[2], c[3] // in registers
	for range 10 {
		p0, p1 := uint64(0xD2511F53)*uint64(c0), uint64(0xCD9E8D57)*uint64(c2)
		c0, c1, c2, c3 = uint32(p1>>32)^c1^k0, uint32(p1), uint32(p0>>32)^c3^k1, uint32(p0)
		k0 += 0x9E3779B9
		k1 += 0xBB67AE85
	}
	return [4]uint32{c0, c1, c2, c3}
}

// Bits128 returns 128 random bits.
func (k Key) Bits128(index uint64) [4]uint32 { return block(k, index) }

// Bits256 makes out Bits128 of index and of index+1, in less time than the two: their chains of products run side by side.
func (k Key) Bits256(index uint64, out *[8]uint32) {
	a0, a1, a2, a3 := uint32(index), uint32(index>>32), uint32(0), uint32(0)
	b0, b1, b2, b3 := uint32(index+1), uint32((index+1)>>32), uint32(0), uint32(0)
	k0, k1 := k.lo, k.hi
	for range 10 {
		p0, p1 := uint64(0xD2511F53)*uint64(a0), uint64(0xCD9E8D57)*uint64(a2)
		q0, q1 := uint64(0xD2511F53)*uint64(b0), uint64(0xCD9E8D57)*uint64(b2)
		a0, a1, a2, a3 = uint32(p1>>32)^a1^k0, uint32(p1), uint32(p0>>32)^a3^k1, uint32(p0)
		b0, b1, b2, b3 = uint32(q1>>32)^b1^k0, uint32(q1), uint32(q0>>32)^b3^k1, uint32(q0)
		k0 += 0x9E3779B9
		k1 += 0xBB67AE85
	}
	*out = [8]uint32{a0, a1, a2, a3, b0, b1, b2, b3}
}

// Uint64 returns 64 random bits.
func (k Key) Uint64(index uint64) uint64 {
	x := block(k, index)
	return uint64(x[0])<<32 | uint64(x[1])
}

// Float64 returns a number in [0, 1) with 53 random bits.
func (k Key) Float64(index uint64) float64 { return float64(k.Uint64(index)>>11) * 0x1p-53 }

// IntN returns a number in [0, n); n must be positive and its bias is below n/2^64.
func (k Key) IntN(index uint64, n int) int {
	hi, _ := bits.Mul64(k.Uint64(index), uint64(n))
	return int(hi)
}

// Normal returns a number of the standard normal distribution (Box-Muller).
func (k Key) Normal(index uint64) float64 {
	x := block(k, index)
	u := (float64(x[0]) + 1) * 0x1p-32 // (0, 1]
	v := float64(uint64(x[1])<<20|uint64(x[2])>>12) * 0x1p-52
	return math.Sqrt(-2*math.Log(u)) * math.Cos(2*math.Pi*v)
}

// Perm is a permutation of [0, N) that is computed, never stored: a four-round Feistel network over the smallest even
// number of bits that holds N, walked until the value falls inside.
type Perm struct {
	N    uint64
	Key  Key
	half uint
}

// NewPerm returns the permutation of [0, n) that the key selects.
func NewPerm(n uint64, key Key) Perm {
	half := uint(1)
	for half < 32 && n > 1<<(2*half) {
		half++
	}
	return Perm{n, key, half}
}

// At returns the image of i, which must be below N.
func (p Perm) At(i uint64) uint64 {
	mask := uint64(1)<<p.half - 1
	for {
		l, r := i>>p.half, i&mask
		for round := range uint64(4) {
			l, r = r, l^(p.Key.Uint64(round<<32|r)&mask)
		}
		if i = l<<p.half | r; i < p.N {
			return i
		}
	}
}
