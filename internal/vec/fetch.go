package vec

import "fmt"

// Fetch asks for rows of n elements, ld apart in x, to come into the cache, and does not wait for them. Rows in pages of their own are what no processor foresees.
func Fetch(x []float32, ld, rows, n int) {
	if rows <= 0 || n <= 0 || active.fetch == nil {
		return
	}
	if ld < 0 || len(x) < (rows-1)*ld+n {
		panic(fmt.Sprintf("vec: Fetch: x has %d elements, want %d rows of %d, %d apart", len(x), rows, n, ld))
	}
	active.fetch(&x[0], ld, rows, n)
}
