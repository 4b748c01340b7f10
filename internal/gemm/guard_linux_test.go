package gemm

import (
	"syscall"
	"testing"
	"unsafe"
)

// guarded returns a copy of s that ends where an inaccessible page begins.
func guarded(t *testing.T, s []float32) []float32 {
	if len(s) == 0 {
		return s
	}
	page := syscall.Getpagesize()
	size := (4*len(s) + page - 1) / page * page
	mem, err := syscall.Mmap(-1, 0, size+page, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Munmap(mem); err != nil {
			t.Error(err)
		}
	})
	if err := syscall.Mprotect(mem[size:], syscall.PROT_NONE); err != nil {
		t.Fatal(err)
	}
	g := unsafe.Slice((*float32)(unsafe.Pointer(&mem[size-4*len(s)])), len(s))
	copy(g, s)
	return g
}

// TestNoAccessPastTheEnd: operands may end at the end of mapped memory.
func TestNoAccessPastTheEnd(t *testing.T) {
	each(t, func(t *testing.T, k *Kernel) {
		var s Scratch
		for i := range 400 {
			flags := rng.IntN(16)
			m := shape{m: 1 + rng.IntN(30), n: 1 + rng.IntN(140), k: 1 + rng.IntN(40), ta: flags&1 > 0, tb: flags&2 > 0,
				packed: flags&4 > 0, bias: true, residue: true, pad: i % 3}.make()
			if flags&8 > 0 {
				m.M += 250 // operands packed as a whole
				m.LDA, m.LDC = 0, 0
				m.A, m.C, m.Residual = random(m.M*m.K), random(m.M*m.N), random(m.M*m.N)
			}
			want := clone(m)
			oracle(k, want)
			m.A, m.B, m.C = guarded(t, m.A), guarded(t, m.B), guarded(t, m.C)
			m.Bias, m.Residual = guarded(t, m.Bias), guarded(t, m.Residual)
			if flags&4 > 0 {
				m.Packed = new(Packed)
				k.Pack(m.Packed, m.B, m.LDB, m.TransB, m.K, m.N)
			}
			k.Serial(&s, m)
			sameBits(t, k.name, m.C, want.C)
		}
	})
}
