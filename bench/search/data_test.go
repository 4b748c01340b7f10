package main

import (
	"math"
	"path/filepath"
	"strings"
	"testing"
)

func dot(a, b []float32) (sum float64) {
	for i := range a {
		sum += float64(a[i]) * float64(b[i])
	}
	return sum
}

// What make writes are the mixture's vectors, of length 1, and a folder of other data is refused.
func TestMixtureFiles(t *testing.T) {
	m, dir := mixture{dim: 24, clusters: 3, spread: 0.5, seed: 7}, filepath.Join(t.TempDir(), "data")
	for range 2 { // the second time all is there
		if err := m.make(dir, 100, 5); err != nil {
			t.Fatal(err)
		}
	}
	want := make([]float32, m.dim)
	for stream, n := range map[string]int{"stored": 100, "queries": 5} {
		vs, err := vectors(filepath.Join(dir, stream+".f32"), m.dim)
		if err != nil || len(vs) != n {
			t.Fatalf("%s: %d vectors, %v", stream, len(vs), err)
		}
		for i, v := range vs {
			m.vector(want, stream, i)
			if d := dot(v, want); math.Abs(d-1) > 1e-5 || math.Abs(dot(v, v)-1) > 1e-5 {
				t.Errorf("%s %d: cosine %v with itself, length² %v", stream, i, d, dot(v, v))
			}
		}
	}
	if err := m.make(dir, 99, 5); err == nil || !strings.Contains(err.Error(), "stored.f32 has 9600 bytes") {
		t.Errorf("other data in the folder: %v", err)
	}
}

// Vectors of one cluster have the cosine that mixture's comment says, and with no clusters none.
func TestMixtureCosines(t *testing.T) {
	const n = 60
	mean := func(m mixture) (sum float64) {
		vs := make([][]float32, n)
		for i := range vs {
			vs[i] = make([]float32, m.dim)
			m.vector(vs[i], "stored", i)
		}
		for i := range vs {
			for j := range i {
				sum += dot(vs[i], vs[j]) / (n * (n - 1) / 2)
			}
		}
		return sum
	}
	if got, want := mean(mixture{dim: 256, clusters: 1, spread: 0.5, seed: 1}), 1/(1+0.5*0.5); math.Abs(got-want) > 0.03 {
		t.Errorf("cosine %v within a cluster, want %v", got, want)
	}
	if got := mean(mixture{dim: 256, seed: 1}); math.Abs(got) > 0.01 {
		t.Errorf("cosine %v without clusters", got)
	}
}
