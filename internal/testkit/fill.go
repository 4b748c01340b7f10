package testkit

import "strings"

// Fill is the formula by which tools/golden/decoders.py makes the weights of a tensor, so that golden files need not hold them: uniform in
// centre ± spread, a hash of name and index.
func Fill(name string, shape []int) []float32 {
	seed := uint32(0x811C9DC5)
	for _, b := range []byte(name) { // FNV-1a
		seed = (seed ^ uint32(b)) * 0x01000193
	}
	centre, spread := 1.0, 0.5
	switch {
	case len(shape) > 1:
		centre, spread = 0, 0.6
	case strings.HasSuffix(name, "bias"):
		centre, spread = 0, 0.3
	}
	n := 1
	for _, d := range shape {
		n *= d
	}
	values := make([]float32, n)
	for i := range values {
		x := uint32(i) ^ seed
		x = (x ^ x>>16) * 0x7FEB352D
		x = (x ^ x>>15) * 0x846CA68B
		values[i] = float32(centre + spread*(float64(x^x>>16)/(1<<31)-1))
	}
	return values
}
