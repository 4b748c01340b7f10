package vec

import "testing"

// TestFetch: rows that x does not hold are the caller's error, and asking changes nothing.
func TestFetch(t *testing.T) {
	eachVariant(t, func(t *testing.T) {
		x := make([]float32, 100)
		for i := range x {
			x[i] = float32(i)
		}
		for skip := range 20 {
			for n := range 40 {
				Fetch(x[skip:], 20, 2, n)
				Fetch(x[skip:skip+n], 0, 1, n)
			}
		}
		for i, v := range x {
			if v != float32(i) {
				t.Fatalf("element %d is %v", i, v)
			}
		}
		if active.fetch == nil {
			return
		}
		defer func() {
			if recover() == nil {
				t.Fatal("rows beyond the end were taken")
			}
		}()
		Fetch(x, 50, 3, 1)
	})
}
