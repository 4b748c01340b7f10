// Package pages asks the system for huge pages under large buffers: products read columns of matrices, one row of 4 KB and more after the other, and
// each small page that is new costs a walk through the page tables, two of them in a virtual machine.
package pages

const (
	huge  = 2 << 20 // bytes of a huge page of amd64, and of arm64 with small pages of 4 KB
	least = 2 * huge
)

// Floats returns n zeros. A large slice has huge pages where the system gives them on request (Linux), as far as whole ones fit: its memory is
// resident in steps of 2 MB, never beyond the slice.
func Floats(n int) []float32 {
	x := make([]float32, n)
	if 4*n >= least {
		advise(x)
	}
	return x
}
