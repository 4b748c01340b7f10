package main

import (
	"path/filepath"
	"testing"
)

// TestConvertOverItself: a model is not written over its own file, and types are named in any case.
func TestConvertOverItself(t *testing.T) {
	world(t)
	dir := t.TempDir()
	path := filepath.Join(dir, "m.gguf")
	ok(t, "convert", "--model", shared.model, "--out", path)
	whole := read(t, path)
	fails(t, 2, "is the model itself", "quantize", "--model", path, "--type", "q8_0", "--out", path)
	fails(t, 2, "is the model itself", "convert", "--model", path, "--dtype", "f16", "--out", dir+"/./m.gguf")
	if read(t, path) != whole {
		t.Error("the model changed")
	}
	fails(t, 2, "--type q5_0 is none of", "quantize", "--model", path, "--type", "q5_0", "--out", path)
	ok(t, "quantize", "--model", path, "--type", "Q8_0", "--out", filepath.Join(dir, "q.gguf"))
	fails(t, 2, "is empty", "generate", "--model", "", "x")
}
