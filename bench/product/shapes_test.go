package main

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// Every list's shapes are products, none twice; a file has one a line.
func TestShapes(t *testing.T) {
	file := filepath.Join(t.TempDir(), "shapes.txt")
	if err := os.WriteFile(file, []byte("# products\n1x2x3 # small\n\n4x5x6,ta,acc\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, n := range map[string]int{"squares": 4, "transformer": 40, "train": 24, file: 2} {
		shapes, err := shapesOf(name)
		if err != nil || len(shapes) != n {
			t.Errorf("%s: %q, %v, want %d", name, shapes, err, n)
		}
		for _, s := range shapes {
			if _, err := parse(s); err != nil {
				t.Error(err)
			}
		}
		if slices.Sort(shapes); len(slices.Compact(shapes)) != n {
			t.Errorf("%s names a shape twice", name)
		}
	}
	if _, err := shapesOf("nowhere"); err == nil {
		t.Error("a file that is not there is a list")
	}
}

func TestParse(t *testing.T) {
	if got, err := parse("64x384x1536,ta,acc"); err != nil || got.M != 64 || got.N != 384 || got.K != 1536 || !got.TransA || got.TransB || !got.Accumulate {
		t.Errorf("%+v, %v", got, err)
	}
	for _, s := range []string{"64x384", "0x1x1", "1x1x1,tc", "a"} {
		if got, err := parse(s); err == nil {
			t.Errorf("%q: %+v", s, got)
		}
	}
}
