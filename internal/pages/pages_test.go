package pages

import "testing"

func TestFloats(t *testing.T) {
	for _, n := range []int{0, 1, least/4 - 1, least / 4, least/4 + 1, 5*huge/4 + 3} {
		x := Floats(n)
		if len(x) != n {
			t.Fatalf("Floats(%d) has %d elements", n, len(x))
		}
		for i, v := range x {
			if v != 0 {
				t.Fatalf("Floats(%d): element %d is %v", n, i, v)
			}
			x[i] = 1 // the memory can be written
		}
	}
}
