package testkit

import (
	"syscall"
	"testing"
	"unsafe"
)

// Guarded returns a copy of s that ends where an inaccessible page begins, so that a read past the end is a fault.
func Guarded(t *testing.T, s []float32) []float32 {
	t.Helper()
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
