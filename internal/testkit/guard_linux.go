package testkit

import (
	"syscall"
	"testing"
	"unsafe"
)

// Guarded returns a copy of s that ends where an inaccessible page begins, so that a read past the end is a fault.
func Guarded[T any](t *testing.T, s []T) []T {
	t.Helper()
	if len(s) == 0 {
		return s
	}
	page := syscall.Getpagesize()
	n := len(s) * int(unsafe.Sizeof(s[0]))
	size := (n + page - 1) / page * page
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
	g := unsafe.Slice((*T)(unsafe.Pointer(&mem[size-n])), len(s))
	copy(g, s)
	return g
}
