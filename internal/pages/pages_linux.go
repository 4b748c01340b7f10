package pages

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// advise asks for huge pages; a system without them refuses, which changes nothing.
func advise(x []float32) {
	at := uintptr(unsafe.Pointer(unsafe.SliceData(x)))
	skip := -at % huge
	size := (4*uintptr(len(x)) - skip) / huge * huge
	b := unsafe.Slice((*byte)(unsafe.Add(unsafe.Pointer(unsafe.SliceData(x)), skip)), size)
	_ = unix.Madvise(b, unix.MADV_HUGEPAGE)
}
