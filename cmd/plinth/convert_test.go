package main

import (
	"path/filepath"
	"strings"
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
	other := filepath.Join(dir, "other.gguf")
	for _, verb := range [][]string{{"convert"}, {"quantize", "--type", "q8_0"}} {
		args := append(verb, "--model", path, "--out", other)
		write(t, other, "mine")
		fails(t, 2, "--force", args...)
		if read(t, other) != "mine" {
			t.Errorf("%v wrote over a file", verb)
		}
		if ok(t, append(args, "--force")...); read(t, other) == "mine" {
			t.Errorf("%v --force wrote nothing", verb)
		}
		fails(t, 2, dir, append(verb, "--model", path, "--out", dir)...)
	}
	folder := filepath.Join(dir, "bf16")
	ok(t, "convert", "--model", shared.model, "--dtype", "bf16", "--shard", "20000", "--threads", "1", "--out", folder)
	if text := ok(t, "generate", "--model", filepath.Join(folder, "model.safetensors.index.json"), "--max-tokens", "2", "one"); text == "" {
		t.Error("nothing written with a converted folder")
	}
	fails(t, 2, "--shard", "convert", "--model", shared.model, "--shard", "0", "--out", filepath.Join(dir, "x"))
	fails(t, 2, "--type q5_0 is none of", "quantize", "--model", path, "--type", "q5_0", "--out", path)
	fails(t, 2, "GGUF files have no nf4", "quantize", "--model", path, "--type", "nf4", "--out", filepath.Join(dir, "x.gguf"))
	ok(t, "quantize", "--model", path, "--type", "Q8_0", "--out", filepath.Join(dir, "q.gguf"))
	none := filepath.Join(dir, "vocabulary.gguf")
	write(t, none, "GGUF\x03\x00\x00\x00"+strings.Repeat("\x00", 16))
	for _, args := range [][]string{{"convert"}, {"quantize", "--type", "q8_0"}} {
		fails(t, 1, none+" has no tensors", append(args, "--model", none, "--out", filepath.Join(dir, "y.gguf"))...)
	}
	fails(t, 1, none, "convert", "--model", none, "--out", filepath.Join(dir, "y"))
	fails(t, 2, "is empty", "generate", "--model", "", "x")
}

// What --out may be is said before anything is read.
func TestConvertOut(t *testing.T) {
	world(t)
	notes := filepath.Join(t.TempDir(), "notes.txt")
	write(t, notes, "mine")
	fails(t, 2, "no file replaced", "convert", "--model", shared.model, "--out", notes, "--force")
	for _, verb := range [][]string{{"convert"}, {"quantize", "--type", "q8_0"}} {
		fails(t, 2, "there is no folder "+filepath.Join("no", "dir"), append(verb, "--model", shared.model, "--out", filepath.Join("no", "dir", "x.gguf"))...)
	}
	if read(t, notes) != "mine" {
		t.Error("the file was replaced")
	}
	small := filepath.Join(t.TempDir(), "small.gguf")
	ok(t, "convert", "--model", shared.model, "--out", small, "--dtype", "q8_0")
	fails(t, 1, "plinth convert --dtype f16", "quantize", "--model", small, "--out", filepath.Join(t.TempDir(), "x.gguf"), "--type", "q4_0")
}
