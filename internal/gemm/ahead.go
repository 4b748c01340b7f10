package gemm

import "unsafe"

// ahead is memory that will be read soon: rows of lines of 64 bytes. A kernel that takes it asks for a line between its steps.
// The layout is known to the assembly.
type ahead struct {
	at    uintptr // next line; no reference, since asking for memory that is no more does no harm
	line  int     // lines left in its row
	rows  int     // rows left, with the present one
	lines int     // of a row
	skip  int     // bytes from the end of a row to the next
}

func (a *ahead) rows1(s []float32) {
	a.rows = 0
	if len(s) >= 16 {
		a.at, a.line, a.rows = uintptr(unsafe.Pointer(&s[0])), len(s)/16, 1
	}
}

// set makes a hold rows of n elements, ld apart.
func (a *ahead) set(s []float32, n, rows, ld int) {
	a.rows = 0
	if len(s) == 0 || n == 0 {
		return
	}
	at := uintptr(unsafe.Pointer(&s[0]))
	first := at &^ 63
	a.lines = int(at+uintptr(4*n)-first+63) / 64
	a.at, a.line, a.rows, a.skip = first, a.lines, rows, 4*ld-64*a.lines
}
